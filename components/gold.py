"""Component of stage `gold`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def gold(data: str, settings: str, store: str) -> str:
    """Reads the labelled target test; only `evaluate` receives it, so its labels cannot leak into training.

    Args:
        data: data root, local or `s3://`.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.

    Returns:
        URI of the folder of labelled test sentences.
    """
    from tofner.stages import execute

    return execute("gold", store, settings, {"data": data}).uri

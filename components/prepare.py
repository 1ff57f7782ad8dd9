"""Component of stage `prepare`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def prepare(data: str, settings: str, store: str) -> str:
    """Reads and checks every corpus to train on and writes Parquet, target text without its tags (paper, 3.3.1, 4.2).

    Args:
        data: data root, local or `s3://`.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.

    Returns:
        URI of the folder of corpora.
    """
    from tofner.stages import execute

    return execute("prepare", store, settings, {"data": data}).uri

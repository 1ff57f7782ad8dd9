"""Component of stage `gold`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def gold(
    data: str,
    settings: str,
    store: str,
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Reads the labelled target test; only `evaluate` receives it, so its labels cannot leak into training.

    Args:
        data: data root, local or `s3://`.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        metrics: counts of sentences and entities.

    Returns:
        URI of the folder of labelled test sentences.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("gold", store, settings, {"data": data})
    fill(result, metrics=metrics)
    return result.uri

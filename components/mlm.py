"""Component of stage `mlm`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def mlm(
    corpora: str,
    model: str,
    settings: str,
    store: str,
    trained: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Masked language model on target and as much source text (Algorithm 1, lines 1-2).

    Args:
        corpora: folder of prepared corpora.
        model: checkpoint to start from, or a Hub id, folder or `s3://` prefix of an encoder.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        trained: the adapted encoder.
        metrics: losses and times.

    Returns:
        URI of the adapted encoder.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("mlm", store, settings, {"corpora": corpora, "model": model})
    fill(result, model=trained, metrics=metrics)
    return result.uri

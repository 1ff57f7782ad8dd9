"""Component of stage `mlm`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def mlm(
    corpora: str,
    model: str,
    settings: str,
    store: str,
) -> str:
    """Masked language model on target and as much source text (Algorithm 1, lines 1-2).

    Args:
        corpora: folder of prepared corpora.
        model: checkpoint to start from, or a Hub id, folder or `s3://` prefix of an encoder.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.

    Returns:
        URI of the adapted encoder.
    """
    from tofner.stages import execute

    return execute("mlm", store, settings, {"corpora": corpora, "model": model}).uri

"""Component of stage `ner`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def ner(
    corpora: str,
    model: str,
    settings: str,
    store: str,
    pseudo: str = "",
    head: str = "",
) -> str:
    """Token classification: trains a tagger (Algorithm 1, lines 5-6, 8-9 and 15-16, Eq. 3-4).

    Args:
        corpora: folder of prepared corpora.
        model: checkpoint to start from, or a Hub id, folder or `s3://` prefix of an encoder.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        pseudo: folder of pseudo-labelled target sentences; empty for the labelled source (line 6).
        head: the last tagger, whose head may be carried on.

    Returns:
        URI of the tagger.
    """
    from tofner.stages import execute

    return execute("ner", store, settings, {"corpora": corpora, "model": model, "pseudo": pseudo, "head": head}).uri

"""Component of stage `mrc`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def mrc(
    corpora: str,
    model: str,
    settings: str,
    store: str,
    pseudo: str = "",
    head: str = "",
) -> str:
    """Span extraction: answers questions about entities (Algorithm 1, lines 3-4 and 11-14, Eq. 2).

    Args:
        corpora: folder of prepared corpora.
        model: checkpoint to start from, or a Hub id, folder or `s3://` prefix of an encoder.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        pseudo: folder of pseudo-labelled target sentences; in the rounds only.
        head: the last MRC checkpoint, whose heads may be carried on; in the rounds only.

    Returns:
        URI of the MRC checkpoint.
    """
    from tofner.stages import execute

    return execute("mrc", store, settings, {"corpora": corpora, "model": model, "pseudo": pseudo, "head": head}).uri

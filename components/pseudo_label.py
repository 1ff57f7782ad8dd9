"""Component of stage `pseudo_label`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def pseudo_label(
    corpora: str,
    model: str,
    settings: str,
    store: str,
    earlier: str = "",
) -> str:
    """Labels the unlabelled target text with the tagger so far (Algorithm 1, lines 7, 10 and 17).

    Args:
        corpora: folder of prepared corpora.
        model: tagger.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        earlier: labels of the round before; says how many words changed and changes none. Empty where there is none.

    Returns:
        URI of the pseudo-labelled sentences.
    """
    from tofner.stages import execute

    inputs = {"corpora": corpora, "model": model, "earlier": earlier}
    return execute("pseudo_label", store, settings, inputs).uri

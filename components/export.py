"""Component of stage `export`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def export(
    corpora: str,
    model: str,
    settings: str,
    store: str,
) -> str:
    """ONNX model of the tagger, compared with the checkpoint on three shapes and real text; int8 where it keeps its F1.

    Args:
        corpora: folder of prepared corpora.
        model: tagger.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.

    Returns:
        URI of the ONNX model.
    """
    from tofner.stages import execute

    return execute("export", store, settings, {"corpora": corpora, "model": model}).uri

"""Component of stage `export`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def export(
    corpora: str,
    model: str,
    settings: str,
    store: str,
    trained: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """ONNX model of the tagger, compared with the checkpoint on two shapes and on real text.

    Args:
        corpora: folder of prepared corpora.
        model: tagger.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        trained: the ONNX model.
        metrics: largest differences, sizes.

    Returns:
        URI of the ONNX model.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("export", store, settings, {"corpora": corpora, "model": model})
    fill(result, model=trained, metrics=metrics)
    return result.uri

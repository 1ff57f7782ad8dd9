"""Component of stage `publish`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def publish(
    export: str,
    model: str,
    report: str,
    settings: str,
    store: str,
    tagger: dsl.Output[dsl.Model],
) -> str:
    """Puts model, tokenizer, labels, reports and model card in the bucket as one version, whole or not at all.

    Args:
        export: ONNX model.
        model: final tagger.
        report: report of the run.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        tagger: the published version; metadata uri, name, version, f1, bytes, encoder.

    Returns:
        URI of the published version.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("publish", store, settings, {"export": export, "model": model, "report": report})
    fill(result, model=tagger)
    return result.uri

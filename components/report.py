"""Component of stage `report`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def report(
    model: str,
    export: str,
    scores: str,
    settings: str,
    store: str,
    metrics: dsl.Output[dsl.Metrics],
    markdown: dsl.Output[dsl.Markdown],
    html: dsl.Output[dsl.HTML],
) -> str:
    """Report of the run: what was read, what each stage brought, how the final tagger errs, where the time went.

    Args:
        model: final tagger.
        export: its ONNX model.
        scores: URIs of all scores in order, separated by spaces.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        metrics: strict micro F1 on the target test, 0 to 1: `f1` of the final tagger, then of every scored stage.
        markdown: the report as text.
        html: the report as one page that needs nothing else.

    Returns:
        URI of the report.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("report", store, settings, {"model": model, "export": export, "scores": scores})
    fill(result, metrics=metrics, markdown=markdown, html=html)
    return result.uri

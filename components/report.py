"""Component of stage `report`."""

from kfp import dsl

from tofner_kubeflow.components.stage import stage


@stage
def report(
    run: str,
    model: str,
    export: str,
    scores: str,
    metrics: dsl.Output[dsl.Metrics],
    html: dsl.Output[dsl.HTML],
) -> str:
    """Report of the run: what was read, what each stage brought, how the final tagger errs, where the time went.

    Args:
        run: address of the plan, handed on.
        model: final tagger.
        export: its ONNX model.
        scores: URIs of all scores in order, separated by spaces.
        metrics: strict micro F1 on the target test, 0 to 1: `f1` of the final tagger, then of every scored stage.
        html: the report as one page that needs nothing else.

    Returns:
        URI of the report.
    """
    from tofner.stages import take
    from tofner_kubeflow.components.artifacts import fill

    taken = take("report", run, model=model, export=export, scores=scores)
    fill(taken.result, metrics=metrics, html=html)
    return taken.uri

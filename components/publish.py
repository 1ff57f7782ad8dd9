"""Component of stage `publish`."""

from kfp import dsl

from tofner_kubeflow.components.stage import stage


@stage
def publish(
    run: str,
    model: str,
    export: str,
    report: str,
    tagger: dsl.Output[dsl.Model],
    summary: dsl.Output[dsl.Markdown],
) -> str:
    """Puts model, tokenizer, labels, reports and model card in the bucket as one version, whole or not at all.

    Args:
        run: address of the plan, handed on.
        model: final tagger.
        export: its ONNX model.
        report: report of the run.
        tagger: the published version; metadata uri, name, version, f1, bytes, encoder, promoted, gate.
        summary: whether it is the latest now and why, F1, addresses, and the report as text.

    Returns:
        URI of the published version.
    """
    from tofner.stages import take
    from tofner_kubeflow.components.artifacts import fill

    taken = take("publish", run, model=model, export=export, report=report)
    fill(taken.result, model=tagger, markdown=summary)
    return taken.uri

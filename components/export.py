"""Component of stage `export`."""

from tofner_kubeflow.components.stage import stage


@stage
def export(run: str, model: str) -> str:
    """ONNX model of the tagger, compared with the checkpoint on three shapes and real text; int8 where it keeps its F1.

    Args:
        run: address of the plan, handed on.
        model: tagger.

    Returns:
        URI of the ONNX model.
    """
    from tofner.stages import take

    return take("export", run, model=model).uri

"""Component of stage `gold`."""

from tofner_kubeflow.components.stage import stage


@stage
def gold(run: str) -> str:
    """Reads the labelled target test; only `evaluate` receives it, so its labels cannot leak into training.

    Args:
        run: address of the plan, handed on.

    Returns:
        URI of the labelled test sentences.
    """
    from tofner.stages import take

    return take("gold", run).uri

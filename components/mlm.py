"""Component of stage `mlm`."""

from typing import NamedTuple

from tofner_kubeflow.components.stage import stage


@stage
def mlm(step: str, run: str, gpus: str) -> NamedTuple(  # type: ignore[valid-type]
    "Done", [("run", str), ("model", str), ("gpus", str)]
):
    """Masked language model on target and as much source text (Algorithm 1, lines 1-2).

    Args:
        step: which line of Algorithm 1.
        run: address of the plan, handed on.
        gpus: that this task asks for.

    Returns:
        `run`, the adapted encoder, and the GPUs that the next task asks for.
    """
    from tofner.stages import take

    taken = take(step, run)
    return taken.run, taken.uri, taken.gpus

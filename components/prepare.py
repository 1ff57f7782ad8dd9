"""Component of stage `prepare`."""

from typing import NamedTuple

from tofner_kubeflow.components.stage import stage


@stage
def prepare(run: str) -> NamedTuple(  # type: ignore[valid-type]
    "Done", [("run", str), ("gpus", str)]
):
    """Reads and checks every corpus to train on and writes Parquet, target text without its tags (paper, 3.3.1, 4.2).

    Args:
        run: address of the plan, handed on.

    Returns:
        `run`, and the GPUs that the next task asks for.
    """
    from tofner.stages import take

    taken = take("prepare", run)
    return taken.run, taken.gpus

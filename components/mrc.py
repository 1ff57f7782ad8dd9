"""Component of stage `mrc`."""

from typing import NamedTuple

from tofner_kubeflow.components.stage import stage


@stage
def mrc(step: str, run: str, model: str, gpus: str, pseudo: str = "", head: str = "") -> NamedTuple(  # type: ignore[valid-type]
    "Done", [("run", str), ("model", str), ("gpus", str)]
):
    """Span extraction: answers questions about entities (Algorithm 1, lines 3-4 and 13-14, Eq. 2).

    Args:
        step: which line of Algorithm 1.
        run: address of the plan, handed on.
        model: checkpoint to start from.
        gpus: that this task asks for.
        pseudo: pseudo-labelled target sentences, in a round.
        head: the last MRC checkpoint, whose heads are carried on, in a round.

    Returns:
        `run`, the MRC checkpoint, and the GPUs that the next task asks for.
    """
    from tofner.stages import take

    taken = take(step, run, model=model, pseudo=pseudo, head=head)
    return taken.run, taken.uri, taken.gpus

"""Component of stage `ner`."""

from typing import NamedTuple

from tofner_kubeflow.components.stage import stage


@stage
def ner(step: str, run: str, model: str, gpus: str, pseudo: str = "", head: str = "") -> NamedTuple(  # type: ignore[valid-type]
    "Done", [("run", str), ("model", str), ("gpus", str)]
):
    """Token classification: trains a tagger (Algorithm 1, lines 5-6, 8-9 and 15-16, Eq. 3-4).

    Args:
        step: which line of Algorithm 1.
        run: address of the plan, handed on.
        model: checkpoint to start from.
        gpus: that this task asks for.
        pseudo: pseudo-labelled target sentences; empty for the labelled source.
        head: the last tagger, whose head is carried on.

    Returns:
        `run`, the tagger, and the GPUs that the next task asks for.
    """
    from tofner.stages import take

    taken = take(step, run, model=model, pseudo=pseudo, head=head)
    return taken.run, taken.uri, taken.gpus

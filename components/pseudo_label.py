"""Component of stage `pseudo_label`."""

from typing import NamedTuple

from tofner_kubeflow.components.stage import stage


@stage
def pseudo_label(step: str, run: str, model: str, gpus: str, earlier: str = "") -> NamedTuple(  # type: ignore[valid-type]
    "Done", [("run", str), ("labels", str), ("gpus", str)]
):
    """Labels the unlabelled target text with the tagger so far (Algorithm 1, lines 7, 10 and 17).

    Args:
        step: which line of Algorithm 1.
        run: address of the plan, handed on.
        model: tagger.
        gpus: that this task asks for.
        earlier: labels of the round before; says how many words changed and changes none.

    Returns:
        `run`, the pseudo-labelled sentences, and the GPUs that the next task asks for.
    """
    from tofner.stages import take

    taken = take(step, run, model=model, earlier=earlier)
    return taken.run, taken.uri, taken.gpus

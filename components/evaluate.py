"""Component of stage `evaluate`."""

from kfp import dsl

from tofner_kubeflow.components.stage import stage


@stage
def evaluate(run: str, gold: str, model: str, gpus: str, confusion: dsl.Output[dsl.ClassificationMetrics]) -> str:
    """Strict BIO2 scores of every tagger of the run on the target test (Algorithm 1, line 20).

    Args:
        run: address of the plan, handed on.
        gold: labelled target test sentences.
        model: the last tagger.
        gpus: that this task asks for.
        confusion: of the last tagger: entities with equal ends by true (rows) and found type, or `none`.

    Returns:
        URIs of the scores in order, separated by spaces.
    """
    from tofner.stages import take
    from tofner_kubeflow.components.artifacts import fill

    taken = take("evaluate", run, gold=gold, model=model)
    fill(taken.result, confusion=confusion)
    return taken.uri

"""Component of stage `evaluate`."""

from typing import NamedTuple

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def evaluate(
    gold: str,
    model: str,
    settings: str,
    store: str,
    confusion: dsl.Output[dsl.ClassificationMetrics],
    earlier: str = "",
) -> NamedTuple("Scored", [("uri", str), ("scores", str)]):  # type: ignore[valid-type]
    """Strict BIO2 scores of a tagger on the target test (Algorithm 1, line 20).

    Args:
        gold: labelled target test sentences.
        model: tagger.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        confusion: entities with equal ends by true (rows) and found type; `none` has no counterpart.
        earlier: URIs of the scores before this one, separated by spaces.

    Returns:
        `uri` of the scores, and `scores`: `earlier` with that URI added.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("evaluate", store, settings, {"gold": gold, "model": model})
    fill(result, confusion=confusion)
    return result.uri, f"{earlier} {result.uri}".strip()

"""Fills the artifacts that the KFP run page shows from a stage's result.

The data itself travels as URIs in string outputs. A Model artifact keeps the URI in its metadata and its file, not
in `.uri`: KFP's launcher refuses an artifact URI outside the bucket of the pipeline root. Every artifact gets a file
that is not empty, since `kfp.local` takes a cache entry whose artifact has no file for lost and runs the stage again.

A run has five of them, so that a person finds the right one: the confusion of the last tagger, metrics and the page of
`report`, the published model and the run's summary.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tofner.stages import StageResult


class Artifact(Protocol):
    """The part of `kfp.dsl.Artifact` used here."""

    path: str
    metadata: dict[str, Any]


def fill(
    result: "StageResult | None",
    *,
    model: Artifact | None = None,
    metrics: Artifact | None = None,
    confusion: Any = None,
    markdown: Artifact | None = None,
    html: Artifact | None = None,
) -> None:
    """Writes those artifacts that the component declares; `confusion` is a `kfp.dsl.ClassificationMetrics`.

    Raises:
        ValueError: the stage gave nothing for one of them.
    """
    if result is None:
        raise ValueError("a step that is off has nothing to show")
    if model is not None:
        model.metadata.update(result.model)
        _write(model, result.uri if result.model else "")
    if metrics is not None:
        metrics.metadata.update(result.metrics)
        _write(metrics, json.dumps(result.metrics, indent=1) if result.metrics else "")
    if confusion is not None:
        if result.confusion and result.confusion["labels"]:
            confusion.log_confusion_matrix(result.confusion["labels"], result.confusion["matrix"])
        _write(confusion, json.dumps(result.confusion) if result.confusion else "")
    if markdown is not None:
        _write(markdown, result.markdown)
    if html is not None:
        _write(html, result.html)


def _write(artifact: Artifact, text: str) -> None:
    if not text.strip():
        raise ValueError(f"the stage gave nothing for {Path(artifact.path).name}")
    path = Path(artifact.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")

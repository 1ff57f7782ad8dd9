"""Means and spreads over runs, and the labelled sentences that these were measured on."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.history.book import Run
from tofner.model.fetch import fetch
from tofner.model.layout import MANIFEST
from tofner.stages.scored import PREDICTED, gold_of, predicted

MEASURES = ("f1", "precision", "recall", "span_f1")  # of a scored stage


@dataclass(frozen=True)
class Tested:
    """What a run was measured on: words, gold tags, and the tags of its taggers, of the first to the last."""

    words: list[list[str]]
    gold: list[list[str]]
    found: list[list[list[str]]]


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """`values`, `mean` and `sd`, the sample standard deviation (n - 1); None where there are too few.

    >>> spread([0.25, None, 0.75])
    {'values': [0.25, None, 0.75], 'mean': 0.5, 'sd': 0.3535533905932738}
    >>> spread([0.25])
    {'values': [0.25], 'mean': 0.25, 'sd': None}
    """
    known = [value for value in values if value is not None]
    mean = statistics.fmean(known) if known else None
    return {"values": [*values], "mean": mean, "sd": statistics.stdev(known) if len(known) > 1 else None}


def by_stage(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each stage that any of the runs measured: `name`, and the `spread` of every measure."""
    rows = [{row["name"]: row for row in run.scored} for run in runs]
    names = dict.fromkeys(name for one in rows for name in one)
    return [
        {"name": name, **{of: spread([one[name][of] if name in one else None for one in rows]) for of in MEASURES}}
        for name in names
    ]


def by_type(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each type of the last taggers: `type`, gold entities as `support`, and the `spread` of F1."""
    scores = [run.told["final"]["details"].get("scores") or {"types": {}} for run in runs]
    types = dict.fromkeys(type_ for one in scores for type_ in one["types"])
    found = []
    for type_ in types:
        rows = [one["types"].get(type_) for one in scores]
        support = next(row["support"] for row in rows if row)
        found.append({"type": type_, "support": support, "f1": spread([row["f1"] if row else None for row in rows])})
    return found


def read_tested(run: Run, cache: Path) -> Tested | None:
    """None where nothing was measured, or where it is no longer stored."""
    found: list[list[list[str]]] = []
    gold: list[Any] = []
    for uri in run.scores:
        index = storage.folder_index(uri)
        if index is None or PREDICTED not in index.files:
            return None
        manifest = json.loads(storage.read_bytes(storage.join(uri, MANIFEST)))
        if storage.folder_index(manifest["inputs"]["gold"]) is None:
            return None
        gold = list(gold_of(manifest, lambda address: fetch(address, cache)))
        found.append(predicted(uri))
    return Tested([one.tokens for one in gold], [one.tags or [] for one in gold], found)


def read_same(runs: Sequence[Run], cache: Path) -> list[Tested] | str:
    """What the runs were measured on, if it is the same for all; otherwise why they cannot be compared, in words."""
    read = [read_tested(run, cache) for run in runs]
    tested = [one for one in read if one is not None]
    if len(tested) < len(runs):
        lost = next(run for run, one in zip(runs, read, strict=True) if one is None)
        told = "the sentences that it was measured on are no longer stored" if lost.scored else "it was not measured"
        return f"{lost.name} cannot be compared: {told}"
    first = tested[0]
    for run, one in zip(runs, tested, strict=True):
        if one.words != first.words:
            return f"{run.name} cannot be compared: it was measured on other sentences than {runs[0].name}"
        if one.gold != first.gold:
            return f"{run.name} cannot be compared: its sentences are labelled otherwise than those of {runs[0].name}"
    return tested

"""A stage's report as plain lines, for its log.

The log holds numbers and names alone, and no sentence of any corpus: those stand in the pages of the run's report.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

MOST_POINTS = 8  # of a curve

Details = dict[str, Any]


def lines(report: dict[str, Any]) -> list[str]:
    """What `report.json` says: tables and curves, then numbers, notes and, as the last line, the summary."""
    details = report.get("details", {})
    found: list[str] = []
    for name, told in PARTS.items():
        if details.get(name):
            found += told(details[name])
        if name == AFTER and details.get("training"):
            found += _training(details["training"], report.get("stage", ""))
    if report.get("confusion"):
        found += _confusion(report["confusion"])
    counts, metrics = report.get("counts", {}), dict(report.get("metrics", {}))
    if details.get("training"):
        metrics.pop("score", None)  # it chose the epoch, and stands there under its own name
    found += [*_numbers(counts), *_numbers(metrics)]
    found += [f"note: {note}" for note in report.get("notes", [])]
    return [*found, report["summary"]] if report.get("summary") else found


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Rows in columns: the first to the left, numbers to the right, what is no number to the left.

    >>> table([["set", "words"], ["a", 1200], ["bcde", 3]])
    ['set   words', 'a      1200', 'bcde      3']
    """
    widths = [max(len(_cell(row[i])) for row in rows) for i in range(len(rows[0]))]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            _cell(cell).rjust(width) if numbers else _cell(cell).ljust(width)
            for cell, width, numbers in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def named(numbers: dict[str, Any]) -> str:
    """Numbers with their names.

    >>> named({"PER": 20, "dropped_entities": 1})
    'PER 20, dropped entities 1'
    """
    return ", ".join(f"{name.replace('_', ' ')} {_cell(number)}" for name, number in numbers.items())


def _numbers(numbers: dict[str, Any]) -> list[str]:
    return [named(numbers)] if numbers else []


def _sets(rows: list[dict[str, Any]]) -> list[str]:
    """What was read: a line a set."""
    told = [["part", "set", "sentences", "words", "questions", "holds"]]
    for row in rows:
        holds = {**row["entities"], **({"answers": row["answers"]} if row["questions"] else {}), **row["mended"]}
        told.append([row["part"], row["set"], *(row[n] for n in ("sentences", "words", "questions")), named(holds)])
    return table(told)


def _overlaps(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['shared']} of {row['of']} in {row['second']} stand in {row['first']} too" for row in rows if row["of"]
    ]


def _training(history: dict[str, Any], stage: str) -> list[str]:
    name, points = measure(stage, history["score"])
    return [
        *_curve("loss by step", history["loss"]),
        *_curve(f"{name} by epoch", points),
        f"{history['steps']} steps, {history['seconds']:.1f} s, {history['examples_per_second']:.1f} examples a second",
    ]


def measure(stage: str, score: list[list[float]]) -> tuple[str, list[list[float]]]:
    """What a stage's dev score is called, and its points as people read them: a loss is no negative number."""
    if stage == "mlm":
        return "loss on held-out text", [[epoch, -value] for epoch, value in score]
    names = {"mrc": "F1 on held-out questions", "ner": "F1 on held-out sentences"}
    return names.get(stage, "score on held-out data"), score


def _curve(name: str, points: list[list[float]]) -> Iterator[str]:
    """At most MOST_POINTS points of a curve, with its first and its last."""
    if points:
        last = len(points) - 1
        chosen = sorted({round(i * last / (MOST_POINTS - 1)) for i in range(MOST_POINTS)})
        yield f"{name}: " + ", ".join(f"{points[i][0]:g} {points[i][1]:.4f}" for i in chosen)


def _scores(scores: dict[str, Any] | None) -> list[str]:
    """Percent; nothing where nothing was measured."""
    if scores is None:
        return []
    names = ("precision", "recall", "f1")
    parts = {**scores["types"], "micro": scores["micro"], "macro": scores["macro"], "any type": scores["spans"]}
    rows = [[name, *(f"{100 * row[n]:.2f}".rjust(9) for n in names), row["support"]] for name, row in parts.items()]
    return table([["type", *(name.rjust(9) for name in names), "entities"], *rows])


def _confusion(confusion: dict[str, Any]) -> list[str]:
    if not confusion["labels"]:
        return []
    rows = [[f"gold {label}", *row] for label, row in zip(confusion["labels"], confusion["matrix"], strict=True)]
    return table([["found", *confusion["labels"]], *rows])


def _priors(rows: list[dict[str, Any]]) -> list[str]:
    """Shares in percent."""
    told = [["label", "source %", "target %", "bias"]]
    for row in rows:
        shares = [f"{100 * row[name]:.3f}".rjust(8) for name in ("source", "target")]
        told.append([row["label"], *shares, f"{row['bias']:.3f}".rjust(6)])
    return table(told)


def _sizes(sizes: dict[str, int]) -> list[str]:
    return table([["file", "bytes"], *sorted(sizes.items())])


AFTER = "overlaps"  # the part that training, which is told by the stage, comes after
# Part of a report's details -> its lines; in the order in which they are told. `examples` and `errors` are sentences.
PARTS: dict[str, Callable[[Any], list[str]]] = {
    "sets": _sets,
    "overlaps": _overlaps,
    "scores": _scores,
    "priors": _priors,
    "sizes": _sizes,
    "int8": lambda decision: [decision],
}

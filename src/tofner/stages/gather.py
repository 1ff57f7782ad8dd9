"""What the stages of a run said of their work, put together for its report.

Rows are those of `report.name_rows`, and `history` the stages that they are of, in the same order.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tofner.stages.pages.lines import measure

Row = dict[str, Any]
Stage = tuple[str, dict[str, Any], dict[str, Any]]  # uri, manifest, report


def verdict(rows: Sequence[Row], final: dict[str, Any], test: Sequence[str]) -> str:
    """The run in words: how good, by how much better than training on the source alone, and what was best.

    Args:
        rows: with the F1 of each tagger that was scored.
        final: the report of the last scoring.
        test: the sets that were scored on.
    """
    if "f1" not in final["metrics"]:
        return "The tagger was not measured: there are no labelled target sentences."
    where, f1 = ", ".join(test), 100 * final["metrics"]["f1"]
    if not f1:
        return f"The tagger finds no entity of {where} with the right type and both ends."
    scored = [row for row in rows if row["f1"] is not None]
    words = f"The tagger reaches F1 {f1:.2f} on {where}"
    if len(scored) > 1:
        gain = round(f1, 2) - round(100 * scored[0]["f1"], 2)
        than = "as much as" if abs(gain) < 0.005 else f"{abs(gain):.2f} {'more' if gain > 0 else 'less'} than"
        words += f", {than} the first one, {scored[0]['name']}"
        best = max(scored, key=lambda row: float(row["f1"]))
        if best["f1"] > final["metrics"]["f1"] and best is not scored[0]:
            words += f"; {best['name']} had been better with {100 * best['f1']:.2f}"
    return words + "."


def curves(rows: Sequence[Row], history: Sequence[Stage]) -> list[Row]:
    """Of each training stage its `name`, `best_epoch` and what `fit` says of the run: `loss`, `score`, times.

    `measure` says what the scores are; of mlm they are losses.
    """
    found = []
    for row, (_, _, report) in zip(rows, history, strict=True):
        if training := report["details"].get("training"):
            name, points = measure(row["stage"], training["score"])
            about = {"name": row["name"], "best_epoch": report["metrics"]["best_epoch"], "measure": name}
            found.append({**training, **about, "score": points})
    return found


def labels(rows: Sequence[Row], history: Sequence[Stage]) -> list[Row]:
    """Of each labelling of the target text: entities by type, sentences kept and dropped, how sure, what changed.

    `changed` is None of the first one, which has none before it.
    """
    found = []
    for row, (_, manifest, report) in zip(rows, history, strict=True):
        if manifest["stage"] == "pseudo_label":
            counts, metrics = report["counts"], report["metrics"]
            prefix = "entities_"
            entities = {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}
            told = {"name": row["name"], "sentences": counts["sentences"], "dropped": counts["dropped_sentences"]}
            sure = {"mean_score": metrics["mean_score"], "changed": metrics.get("changed_words")}
            found.append({**told, **sure, "entities": entities, "examples": report["details"]["examples"]})
    return found


def part_of(reports: Iterable[dict[str, Any]], name: str) -> list[Any]:
    """A list of the reports' details, put together."""
    return [one for report in reports for one in report["details"].get(name, [])]


def times(named: Iterable[tuple[str, dict[str, Any]]]) -> list[Row]:
    """Seconds of each stage by its name, as it ran, whenever that was."""
    return [{"name": name, "seconds": round(report["seconds"], 1)} for name, report in named]

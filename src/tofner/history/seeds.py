"""What several seeds of one run bring together: the summary that `tofner run --seeds` leaves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tofner.history.book import Run
from tofner.history.numbers import by_stage, by_type, read_same
from tofner.history.pages import render_html, render_markdown
from tofner.people import spread
from tofner.stages.effect import effect, in_words

FILES = ("seeds.json", "seeds.md", "seeds.html")


def summarise(runs: Sequence[Run], cache: Path) -> dict[str, Any]:
    """Scores of each stage by seed with mean and standard deviation, and the last tagger against the first.

    Args:
        runs: that differ in their seed alone, in the order to be shown; one at least.
        cache: folder for what is fetched.

    Returns:
        `seeds.json`: `runs`, `stages`, `types`, `effect` (None where nothing was compared), `helped` in words, and of
        the first run `run` (its settings) and `verdict`.
    """
    compared, helped = _effect(runs, cache)
    stages = by_stage(runs)
    return {
        "runs": [{"run": run.name, **run.facts()} for run in runs],
        "run": runs[0].told["run"],
        "transductive": runs[0].told["transductive"],
        "verdict": _verdict(stages, len(runs)),
        "stages": stages,
        "types": by_type(runs),
        "effect": compared,
        "helped": helped,
        "seconds": round(sum(run.told["seconds"] for run in runs), 1),
    }


def save(value: dict[str, Any], out: Path) -> list[Path]:
    """Writes the summary for programs, as text and as a page; returns the files."""
    texts = (json.dumps(value, indent=1, ensure_ascii=False) + "\n", render_markdown(value), render_html(value))
    out.mkdir(parents=True, exist_ok=True)
    for name, text in zip(FILES, texts, strict=True):
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in FILES]


def _verdict(stages: list[dict[str, Any]], seeds: int) -> str:
    many = f"{seeds} seeds" if seeds > 1 else "one seed"
    if not stages:
        return f"The tagger was not measured with {many}: there are no labelled target sentences."
    return f"The tagger reaches F1 {spread(stages[-1]['f1'])} with {many}."


def _effect(runs: Sequence[Run], cache: Path) -> tuple[dict[str, Any] | None, str]:
    """The last tagger against the first one over sentences and seeds, and what to say of it."""
    if not any(run.scored for run in runs):
        return None, "Whether the method helped was not measured: name labelled target sentences as roles.target_test."
    tested = read_same(runs, cache)
    if isinstance(tested, str):
        return None, f"Whether the method helped cannot be said: {tested}."
    if any(len(one.found) < 2 for one in tested):
        return None, "Whether the method helped cannot be said: the run has one tagger alone."
    firsts, lasts = ([one.found[at] for one in tested] for at in (0, -1))
    compared = effect(tested[0].gold, firsts, lasts, runs[0].seed)
    if compared is None:
        return None, "Whether the method helped cannot be said: its scores are of other sentences."
    names = [row["name"] for row in runs[0].scored]
    return compared, in_words(compared, names[0], names[-1], len(runs))

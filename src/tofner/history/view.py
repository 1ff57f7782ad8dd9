"""Runs, seeds and comparisons for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tofner.people import computed_with, percent, span_of_time, spread

NOT_MEASURED = "not measured"
MOST_SEEDS = 6  # with a column each; of more the means alone are shown, and the files have all


def show_list(runs: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """A line a run, the oldest first: what was run and what it brought, or how it ended."""
    headings = "run status finished preset T seed changed".split()
    table = Table(*headings, "F1 by stage", "work", "on", "encoder", "code", "version", box=None, padding=(0, 2, 0, 0))
    for name, one in runs.items():
        if "report" not in one or "preset" not in one:
            table.add_row(escape(name), one["status"], *[""] * 5, escape(f"at {one['stage']}" if one["stage"] else ""))
            continue
        f1 = ", ".join(f"{stage} {percent(value)}" for stage, value in one["stages"].items()) or NOT_MEASURED
        told = (last_part(one["preset"]), str(one["iterations"]), str(one["seed"]), ", ".join(one["changed"]), f1)
        made = (span_of_time(one["seconds"]), computed_with(one["machine"]), last_part(one["encoder"]), one["code"][:8])
        version = last_part(one["published"])
        table.add_row(*map(escape, (name, one["status"], when(one["finished_at"]), *told, *made, version)))
    console.print(table, highlight=False)


def facts_told(one: Mapping[str, Any]) -> list[str]:
    """What a run's report says, a line a fact; nothing of a run that has none."""
    if "preset" not in one:
        return []
    changed = ", ".join(one["changed"]) or "nothing"
    told = {
        "finished": when(one["finished_at"]),
        "preset": f"{one['preset']}, T = {one['iterations']}, seed {one['seed']}; changed: {changed}",
        "encoder": one["encoder"],
        "F1": ", ".join(f"{stage} {percent(value)}" for stage, value in one["stages"].items()) or NOT_MEASURED,
        "work": f"{span_of_time(one['seconds'])} on {computed_with(one['machine'])}",
        "code": one["code"],
        "model": one["published"],
        "report": one["report"],
    }
    return [f"{name:<8} {value}" for name, value in told.items()]


def show_seeds(value: Mapping[str, Any], console: Console) -> None:
    """What several seeds bring together: a line a stage, and whether the method helped."""
    if value["stages"]:
        title = f"{len(value['runs'])} seeds, in percent: mean ± standard deviation (n - 1)"
        table = Table("stage", title=title, title_justify="left")
        for one in value["runs"]:
            table.add_column(f"F1, seed {one['seed']}", justify="right")
        for heading in ("F1", "precision", "recall", "span F1"):
            table.add_column(heading, justify="right")
        for stage in value["stages"]:
            seeds = [percent(one) for one in stage["f1"]["values"]]
            table.add_row(
                stage["name"], *seeds, *(spread(stage[of]) for of in ("f1", "precision", "recall", "span_f1"))
            )
        console.print(table)
    for line in ("", value["verdict"], value["helped"]):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def show_comparison(value: Mapping[str, Any], console: Console) -> None:
    """Two sides: settings that differ, F1 of stages and types, the verdict, and errors that one side alone makes."""

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

    for side in "ab":
        seeds = ", ".join(map(str, value[side]["seeds"]))
        say(f"{side.upper()}  {', '.join(value[side]['runs'])}, seed {seeds}")
    settings = Table("what differs", "A", "B", title_justify="left")
    for row in value["settings"]:
        settings.add_row(*(escape(row[name]) for name in ("name", "a", "b")))
    if value["settings"]:
        console.print(settings, highlight=False)
    else:
        say("no setting differs")
    for heading, rows, key in (("stage", value["stages"], "name"), ("type, last tagger", value["types"], "type")):
        if rows:
            console.print(_beside(heading, rows, key), highlight=False)
    for line in (*value["notes"], value["said"]):
        say(line)
    for side in "ab":
        if value["errors"]:
            _show_errors(side.upper(), value["errors"][side], say)


def _beside(heading: str, rows: Sequence[Mapping[str, Any]], key: str) -> Table:
    table = Table(heading)
    for name in ("F1 of A", "F1 of B", "difference"):
        table.add_column(name, justify="right")
    for row in rows:
        means = [row[side]["f1"]["mean"] if row[side] else None for side in "ab"]
        before, now = (None if mean is None else round(100 * mean, 2) for mean in means)
        difference = "" if before is None or now is None else f"{now - before + 0.0:+.2f}"
        table.add_row(escape(row[key]), *(spread(row[side]["f1"]) if row[side] else "" for side in "ab"), difference)
    return table


def _show_errors(side: str, told: Mapping[str, Any], say: Any) -> None:
    kinds = {name: ", ".join(f"{type_} {n}" for type_, n in told[name].items()) for name in ("missed", "invented")}
    counts = "; ".join(f"{name} {text}" for name, text in kinds.items() if text) or "none"
    say(f"Errors of {side} alone, in {told['sentences']} sentences: {counts}")
    for one in told["examples"]:
        say(f"  gold   {bracketed(one['tokens'], one['gold'])}")
        say(f"  {side}      {bracketed(one['tokens'], one['found'])}")


def bracketed(tokens: Sequence[str], spans: Sequence[Sequence[Any]]) -> str:
    """A sentence with its entities in brackets.

    >>> bracketed(["in", "New", "York", "."], [[1, 3, "LOC"]])
    'in [New York LOC] .'
    """
    words = [*tokens]
    for start, end, type_ in spans:
        words[start] = f"[{words[start]}"
        words[end - 1] = f"{words[end - 1]} {type_}]"
    return " ".join(words)


def when(at: str) -> str:
    """
    >>> when("2026-11-30T21:05:06.123+00:00")
    '2026-11-30 21:05'
    """
    return at[:16].replace("T", " ")


def last_part(address: str) -> str:
    """
    >>> last_part("s3://b/models/m/1a2b"), last_part("team/encoder@1f3c")
    ('1a2b', 'encoder@1f3c')
    """
    return address.rstrip("/").rpartition("/")[2]

"""A run's report as Markdown and as one self-contained HTML page (no script, no outside file)."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tofner.people import computed_with, percent, span_of_time, spread
from tofner.stages.pages.curves import drawing

TEMPLATES = Path(__file__).parent / "templates"
COLOURS = 8  # of types; a ninth type has the first one's again
# What Markdown or the HTML inside it would read as its own, as character references.
SPECIAL = {ord(one): f"&#{ord(one)};" for one in "&<>|`*[\\"} | {ord(end): " " for end in "\n\r"}


def environment(finalize: Any = None, *more: Path) -> Environment:
    """Of the templates here, and of those in other folders that go on from them."""
    made = Environment(
        loader=FileSystemLoader([TEMPLATES, *more]),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["percent"] = percent
    made.filters["spread"] = spread
    made.filters["span_of_time"] = span_of_time
    made.filters["computed_with"] = computed_with
    made.filters["marked"] = marked
    made.filters["drawing"] = drawing
    return made


def plain(value: Any) -> Any:
    """Any text as Markdown that reads as this text, in a table too. What a template made itself stays.

    >>> str(plain("a|b `c` <d>"))
    'a&#124;b &#96;c&#96; &#60;d&#62;'
    """
    return Markup(value.translate(SPECIAL)) if isinstance(value, str) and not isinstance(value, Markup) else value


def render_markdown(value: dict[str, Any]) -> str:
    """`value` is `run.json`, see `tofner.stages.report`."""
    return environment(plain).get_template("report.md.j2").render(**value)


def render_html(value: dict[str, Any]) -> str:
    colours = {type_: i % COLOURS for i, type_ in enumerate(value["types"])}
    return environment().get_template("report.html.j2").render(**value, bars=bars(value["rows"]), colours=colours)


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One bar a scored stage for the F1 picture: `name`, `f1` and `width` from 0 to 100."""
    return [
        {"name": row["name"], "f1": row["f1"], "width": round(100 * row["f1"], 1)}
        for row in rows
        if row["f1"] is not None
    ]


def marked(tokens: list[str], spans: list[list[Any]], scores: list[float] | None = None) -> list[dict[str, Any]]:
    """Tokens in runs of `text`, entity `type` ("" outside entities) and `score` (None where none is given).

    >>> marked(["in", "New", "York"], [[1, 3, "LOC"]], [0.5])
    [{'text': 'in', 'type': '', 'score': None}, {'text': 'New York', 'type': 'LOC', 'score': 0.5}]
    """
    runs: list[tuple[list[str], str, float | None]] = []
    at = 0
    given: list[float | None] = [None] * len(spans) if scores is None else [*scores]
    for (start, end, type_), score in sorted(zip(spans, given, strict=True), key=lambda pair: pair[0]):
        runs += [(tokens[at:start], "", None), (tokens[start:end], type_, score)]
        at = end
    runs.append((tokens[at:], "", None))
    return [{"text": " ".join(words), "type": type_, "score": score} for words, type_, score in runs if words]


def model_card(name: str, version: str, run: dict[str, Any], run_id: str = "") -> str:
    """Markdown with the metadata block that model hubs read; `run` is `run.json` of the report stage.

    `run_id` is the pipeline run that published it, where an orchestrator named one.
    """
    return environment(plain).get_template("card.md.j2").render(name=name, version=version, run_id=run_id, **run)

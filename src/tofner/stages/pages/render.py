"""A run's report as Markdown and as one self-contained HTML page (no script, no outside file)."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def _environment(escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda value: "" if value is None else f"{100 * value:.2f}"
    environment.filters["cell"] = lambda value: str(value).replace("|", "\\|").replace("\n", " ")
    environment.filters["marked"] = marked
    return environment


def render_markdown(value: dict[str, Any]) -> str:
    """`value` is `run.json`, see `tofner.stages.report`."""
    return _environment(escape=False).get_template("report.md.j2").render(**value)


def render_html(value: dict[str, Any]) -> str:
    return _environment(escape=True).get_template("report.html.j2").render(**value, bars=bars(value["rows"]))


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One bar a scored stage for the F1 picture: `name`, `f1` and `width` from 0 to 100."""
    return [
        {"name": row["name"], "f1": row["f1"], "width": round(100 * row["f1"], 1)}
        for row in rows
        if row["f1"] is not None
    ]


def marked(tokens: list[str], spans: list[list[Any]]) -> list[dict[str, str]]:
    """Tokens in runs of `text` and entity `type` ("" outside entities), ready to be highlighted.

    >>> marked(["in", "New", "York"], [[1, 3, "LOC"]])
    [{'text': 'in', 'type': ''}, {'text': 'New York', 'type': 'LOC'}]
    """
    runs, at = [], 0
    for start, end, type_ in sorted(spans):
        runs += [(tokens[at:start], ""), (tokens[start:end], type_)]
        at = end
    runs.append((tokens[at:], ""))
    return [{"text": " ".join(words), "type": type_} for words, type_ in runs if words]


def model_card(name: str, version: str, run: dict[str, Any]) -> str:
    """Markdown with the metadata block that model hubs read; `run` is `run.json` of the report stage."""
    return _environment(escape=False).get_template("card.md.j2").render(name=name, version=version, **run)

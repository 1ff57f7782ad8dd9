"""The summary of several seeds as Markdown and as one self-contained page, in the style of a run's report."""

from pathlib import Path
from typing import Any

from tofner.stages.pages.render import environment, plain

TEMPLATES = Path(__file__).parent / "templates"


def render_markdown(value: dict[str, Any]) -> str:
    """`value` is `seeds.json`, see `tofner.history.seeds`."""
    return environment(plain, TEMPLATES).get_template("seeds.md.j2").render(**value)


def render_html(value: dict[str, Any]) -> str:
    return environment(None, TEMPLATES).get_template("seeds.html.j2").render(**value)

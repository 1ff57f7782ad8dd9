"""The model card of a published tagger: what it is, how it was made, how good it is, and how to use it."""

from typing import Any

from tofner.release.render import render_card


def model_card(name: str, version: str, run: dict[str, Any]) -> str:
    """Markdown with the metadata block that model hubs read; `run` is `run.json` of the report stage."""
    return render_card(name=name, version=version, **run)

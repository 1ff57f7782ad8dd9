"""Versions of models for the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tofner.model.versions import Published, Version


def show(models: Iterable[Published], console: Console) -> None:
    """A table a model, and below it how its latest version became that."""
    for model in models:
        console.print(f"[bold]{escape(model.root)}[/bold]", highlight=False, soft_wrap=True)  # a title would be wrapped
        console.print(_versions(model))
        if model.pointer.history:
            told = f"latest: {model.pointer.history[-1]}"
        else:
            told = "no version is the latest: readers of the root find none"
        console.print(escape(told), highlight=False, soft_wrap=True)


def _versions(model: Published) -> Table:
    table = Table("version", "exported")
    for heading in ("F1", "MB"):
        table.add_column(heading, justify="right")
    table.add_column("encoder", overflow="fold")
    table.add_column("")
    for one in model.versions:
        f1 = "" if one.f1 is None else f"{one.f1:.4f}"
        size = "" if one.bytes is None else f"{one.bytes / 1e6:.1f}"
        finished = (one.finished_at or "")[:16].replace("T", " ")
        table.add_row(escape(one.version), finished, f1, size, escape(one.encoder or ""), _state(one))
    return table


def _state(one: Version) -> str:
    """`latest`, and what keeps a version from being loaded."""
    return ", ".join([*(["latest"] if one.latest else []), *([] if one.whole else ["not whole"])])

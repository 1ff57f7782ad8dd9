"""A check report for the terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tofner.check.files import CheckReport, FileReport


def show(report: CheckReport, console: Console) -> None:
    """Tables of the files and their lengths, then notes, then problems; problems come last, where eyes end up."""
    console.print(_files(report.files))
    console.print(_lengths(report.files))
    if report.notes:
        console.print("[bold]Notes[/bold]")
        _lines(console, report.notes)
    if report.problems:
        console.print(f"[bold red]Problems: {len(report.problems)}[/bold red]")
        _lines(console, map(str, report.problems))
    else:
        console.print("[bold green]No problems[/bold green]")


def _lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def _files(files: list[FileReport]) -> Table:
    table = Table("role", "set", title="Files")
    for heading in ("sentences", "tokens", "problems"):
        table.add_column(heading, justify="right")
    table.add_column("content", overflow="fold")
    for file in files:
        counts = (file.sentences, file.tokens, file.problems)
        table.add_row(file.role, file.name, *(f"{count:,}" for count in counts), _content(file))
    return table


def _content(file: FileReport) -> str:
    if file.kind == "mrc":
        return f"{file.contexts:,} contexts, {file.answers:,} answers, {file.unanswerable:,} questions without"
    if file.kind == "text":
        return f"unlabelled, {file.encoding}"
    return ", ".join(f"{type_} {count:,}" for type_, count in file.entities.items()) or "no entities"


def _lengths(files: list[FileReport]) -> Table:
    table = Table("role", "set", title="Words a sentence or context")
    bins = list(next((file.lengths for file in files if file.lengths), {}))
    for heading in [*bins, "longest"]:
        table.add_column(heading, justify="right")
    for file in files:
        table.add_row(file.role, file.name, *(str(file.lengths.get(name, 0)) for name in bins), str(file.longest))
    return table

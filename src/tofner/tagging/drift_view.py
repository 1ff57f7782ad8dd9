"""A comparison of two tagging jobs for the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tofner.tagging.drift import Comparison


def show(found: Comparison, console: Console) -> None:
    """The table of types, the share of new names, and last the verdict."""
    table = Table("type", title=f"{found.records[0]:,} and {found.records[1]:,} records", title_justify="left")
    for heading in ("entities", "before", "per 1,000 words", "before", "mean score", "before", "stability index"):
        table.add_column(heading, justify="right")
    for row in found.types:
        scores = ("" if score is None else f"{score:.2f}" for score in (row.new_score, row.old_score))
        psi = "" if row.psi is None else f"{row.psi:.2f}"
        counts, rates = (f"{row.new:,}", f"{row.old:,}"), (f"{row.new_rate:.2f}", f"{row.old_rate:.2f}")
        table.add_row(escape(row.type), *counts, *rates, *scores, psi)
    console.print(table)
    if found.new_forms is not None and found.expected_new_forms is not None:
        new, usual = 100 * found.new_forms, 100 * found.expected_new_forms
        console.print(f"mentions of names that were not there before: {new:.1f} %; usual: {usual:.1f} %")
    for line in found.drifted:
        console.print(f"[bold red]drifted[/bold red]  {escape(line)}", highlight=False)
    if not found.drifted:
        console.print("[bold green]nothing has drifted[/bold green]")

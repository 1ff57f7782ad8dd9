"""A verdict as Markdown: short lines, for logs and run pages that are narrow."""

from tofner.release.gate import SetRow, TextRow, Verdict, interval

# What Markdown or HTML inside it would read as its own; names of sets and types are a user's.
SPECIAL = {ord(one): f"&#{ord(one)};" for one in "&<>|`*_[\\"} | {ord(end): " " for end in "\n\r"}


def to_markdown(verdict: Verdict) -> str:
    """The decision and its reason, then a line a set and a line a text."""
    head = "Promoted" if verdict.promote else "Held back"
    lines = [f"**{head}**: {plain(verdict.reason)}.", ""]
    lines += [f"- {_of_set(row)}" for row in verdict.sets]
    lines += [f"- {_of_text(row)}" for row in verdict.text]
    return "\n".join(lines).rstrip() + "\n"


def _of_set(row: SetRow) -> str:
    name = f"{plain(row.name)} ({row.role}{', decides' if row.decides else ''})"
    if row.candidate is None:
        return f"{name}: {plain(row.said)}"
    f1 = f"{name}: F1 {100 * row.candidate:.2f}"
    return f"{f1}, champion {100 * row.score.champion:.2f}: {interval(row.score)}" if row.score else f1


def _of_text(row: TextRow) -> str:
    if row.found is None:
        return f"{plain(row.name)}: cannot be compared"
    found = row.found
    of_champion = found.champion
    rates = [
        f"{plain(type_)} {1000 * count / found.words:.1f} ({1000 * of_champion[type_] / found.words:.1f})"
        for type_, count in found.candidate.items()
    ]
    told = f"; entities in 1,000 words (champion's): {', '.join(rates)}" if rates else ""
    return f"{plain(row.name)}, {found.words:,} words: {100 * found.share:.1f} % agreement{told}"


def plain(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return text.translate(SPECIAL)

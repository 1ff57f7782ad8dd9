"""The page of sampled sentences with their entities highlighted: one self-contained HTML file."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tofner.tagging.engine.result import HUES

if TYPE_CHECKING:
    from tofner.tagging.job.stats import Counts

_STYLE = """
body { font: 16px/1.7 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 1rem 0 2rem; } td, th { padding: .2rem .8rem; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } p { white-space: pre-wrap; overflow-wrap: anywhere; }
mark { padding: .1rem .25rem; border-radius: .25rem; } mark small
{ margin-left: .3rem; font-weight: 600; opacity: .9;
} @media (prefers-color-scheme: dark) { body { background: #161616; color: #e8e8e8; } mark { color: inherit; } }
"""


def sample_page(title: str, samples: Sequence[dict[str, Any]], total: "Counts") -> str:
    """The page; each sample is `{"text", "cut", "entities": [[start, end, label, score], ...]}`."""
    colours = {label: HUES[i % len(HUES)] for i, label in enumerate(sorted(total.entities))}
    rules = "".join(
        f".t{i} {{ background: hsl({hue} 80% 85%); }} "
        f"@media (prefers-color-scheme: dark) {{ .t{i} {{ background: hsl({hue} 45% 28%); }} }}\n"
        for i, hue in enumerate(colours.values())
    )
    classes = {label: f"t{i}" for i, label in enumerate(colours)}
    numbers = [("records", total.records), ("words", total.words), ("bad records", total.bad)]
    rows = "".join(f"<tr><td>{name}</td><td class=n>{value:,}</td></tr>" for name, value in numbers)
    rows += "".join(
        f'<tr><td><mark class="{classes[label]}">{html.escape(label)}</mark></td><td class=n>{count:,}</td></tr>'
        for label, count in sorted(total.entities.items())
    )
    texts = (highlighted(row["text"], row["entities"], classes) + "…" * row["cut"] for row in samples)
    shown = "\n".join(f"<p>{text}</p>" for text in texts)
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{name}: sampled sentences</title>\n'
        f"<style>{_STYLE}{rules}</style>\n<h1>{name}</h1>\n<table>{rows}</table>\n"
        f"<h2>{len(samples)} sampled records</h2>\n{shown}\n</html>\n"
    )


def highlighted(text: str, entities: Sequence[Sequence[Any]], classes: dict[str, str]) -> str:
    """The text as HTML, entities marked with label and score.

    >>> highlighted("in <b>", [[0, 2, "LOC", 0.5]], {"LOC": "t0"})
    '<mark class="t0" title="0.5000">in<small>LOC</small></mark> &lt;b&gt;'
    """
    out, at = [], 0
    for start, end, label, score in entities:
        out.append(html.escape(text[at:start]))
        out.append(f'<mark class="{classes.get(label, "t0")}" title="{score:.4f}">{html.escape(text[start:end])}')
        out.append(f"<small>{html.escape(label)}</small></mark>")
        at = end
    return "".join([*out, html.escape(text[at:])])

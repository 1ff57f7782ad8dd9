"""Whether the method helped: the last tagger of a run against its first one, on the labelled target sentences.

The first tagger knows the source labels alone (line 6 of Algorithm 1), the last one what pseudo-labels and rounds
brought. Both tagged the same sentences, so a paired bootstrap (`tofner.words.bootstrap`) says whether the difference
is more than chance; once for exact entities, once for their ends alone, whatever their types.
"""

from dataclasses import asdict
from typing import Any

from tofner.words.bootstrap import Comparison, compare
from tofner.words.scores import Tags, untype

CONFIDENCE = 0.975  # of each end of the interval, so 95 % for both


def effect(gold: Tags, first: Tags, last: Tags, seed: int) -> dict[str, Any] | None:
    """`exact` and `spans`, each a `Comparison` as a dict; None where the rows do not belong together.

    Args:
        gold, first, last: BIO2 tags [sentences][words].
    """
    if not gold or len({tuple(map(len, rows)) for rows in (gold, first, last)}) > 1:
        return None
    rows = (gold, last, first)
    spans = [[untype(tags) for tags in side] for side in rows]
    return {
        "exact": asdict(compare(*rows, confidence=CONFIDENCE, seed=seed)),
        "spans": asdict(compare(*spans, confidence=CONFIDENCE, seed=seed)),
    }


def in_words(told: dict[str, Any], first: str, last: str) -> str:
    """One sentence for people; `first` and `last` are the taggers' names."""
    exact, spans = (Comparison(**told[name]) for name in ("exact", "spans"))
    if exact.low > 0:
        head = "The method helped"
    elif exact.high < 0:
        head = "The method did harm"
    else:
        head = f"The method made no difference that {exact.sentences} sentences can show"
    return (
        f"{head}: {last} against {first}, F1 {_points(exact)} with the right type, and {_points(spans)} whatever the "
        f"type; in points, with 95 % intervals by a paired bootstrap."
    )


def _points(one: Comparison) -> str:
    """
    >>> _points(Comparison(0.52, 0.5, 0.02, -0.001, 0.04, 0.1, 100, 50, 1000))
    '50.00 to 52.00, +2.00 (-0.10 to +4.00)'
    """
    before, now, low, high = (round(100 * value, 2) + 0.0 for value in (one.champion, one.candidate, one.low, one.high))
    return f"{before:.2f} to {now:.2f}, {now - before:+.2f} ({low:+.2f} to {high:+.2f})"

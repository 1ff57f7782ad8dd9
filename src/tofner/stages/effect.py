"""Whether the method helped: the last tagger of a run against its first one, on the labelled target sentences.

The first tagger knows the source labels alone (line 6 of Algorithm 1), the last one what pseudo-labels and rounds
brought. Both tagged the same sentences, so a paired bootstrap (`tofner.words.bootstrap`) says whether the difference
is more than chance; once for exact entities, once for their ends alone, whatever their types.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tofner.words.bootstrap import Comparison, compare_seeds
from tofner.words.scores import Tags, untype

HELPED = ("The method helped", "The method did harm", "The method made no difference")
CONFIDENCE = 0.975  # of each end of the interval, so 95 % for both


def effect(gold: Tags, firsts: Sequence[Tags], lasts: Sequence[Tags], seed: int) -> dict[str, Any] | None:
    """`exact` and `spans`, each a `Comparison` as a dict; None where the rows do not belong together.

    Args:
        gold: BIO2 tags [sentences][words].
        firsts, lasts: the same as each seed's taggers found them, [seeds][sentences][words], in one order.
        seed: of the resamples.
    """
    if not gold or not firsts or len({tuple(map(len, rows)) for rows in (gold, *firsts, *lasts)}) > 1:
        return None
    rows = (gold, lasts, firsts)
    spans = (_untyped(gold), [_untyped(one) for one in lasts], [_untyped(one) for one in firsts])
    return {
        "exact": asdict(compare_seeds(*rows, confidence=CONFIDENCE, seed=seed)),
        "spans": asdict(compare_seeds(*spans, confidence=CONFIDENCE, seed=seed)),
    }


def _untyped(rows: Tags) -> list[list[str]]:
    return [untype(tags) for tags in rows]


def in_words(told: dict[str, Any], first: str, last: str, seeds: int = 1, heads: tuple[str, str, str] = HELPED) -> str:
    """One sentence for people; `first` and `last` are the taggers' names, `heads` what to say of a last one that is
    better, worse, or neither."""
    exact, spans = (Comparison(**told[name]) for name in ("exact", "spans"))
    of, means, over = f"{exact.sentences} sentences", "points", ""
    if seeds > 1:
        of, means, over = f"{of} and {seeds} seeds", f"points, means of {seeds} seeds", " over sentences and seeds"
    if exact.low > 0:
        head = heads[0]
    elif exact.high < 0:
        head = heads[1]
    else:
        head = f"{heads[2]} that {of} can show"
    return (
        f"{head}: {last} against {first}, F1 {_points(exact)} with the right type, and {_points(spans)} whatever the "
        f"type; in {means}, with 95 % intervals by a paired bootstrap{over}."
    )


def _points(one: Comparison) -> str:
    """
    >>> _points(Comparison(0.52, 0.5, 0.02, -0.001, 0.04, 0.1, 100, 50, 1000))
    '50.00 to 52.00, +2.00 (-0.10 to +4.00)'
    """
    before, now, low, high = (round(100 * value, 2) + 0.0 for value in (one.champion, one.candidate, one.low, one.high))
    return f"{before:.2f} to {now:.2f}, {now - before:+.2f} ({low:+.2f} to {high:+.2f})"

"""What can be known of a tagger where nothing is labelled: how often it finds what, how sure it is, who agrees with it.

None of it is a score. Rates are compared with those of the labelled source, of which a type that has all but vanished
from the target, or has multiplied, is the loudest: a domain may well have ten times the dates of another one, but a
tagger that has forgotten its dates looks just so.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from tofner.corpora.examples import Sentence
from tofner.stages import sentences
from tofner.words.agreement import agreement
from tofner.words.spans import Span, spans_to_tags, tags_to_spans

FACTOR = 10.0  # between the rates of source and target, from which on a type has vanished or multiplied
LEAST = 20  # entities that were to be expected, or were found: fewer are chance
BINS = 10  # of the histogram of scores, from 0 to 1
SHOWN = 50  # sentences


def of_target(tagged: Sequence[Sentence], seed: int) -> dict[str, Any]:
    """What a tagger found in target text; its words have scores.

    Returns:
        `sentences`, `words`, `entities` by type, `histogram` of their scores in `BINS` bins, `examples` from all
        degrees of certainty, and by a sentence's id its `lengths` in words, and its `spans` where it has some.
    """
    found: Counter[str] = Counter()
    bins = [0] * BINS
    spans: dict[str, list[list[Any]]] = {}
    for one in tagged:
        rows = tags_to_spans(one.tags or [])
        found.update(span.type for span in rows)
        for score in sentences.span_scores(one.tags or [], one.scores or []):
            bins[min(BINS - 1, int(score * BINS))] += 1
        if rows:
            spans[one.id] = [list(span) for span in rows]
    return {
        "sentences": len(tagged),
        "words": sum(len(one.tokens) for one in tagged),
        "lengths": {one.id: len(one.tokens) for one in tagged},
        "entities": dict(sorted(found.items())),
        "histogram": bins,
        "examples": sentences.drawn(tagged, SHOWN, seed),
        "spans": spans,
    }


def rates(sets: Iterable[Mapping[str, Any]], target: Mapping[str, Any], types: Sequence[str]) -> list[dict[str, Any]]:
    """Of each type its entities in 1,000 words, as the source is labelled and as the target was tagged.

    `change` is `vanished`, `multiplied` or empty.

    Args:
        sets: rows of what was read; those of the source's training part count.
        target: of `of_target`.
    """
    source = [row for row in sets if row["part"] == "source_ner"]
    words = sum(row["words"] for row in source)
    found = []
    for type_ in types:
        given = sum(row["entities"].get(type_, 0) for row in source)
        count = target["entities"].get(type_, 0)
        before, now = (1000 * n / max(1, of) for n, of in ((given, words), (count, target["words"])))
        expected = before * target["words"] / 1000
        change = ""
        if expected >= LEAST and now * FACTOR <= before:
            change = "vanished"
        elif count >= LEAST and now >= before * FACTOR:
            change = "multiplied"
        found.append({"type": type_, "source": before, "target": now, "found": count, "change": change})
    return found


def warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each type that has vanished or multiplied."""
    return [
        f"type {row['type']} has {row['change']}: {row['target']:.2f} in 1,000 words of target text, "
        f"{row['source']:.2f} in the source; look at the sentences in the report before you use this model"
        for row in rows
        if row["change"]
    ]


def agreements(
    taggers: Mapping[str, Mapping[str, list[list[Any]]]], lengths: Mapping[str, int]
) -> list[dict[str, Any]]:
    """F1 of each two taggers against each other on the same sentences, and the share of words that they label alike.

    Args:
        taggers: the spans of each, by sentence; a sentence that is not there has none.
        lengths: words of each sentence.
    """
    tags = {
        name: [spans_to_tags([Span(*one) for one in spans.get(id_, [])], size) for id_, size in lengths.items()]
        for name, spans in taggers.items()
    }
    found = []
    for first, second in combinations(tags, 2):
        pairs = [
            (a, b) for one, two in zip(tags[first], tags[second], strict=True) for a, b in zip(one, two, strict=True)
        ]
        changed = sum(a != b for a, b in pairs) / len(pairs) if pairs else 0.0
        share = agreement(tags[first], tags[second]).share
        found.append({"first": first, "second": second, "share": share, "changed": changed})
    return found


def spans_of(labelled: Iterable[Sentence], ids: Iterable[str]) -> dict[str, list[list[Any]]]:
    """The spans of those of the sentences that are asked for."""
    wanted = set(ids)
    return {one.id: [list(span) for span in tags_to_spans(one.tags or [])] for one in labelled if one.id in wanted}

"""Sentences for people to look at: pseudo-labels of all degrees of certainty, and wrong ones of the test."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tofner.corpora.examples import Sentence
from tofner.words.scores import error_examples
from tofner.words.spans import tags_to_spans


def span_scores(tags: Sequence[str], scores: Sequence[float]) -> list[float]:
    """The probability of each entity: the mean of its words', as in tagging; rounded to 4 places."""
    return [round(float(np.mean(scores[span.start : span.end])), 4) for span in tags_to_spans(tags)]


def drawn(sentences: Sequence[Sentence], limit: int, seed: int) -> list[dict[str, Any]]:
    """At most `limit` labelled sentences, the least certain first: `tokens`, `spans`, `scores` of these, `certainty`.

    Those with an entity, where there are any. Ordered by their least certain word, they are cut into `limit` parts of
    equal size, and one is drawn from each.
    """
    pool = [one for one in sentences if any(tag != "O" for tag in one.tags or [])] or list(sentences)
    order = sorted(range(len(pool)), key=lambda i: (min(pool[i].scores or [1.0]), i))
    parts = [part for part in np.array_split(np.array(order, int), limit) if part.size]
    rng = np.random.default_rng(seed)
    return [_shown(pool[int(rng.choice(part))]) for part in parts]


def _shown(one: Sentence) -> dict[str, Any]:
    tags, scores = one.tags or [], one.scores or []
    spans = [list(span) for span in tags_to_spans(tags)]
    certainty = round(float(min(scores, default=1.0)), 4)
    return {"tokens": one.tokens, "spans": spans, "scores": span_scores(tags, scores), "certainty": certainty}


def changed_words(earlier: Sequence[Sentence], now: Sequence[Sentence]) -> float | None:
    """Share of words with another label than in `earlier`, over the sentences in both; None where there are none."""
    before = {one.id: one.tags or [] for one in earlier}
    pairs = [(a, b) for one in now if one.id in before for a, b in zip(before[one.id], one.tags or [], strict=True)]
    return sum(a != b for a, b in pairs) / len(pairs) if pairs else None


def wrong(
    sentences: Sequence[Sentence], found: Sequence[Sequence[str]], scores: Sequence[Sequence[float]], limit: int
) -> list[dict[str, Any]]:
    """The first `limit` sentences with a wrong, missed or invented entity: `tokens`, `gold`, `predicted`, `scores` of
    the predicted."""
    shown: list[dict[str, Any]] = []
    for one, tags, row in zip(sentences, found, scores, strict=True):
        for error in error_examples([one.tokens], [one.tags or []], [tags], limit - len(shown)):
            shown.append({**error, "scores": span_scores(tags, row)})
    return shown

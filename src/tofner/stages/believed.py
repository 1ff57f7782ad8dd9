"""Pseudo-labelled sentences as a later stage learns from them: all words, or those that are to be believed.

    pseudo_ner.parquet      the tagger's labels, with a score a word
    second_opinion.parquet  the same sentences as the MRC model labels them; there where a setting `trust` asks for it

Both are ordinary labelled corpora, each whole by itself: no label, number or missing value stands for "not trusted", so
nobody can take a word that is not for one that is. Which words are believed follows from the two (`words/trust.py`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import Lazy, mapped, picked, zipped
from tofner.errors import BadData, Problem
from tofner.words.trust import agreed, sure

LABELS, OPINION = "pseudo_ner", "second_opinion"
HELD_BACK = 10


def read_believed(folder: Path, trust: str, least_score: float | None = None) -> Lazy[Sentence]:
    """The pseudo-labels in `folder`, with `trusted` where not every word is to be learned from.

    Args:
        trust: `all`, or `agree` for words of one label in both files.
        least_score: words whose label is less probable are not trusted either.

    Raises:
        BadData: a file is missing, or the two hold different sentences.
    """
    labels = read_ner(folder / f"{LABELS}.parquet")
    if trust == "all":
        return labels if least_score is None else mapped(labels, lambda one: _surely(one, least_score))
    opinion = read_ner(folder / f"{OPINION}.parquet")
    if len(labels) != len(opinion):
        raise _different(folder, f"{len(opinion)} sentences", str(len(labels)))

    def believe(pair: tuple[Sentence, Sentence]) -> Sentence:
        one, other = pair
        if (one.id, one.tokens) != (other.id, other.tokens):
            raise _different(folder, f"sentence {other.id}", f"sentence {one.id} with the same words")
        one.trusted = agreed(one.tags or [], other.tags or [])
        return _surely(one, least_score)

    return mapped(zipped(labels, opinion), believe)


def held_back(sentences: Sequence[Sentence], seed: int) -> tuple[Lazy[Sentence], Lazy[Sentence]]:
    """One sentence in HELD_BACK to choose an epoch by, drawn by seed, and the others to learn from."""
    size = max(1, len(sentences) // HELD_BACK)
    held = set(np.random.default_rng(seed).choice(len(sentences), size, replace=False).tolist()) if sentences else set()
    sides = ([i for i in range(len(sentences)) if i not in held], sorted(held))
    return picked(sentences, sides[0]), picked(sentences, sides[1])


def _surely(one: Sentence, least_score: float | None) -> Sentence:
    if least_score is not None:
        before = one.trusted or [True] * len(one.tokens)
        one.trusted = [a and b for a, b in zip(before, sure(one.scores or [], least_score), strict=True)]
    return one


def _different(folder: Path, found: str, expected: str) -> BadData:
    return BadData(Problem(f"{folder}/{OPINION}.parquet", found, f"{expected}, as in {LABELS}.parquet"))

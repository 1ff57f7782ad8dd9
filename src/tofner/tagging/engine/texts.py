"""What goes into the engine and what comes out: texts or token lists, entities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tofner.words.segment import SEGMENTATION, segment
from tofner.words.spans import tags_to_spans

SCORE_DIGITS = 4  # digits of a score in every output

Source = str | Sequence[str]  # one text, or the words of one


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity: characters `start` to `end` (exclusive) of a text, or words of a token list; `score` in (0, 1]."""

    start: int
    end: int
    label: str
    score: float
    text: str

    @property
    def type(self) -> str:
        """The label, by the name that it has elsewhere in this project."""
        return self.label

    def as_record(self, of_tokens: bool = False) -> dict[str, Any]:
        """As it is written in JSONL: keys `start` and `end`, or `start_token` and `end_token`."""
        first, last = ("start_token", "end_token") if of_tokens else ("start", "end")
        return {first: self.start, last: self.end, "label": self.label, "score": self.score, "text": self.text}


@dataclass(slots=True, eq=False)
class Words:
    """The words of one input, and for a text their character offsets, int32 [words, 2].

    Compared by identity: a generated comparison would ask arrays for one truth value.
    """

    words: list[str]
    text: str | None
    offsets: np.ndarray | None


def to_words(source: Source, segmentation: str = SEGMENTATION) -> Words:
    """Cut a text by the rules of that name; take tokens as they are."""
    if not isinstance(source, str):
        return Words(list(source), None, None)
    found = segment(source, segmentation)
    offsets = np.asarray([(word.start, word.end) for word in found], np.int32).reshape(len(found), 2)
    return Words([word.text for word in found], source, offsets)


def to_entities(words: Words, tags: Sequence[str], probabilities: np.ndarray) -> list[Entity]:
    """The entities of one input, in order.

    Args:
        tags: one BIO2 tag a word; an orphan I- begins an entity.
        probabilities: of each word's tag, float64 [words]; an entity's score is their mean.
    """
    entities: list[Entity] = []
    for start, end, label in tags_to_spans(tags):
        score = round(float(probabilities[start:end].mean()), SCORE_DIGITS)
        if words.text is None or words.offsets is None:
            entities.append(Entity(start, end, label, score, " ".join(words.words[start:end])))
        else:
            first, last = int(words.offsets[start, 0]), int(words.offsets[end - 1, 1])
            entities.append(Entity(first, last, label, score, words.text[first:last]))
    return entities

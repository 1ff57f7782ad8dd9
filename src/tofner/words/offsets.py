"""Entities over characters to spans over words, and back: where texts meet tag sequences.

Offsets count characters (Unicode code points, as Python does), end exclusive: `text[start:end]` is the entity. A word
belongs to an entity if they share a character. So an entity that begins or ends inside a word grows to the whole word,
as answers to questions do, and one with white space at its ends shrinks to its words.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tofner.words.spans import Span

Offsets = tuple[int, int]


class Located(Protocol):
    """Anything with a place in a text and a type."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def type(self) -> str: ...


@dataclass
class Fitted:
    """`spans` over words, in order, `chosen[i]` being the entity that `spans[i]` was made of, by its index.

    The others are lists of such indices: `moved` are among the chosen and begin or end elsewhere than a word does;
    `wordless` have no word in them; `overlapping` share a word with a longer one (of equal ones, with an earlier one);
    `repeated` say what another one has said.
    """

    spans: list[Span] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    wordless: list[int] = field(default_factory=list)
    overlapping: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)


def join_words(words: Sequence[str]) -> tuple[str, list[Offsets]]:
    """A text of words with a space between, and where each stands.

    >>> join_words(["Ajax", "won", "."])
    ('Ajax won .', [(0, 4), (5, 8), (9, 10)])
    """
    offsets: list[Offsets] = []
    at = 0
    for word in words:
        offsets.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(words), offsets


def covered(words: Sequence[Offsets], start: int, end: int) -> Offsets:
    """The words that share a character with `start:end`, as a half-open range; an empty one where none does.

    >>> covered([(0, 4), (5, 8), (9, 10)], 3, 6)
    (0, 2)
    """
    first = bisect_right(words, start, key=lambda word: word[1])
    return first, max(first, bisect_left(words, end, key=lambda word: word[0]))


def fit_to_words(entities: Sequence[Located], words: Sequence[Offsets]) -> Fitted:
    """Entities as spans that do not overlap, each of whole words; of entities that overlap the longest stays.

    Args:
        words: where each word stands, rising and without overlap.
    """
    result = Fitted()
    places = [covered(words, one.start, one.end) for one in entities]
    taken = [False] * len(words)
    seen: set[tuple[int, int, str]] = set()
    order = sorted(range(len(entities)), key=lambda i: (entities[i].start - entities[i].end, entities[i].start, i))
    for i in order:
        one, (first, last) = entities[i], places[i]
        if (one.start, one.end, one.type) in seen:
            result.repeated.append(i)
        elif first == last:
            result.wordless.append(i)
        elif any(taken[first:last]):
            result.overlapping.append(i)
        else:
            taken[first:last] = [True] * (last - first)
            result.spans.append(Span(first, last, one.type))
            result.chosen.append(i)
            if (words[first][0], words[last - 1][1]) != (one.start, one.end):
                result.moved.append(i)
        seen.add((one.start, one.end, one.type))
    rank = sorted(range(len(result.spans)), key=lambda k: result.spans[k].start)
    result.spans, result.chosen = [result.spans[k] for k in rank], [result.chosen[k] for k in rank]
    for group in (result.moved, result.wordless, result.overlapping, result.repeated):
        group.sort()
    return result


def utf16_to_characters(text: str, offset: int) -> int | None:
    """An offset in UTF-16 units (as JavaScript counts) in characters; None inside a pair or beyond the text.

    >>> utf16_to_characters("💩 is", 3), utf16_to_characters("💩 is", 1)
    (2, None)
    """
    units = 0
    for i, character in enumerate(text):
        if units >= offset:
            return i if units == offset else None
        units += 1 + (ord(character) > 0xFFFF)
    return len(text) if units == offset else None

"""Tag sequences and entity spans: BIO2 inside the project, IOB1, BIOES and BILOU at its edges.

Schemes as in Sang & Veenstra (1999) and Ratinov & Roth (2009):

    tokens   Ekeus   met   U.N.   Iraq   Iraq
    IOB1     I-PER   O     I-ORG  I-LOC  B-LOC     B- only between two adjacent entities of one type
    BIO2     B-PER   O     B-ORG  B-LOC  B-LOC     B- at every beginning
    BIOES    S-PER   O     S-ORG  S-LOC  S-LOC     E- at the end, S- for single tokens
    BILOU    U-PER   O     U-ORG  U-LOC  U-LOC     the same with L- (last) and U- (unit)
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["IOB1", "BIO2", "BIOES", "BILOU"]
ENDED: tuple[Scheme, ...] = ("BIOES", "BILOU")  # mark the last token of an entity
PREFIXES = frozenset("BIOESLU")


class Span(NamedTuple):
    """An entity over tokens `start` to `end` (exclusive)."""

    start: int
    end: int
    type: str


def split_tag(tag: str) -> tuple[str, str]:
    """`"B-geo-loc"` -> `("B", "geo-loc")`, `"O"` -> `("O", "")`, `"B"` -> `("B", "")`."""
    prefix, _, type_ = tag.partition("-")
    return prefix, type_


def is_tag(tag: str) -> bool:
    """Whether `tag` is O or a known prefix with a type.

    >>> [is_tag(tag) for tag in ("O", "B-PER", "I", "X-PER", "O-PER", "B-")]
    [True, True, False, False, False, False]
    """
    prefix, type_ = split_tag(tag)
    return tag == "O" or (prefix in PREFIXES - {"O"} and bool(type_))


def begins(previous: str, tag: str) -> bool:
    """Whether an entity begins at `tag` in a BIO2 sequence; an orphan I- begins one too, as in conlleval."""
    prefix, type_ = split_tag(tag)
    return prefix == "B" or (prefix == "I" and split_tag(previous) not in (("B", type_), ("I", type_)))


def orphans(tags: Sequence[str]) -> list[int]:
    """Positions of I- tags that continue nothing.

    >>> orphans(["I-PER", "I-PER", "O", "B-LOC", "I-ORG"])
    [0, 4]
    """
    return [i for i, tag in enumerate(tags) if tag.startswith("I") and begins(tags[i - 1] if i else "O", tag)]


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme a file is written in, from all its tag sequences.

    E- or S- means BIOES, L- or U- without them BILOU. A B- at the beginning of an entity that no neighbour of its
    type forces means BIO2 (single orphan I- tags in such a file are repairs, not a sign of IOB1). I- beginnings
    without such a B- mean IOB1. A file without entities counts as BIO2.
    """
    inside_begins = False
    plain_begins = False
    last_or_unit = False
    for tags in sentences:
        previous = "O"
        for tag in tags:
            prefix, type_ = split_tag(tag)
            if prefix in "ES":
                return "BIOES"
            last_or_unit |= prefix in "LU"
            if prefix == "B" and split_tag(previous)[1] != type_:
                plain_begins = True
            elif prefix == "I" and begins(previous, tag):
                inside_begins = True
            previous = tag
    if last_or_unit:
        return "BILOU"
    return "IOB1" if inside_begins and not plain_begins else "BIO2"


def to_bio2(tags: Sequence[str], scheme: Scheme) -> tuple[list[str], int]:
    """The sequence in BIO2 and how many tags of it broke `scheme` and were repaired.

    An I- (or E-) that continues nothing begins an entity; no entity is ever dropped.

    >>> to_bio2(["I-PER", "I-PER", "B-PER", "O"], "IOB1")
    (['B-PER', 'I-PER', 'B-PER', 'O'], 0)
    >>> to_bio2(["B-PER", "E-PER", "S-LOC"], "BIOES")
    (['B-PER', 'I-PER', 'B-LOC'], 0)
    >>> to_bio2(["O", "I-PER"], "BIO2")
    (['O', 'B-PER'], 1)
    """
    result: list[str] = []
    repairs = 0
    open_type = ""  # the type of the entity that may still go on
    for i, tag in enumerate(tags):
        prefix, type_ = split_tag(tag)
        if prefix == "O":
            if scheme in ENDED and open_type:
                repairs += 1  # an entity without its E-
            result.append("O")
            open_type = ""
            continue
        continues = prefix in "IEL" and open_type == type_
        if scheme == "BIO2" and prefix == "I" and not continues:
            repairs += 1
        elif scheme in ENDED:
            repairs += (prefix in "IEL" and not continues) or (prefix in "BSU" and bool(open_type))
        result.append(f"{'I' if continues else 'B'}-{type_}")
        open_type = "" if prefix in "ESLU" and scheme in ENDED else type_
        if scheme in ENDED and i == len(tags) - 1 and open_type:
            repairs += 1
    return result, repairs


def tags_to_spans(tags: Sequence[str]) -> list[Span]:
    """The entities of a BIO2 sequence; an orphan I- begins one.

    >>> tags_to_spans(["B-PER", "I-PER", "O", "B-LOC", "B-LOC"])
    [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC'), Span(start=4, end=5, type='LOC')]
    """
    spans: list[Span] = []
    start, previous = -1, "O"
    for i, tag in enumerate([*tags, "O"]):
        if start >= 0 and (tag == "O" or begins(previous, tag)):
            spans.append(Span(start, i, split_tag(previous)[1]))
            start = -1
        if begins(previous, tag):
            start = i
        previous = tag
    return spans


def spans_to_tags(spans: Iterable[Span], length: int) -> list[str]:
    """BIO2 tags of `length` tokens.

    Raises:
        ValueError: spans overlap, are empty or leave the sentence.

    >>> spans_to_tags([Span(1, 3, "ORG")], 4)
    ['O', 'B-ORG', 'I-ORG', 'O']
    """
    tags = ["O"] * length
    for start, end, type_ in spans:
        if not 0 <= start < end <= length:
            raise ValueError(f"span {start}:{end} does not lie in a sentence of {length} tokens")
        if any(tag != "O" for tag in tags[start:end]):
            raise ValueError(f"span {start}:{end} overlaps another one")
        tags[start:end] = [f"B-{type_}"] + [f"I-{type_}"] * (end - start - 1)
    return tags

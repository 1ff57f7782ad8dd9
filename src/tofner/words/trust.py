"""Which pseudo-labels to believe: words on which two teachers agree, and words of which one of them is sure.

The tagger labels the target text, and a second teacher labels it too: the MRC model, which answers the question of each
type. What both believe is learned; a word on which they differ counts in no loss, while the others of its sentence do.
It is the idea of CoLaDa (Ma et al., 2023) and MTMT (Li et al., 2022) at its cheapest: Algorithm 1 has both teachers.
"""

from collections.abc import Iterable, Sequence

from tofner.words.spans import Span, spans_to_tags, split_tag


def agreed(tags: Sequence[str], second: Sequence[str]) -> list[bool]:
    """Of each word, whether both teachers call it O, or both a part of an entity of one type.

    Where both say entity and name different types, neither is believed: the loss knows no "some entity". Where an
    entity begins is not asked; there the first teacher is believed.

    >>> agreed(["B-PER", "I-PER", "O", "B-LOC", "O"], ["B-PER", "B-PER", "B-PER", "B-ORG", "O"])
    [True, True, False, False, True]
    """
    return [split_tag(one)[1] == split_tag(other)[1] for one, other in zip(tags, second, strict=True)]


def sure(scores: Sequence[float], least: float) -> list[bool]:
    """Of each word, whether its label is at least so probable.

    >>> sure([0.9, 0.4], 0.5)
    [True, False]
    """
    return [score >= least for score in scores]


def first_come(spans: Iterable[Span], length: int) -> list[str]:
    """BIO2 tags of spans that may overlap: of two that do, the one that comes first stays.

    >>> first_come([Span(0, 2, "PER"), Span(1, 3, "ORG"), Span(3, 4, "LOC")], 4)
    ['B-PER', 'I-PER', 'O', 'B-LOC']
    """
    kept: list[Span] = []
    taken = [False] * length
    for span in spans:
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = [True] * (span.end - span.start)
            kept.append(span)
    return spans_to_tags(kept, length)

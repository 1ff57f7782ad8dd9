"""Which words two teachers agree on, and spans that overlap, by hand and against a plain formula."""

import doctest
import itertools

import pytest

from tofner.words import trust
from tofner.words.spans import Span

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def test_the_examples_hold() -> None:
    assert doctest.testmod(trust).attempted == 3
    assert doctest.testmod(trust).failed == 0


@pytest.mark.parametrize(("one", "other"), list(itertools.product(TAGS, TAGS)))
def test_agreement_is_one_entity_type_or_none(one: str, other: str) -> None:
    entity = (one != "O", other != "O")
    expected = entity == (False, False) or (entity == (True, True) and one[-3:] == other[-3:])
    assert trust.agreed([one], [other]) == [expected]


def test_teachers_of_different_sentences_cannot_agree() -> None:
    with pytest.raises(ValueError, match="zip"):
        trust.agreed(["O"], ["O", "O"])


def test_a_score_at_the_bound_is_sure() -> None:
    assert trust.sure([0.7, 0.69, 1.0], 0.7) == [True, False, True]


def test_of_overlapping_spans_the_first_stays_whatever_its_place() -> None:
    spans = [Span(2, 4, "PER"), Span(0, 3, "ORG"), Span(3, 5, "LOC"), Span(4, 5, "LOC")]
    assert trust.first_come(spans, 6) == ["O", "O", "B-PER", "I-PER", "B-LOC", "O"]

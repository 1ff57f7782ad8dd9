"""Tag schemes and spans."""

import pytest

from tofner.words.spans import (
    Scheme,
    Span,
    begins,
    detect_scheme,
    is_tag,
    orphans,
    spans_to_tags,
    split_tag,
    tags_to_spans,
    to_bio2,
)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("I-PER I-PER O I-LOC", "IOB1"),
        ("I-PER B-PER O", "IOB1"),
        ("B-PER I-PER O B-LOC", "BIO2"),
        ("B-PER O I-LOC", "BIO2"),  # one orphan among B- beginnings is a mistake, not a scheme
        ("B-PER E-PER O", "BIOES"),
        ("O S-PER", "BIOES"),
        ("B-PER L-PER U-LOC", "BILOU"),
        ("U-LOC O", "BILOU"),
        ("U-LOC S-LOC", "BIOES"),  # a mixture: every letter is understood
        ("O O", "BIO2"),
        ("", "BIO2"),
    ],
)
def test_detect_scheme(tags: str, scheme: Scheme) -> None:
    assert detect_scheme([tags.split()]) == scheme


def test_a_scheme_is_found_over_all_sentences() -> None:
    assert detect_scheme([["O"], ["I-PER"], ["O", "I-LOC", "B-LOC"]]) == "IOB1"
    assert detect_scheme([["I-PER"], ["O", "S-LOC"]]) == "BIOES"


@pytest.mark.parametrize(
    ("tags", "scheme", "expected", "repairs"),
    [
        ("I-PER I-LOC", "IOB1", "B-PER B-LOC", 0),
        ("B-PER I-LOC", "BIO2", "B-PER B-LOC", 1),
        ("I-PER I-PER", "BIO2", "B-PER I-PER", 1),
        ("B-PER I-PER E-PER S-PER", "BIOES", "B-PER I-PER I-PER B-PER", 0),
        ("B-PER L-PER U-LOC", "BILOU", "B-PER I-PER B-LOC", 0),
        ("B-PER O", "BILOU", "B-PER O", 1),
        ("U-PER L-PER", "BILOU", "B-PER B-PER", 1),
        ("B-PER", "BILOU", "B-PER", 1),
        ("E-PER", "BIOES", "B-PER", 1),
        ("S-PER E-PER", "BIOES", "B-PER B-PER", 1),
        ("B-PER", "BIOES", "B-PER", 1),  # never closed
        ("B-PER O", "BIOES", "B-PER O", 1),
        ("B-PER B-PER E-PER", "BIOES", "B-PER B-PER I-PER", 1),
        ("O", "BIOES", "O", 0),
    ],
)
def test_to_bio2(tags: str, scheme: Scheme, expected: str, repairs: int) -> None:
    assert to_bio2(tags.split(), scheme) == (expected.split(), repairs)


def test_spans_of_types_with_dashes() -> None:
    assert split_tag("I-geo-loc") == ("I", "geo-loc")
    assert tags_to_spans(["B-geo-loc", "I-geo-loc", "I-geo"]) == [Span(0, 2, "geo-loc"), Span(2, 3, "geo")]
    assert begins("B-geo-loc", "I-geo")
    assert orphans(["B-geo-loc", "I-geo-loc", "I-geo"]) == [2]


def test_what_is_a_tag() -> None:
    assert not any(map(is_tag, ("", "o", "B", "B-", "-PER", "b-PER", "Z-PER", "O-PER")))


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 2, "A"), Span(1, 3, "B")], "overlaps"),
        ([Span(1, 1, "A")], "does not lie"),
        ([Span(2, 4, "A")], "does not lie"),
        ([Span(-1, 1, "A")], "does not lie"),
    ],
)
def test_bad_spans(spans: list[Span], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spans_to_tags(spans, 3)


def test_the_tags_of_spans_by_hand() -> None:
    spans = [Span(0, 3, "PER"), Span(3, 4, "PER"), Span(5, 7, "LOC")]
    tags = "B-PER I-PER I-PER B-PER O B-LOC I-LOC O".split()
    assert spans_to_tags(spans, 8) == tags
    assert tags_to_spans(tags) == spans

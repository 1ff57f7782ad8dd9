"""Tags <-> spans, in every scheme and beside seqeval."""

from hypothesis import given
from hypothesis import strategies as st
from seqeval.scheme import IOB2, Entities

from tofner.words.spans import Span, detect_scheme, orphans, spans_to_tags, tags_to_spans, to_bio2

TYPES = st.sampled_from(["PER", "LOC", "geo-loc"])


@st.composite
def spans_of_sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Entities that do not overlap, and a length."""
    spans: list[Span] = []
    end = 0
    for _ in range(draw(st.integers(0, 6))):
        start = end + draw(st.integers(0, 2))
        end = start + draw(st.integers(1, 3))
        spans.append(Span(start, end, draw(TYPES)))
    return spans, end + draw(st.integers(0, 2))


def tags_of(prefixes: str) -> st.SearchStrategy[list[str]]:
    """Any sequence, broken ones included."""
    tag = st.one_of(st.just("O"), st.builds(lambda p, t: f"{p}-{t}", st.sampled_from(prefixes), TYPES))
    return st.lists(tag, max_size=12)


def write(spans: list[Span], length: int, scheme: str) -> list[str]:
    """The sequence that a scheme's definition asks for, without `tofner`."""
    tags = ["O"] * length
    for i, (start, end, type_) in enumerate(spans):
        touches = i > 0 and spans[i - 1].end == start and spans[i - 1].type == type_
        for at in range(start, end):
            prefix = "B" if at == start else "I"
            if scheme == "IOB1" and not touches:
                prefix = "I"
            if scheme in ("BIOES", "BILOU") and at == end - 1:
                single, last = ("S", "E") if scheme == "BIOES" else ("U", "L")
                prefix = single if at == start else last
            tags[at] = f"{prefix}-{type_}"
    return tags


@given(spans_of_sentences())
def test_spans_survive_tags(sentence: tuple[list[Span], int]) -> None:
    spans, length = sentence
    tags = spans_to_tags(spans, length)
    assert tags == write(spans, length, "BIO2")
    assert tags_to_spans(tags) == spans
    assert orphans(tags) == []


@given(spans_of_sentences(), st.sampled_from(["IOB1", "BIO2", "BIOES", "BILOU"]))
def test_every_scheme_is_detected_and_converted(sentence: tuple[list[Span], int], scheme: str) -> None:
    spans, length = sentence
    tags = write(spans, length, scheme)
    assert to_bio2(tags, detect_scheme([tags])) == (spans_to_tags(spans, length), 0)


@given(tags_of("BI"))
def test_any_bio_sequence_is_repaired_to_its_spans(tags: list[str]) -> None:
    mended, repairs = to_bio2(tags, "BIO2")
    assert repairs == len(orphans(tags))
    assert orphans(mended) == []
    assert tags_to_spans(mended) == tags_to_spans(tags)
    assert spans_to_tags(tags_to_spans(tags), len(tags)) == mended


@given(tags_of("BIESLU"))
def test_no_entity_word_is_lost_and_conversion_settles(tags: list[str]) -> None:
    mended, _ = to_bio2(tags, detect_scheme([tags]))
    assert [tag == "O" for tag in mended] == [tag == "O" for tag in tags]
    assert [tag.partition("-")[2] for tag in mended] == [tag.partition("-")[2] for tag in tags]
    assert to_bio2(mended, "BIO2") == (mended, 0)


@given(tags_of("BI"))
def test_seqeval_sees_the_same_entities(tags: list[str]) -> None:
    mended, _ = to_bio2(tags, "BIO2")
    theirs = [Span(e.start, e.end, e.tag) for e in Entities([mended], IOB2).entities[0]] if mended else []
    assert theirs == tags_to_spans(mended)

"""Any text with any entities through every format: offsets by the plain definition, `text[start:end]`, both ways."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tofner.corpora.jsonl import Entity, Record, own_words
from tofner.errors import BadData
from tofner.exchange import brat
from tofner.exchange.convert import READERS, WRITERS, Format
from tofner.exchange.told import Told
from tofner.words.offsets import fit_to_words, utf16_to_characters

TYPES = ["PER", "ORG", "geo-loc", "Ort"]
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("ab Zé1.,'’-@#\t\u00a0😂👍🏽\u200d\u0301漢字हि\ufeff", max_size=30),
)
ONE_LINE = TEXT.map(lambda text: re.sub(r"[\n\r]", " ", text)).filter(str.strip)
few = settings(max_examples=40)  # of texts with several sentences each
rare = settings(max_examples=15)  # where a file or a Doc is made: milliseconds
CHARACTERS = (Format.jsonl, Format.doccano, Format.label_studio, Format.brat)
WORDS = (Format.conll, Format.conllu, Format.prodigy, Format.gliner, Format.spacy)
ONLY_WORDS = (Format.conll, Format.gliner)  # and no text
Place = tuple[int, int, str]


@st.composite
def anywhere(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXT) -> Record:
    """A text with entities wherever they like, overlapping too, each said once."""
    text = draw(texts)
    if not text:
        return Record(text, [])
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 8), st.sampled_from(TYPES))
    drawn = {(a, min(len(text), a + size), type_) for a, size, type_ in draw(st.lists(places, max_size=4))}
    return Record(text, [Entity(*one) for one in sorted(drawn)])


@st.composite
def of_words(draw: st.DrawFn) -> Record:
    """A text with entities of whole words that stand apart."""
    text = draw(ONE_LINE.filter(lambda text: not re.search(r"[\x00-\x08\x0e-\x1b\x7f]", text)))
    words = own_words(text)
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=6)))
    entities = [
        Entity(words[a][0], words[b - 1][1], draw(st.sampled_from(TYPES)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    return Record(text, entities)


def places(record: Record) -> list[Place]:
    return sorted((one.start, one.end, one.type) for one in record.entities or [])


def through(format_: Format, records: list[Record], told: Told) -> tuple[bytes, list[Record]]:
    data = WRITERS[format_](records, "x", told)
    return data, READERS[format_](data, "set/x", told)


def seen_by_json(format_: Format, data: bytes) -> list[tuple[str, list[tuple[int, int, str, str]]]]:
    """Text, and start, end, type, surface of what stands in a file, by its format's documentation alone."""
    if format_ is Format.label_studio:
        tasks = json.loads(data)
        values = [(t["data"]["text"], [r["value"] for r in t["annotations"][0]["result"]]) for t in tasks]
        return [(x, [(v["start"], v["end"], v["labels"][0], v["text"]) for v in vs]) for x, vs in values]
    rows = [json.loads(line) for line in data.decode().split("\n") if line]
    if format_ is Format.doccano:
        return [(r["text"], [(a, b, t, r["text"][a:b]) for a, b, t in r["label"]]) for r in rows]
    if format_ is Format.prodigy:
        return [
            (
                r["text"],
                [
                    (
                        r["tokens"][s["token_start"]]["start"],
                        r["tokens"][s["token_end"]]["end"],
                        s["label"],
                        r["text"][s["start"] : s["end"]],
                    )
                    for s in r["spans"]
                ],
            )
            for r in rows
        ]
    return [(r["text"], [(e["start"], e["end"], e["label"], e["text"]) for e in r["entities"]]) for r in rows]


@few
@given(
    st.lists(anywhere(), min_size=1, max_size=3), st.sampled_from([Format.jsonl, Format.doccano, Format.label_studio])
)
def test_formats_of_characters_hold_any_entity(records: list[Record], format_: Format) -> None:
    told = Told()
    data, back = through(format_, records, told)
    assert told.lost == {}
    shown = seen_by_json(format_, data)
    assert [text for text, _ in shown] == [one.text for one in records] == [one.text for one in back]
    for (text, entities), record, again in zip(shown, records, back, strict=True):
        assert sorted((a, b, t) for a, b, t, _ in entities) == places(record) == places(again)
        assert all(surface == text[a:b] for a, b, _, surface in entities)


@rare
@given(records=st.lists(anywhere(ONE_LINE), min_size=1, max_size=3))
def test_brat_counts_characters_of_the_document(
    records: list[Record], tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = Told()
    text, marks = brat.write_brat(records, "x", told)
    whole, at, expected = text.decode(), 0, []
    for record in records:
        expected += [(at + a, at + b, type_) for a, b, type_ in places(record)]
        at += len(record.text) + 1
    cells = [line.split("\t") for line in marks.decode().split("\n") if line]
    found = [(int(mark.split()[1]), int(mark.split()[2]), mark.split()[0]) for _, mark, *_ in cells]
    assert sorted(found) == sorted(expected)
    folder = tmp_path_factory.mktemp("brat")
    (folder / "d.txt").write_bytes(text)
    (folder / "d.ann").write_bytes(marks)
    assert all("\t".join(cell[2:]) == whole[a:b] for cell, (a, b, _) in zip(cells, found, strict=True))
    back = brat.read_brat(str(folder), told)
    assert [(one.text, places(one)) for one in back] == [(one.text, places(one)) for one in records]
    assert told.lost == {}


@pytest.mark.parametrize("format_", [Format.conll, Format.conllu, Format.prodigy, Format.gliner])
@few
@given(records=st.lists(of_words(), min_size=1, max_size=3))
def test_formats_of_words_hold_entities_of_whole_words(format_: Format, records: list[Record]) -> None:
    whole_words(format_, records)


@pytest.mark.slow  # spaCy's import takes seconds
@rare
@given(records=st.lists(of_words(), min_size=1, max_size=3))
def test_docbin_holds_entities_of_whole_words(records: list[Record]) -> None:
    whole_words(Format.spacy, records)


def whole_words(format_: Format, records: list[Record]) -> None:
    told = Told()
    data, back = through(format_, records, told)
    assert told.lost == {}
    assert len(back) == len(records)
    for record, again in zip(records, back, strict=True):
        tokens = [record.text[a:b] for a, b in own_words(record.text)]
        assert [again.text[a:b] for a, b in again.offsets()] == tokens
        surfaces = [(record.text[a:b], t) for a, b, t in places(record)]
        if format_ in ONLY_WORDS:
            spans = [(again.offsets(), a, b, t) for a, b, t in places(again)]
            kept = [(sum(w[1] <= a for w in words), sum(w[0] < b for w in words), t) for words, a, b, t in spans]
            words = own_words(record.text)
            assert kept == [
                (sum(w[1] <= a for w in words), sum(w[0] < b for w in words), t) for a, b, t in places(record)
            ]
        else:
            assert again.text == record.text
            assert places(again) == places(record)
            assert [(again.text[a:b], t) for a, b, t in places(again)] == surfaces
    if format_ is Format.prodigy:
        shown = seen_by_json(format_, data)
        assert [sorted((a, b, t) for a, b, t, _ in found) for _, found in shown] == [places(one) for one in records]
    if format_ is Format.gliner:  # by its documentation: the last word of a span is in it
        rows = [(row["tokenized_text"], row["ner"]) for row in json.loads(data)]
        expected = [[(r.text[a:b], t) for a, b, t in places(r)] for r in records]
        found = [[("".join(words[a : b + 1]), t) for a, b, t in spans] for words, spans in rows]
        assert found == [[("".join(cut(text)), t) for text, t in one] for one in expected]


def cut(text: str) -> list[str]:
    return [text[a:b] for a, b in own_words(text)]


def plainly_fitted(record: Record) -> tuple[list[Place], int]:
    """Spans of words, longest entity first, and how many entities are left out: quadratic, by the definition."""
    words = own_words(record.text)
    taken: set[int] = set()
    spans: list[Place] = []
    left = 0
    for one in sorted(record.entities or [], key=lambda e: (e.start - e.end, e.start)):
        touched = [i for i, (a, b) in enumerate(words) if set(range(a, b)) & set(range(one.start, one.end))]
        if not touched or taken & set(touched):
            left += 1
            continue
        taken |= set(touched)
        spans.append((touched[0], touched[-1] + 1, one.type))
    return sorted(spans), left


@few
@given(anywhere())
def test_entities_grow_to_the_words_that_they_touch(record: Record) -> None:
    result = fit_to_words(record.entities or [], own_words(record.text))
    spans, left = plainly_fitted(record)
    assert [tuple(span) for span in result.spans] == spans
    assert len(result.wordless) + len(result.overlapping) == left
    words = own_words(record.text)
    given_ = record.entities or []
    edges = [(words[a][0], words[b - 1][1]) for a, b, _ in result.spans]
    exact = [k for k, edge in zip(result.chosen, edges, strict=True) if edge == (given_[k].start, given_[k].end)]
    assert sorted(exact) == sorted(set(result.chosen) - set(result.moved))


@few
@given(st.lists(anywhere(), min_size=1, max_size=3), st.sampled_from([Format.conll, Format.conllu, Format.prodigy]))
def test_what_words_cannot_hold_is_counted(records: list[Record], format_: Format) -> None:
    told = Told()
    try:
        _, back = through(format_, records, told)
    except BadData:
        assert not any(own_words(one.text) for one in records)  # an empty file is none
        return
    kept = sum(len(one.entities or []) for one in back)
    if format_ is not Format.prodigy:
        counted = sum(kind.count for name, kind in told.lost.items() if "overlap a longer" in name or "no word" in name)
        empty = sum(len(one.entities or []) for one in records if not own_words(one.text))
        assert kept + counted + empty == sum(len(one.entities or []) for one in records)
    else:
        touching = [e for one in records for e in one.entities or [] if one.text[e.start : e.end].strip()]
        assert kept == len(touching)


@few
@given(TEXT, st.integers(0, 40))
def test_utf16_units(text: str, offset: int) -> None:
    data = text.encode("utf-16-le")
    try:
        expected = len(data[: 2 * offset].decode("utf-16-le")) if 2 * offset <= len(data) else None
    except UnicodeDecodeError:
        expected = None
    assert utf16_to_characters(text, offset) == expected


@given(st.lists(of_words(), min_size=1, max_size=2), st.sampled_from([Format.conll, Format.conllu]))
@rare
def test_words_of_their_own_come_back_from_a_tool(records: list[Record], format_: Format) -> None:
    told = Told()
    _, there = through(format_, records, told)
    for tool in (Format.label_studio, Format.doccano, Format.jsonl, Format.prodigy):
        _, back = through(tool, there, told)
        pairs = list(zip(there, back, strict=True))
        assert [(one.text, one.offsets(), places(one)) for one, _ in pairs] == [
            (one.text, one.offsets(), places(one)) for _, one in pairs
        ]


def test_the_formats_are_all_there() -> None:
    assert set(CHARACTERS) | set(WORDS) | {Format.text} == set(Format)
    assert set(WRITERS) == {*CHARACTERS, *WORDS} - {Format.brat}

"""Any Unicode text, any cut: offsets, windows, order, and results that do not depend on company."""

import json
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny_tagger import publish_tiny
from tofner.tagging import Tagger, tag_job
from tofner.tagging.engine.texts import Words, to_words
from tofner.tagging.formats.files import InputFile
from tofner.tagging.formats.read import read_groups
from tofner.tagging.formats.record import Record
from tofner.tagging.job.shards import plan_shards
from tofner.words.segment import segment

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
REAL_TEXT = st.lists(
    st.sampled_from(["Angela", "New", "York", "🙂", "e\u0301", "U.N.", ",", "\u200b", "漢字", "don't"])
).map(" ".join)
TEXTS = st.lists(ANY_TEXT | REAL_TEXT, max_size=12)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def folder() -> Path:
    return publish_tiny(Path(tempfile.mkdtemp(prefix="tofner-tiny-")))


@cache
def tagger() -> Tagger:
    return Tagger.load(folder(), threads=1)


@SETTINGS
@given(TEXTS)
def test_offsets_words_and_order(texts: list[str]) -> None:
    found = tagger().tag(texts)
    assert len(found) == len(texts)
    for text, row in zip(texts, found, strict=True):
        starts = {word.start for word in segment(text)}
        ends = {word.end for word in segment(text)}
        last = 0
        for entity in row:
            assert text[entity.start : entity.end] == entity.text
            assert entity.start in starts
            assert entity.end in ends
            assert last <= entity.start < entity.end
            assert 0 < entity.score <= 1
            last = entity.end


@SETTINGS
@given(TEXTS, st.randoms(use_true_random=False), st.integers(1, 200))
def test_company_changes_nothing(texts: list[str], chance, budget: int) -> None:  # type: ignore[no-untyped-def]
    alone = [tagger().tag([text])[0] for text in texts]
    order = list(range(len(texts)))
    chance.shuffle(order)
    with Tagger(tagger().model, threads=2) as other:
        other.batch_pieces = budget
        shuffled = other.tag([texts[i] for i in order])
    for place, i in enumerate(order):
        assert [(e.start, e.end, e.label) for e in shuffled[place]] == [(e.start, e.end, e.label) for e in alone[i]]


@SETTINGS
@given(st.lists(st.text(max_size=40), max_size=200))
def test_every_word_is_decided_once(tokens: list[str]) -> None:
    prepared = tagger().prepare([Words([t.encode("utf-8", "replace").decode() for t in tokens], None, None)])
    seen = [word for rows in prepared.owner for row in rows for word in row.tolist()]
    assert sorted(seen) == list(range(len(tokens)))
    assert all(ids.size <= tagger().model.max_pieces for ids in prepared.windows)


@SETTINGS
@given(
    st.lists(st.binary(max_size=12).filter(lambda b: b"\r" not in b), max_size=30), st.integers(1, 40), st.booleans()
)
def test_any_cut_finds_every_line_once(rows: list[bytes], size: int, end: bool) -> None:
    data = b"\n".join(rows) + (b"\n" if end else b"")
    expected = data.split(b"\n")
    if expected and not expected[-1]:
        expected.pop()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "in.txt")
        path.write_bytes(data)
        file = InputFile(str(path), "in.txt", len(data), "", "text", "")
        found = [row for shard in plan_shards([file], size, None) for group in read_groups(shard) for row in group.rows]
    assert len(found) == len(expected)
    for row, line in zip(found, expected, strict=True):
        if isinstance(row, Record):
            assert row.source == line.removeprefix(b"\xef\xbb\xbf").decode() or row.source == line.decode()


@SETTINGS
@given(st.lists(st.sampled_from(["", " ", "a O", "b\tO", "c"]), max_size=40), st.integers(1, 30))
def test_any_cut_finds_every_sentence_once(rows: list[str], size: int) -> None:
    data = "\n".join(rows).encode()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "in.conll")
        path.write_bytes(data)
        file = InputFile(str(path), "in.conll", len(data), "", "conll", "")

        def read(shard_bytes: int) -> list[object]:
            shards = plan_shards([file], shard_bytes, None)
            found = [row for shard in shards for group in read_groups(shard) for row in group.rows]
            return [row.source for row in found if isinstance(row, Record)]

        assert read(size) == read(10**6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.integers(20, 400))
def test_a_job_gives_what_tag_gives(texts: list[str], size: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "in.jsonl")
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        out = Path(scratch, "out.jsonl")
        tag_job(str(folder()), str(path), str(out), threads=1, quiet=True, shard_bytes=size)
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
    assert [row["text"] for row in rows] == texts
    assert [row["entities"] for row in rows] == [[e.as_record() for e in row] for row in tagger().tag(texts)]
    assert all(isinstance(to_words(text), Words) for text in texts)

"""Where files are cut, which worker takes what, and which fingerprints change with what."""

import gzip
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard

from tofner.tagging.formats.files import InputFile, Shard
from tofner.tagging.formats.read import read_groups
from tofner.tagging.formats.record import Bad, Record
from tofner.tagging.formats.streams import compressed
from tofner.tagging.job.inputs import find_inputs
from tofner.tagging.job.shards import Worker, fingerprint, output_name, plan_shards
from tofner.tagging.job.stats import bad_rows

BOM = b"\xef\xbb\xbf"
Make = Callable[..., InputFile]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a file and describes it; the format is its suffix."""

    def write(data: bytes, name: str = "in.txt") -> InputFile:
        path = tmp_path / name
        path.write_bytes(data)
        (file,) = find_inputs(str(path))
        return file

    return write


def read(file: InputFile, start: int, end: int) -> list[Record | Bad]:
    return [row for group in read_groups(Shard(0, file, start, end, "out")) for row in group.rows]


def sources(file: InputFile, start: int, end: int) -> list[object]:
    return [row.source if isinstance(row, Record) else row.excerpt for row in read(file, start, end)]


LINES = [b"aaa", b"bbb", b"", b"cc", b"d", b"", b"eeeee"]


def test_a_line_is_read_by_the_range_in_which_it_begins(make: Make) -> None:
    """At every cut, also right at a line's first byte, inside it, and at its end."""
    file = make(b"\n".join(LINES) + b"\n")
    begins = [sum(len(line) + 1 for line in LINES[:i]) for i in range(len(LINES))]
    for cut in range(1, file.size):
        expected = [line.decode() for line, at in zip(LINES, begins, strict=True) if at < cut]
        rest = [line.decode() for line, at in zip(LINES, begins, strict=True) if at >= cut]
        assert (sources(file, 0, cut), sources(file, cut, file.size)) == (expected, rest), cut


def test_lines_that_begin_right_at_the_edges_of_shards(make: Make) -> None:
    file = make(b"aaa\nbbb\nccc\nddd\neee\nfff\n")
    shards = plan_shards([file], 8, None)
    assert [(s.number, s.start, s.end) for s in shards] == [(0, 0, 8), (1, 8, 16), (2, 16, 24)]
    assert [sources(file, s.start, s.end) for s in shards] == [["aaa", "bbb"], ["ccc", "ddd"], ["eee", "fff"]]


def test_shards_follow_each_other_and_are_not_larger_than_asked(make: Make) -> None:
    files = [make(b"x" * size, f"{size}.txt") for size in (1000, 99, 101)]
    shards = plan_shards(files, 100, None)
    assert [s.number for s in shards] == list(range(len(shards)))
    for file, count in zip(files, (10, 1, 2), strict=True):
        own = [s for s in shards if s.file is file]
        assert len(own) == count
        assert (own[0].start, own[-1].end) == (0, file.size)
        assert all(a.end == b.start for a, b in pairwise(own))
        assert all(0 < s.end - s.start <= 100 for s in own)


SENTENCES = b"a O\n\nbb O\nb O\n\n \nc O\n\n\nd O"


def test_a_sentence_belongs_to_the_range_of_the_blank_line_before_it(make: Make) -> None:
    file = make(SENTENCES, "in.conll")
    gaps = {"a": -1, "bb": SENTENCES.index(b"\nbb"), "c": SENTENCES.index(b" \nc"), "d": SENTENCES.index(b"\nd")}
    whole = {"a": ["a"], "bb": ["bb", "b"], "c": ["c"], "d": ["d"]}
    for cut in range(1, file.size):
        before = [whole[name] for name, gap in gaps.items() if gap < cut]
        after = [whole[name] for name, gap in gaps.items() if gap >= cut]
        assert (sources(file, 0, cut), sources(file, cut, file.size)) == (before, after), cut


def test_a_range_within_one_sentence_has_none(make: Make) -> None:
    file = make(b"a O\n\n" + b"b O\n" * 50 + b"\nc O\n", "in.conll")
    assert sources(file, 20, 40) == []
    assert sources(file, 20, 60) == []


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("in.jsonl", BOM + b'{"text": "Ajax"}\n', ["Ajax"]),
        ("in.txt", BOM + b"Ajax\n" + BOM + b"York\n", ["Ajax", "\ufeffYork"]),
        ("in.conll", BOM + b"New O\nYork O\n", [["New", "York"]]),
        ("in.txt.gz", gzip.compress(BOM + b"Ajax\n", mtime=0), ["Ajax"]),
    ],
)
def test_a_mark_of_byte_order_is_no_text_at_the_beginning_of_a_file(
    make: Make, name: str, data: bytes, expected: list[object]
) -> None:
    file = make(data, name)
    assert sources(file, 0, file.size) == expected


def test_a_mark_of_byte_order_at_the_beginning_of_a_later_shard_is_text(make: Make) -> None:
    """U+FEFF was once a space of no width, and only a file's first bytes say an order."""
    file = make(b"Ajax\n" + BOM + b"York\n")
    assert sources(file, 5, file.size) == ["\ufeffYork"]


def test_a_bad_line_is_found_again_by_its_number_in_the_file(make: Make) -> None:
    lines = [b"{", b"{{", b"", b"{{{", b"{", b"{{{{{{"]
    file = make(b"\n".join(lines) + b"\n", "in.jsonl")
    begins = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
    for cut in range(file.size):
        shard = Shard(1, file, cut, file.size, "out")
        bad = [row for row in read(file, cut, file.size) if isinstance(row, Bad)]
        assert [(row["line"], row["record"], row["bytes"]) for row in bad_rows(shard, bad)] == [
            (i + 1, line.decode(), len(line)) for i, line in enumerate(lines) if begins[i] >= cut and line
        ], cut


def test_a_bad_sentence_is_found_again_by_its_first_line(make: Make) -> None:
    data = b"a O\n\nb O\n\xff O\n\n\n\xff O\n\nc O\n"
    file = make(data, "in.conll")
    for cut in (0, 4):
        shard = Shard(1, file, cut, file.size, "out")
        bad = [row for row in read(file, cut, file.size) if isinstance(row, Bad)]
        assert [row["line"] for row in bad_rows(shard, bad)] == [3, 7]


@pytest.mark.parametrize(("index", "count"), [(0, 1), (0, 3), (1, 3), (2, 3), (7, 8)])
def test_a_worker_takes_every_nth_shard(index: int, count: int) -> None:
    worker = Worker.parse(f"{index}/{count}")
    assert [n for n in range(40) if worker.takes(n)] == list(range(40))[index::count]
    parts = [[n for n in range(40) if worker.part(i, 3).takes(n)] for i in range(3)]
    assert all(part == list(range(40))[index::count][i::3] for i, part in enumerate(parts))


BIG = 3 * 64 * 1024  # bytes; more than the two ends that are read


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (b"x" * BIG, True),
        (b"y" + b"x" * (BIG - 1), False),
        (b"x" * (BIG - 1) + b"y", False),
        (b"x" * (BIG + 1), False),
        (b"x" * (BIG - 1), False),
    ],
)
def test_the_fingerprint_of_a_file_sees_its_ends_and_its_size(make: Make, other: bytes, same: bool) -> None:
    one, two = make(b"x" * BIG, "a.txt"), make(other, "b.txt")
    assert (one.etag == two.etag) == same


def test_the_fingerprint_of_a_file_outlives_a_copy(make: Make, tmp_path: Path) -> None:
    file = make(b"some text\n")
    shutil.copy(file.uri, tmp_path / "copy.txt")
    assert find_inputs(str(tmp_path / "copy.txt"))[0].etag == file.etag


def test_the_fingerprint_of_a_job_covers_inputs_cuts_and_settings(make: Make) -> None:
    file = make(b"x\n" * 500)
    shards, how = plan_shards([file], 300, None), {"model": "a", "shard_bytes": 300}
    print_ = fingerprint(shards, how)
    assert fingerprint(plan_shards([file], 300, None), dict(reversed(how.items()))) == print_
    first, *rest = shards
    others = [
        fingerprint(shards, {**how, "model": "b"}),
        fingerprint([replace(first, end=first.end + 1), *rest], how),
        fingerprint([first, replace(rest[0], start=rest[0].start + 1), *rest[1:]], how),
        fingerprint([replace(first, output="other"), *rest], how),
        fingerprint([*rest, first], how),
        fingerprint([replace(first, file=replace(file, etag="other")), *rest], how),
        fingerprint([replace(first, file=replace(file, size=file.size + 1)), *rest], how),
        fingerprint([replace(first, file=replace(file, name="other")), *rest], how),
        fingerprint([replace(first, file=replace(file, format="jsonl")), *rest], how),
    ]
    assert len({print_, *others}) == 10


def test_names_of_outputs(make: Make) -> None:
    file = make(b"x", "a.b.txt")
    assert [output_name(file, 2, 3, None), output_name(file, 0, 1, None)] == [
        "a.b.part-00002-of-00003.jsonl",
        "a.b.jsonl",
    ]
    assert output_name(replace(file, name="d/A.TSV.GZ", format="conll", compression="gz"), 0, 1, None) == "d/A.TSV.gz"


def test_compressed_bytes_depend_on_the_contents_alone() -> None:
    """RFC 1952: byte 3 are flags (8: a name follows), bytes 4 to 7 the time."""
    target = io.BytesIO()
    with compressed(target, "gz") as stream:
        stream.write(b"Ajax")
    assert (target.getvalue()[3], target.getvalue()[4:8]) == (0, bytes(4))
    assert gzip.decompress(target.getvalue()) == b"Ajax"
    target = io.BytesIO()
    with compressed(target, "zst") as stream:
        stream.write(b"Ajax")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(target.getvalue()) == b"Ajax"

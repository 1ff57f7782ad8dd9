"""Damaged files: dead letters for records, one line with the place for files; never a trace, never fewer rows."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tiny_tagger import publish_tiny
from tofner.errors import BadData, TofnerError
from tofner.tagging import tag_job
from tofner.tagging.formats import parquet, streams
from tofner.tagging.formats.jsonl import elements, parse_json, without
from tofner.tagging.formats.record import Unusable


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(publish_tiny(tmp_path_factory.mktemp("model")))


def run(model: str, source: Path, output: Path, **changes: Any) -> Any:
    return tag_job(model, str(source), str(output), threads=1, quiet=True, **changes)


def dead(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "_tofner/dead-letter.jsonl").read_bytes().splitlines()]


def not_utf8(values: list[bytes]) -> pa.Array:
    data = b"".join(values)
    edges = [0]
    for value in values:
        edges.append(edges[-1] + len(value))
    offsets = pa.array(edges, pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.string(), len(values), [None, offsets, pa.py_buffer(data)])


def test_a_row_that_is_no_text_is_a_dead_letter_and_the_others_are_tagged(model: str, tmp_path: Path) -> None:
    column = not_utf8([b"New York", b"a\xc9b", b"Ajax"])
    pq.write_table(pa.table({"text": column, "n": [1, 2, 3]}), tmp_path / "in.parquet")
    report = run(model, tmp_path / "in.parquet", tmp_path / "out", max_bad="1")
    assert (report.counts.records, report.counts.bad) == (2, 1)
    (row,) = dead(tmp_path / "out")
    assert (row["row"], row["reason"]) == (1, "byte 1 (0xc9) is not UTF-8")
    assert pq.read_table(tmp_path / "out/in.parquet").column("n").to_pylist() == [1, 3]


def test_a_row_whose_tokens_are_no_text_is_a_dead_letter(model: str, tmp_path: Path) -> None:
    tokens = pa.ListArray.from_arrays(pa.array([0, 1, 3], pa.int32()), not_utf8([b"New", b"\xff", b"Ajax"]))
    pq.write_table(pa.table({"tokens": tokens}), tmp_path / "in.parquet")
    run(model, tmp_path / "in.parquet", tmp_path / "out", max_bad="1")
    assert [row["row"] for row in dead(tmp_path / "out")] == [1]
    assert pq.read_table(tmp_path / "out/in.parquet").column("tokens").to_pylist() == [["New"]]


def test_bytes_that_are_no_text_in_other_columns_are_passed_on(model: str, tmp_path: Path) -> None:
    other = not_utf8([b"\xff\xfe", b"b"])
    pq.write_table(pa.table({"text": ["New York", "Ajax"], "other": other}), tmp_path / "in.parquet")
    assert run(model, tmp_path / "in.parquet", tmp_path / "out").counts.records == 2
    written = pq.read_table(tmp_path / "out/in.parquet").column("other").combine_chunks()
    assert written.cast(pa.binary()).to_pylist() == [b"\xff\xfe", b"b"]


def table(folder: Path) -> bytes:
    texts = [f"Angela Merkel met Obama {i} in New York" for i in range(80)]
    pq.write_table(pa.table({"text": texts, "n": range(80)}), folder / "whole.parquet", row_group_size=20)
    return (folder / "whole.parquet").read_bytes()


def test_a_damaged_page_is_told_with_file_and_row_group(model: str, tmp_path: Path) -> None:
    texts = ["".join(random.Random(i).choices("abcdefgh ", k=200)) for i in range(200)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet", row_group_size=100, use_dictionary=False)
    data = bytearray((tmp_path / "in.parquet").read_bytes())
    chunk = pq.ParquetFile(tmp_path / "in.parquet").metadata.row_group(1).column(0)
    middle = chunk.data_page_offset + chunk.total_compressed_size // 2
    data[middle : middle + 400] = bytes(400)
    (tmp_path / "in.parquet").write_bytes(data)
    with pytest.raises(BadData, match=r"in.parquet: row group 1: found no readable Parquet"):
        run(model, tmp_path / "in.parquet", tmp_path / "out")


def test_rows_that_are_missing_are_told(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path)
    whole = parquet.pq.ParquetFile.iter_batches  # type: ignore[attr-defined]
    monkeypatch.setattr(
        parquet.pq.ParquetFile,  # type: ignore[attr-defined]
        "iter_batches",
        lambda *given, **more: (batch.slice(0, 15) for batch in whole(*given, **more)),
    )
    with pytest.raises(BadData, match="row group 0: found -5 rows"):
        run(model, tmp_path / "whole.parquet", tmp_path / "out")


def test_parquet_with_flipped_and_missing_bytes_ends_in_a_result_or_an_error_of_ours(
    model: str, tmp_path: Path
) -> None:
    """As many rows as the file says it has, or an error that names the file; never a trace."""
    whole = table(tmp_path)
    path = tmp_path / "in.parquet"
    chance = random.Random(5)
    told = unnamed = 0
    for number in range(80):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 4))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if number % 5 == 0:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        output = tmp_path / f"out{number}"
        try:
            report = run(model, path, output, max_bad="100%")
        except TofnerError as error:
            told += "in.parquet" in str(error)
            unnamed += "in.parquet" not in str(error)
        else:
            assert report.counts.records + report.counts.bad == 80
    assert unnamed == 0
    assert 15 < told < 80


def test_a_row_over_the_limit_is_bad(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_RECORD_BYTES", 1000)
    pq.write_table(pa.table({"text": ["Ajax " * 200, "Ajax " * 200 + "x"]}), tmp_path / "in.parquet")
    assert run(model, tmp_path / "in.parquet", tmp_path / "out", max_bad="1").counts.records == 1
    assert dead(tmp_path / "out")[0]["reason"] == "a record of more than 1000 characters"


def test_wide_rows_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many that memory is bounded, whatever the rows hold; the rows are the same."""
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 5000)
    texts = ["x" * 999 + chr(97 + i) for i in range(20)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet", use_dictionary=False)
    with pq.ParquetFile(tmp_path / "in.parquet") as file:
        batches = list(parquet._batches(file, 0, ""))
    assert max(batch.num_rows for batch in batches) in (4, 5)
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == texts


def test_half_a_surrogate_pair_in_another_field_is_passed_on(model: str, tmp_path: Path) -> None:
    line = b'{"a": "\\ud800", "entities": [1], "n": 1e400, "m": 1.50, "text": "Ajax"}'
    (tmp_path / "in.jsonl").write_bytes(line + b"\n")
    assert run(model, tmp_path / "in.jsonl", tmp_path / "out").counts.replaced == 1
    written = (tmp_path / "out/in.jsonl").read_bytes()
    assert written.startswith(b'{"a": "\\ud800", "n": 1e400, "m": 1.50, "text": "Ajax", "entities": [')


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_number_is_a_dead_letter(model: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "in.jsonl").write_text(f'{{"text": "Ajax", "x": [{name}]}}\n{{"text": "Ajax", "x": "{name}"}}\n')
    assert run(model, tmp_path / "in.jsonl", tmp_path / "out", max_bad="1").counts.records == 1
    assert dead(tmp_path / "out")[0]["reason"] == f"{name}, which is no JSON"


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2028", " \t\u00a0", "\x1c", "\x85"])
def test_a_line_of_any_white_space_ends_a_sentence(model: str, tmp_path: Path, space: str) -> None:
    (tmp_path / "in.conll").write_text(f"New\tO\nYork\tO\n{space}\nAjax\tO\n", encoding="utf-8")
    run(model, tmp_path / "in.conll", tmp_path / "out.jsonl")
    rows = [json.loads(line)["tokens"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows == [["New", "York"], ["Ajax"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"entities": 1}', "{}"),
        ('{"entities": 1, "entities": 2}', "{}"),
        ('{ "entities":[{"a": "}"}] , "b" :2 }', '{ "b" :2 }'),
        ('{"a": 1, "entities": null}', '{"a": 1}'),
        ('{"a": 1,\t"entities": null,  "b": {"entities": 3} }', '{"a": 1,  "b": {"entities": 3} }'),
        ('{"\\u0065ntities": 1, "a": "\\ud83d"}', '{"a": "\\ud83d"}'),
        (' {} ', " {} "),
    ],
)  # fmt: skip
def test_fields_are_taken_out_and_nothing_else(text: str, expected: str) -> None:
    assert without(text, "entities") == expected
    assert parse_json(without(text, "entities")) == {k: v for k, v in parse_json(text).items() if k != "entities"}


def test_elements_of_a_list() -> None:
    assert elements("[]") == []
    assert elements(' [ 1 ,"],", [2] ] ') == ["1", '"],"', "[2]"]


def test_what_is_no_json_is_unusable() -> None:
    for text in ("", "{", "[1,]", "{'a': 1}", "01", "\ufeff{}", '"\x00"', "[" * 100_000, "nan", '{"a": 1} x'):
        with pytest.raises(Unusable):
            parse_json(text)

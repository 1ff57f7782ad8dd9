"""Damaged inputs of every kind: each ends in a result, in dead letters, or in an error of ours that names the file.

    make fuzz                          12,500 inputs, 1,250 of each kind
    TOFNER_FUZZ=20000 make fuzz        of each kind

Good files are damaged by hypothesis: bytes flipped, cut out, said twice, put in; so an input that fails is made smaller
until it is plain. What is compared beside: no record is lost, and what is written can be read.
"""

import gzip
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.corpora import read as corpora
from tofner.errors import BadInput, TofnerError
from tofner.presets import load_preset
from tofner.storage import FolderIndex
from tofner.tagging import Tagger, tag_job
from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats import read
from tofner.tagging.formats.conll import ConllOutput
from tofner.tagging.formats.files import Format, InputFile, Shard
from tofner.tagging.formats.jsonl import JsonlOutput
from tofner.tagging.formats.record import Bad, Record

pytestmark = pytest.mark.e2e

EACH = int(os.environ.get("TOFNER_FUZZ", "1250"))
# What readers stumble over, to be put anywhere.
ODD = [
    b"", b"\n", b"\r", b"\r\n", b"\t", b" ", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc2\xa0",
    b"\xe3\x80\x80", b"\xe2\x80\xa8", b'"', b"\\", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true",
    b"-1", b"1e999", b"9" * 5000, b"NaN", b"[" * 400, b"-DOCSTART-", b"# ", b"B-", b"I-PER", b"''", b"- ", b"&a *a",
    b"!!python/x", b"../..", b"\xf0\x9f\x99\x82", b"\x1f\x8b", b"PAR1",
]  # fmt: skip


@st.composite
def damaged(draw: Any, seeds: list[bytes]) -> bytes:
    """One of the seeds, with one to five things wrong."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["put", "put", "flip", "cut", "twice", "end"]))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 12))
        if kind == "put":
            data[at:at] = draw(st.sampled_from(ODD))
        elif kind == "flip" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "twice":
            data[at:at] = data[at : at + 8 * length]
        elif kind == "end":
            del data[at:]
    return bytes(data)


def fuzz(seeds: Callable[[], list[bytes]]) -> Any:
    """Many damaged inputs for a test whose last argument is `data`."""
    quiet = [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
        HealthCheck.large_base_example,
    ]

    def decorate(test: Any) -> Any:
        many = settings(max_examples=EACH, deadline=None, database=None, derandomize=True, suppress_health_check=quiet)
        return many(given(data=damaged(seeds()))(test))

    return decorate


def named(error: TofnerError, place: Path | str) -> None:
    """The error says which file, in a line that can be printed."""
    said = str(error)
    said.encode()
    assert Path(place).name in said, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_tiny(tmp_path_factory.mktemp("model"))


def columns() -> list[bytes]:
    text = (
        "-DOCSTART- -X- O\n\nAngela NNP B-PER\nMerkel NNP I-PER\nin IN O\nNew NNP B-LOC\nYork NNP I-LOC\n\n"
        "# id 5 domain=en\n# O\nGröße\tO\n漢字\tB-ORG\n"
    ).encode()
    return [text, text.replace(b" ", b"\t"), text.replace(b"\n", b"\r\n"), gzip.compress(text, mtime=0)]


@fuzz(columns)
def test_column_files_of_corpora(folder: Path, data: bytes) -> None:
    path = folder / "train.conll"
    path.write_bytes(data)
    for scan in (corpora.scan_labelled, corpora.scan_text):
        try:
            file = scan(str(path))
        except TofnerError as error:
            named(error, path)
        else:
            for problem in file.problems.all():
                assert "train.conll" in problem.place
                str(problem).encode()
            assert file.problems.count or file.sentences


def groups(path: Path, format: Format) -> tuple[list[Record], list[Bad]]:
    """Good and bad records of a file, as tagging reads it."""
    file = InputFile(str(path), path.name, path.stat().st_size, "", format, "")
    rows = [row for group in read.read_groups(Shard(0, file, 0, file.size, "out")) for row in group.rows]
    return [row for row in rows if isinstance(row, Record)], [row for row in rows if isinstance(row, Bad)]


def written(path: Path, format: Format, output: Any) -> None:
    """Writes what is read, with an entity at the beginning of each."""
    file = InputFile(str(path), path.name, path.stat().st_size, "", format, "")
    for group in read.read_groups(Shard(0, file, 0, file.size, "out")):
        good = [row for row in group.rows if isinstance(row, Record)]
        output.write(group, [[Entity(0, 1, "PER", 0.5, "x")] if row.source else [] for row in good])


@fuzz(columns)
def test_column_files_to_tag(folder: Path, data: bytes) -> None:
    path = folder / "in.conll"
    path.write_bytes(data)
    out = io.BytesIO()
    try:
        good, bad = groups(path, "conll")
        written(path, "conll", ConllOutput(out))
    except BadInput as error:
        named(error, path)
        return
    assert all(row.reason for row in bad)
    lines = sum(len(row.payload) for row in good)
    assert out.getvalue().count(b"\n") == lines + len(good)


def jsonl() -> list[bytes]:
    rows = [
        '{"id": 1, "text": "Angela Merkel met Obama.", "n": 1.50}',
        '{"tokens": ["New", "York"], "entities": [{"start": 0}], "x": {"y": [1, null, true]}}',
        '{"text": "\\u00e9 \\ud83d\\ude42 漢字", "a": "\\\\", "entities": []}',
    ]
    return ["\n".join(rows).encode(), rows[1].encode(), b"\r\n".join(row.encode() for row in rows)]


@fuzz(jsonl)
def test_json_lines_to_tag(folder: Path, data: bytes) -> None:
    path = folder / "in.jsonl"
    path.write_bytes(data)
    good, bad = groups(path, "jsonl")
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.removesuffix(b"\r").strip()]
    assert len(good) + len(bad) == len(lines)
    assert all(row.reason for row in bad)
    out = io.BytesIO()
    written(path, "jsonl", JsonlOutput(out))
    rows = out.getvalue().split(b"\n")[:-1]
    assert len(rows) == len(good)
    for row, record in zip(rows, good, strict=True):
        value = json.loads(row, parse_int=str, parse_constant=pytest.fail)
        assert isinstance(value["entities"], list)
        kept = json.loads(record.payload, parse_int=str)
        assert {k: v for k, v in value.items() if k != "entities"} == kept


def squad() -> list[bytes]:
    asked = [{"id": "a", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}]
    asked += [{"id": "b", "question": "Wo? 漢", "answers": [], "is_impossible": True}]
    content = {
        "version": "2",
        "data": [{"title": "t", "paragraphs": [{"context": "Ann left Oslo \U0001f642.", "qas": asked}]}],
    }
    return [json.dumps(content, indent=1).encode(), json.dumps(content, ensure_ascii=False).encode()]


@fuzz(squad)
def test_questions(folder: Path, data: bytes) -> None:
    path = folder / "train.json"
    path.write_bytes(data)
    try:
        file = corpora.scan_questions(str(path))
    except TofnerError as error:
        named(error, path)
        return
    assert file.problems.count or file.examples
    for problem in file.problems.all():
        str(problem).encode()
    for example in file.examples:
        "".join([example.query, *example.tokens]).encode()


ROWS = 40


def tables() -> list[bytes]:
    found = []
    for more in (
        {},
        {"use_dictionary": False, "compression": "none"},
        {"compression": "zstd", "write_page_index": True},
    ):
        out = io.BytesIO()
        table = pa.table({"text": [f"Ann left Oslo {i}" for i in range(ROWS)], "id": [str(i) for i in range(ROWS)]})
        pq.write_table(table, out, row_group_size=15, **more)
        found.append(out.getvalue())
    return found


@fuzz(tables)
def test_parquet(folder: Path, data: bytes) -> None:
    path = folder / "train.parquet"
    path.write_bytes(data)
    try:
        file = corpora.scan_text(str(path))
    except TofnerError as error:
        named(error, path)
    else:
        assert file.problems.count or len(file.sentences) + file.blank_lines
    from tofner.tagging.formats.parquet import row_group_sizes

    about = InputFile(str(path), path.name, len(data), "", "parquet", "")
    try:
        shard = Shard(0, about, 0, len(row_group_sizes(about)), "out")
        rows = [row for group in read.read_groups(shard) for row in group.rows]
    except BadInput as error:
        named(error, path)
    else:
        assert len(rows) == pq.ParquetFile(path).metadata.num_rows


def presets() -> list[bytes]:
    from tofner import presets as package

    files = sorted((Path(package.__file__).parent).glob("*.yaml"))
    return [file.read_bytes() for file in files]


@fuzz(presets)
def test_settings(folder: Path, data: bytes) -> None:
    path = folder / "own.yaml"
    path.write_bytes(data)
    said = "own.yaml"
    try:
        load_preset(str(path), [])
    except TofnerError as error:
        said = str(error)
    said.encode()
    assert said


def descriptions() -> list[bytes]:
    about = {"format": 1, "max_pieces": 32, "overlap_pieces": 8, "segmentation": "tofner-words-2"}
    return [
        b"labels.json\n" + json.dumps({"labels": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]}).encode(),
        b"tagger.json\n" + json.dumps(about).encode(),
        b"latest.json\n" + json.dumps({"version": ".", "history": [{"version": "v1"}]}).encode(),
    ]


@fuzz(descriptions)
def test_model_folders(model: Path, data: bytes) -> None:
    name, _, content = data.partition(b"\n")
    if name not in (b"labels.json", b"tagger.json", b"latest.json"):
        return
    path = model / name.decode()
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        with Tagger.load(model, threads=1) as tagger:
            tagger.tag(["New York and Obama " * 20])
    except BadInput as error:
        said = str(error)
        said.encode()
        assert path.name in said or "model.onnx" in said
    finally:
        path.write_bytes(before) if before is not None else path.unlink()


def networks() -> list[bytes]:
    from tests.tiny_tagger import LABELS, make_graph, make_tokenizer

    tokenizer = make_tokenizer()
    graph = make_graph(tokenizer.get_vocab_size(), len(LABELS)).SerializeToString()
    head = graph[:2000]  # nodes: most of the rest are weights, which may be anything
    return [b"model.onnx\n" + graph, b"model.onnx\n" + head, b"tokenizer.json\n" + tokenizer.to_str().encode()]


@fuzz(networks)
def test_graphs_and_tokenizers(model: Path, data: bytes) -> None:
    """A crash of ONNX Runtime or of the tokenizer would end the test's own process."""
    name, _, content = data.partition(b"\n")
    if name not in (b"model.onnx", b"tokenizer.json"):
        return
    path = model / name.decode()
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        with Tagger.load(model, threads=1) as tagger:
            tagger.tag(["New York and Obama " * 5])
    except BadInput as error:
        said = str(error)
        assert path.name in said or "model.onnx" in said
        assert "\n" not in said
    finally:
        path.write_bytes(before)


def indexes() -> list[bytes]:
    files = {name: storage.FileEntry(3, "ab" * 32) for name in ("a", "b/c.json", "ü")}
    return [
        FolderIndex(files).to_json(),
        json.dumps({"version": "v1", "history": [{"version": "v1", "at": ""}]}).encode(),
    ]


@fuzz(indexes)
def test_indexes_and_pointers(folder: Path, data: bytes) -> None:
    try:
        index = FolderIndex.from_json(data, "_index.json")
    except BadInput as error:
        named(error, "_index.json")
    else:
        assert FolderIndex.from_json(index.to_json(), "x") == index
    path = folder / "latest.json"
    path.write_bytes(data)
    try:
        found = storage.read_pointer(str(path))
    except BadInput as error:
        named(error, path)
    else:
        assert found
        assert isinstance(found[0], dict)


@dataclass
class Done:
    """A finished job: where it lies, what it wrote, its books."""

    root: Path
    output: dict[str, bytes]
    books: dict[str, bytes]


BOOKS = ("shards/00000.json", "shards/00001.json", "complete.json", "inputs.jsonl", "workers/worker-0-of-1.json")
BOOKS += ("plan.json", "statistics.json")


@pytest.fixture(scope="module")
def job(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    root = tmp_path_factory.mktemp("job")
    (root / "in.txt").write_bytes(b"Obama in New York\nAjax\n" * 6)
    tag(model, root)
    books = {name: (root / "out/_tofner" / name).read_bytes() for name in BOOKS}
    books["workers/worker-0-of-1.json"] = b'{"worker": "0/1", "seconds": 1.5, "phases": {"run": 1.0}, "records": 12}'
    books["statistics.json"] = b'{"records": 12}'
    return Done(root, {path.name: path.read_bytes() for path in (root / "out").glob("*.jsonl")}, books)


def tag(model: Path, root: Path) -> Any:
    return tag_job(str(model), str(root / "in.txt"), str(root / "out"), threads=1, quiet=True, shard_bytes=50)


@settings(
    max_examples=EACH, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)  # fmt: skip
@given(pick=st.data())
def test_books_of_a_job(model: Path, job: Done, pick: st.DataObject) -> None:
    """A job whose books are damaged does again what it can no longer trust, with the same bytes; a plan that is none is
    told."""
    books = job.root / "out/_tofner"
    for name, data in job.books.items():
        (books / name).write_bytes(data)
    name = pick.draw(st.sampled_from(BOOKS))
    (books / name).write_bytes(pick.draw(damaged([job.books[name]])))
    if name != "complete.json" and pick.draw(st.booleans()):
        (books / "complete.json").unlink()
    try:
        assert tag(model, job.root).complete
    except BadInput as error:
        named(error, "plan.json")
        assert name == "plan.json"
    assert {file.name: file.read_bytes() for file in (job.root / "out").glob("*.jsonl")} == job.output


def test_the_seeds_are_good(folder: Path) -> None:
    """Else everything above would be refused for the same reason."""
    for number, data in enumerate(presets()):
        assert yaml.safe_load(data), number
    for data in squad():
        (folder / "train.json").write_bytes(data)
        assert len(corpora.scan_questions(str(folder / "train.json")).examples) == 2
    for data in columns():
        (folder / "train.conll").write_bytes(data)
        assert corpora.scan_labelled(str(folder / "train.conll")).sentences

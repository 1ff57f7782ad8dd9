"""Parquet files of a data root: what `datasets` writes and the Hub serves, against the other readers."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from tofner import storage
from tofner.check.files import RoleFile, run_check
from tofner.corpora import conll, parquet, read
from tofner.errors import BadData, BadInput

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TOKENS = [["Ann", "Lee", "left", "Oslo"], ["-DOCSTART-"], ["nobody"], ["Bo", "waits"]]
TAGS = [["B-PER", "I-PER", "O", "B-LOC"], ["O"], ["O"], ["B-PER", "O"]]
ROWS = [1, 3, 4]  # of what is a sentence
CONTEXT = "Ann left Oslo. Bo stayed."


def save(path: Path, columns: dict[str, Any], features: Features | None = None) -> str:
    """A file as `Dataset.to_parquet` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=features).to_parquet(str(path))
    return str(path)


def labelled(path: Path, **columns: Any) -> str:
    return save(path, {"tokens": TOKENS, "tags": TAGS} | columns)


def class_labels(path: Path) -> str:
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=NAMES))})
    return save(path, {"tokens": TOKENS, "ner_tags": [[NAMES.index(t) for t in tags] for tags in TAGS]}, features)


def questions(path: Path, answers: list[dict[str, Any]], **columns: Any) -> str:
    count = len(answers)
    base = {"id": [f"q{i}" for i in range(count)], "context": [CONTEXT] * count, "question": ["who?"] * count}
    return save(path, {**base, "answers": answers, "title": [""] * count} | columns)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "ner" / "hub" / "train.parquet"


@pytest.mark.parametrize("write", [labelled, class_labels])
def test_strings_and_class_labels_give_the_sentences_of_the_column_file(place: Path, write: Any) -> None:
    lines = [[f"{w}\t{t}\n" for w, t in zip(*one, strict=True)] for one in zip(TOKENS, TAGS, strict=True)]
    text = "\n".join("".join(block) for block in lines)
    column_file = conll.parse(text.encode(), "hub/train.conll")
    found = read.read_labelled(write(place))
    assert [(s.tokens, s.tags) for s in found.sentences] == [(s.tokens, s.tags) for s in column_file.sentences]
    assert [s.id for s in found.sentences] == [f"hub/train:{row}" for row in ROWS]
    assert found.lines == ROWS
    assert (found.docstarts, found.scheme) == (column_file.docstarts, column_file.scheme) == (1, "BIO2")


def test_the_id_column_names_the_sentences(place: Path) -> None:
    found = read.read_labelled(labelled(place, id=["a", "b", "c", "d"]))
    assert [s.id for s in found.sentences] == ["hub/train:a", "hub/train:c", "hub/train:d"]
    again = read.scan_labelled(labelled(place, id=["a", "b", "c", "a"]))
    assert [str(p).partition(": ")[2] for p in again.problems.listed] == [
        "found id a a second time; expected each id once in a file; rename or remove one"
    ]
    assert again.problems.listed[0].line == 4


def test_iob1_is_found_out_and_repairs_name_their_row(place: Path) -> None:
    found = read.read_labelled(labelled(place, tags=[["I-PER", "I-PER", "O", "I-LOC"], ["O"], ["O"], ["I-PER", "O"]]))
    assert found.scheme == "IOB1"
    assert [s.tags for s in found.sentences] == [TAGS[0], TAGS[2], TAGS[3]]
    broken = read.read_labelled(labelled(place, tags=[TAGS[0], ["O"], ["O"], ["I-LOC", "O"]]))
    assert broken.repairs == [(4, 1)]


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        ({"tags": [TAGS[0], ["O"], ["O"], ["B-PER"]]}, 4, "1 tags for 2 tokens"),
        ({"tags": [TAGS[0], ["O"], ["Q-PER"], TAGS[3]]}, 3, "tag 'Q-PER'"),
        ({"tokens": [TOKENS[0], ["x"], [" "], TOKENS[3]]}, 3, "an empty token"),
        ({"tokens": [TOKENS[0], ["x"], ["a\x07b"], TOKENS[3]]}, 3, "control character U+0007"),
        ({"tokens": [TOKENS[0], ["x"], ["a\tb"], TOKENS[3]]}, 3, "control character U+0009"),
        ({"tokens": [TOKENS[0], ["x"], None, TOKENS[3]]}, 3, "tokens that are no list of strings"),
        ({"tokens": [["x"], ["x"], ["x"], ["x"]], "tags": [["O"], ["O"], None, ["O"]]}, 3, "no tags for 1 tokens"),
        ({"tokens": [["-DOCSTART-"]], "tags": [["O"]]}, None, "no sentence"),
    ],
)
def test_what_is_wrong_has_its_row(place: Path, columns: dict[str, Any], row: int | None, said: str) -> None:
    (problem,) = read.scan_labelled(labelled(place, **columns)).problems.listed
    assert problem.line == row
    assert said in problem.found
    with pytest.raises(BadData):
        read.read_labelled(str(place))


def test_ids_beyond_the_names_are_problems(place: Path) -> None:
    table = pa.table(pq.read_table(class_labels(place)))
    at = table.column_names.index("ner_tags")
    worse = table.set_column(at, table.field(at), [[[1, 2, 0, 7], [0], [-1], [1, 0]]])
    pq.write_table(worse, place)
    found = [(p.line, p.found) for p in read.scan_labelled(str(place)).problems.listed]
    assert found == [(1, "tag '7'"), (3, "tag '-1'")]


def test_numbers_without_names_are_refused(place: Path) -> None:
    uri = save(place, {"tokens": TOKENS, "ner_tags": [[0] * len(tags) for tags in TAGS]})
    with pytest.raises(BadData, match="numbers without names in column ner_tags; expected strings, or a ClassLabel"):
        read.read_labelled(uri)


def test_missing_columns_name_what_is_there(place: Path) -> None:
    with pytest.raises(BadData, match=r"columns \(words, tags\); expected also tokens"):
        read.read_labelled(save(place, {"words": TOKENS, "tags": TAGS}))
    with pytest.raises(BadData, match=r"expected also tags or ner_tags"):
        read.read_labelled(save(place, {"tokens": TOKENS}))
    with pytest.raises(BadData, match=r"expected also tokens or text"):
        read.read_text(save(place, {"tags": TAGS}))
    with pytest.raises(BadData, match=r"expected also context and answers"):
        read.read_questions(save(place, {"id": ["1"], "question": ["?"]}))


def test_no_parquet_and_no_file(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.write_bytes(b"PAR1 and no more")
    for function in (read.read_labelled, read.read_text, read.read_questions):
        with pytest.raises(BadData, match=r"train\.parquet: found no readable Parquet"):
            function(str(place))
        with pytest.raises(BadInput):
            function(str(place) + ".parquet")


def test_text_is_cut_as_the_lines_of_a_text_file(place: Path) -> None:
    lines = ["Ann's in Oslo, #fun", "", "see https://x.org/a?b=1 now"]
    plain_file = place.with_suffix(".txt")
    uri = save(place, {"text": lines})
    plain_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found, expected = read.read_text(uri), read.read_text(str(plain_file))
    assert [(s.id, s.tokens, s.tags) for s in found.sentences] == [(s.id, s.tokens, None) for s in expected.sentences]
    assert (found.lines, found.blank_lines) == (expected.lines, 1)


def test_text_of_a_labelled_file_never_reads_its_tags(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    real = pq.ParquetFile.read

    def watched(self: Any, columns: list[str]) -> Any:
        asked.append(list(columns))
        return real(self, columns)

    monkeypatch.setattr(pq.ParquetFile, "read", watched)
    found = read.read_text(labelled(place, text=["not", "this", "one", "here"]))
    assert [s.tokens for s in found.sentences] == [TOKENS[0], TOKENS[2], TOKENS[3]]
    assert all(s.tags is None for s in found.sentences)
    assert asked == [["tokens"]]


def test_questions_are_those_of_the_json_file(place: Path) -> None:
    answers = [{"text": ["Ann", "An"], "answer_start": [0, 0]}, {"text": [], "answer_start": []},
               {"text": ["Bo stay"], "answer_start": [15]}]  # fmt: skip
    qas = [
        {"id": f"q{i}", "question": "who?", "answers": [
            {"text": text, "answer_start": start} for text, start in zip(*one.values(), strict=True)]}
        for i, one in enumerate(answers)
    ]  # fmt: skip
    text = json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]})
    place.parent.mkdir(parents=True)
    place.with_suffix(".json").write_text(text, encoding="utf-8")
    found = read.read_questions(questions(place, answers))
    expected = read.read_questions(str(place.with_suffix(".json")))
    assert found.examples == expected.examples
    for name in ("contexts", "answers", "merged", "widened", "unanswerable"):
        assert getattr(found, name) == getattr(expected, name), name
    assert (found.answers, found.merged, found.widened, found.unanswerable) == (2, 1, 2, 1)


@pytest.mark.parametrize(
    ("answer", "columns", "said"),
    [
        ({"text": ["Eve"], "answer_start": [0]}, {}, "question q1: found 'Ann' at 0"),
        ({"text": ["Ann", "Bo"], "answer_start": [0]}, {}, "the answer"),
        ({"text": ["Ann"], "answer_start": [0]}, {"context": [CONTEXT, " "]}, "no context in row 2"),
        ({"text": ["Ann"], "answer_start": [0]}, {"question": ["who?", ""]}, "no question text"),
        ({"text": ["Ann"], "answer_start": [0]}, {"id": ["q0", "q0"]}, "the id a second time"),
        ({"text": ["Ann"], "answer_start": [0]}, {"id": ["q0", ""]}, "no id in row 2"),
    ],
)
def test_wrong_questions_have_their_row(place: Path, answer: Any, columns: dict[str, Any], said: str) -> None:
    good = {"text": ["Bo"], "answer_start": [15]}
    (problem,) = read.scan_questions(questions(place, [good, answer], **columns)).problems.listed
    assert problem.line == 2
    assert said.rpartition("found ")[2] in problem.found


def test_check_counts_and_names_rows(place: Path) -> None:
    file = RoleFile("source_ner.train", "ner", "hub", "train", labelled(place), types=["PER"])
    report = run_check([file])
    (row,) = report.files
    assert (row.sentences, row.docstarts, row.entities) == (3, 1, {"PER": 2})
    (problem,) = report.problems
    assert (problem.line, problem.found) == (1, "type LOC (1 entities)")  # its row, and not the fourth line after it


def test_a_bucket_serves_them_too(place: Path, prefix: str) -> None:
    uri = storage.join(prefix, "ner/hub/train.parquet")
    storage.write_bytes(uri, Path(class_labels(place)).read_bytes())
    assert read.read_labelled(uri).sentences == read.read_labelled(str(place)).sentences


def test_nothing_is_left_on_disk(place: Path, tmp_path: Path) -> None:
    class_labels(place)
    before = sorted(tmp_path.rglob("*"))
    parquet.scan_labelled(str(place))
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_that_are_no_text_are_named(tmp_path: Path) -> None:
    offsets = pa.array([0, 3, 5, 7], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"Annb\xc9Bo")])
    pq.write_table(pa.table({"text": texts}), tmp_path / "train.parquet")
    file = read.scan_text(str(tmp_path / "train.parquet"))
    assert [sentence.tokens for sentence in file.sentences] == [["Ann"], ["Bo"]]
    assert [(one.line, one.found) for one in file.problems.all()] == [
        (2, "bytes that are no text (unexpected end of data)")
    ]


def test_damaged_parquet_is_a_problem_of_the_file_and_never_a_trace(tmp_path: Path) -> None:
    path = Path(save(tmp_path / "text/set/train.parquet", {"text": [f"Ann left Oslo {i}" for i in range(50)]}))
    whole, chance = path.read_bytes(), random.Random(3)
    told = 0
    for number in range(200):
        data = bytearray(whole)
        data[chance.randrange(len(data))] = chance.randrange(256)
        if number % 5 == 0:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        file = read.scan_text(str(path))
        assert file.problems.count or len(file.sentences) + file.blank_lines == 50
        told += bool(file.problems.count)
    assert told > 40

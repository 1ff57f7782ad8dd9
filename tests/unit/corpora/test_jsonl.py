"""JSON lines as a corpus: the sentences of a column file, and what is wrong, with its line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner.check.files import RoleFile, run_check
from tofner.corpora import conll, data_root, jsonl, plain, read
from tofner.tagging import JobSettings, tag_job

PERSON = {"start": 0, "end": 7, "label": "PER", "score": 0.9, "text": "Ann Lee"}
ANN = {"id": "x1", "text": "Ann Lee left Oslo.", "entities": [PERSON, {"start": 13, "end": 17, "type": "LOC"}]}
NOBODY = {"tokens": ["New York", "waits"], "entities": [{"start_token": 0, "end_token": 1, "label": "LOC"}]}
COLUMNS = b"Ann\tB-PER\nLee\tI-PER\nleft\tO\nOslo\tB-LOC\n.\tO\n\nNew York\tB-LOC\nwaits\tO\n"


def save(path: Path, *records: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz"])
def test_the_sentences_of_the_column_file(tmp_path: Path, name: str) -> None:
    uri = save(tmp_path / "ner" / "tweets" / name, ANN, "", NOBODY)
    assert data_root.locate(str(tmp_path), "ner", "tweets", "train") == uri
    assert data_root.locate(str(tmp_path), "text", "tweets", "train") == uri
    found = read.read_labelled(uri)
    expected = conll.parse(COLUMNS, "x").sentences
    assert [(s.tokens, s.tags) for s in found.sentences] == [(s.tokens, s.tags) for s in expected]
    assert [s.id for s in found.sentences] == ["tweets/train:x1", "tweets/train:3"]
    assert (found.lines, found.line_of(1, 1)) == ([1, 3], 3)
    words = read.read_text(uri)
    assert [(s.id, s.tokens, s.tags) for s in words.sentences] == [(s.id, s.tokens, None) for s in found.sentences]


def test_text_never_looks_at_entities(tmp_path: Path) -> None:
    broken = ANN | {"entities": [{"start": -1}, "nonsense"]}
    uri = save(tmp_path / "a.jsonl", broken, {"text": " "}, {"text": "ok"})
    found = read.read_text(uri)
    assert [s.tokens for s in found.sentences] == [["Ann", "Lee", "left", "Oslo", "."], ["ok"]]
    assert found.blank_lines == 1
    assert found.sentences[1].tokens == plain.parse(b"ok\n", "x").sentences[0].tokens


def test_what_the_tagger_writes_is_a_corpus(tmp_path: Path) -> None:
    texts = ["Merkel met Obama in Berlin.", "Ajax said 'no' to New York!", "", "the U.N. and 漢字🙂"]
    (tmp_path / "in.txt").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    settings = JobSettings(quiet=True, threads=1)
    tag_job(str(publish_tiny(tmp_path / "model")), str(tmp_path / "in.txt"), str(tmp_path / "out.jsonl"), settings)
    found = read.read_labelled(str(tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").split("\n") if line]
    assert sum(len(row["entities"]) for row in rows) > 3
    spans = [
        [text["text"][one["start"] : one["end"]].replace(" ", "") for one in text["entities"]]
        for text in rows
        if text["text"]
    ]
    joined = []
    for sentence in found.sentences:
        names: list[str] = []
        for token, tag in zip(sentence.tokens, sentence.tags or [], strict=True):
            if tag[0] == "B":
                names.append(token)
            elif tag[0] == "I":
                names[-1] += token
        joined.append(names)
    assert joined == spans
    assert (found.blank, found.widened) == (1, 0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"text": "Ann"}, "found no `entities`"),
        ({"text": "Ann Lee", "entities": [{"start": 0, "end": 7, "label": "A"}, {"start": 4, "end": 7, "label": "B"}]},
         "found B at 4:7, which overlaps another"),
        ({"text": "a b", "entities": [{"start": 1, "end": 2, "label": "A"}]}, "found A at 1:2, which has no word"),
        ({"text": "Ann", "entities": [{"start": 0, "end": 4, "label": "A"}]}, "found an entity at 0:4"),
        ({"text": "A\u0007", "entities": []}, "control character U+0007"),
        ({"id": "x1", "text": "A", "entities": []}, "found id x1 a second time"),
        ("{", "broken JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_line(tmp_path: Path, record: Any, message: str) -> None:
    uri = save(tmp_path / "ner" / "tweets" / "train.jsonl", ANN, "", record)
    report = run_check([RoleFile("source_ner.train", "ner", "tweets", "train", uri)])
    assert [(one.line, message in str(one)) for one in report.problems] == [(3, True)], report.problems


def test_widened_entities_are_noted(tmp_path: Path) -> None:
    cut = {"text": "Ann left Oslo.", "entities": [{"start": 9, "end": 12, "label": "LOC"}]}
    uri = save(tmp_path / "ner" / "tweets" / "train.jsonl", cut, {"text": "", "entities": []})
    report = run_check([RoleFile("source_ner.train", "ner", "tweets", "train", uri)])
    assert report.notes == [
        "source_ner.train tweets/train: 1 entities begin or end inside a word and were widened to whole words",
        "source_ner.train tweets/train: 1 records without a word skipped",
    ]
    assert read.read_labelled(uri).sentences[0].tags == ["O", "O", "B-LOC", "O"]


def test_no_sentence_is_a_problem(tmp_path: Path) -> None:
    file = jsonl.scan_labelled(save(tmp_path / "a.jsonl", {"text": " ", "entities": []}))
    assert [one.found for one in file.problems.listed] == ["no sentence"]

"""`tofner translate`: files word by word, with entities and answers where their words went."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tofner.cli import app
from tofner.corpora import conll, jsonl, squad
from tofner.corpora.translate import Counts
from tofner.errors import BadData, BadInput
from tofner.exchange.translation import WIDENED, translate_file

PAIRS = ["the el", "house casa", "white blanca", "lives vive", "in en", "where dónde", "does hace", "York Nueva-York"]
DICTIONARY = "".join(f"{line}\n" for line in [*PAIRS, "new york\tnueva york"])


@pytest.fixture
def words(tmp_path: Path) -> str:
    path = tmp_path / "en-es.txt"
    path.write_text(DICTIONARY, encoding="utf-8")
    return str(path)


def test_entities_move_with_their_words(words: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    text = "  Biden lives in\tThe White-House (the White House)."
    entities = [
        {"start": 2, "end": 7, "label": "PER", "score": 0.5},
        {"start": text.index("White House"), "end": text.index(")"), "label": "LOC"},
        {"start": text.index("the White"), "end": text.index(")") - 2, "label": "ORG"},  # ends inside a word
        {"start": 0, "end": 2, "label": "ORG"},  # has no word
    ]
    rows = [{"id": 7, "text": text, "entities": entities, "lang": "en"}, {"text": "The house"}]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    done = translate_file(str(source), str(target), words)
    first, second = (json.loads(line) for line in target.read_text(encoding="utf-8").splitlines())
    expected = "  Biden vive en\tEl White-House (el Blanca Casa)."
    assert (first["id"], first["lang"], first["text"]) == (7, "en", expected)
    found = [(one["start"], one["end"], one["label"], one["text"]) for one in first["entities"]]
    at = expected.index("el Blanca")
    assert found == [
        (2, 7, "PER", "Biden"),
        (at + 3, at + 14, "LOC", "Blanca Casa"),
        (at, at + 14, "ORG", "el Blanca Casa"),
    ]
    assert second == {"text": "El casa"}
    assert (done.texts, done.marked, done.questions) == (2, 3, None)
    assert done.counts == Counts(translated=8, unknown=2, marks=3)
    assert [line.split(" (")[0] for line in done.told.lines()] == [
        "1 entities began or ended inside a word or with white space, and were moved to whole words",
        "1 entities had no word in them and were left out",
        "1 entries of several words in the dictionary were left out",
    ]


def test_column_files_keep_words_and_tags(words: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.conll.gz", tmp_path / "out.conll.gz"
    lines = "The O\nWhite B-LOC\nHouse I-LOC\n\nin O\nYork B-LOC\n's O\n"
    source.write_bytes(gzip.compress(lines.encode()))
    translate_file(str(source), str(target), words)
    found = conll.read(str(target)).sentences
    assert [one.tokens for one in found] == [["El", "Blanca", "Casa"], ["en", "Nueva-York", "'s"]]
    assert [one.tags for one in found] == [["O", "B-LOC", "I-LOC"], ["O", "B-LOC", "O"]]


def test_words_that_are_cut_in_another_way_stay_so(words: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    row = {"text": "housein", "words": [[0, 5], [5, 7]], "entities": [{"start": 0, "end": 5, "label": "LOC"}]}
    source.write_text(json.dumps(row) + "\n", encoding="utf-8")
    translate_file(str(source), str(target), words)
    (found,) = jsonl.scan_labelled(str(target)).sentences
    assert (found.tokens, found.tags) == (["casa", "en"], ["B-LOC", "O"])


def test_plain_text_stays_a_line_a_text(words: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("The house.\n\nwhere?\n", encoding="utf-8")
    translate_file(str(source), str(target), words)
    assert target.read_text(encoding="utf-8") == "El casa.\ndónde?\n"


def asked(id_: str, question: str, context: str, *answers: tuple[int, str], **more: Any) -> dict[str, Any]:
    for start, text in answers:
        assert context[start : start + len(text)] == text
    return {"id": id_, "question": question, "answers": [{"answer_start": a, "text": t} for a, t in answers], **more}


def test_answers_of_questions_are_the_translations_of_their_words(words: str, tmp_path: Path) -> None:
    context = "Biden  lives in the\nWhite House, Washington."
    at = context.index("the")
    questions = [
        asked("a", "Where does he live?", context, (at, "the\nWhite House"), (at + 4, "White House")),
        asked("b", "In?", context, (at + 4, "White Hou"), is_impossible=False),
        asked("c", "Why?", context, plausible_answers=[{"answer_start": 0, "text": "Biden"}], is_impossible=True),
    ]
    source, target = tmp_path / "in.json", tmp_path / "out.json.gz"
    content = {"version": "2", "data": [{"title": "T", "paragraphs": [{"context": context, "qas": questions}]}]}
    source.write_text(json.dumps(content), encoding="utf-8")
    done = translate_file(str(source), str(target), words)
    made = json.loads(gzip.decompress(target.read_bytes()))
    expected = "Biden  vive en el\nBlanca Casa, Washington."
    (paragraph,) = made["data"][0]["paragraphs"]
    assert (made["version"], made["data"][0]["title"], paragraph["context"]) == ("2", "T", expected)
    new = expected.index("el\n")
    assert paragraph["qas"] == [
        asked("a", "Dónde hace he live?", expected, (new, "el\nBlanca Casa"), (new + 3, "Blanca Casa")),
        asked("b", "En?", expected, (new + 3, "Blanca Casa"), is_impossible=False),
        asked("c", "Why?", expected, is_impossible=True),
    ]
    before, after = squad.read(str(source)).examples, squad.read(str(target)).examples
    assert [(one.starts, one.ends) for one in after] == [(one.starts, one.ends) for one in before]
    assert (done.texts, done.questions, done.marked) == (1, 3, 3)
    assert done.told.lines() == [
        f"1 entries of several words in the dictionary were left out (first: {words}:9)",
        f"1 {WIDENED} (first: {source}, question b)",
        f"1 questions had plausible answers, which were left out (first: {source}, question c)",
    ]


def test_what_is_wrong_is_told_and_nothing_written(words: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.json", tmp_path / "out.json"
    paragraph = {
        "context": "Biden",
        "qas": [{"id": "a", "question": "?", "answers": [{"answer_start": 1, "text": "B"}]}],
    }
    source.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}), encoding="utf-8")
    with pytest.raises(BadData, match="question a: 'i' at 1"):
        translate_file(str(source), str(target), words)
    with pytest.raises(BadInput, match="the input itself"):
        translate_file(str(source), str(source), words)
    paragraph["qas"] = []
    source.write_text(
        '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "a", "question": "?", "answers": []}]}]}]}'
    )
    with pytest.raises(BadInput, match=r"the suffix '\.conll'; expected \.json or \.json\.gz"):
        translate_file(str(source), str(tmp_path / "out.conll"), words)
    assert not target.exists()


def test_the_command_says_what_became_of_the_words(words: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.conll", tmp_path / "out.conll"
    source.write_text("the O\nhouse O\n. O\nBiden B-PER\n", encoding="utf-8")
    Path(words).write_text("the the\n" + DICTIONARY, encoding="utf-8")
    command = ["translate", str(source), str(target), "--dictionary", words]
    for more, expected in (([], "the"), (["--choose", "other"], "el")):
        done = CliRunner().invoke(app, [*command, *more])
        assert done.exit_code == 0, done.output
        assert target.read_text(encoding="utf-8") == f"{expected}\tO\ncasa\tO\n.\tO\nBiden\tB-PER\n\n"
    assert done.output.splitlines() == [
        f"1 texts with 1 entities: 2 words translated, 1 unknown and kept, 1 without a letter: {target}",
        f"1 entries of several words in the dictionary were left out (first: {words}:10)",
    ]

"""The reader of MRC files."""

import json
from pathlib import Path
from typing import Any

import pytest

from tofner.corpora import squad
from tofner.errors import BadData

CONTEXT = "Ekeus flew to Baghdad. Iraq's minister met Ekeus there."


def question(id_: str, *answers: tuple[int, str], **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "question": "Who?",
        "answers": [{"answer_start": start, "text": text} for start, text in answers],
        **more,
    }


def file_of(*questions: Any, context: Any = CONTEXT) -> squad.SquadFile:
    content = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}]}
    return squad.parse(json.dumps(content, indent=1).encode(), "mrc/x/train.json")


def test_answers_become_word_spans() -> None:
    file = file_of(question("a", (14, "Baghdad")), question("b", (23, "Iraq's minister")))
    assert file.examples[0].tokens[:5] == ["Ekeus", "flew", "to", "Baghdad", "."]
    assert [(e.starts, e.ends) for e in file.examples] == [([3], [4]), ([5], [8])]
    assert (file.contexts, file.answers, file.widened, file.problems.count) == (1, 2, 0, 0)
    assert (file.examples[0].query, file.examples[0].ner_id, file.examples[0].type) == ("Who?", "", "")
    assert file.examples[0].tokens is file.examples[1].tokens  # one segmentation a context


def test_answers_inside_words_are_widened_and_counted() -> None:
    file = file_of(
        question("a", (1, "keus fl")), question("b", (14, "Baghdad.")), question("c", (13, " Baghdad ".rstrip()))
    )
    assert [(e.starts, e.ends) for e in file.examples] == [([0], [2]), ([3], [5]), ([3], [4])]
    assert file.widened == 1


def test_several_answers_stay_apart_and_equal_ones_merge() -> None:
    file = file_of(question("a", (43, "Ekeus"), (0, "Ekeus"), (0, "Ekeus"), (0, "Ekeus flew")))
    assert (file.examples[0].starts, file.examples[0].ends) == ([0, 0, 9], [1, 2, 10])
    assert (file.answers, file.merged) == (3, 1)


def test_unanswerable_questions() -> None:
    file = file_of(question("a", is_impossible=True), question("b"))
    assert [e.starts for e in file.examples] == [[], []]
    assert file.unanswerable == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (question("q7", (3, "Baghdad")), "question q7: found|question q7: 'us flew' at 3"),
        (question("q7", (3, "Baghdad")), "set answer_start to 14"),
        (question("q7", (3, "Ekeus")), "the text occurs elsewhere"),
        (question("q7", (999, "Ekeus")), "nothing at 999 of a context of 55 characters"),
        (question("q7", (-1, "Ekeus")), "nothing at -1"),
        (question("q7", (0, "Basra")), "the context does not hold this text"),
        (question("q7", (0, "")), "an answer with blank text"),
        (question("q7", (14, "Baghdad"), is_impossible=True), "is_impossible with answers"),
        ({"id": "q7", "question": " ", "answers": []}, "question q7: no question text"),
        ({"id": "q7", "question": "Who?"}, 'no list "answers"'),
        ({"id": "q7", "question": "Who?", "answers": [{"text": "Ekeus"}]}, "a text and an integer answer_start"),
        ({"id": "q7", "question": "Who?", "answers": ["Ekeus"]}, "a text and an integer answer_start"),
        ({"question": "Who?", "answers": []}, r"no id in data\[0\].paragraphs\[0\].qas\[0\]"),
        ("Who?", r"no id in data\[0\].paragraphs\[0\].qas\[0\]"),
    ],
)
def test_problems_of_questions(asked: Any, message: str) -> None:
    with pytest.raises(BadData, match=message) as error:
        file_of(asked).problems.raise_any()
    assert str(error.value).startswith("mrc/x/train.json")


def test_problems_name_the_line_and_do_not_stop_the_reader() -> None:
    file = file_of(question("a", (0, "Basra")), question("b", (0, "Ekeus")), question("b", (0, "Ekeus")))
    assert [e.id for e in file.examples] == ["b"]
    assert [(p.line, p.found.split(":")[0]) for p in file.problems.listed] == [(11, "question a"), (31, "question b")]


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b'{"data": [\n  {"paragraphs": [}\n]}', 2, "broken JSON: expecting value at column 19"),
        (b"", 1, "broken JSON: an empty file"),
        (b"[]", None, 'no list "data" in the file'),
        (b'{"data": [{}]}', None, r'no list "paragraphs" in data\[0\]'),
        (b'{"data": [{"paragraphs": [{"qas": []}]}]}', None, r"no context in data\[0\].paragraphs\[0\]"),
        (b'{"data": [{"paragraphs": [{"context": "a"}]}]}', None, r'no list "qas" in data\[0\].paragraphs\[0\]'),
        (b'{"data": []}', None, "no question"),
        (b'{"data":\n"\xe9"}', 2, "byte 0xe9 at column 2"),
        (b"[" * 100_000, None, "nested too deep"),
    ],
)
def test_broken_files(data: bytes, line: int | None, message: str) -> None:
    with pytest.raises(BadData, match=message) as error:
        squad.parse(data, "x.json").problems.raise_any()
    assert error.value.problems[0].line == line


def test_offsets_count_characters_beyond_the_basic_plane(tmp_path: Path) -> None:
    content = {"data": [{"paragraphs": [{"context": "😂😂 Jaz won 👍🏽", "qas": [question("a", (3, "Jaz"))]}]}]}
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    example = squad.read(str(path)).examples[0]
    assert example.tokens[example.starts[0] : example.ends[0]] == ["Jaz"]


HALF = "half a surrogate pair"


@pytest.mark.parametrize(
    ("asked", "context", "message"),
    [
        (question("a"), "Ann \ud83d left", f"{HALF} (U+D83D) at character 4 in the context in data[0].paragraphs[0]"),
        (
            question("a", question="Who \udc00?"),
            CONTEXT,
            f"question a: found {HALF} (U+DC00) at character 4 in its text",
        ),
        (question("a\ud800"), CONTEXT, f"{HALF} (U+D800) at character 1 in the id in data[0].paragraphs[0].qas[0]"),
        (question("a", (0, "\ud800")), CONTEXT, "expected the answer '\\ud800'"),
        (question("a", (0, "x"), answers=[{"text": "\ud800", "answer_start": None}]), CONTEXT, "the answer"),
    ],
)
def test_text_that_is_no_unicode_is_a_problem_that_can_be_printed(asked: Any, context: str, message: str) -> None:
    file = file_of(asked, context=context)
    said = "\n".join(map(str, file.problems.all()))
    assert message.replace("question a: found", "question a:") in said.replace("question a: found", "question a:")
    said.encode()
    assert file.examples == []


def test_numbers_of_thousands_of_digits_are_a_problem() -> None:
    file = squad.parse(b'{"data": [' + b"9" * 5000 + b"]}", "mrc/x/train.json")
    assert file.problems.count == 1
    assert "JSON that cannot be read" in str(file.problems.listed[0])

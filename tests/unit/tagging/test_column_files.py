"""Column files through a job: what becomes a word, what is passed on, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner.errors import BadData
from tofner.tagging import tag_job


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(publish_tiny(tmp_path_factory.mktemp("model")))


def run(model: str, path: Path, output: Path, **changes: Any) -> Any:
    return tag_job(model, str(path), str(output), threads=1, quiet=True, **changes)


def tokens(model: str, path: Path, **changes: Any) -> list[list[str]]:
    output = path.with_name("out.jsonl")
    run(model, path, output, **changes)
    return [json.loads(line)["tokens"] for line in output.read_text(encoding="utf-8").splitlines()]


def test_a_sentence_below_docstart_needs_no_blank_line(model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.conll"
    path.write_text(
        "-DOCSTART- -X- O O\nAngela NNP I-NP B-PER\nsaid VBD O O\n-DOCSTART- -X- O O\nOslo NNP I-NP B-LOC\n"
    )
    assert tokens(model, path) == [["Angela", "said"], ["Oslo"]]
    report = run(model, path, tmp_path / "out")
    lines = (tmp_path / "out/in.conll").read_text().split("\n")
    assert [line.split(" ")[0] for line in lines] == [
        "-DOCSTART-", "Angela", "said", "", "-DOCSTART-", "Oslo", "", ""
    ]  # fmt: skip
    assert all(len(line.split(" ")) == 5 for line in lines if line)
    assert (report.counts.records, report.counts.words, report.counts.passed_on) == (2, 3, 0)


def test_docstart_lines_at_any_cut(model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.conll"
    path.write_text("a O\n-DOCSTART- O\nb O\nb O\n\n-DOCSTART- O\n\n\u00a0\nc O\n-DOCSTART- O\nd O\n", encoding="utf-8")
    for size in range(3, 40, 3):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "in.conll").write_bytes(path.read_bytes())
        assert tokens(model, folder / "in.conll", shard_bytes=size) == [["a"], ["b", "b"], ["c"], ["d"]], size


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", " \u2003 ", "\x1c"])
def test_any_white_space_is_a_blank_line(model: str, tmp_path: Path, blank: str) -> None:
    path = tmp_path / "in.conll"
    path.write_text(f"Merkel\tO\nmet\tO\n{blank}\nObama\tO\n", encoding="utf-8")
    assert tokens(model, path) == [["Merkel", "met"], ["Obama"]]


def test_a_word_without_its_line_break_stays_whole_in_the_output(model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.conll"
    path.write_text("10\u00a0000 NN\nNew\u00a0York\nx\u00a0\n", encoding="utf-8")
    assert tokens(model, path) == [["10\u00a0000", "New\u00a0York", "x\u00a0"]]
    run(model, path, tmp_path / "out")
    rows = (tmp_path / "out/in.conll").read_text(encoding="utf-8").split("\n")
    assert rows[0].startswith("10\u00a0000 NN ")
    assert rows[1].startswith("New\u00a0York\t")
    assert rows[2].startswith("x\u00a0\t")


def test_comments_are_passed_on_and_counted(model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.conll"
    path.write_text("# id 12 domain=en\nAngela _ _ B-PER\n# O\n\n# id 13 domain=en\n\n")
    assert tokens(model, path) == [["Angela", "#"]]
    report = run(model, path, tmp_path / "out")
    lines = (tmp_path / "out/in.conll").read_text().split("\n")
    assert [lines[0], lines[4]] == ["# id 12 domain=en", "# id 13 domain=en"]
    assert (report.counts.comments, report.counts.passed_on) == (2, 1)
    told = json.loads((tmp_path / "out/_tofner/statistics.json").read_text())
    assert told["comments"] == 2


@pytest.mark.parametrize("groups", [1, 8192])
def test_running_numbers_are_refused_with_the_file(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: int
) -> None:
    monkeypatch.setattr("tofner.tagging.formats.read.GROUP_RECORDS", groups)
    path = tmp_path / "in.conll"
    path.write_text("1\tAngela\tB-PER\n2\tMerkel\tI-PER\n\n1\tOslo\tB-LOC\n")
    with pytest.raises(BadData, match=r"in\.conll: found running numbers as first column.*cut -f 2,3"):
        run(model, path, tmp_path / "out")


@pytest.mark.parametrize("text", ["1\n2\n", "1 O\n2 O\n", "1 CD\n2 CD\n\nOslo NNP\n"])
def test_other_numbers_are_words(model: str, tmp_path: Path, text: str) -> None:
    path = tmp_path / "in.conll"
    path.write_text(text)
    assert tokens(model, path)[0] == ["1", "2"]

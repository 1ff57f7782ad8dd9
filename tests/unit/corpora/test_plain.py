"""The reader of unlabelled text."""

import gzip
from pathlib import Path

import pytest

from tofner.corpora import plain
from tofner.errors import BadData


def test_a_sentence_a_line_cut_into_words(tmp_path: Path) -> None:
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress("\ufeffIraq's envoy met Ekeus.\r\n\r\n  \nok 😂\n".encode()))
    file = plain.read(str(path))
    assert [s.tokens for s in file.sentences] == [["Iraq", "'s", "envoy", "met", "Ekeus", "."], ["ok", "😂"]]
    assert all(s.tags is None for s in file.sentences)
    assert (file.lines, file.blank_lines) == ([1, 4], 2)
    assert file.sentences[1].id.endswith("train:4")


def test_column_files_give_their_words_alone(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("Ekeus\tB-PER\nmet\tno tag at all\n", encoding="utf-8")
    assert [(s.tokens, s.tags) for s in plain.read(str(path)).sentences] == [(["Ekeus", "met"], None)]


def test_bytes_that_are_not_utf8_are_placed() -> None:
    file = plain.parse(b"fine\nse\xf1or\n", "x.txt")
    assert [(p.line, p.found) for p in file.problems.listed] == [(2, "byte 0xf1 at column 3 of the line")]
    assert plain.parse(b"se\xf1or\n", "x.txt", "latin-1").sentences[0].tokens == ["señor"]
    assert plain.parse(b"se\xf1or\n", "x.txt", "auto").encoding == "latin-1"


def test_control_characters() -> None:
    file = plain.parse("a\tb\x0cc\nd\x07e\nf\x85g\x96\n".encode(), "x.txt")
    assert file.sentences[0].tokens == ["a", "b", "c"]
    assert [(p.line, p.found) for p in file.problems.listed] == [(2, "control character U+0007")]
    assert file.c1_controls == 1


@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_empty(data: bytes) -> None:
    with pytest.raises(BadData, match="no sentence"):
        plain.parse(data, "x.txt").problems.raise_any()

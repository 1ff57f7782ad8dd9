"""The reader and writer of column files."""

import gzip
from pathlib import Path

import pytest

from tofner.corpora import conll
from tofner.corpora.examples import Sentence
from tofner.errors import BadData, BadInput

FOUR = b"""-DOCSTART- -X- O O

U.N. NNP I-NP I-ORG
official NN I-NP O
Ekeus NNP I-NP I-PER

Iraq NNP I-NP I-LOC
Iraq NNP I-NP B-LOC
. . O O


"""


def parse(data: bytes, raw: bool = False, labels: bool = True) -> conll.ConllFile:
    return conll.parse(data, "root/ner/some-set/train.conll", raw=raw, labels=labels)


def found(data: bytes) -> list[tuple[int | None, str]]:
    """Line and finding of each problem."""
    return [(problem.line, problem.found) for problem in parse(data).problems.listed]


def test_four_columns_in_iob1_become_bio2_without_repairs() -> None:
    file = parse(FOUR)
    assert [s.tokens for s in file.sentences] == [["U.N.", "official", "Ekeus"], ["Iraq", "Iraq", "."]]
    assert [s.tags for s in file.sentences] == [["B-ORG", "O", "B-PER"], ["B-LOC", "B-LOC", "O"]]
    assert (file.scheme, file.columns, file.docstarts, file.repaired_tags) == ("IOB1", 4, 1, 0)
    assert file.lines == [3, 7]
    assert [s.id for s in file.sentences] == ["some-set/train:3", "some-set/train:7"]


@pytest.mark.parametrize(
    "data",
    [
        b"Ekeus\tB-PER\nmet\tO\n\nIraq\tB-LOC\n",  # no blank line at the end
        b"Ekeus B-PER\nmet O\n\n\n \nIraq B-LOC\n\n\n",
        b"\xef\xbb\xbfEkeus\tB-PER\r\nmet\tO\r\n\r\nIraq\tB-LOC\r\n",
        b"Ekeus  NNP   B-PER  \nmet  VBD   O\n\nIraq  NNP   B-LOC\n",
        b"Ekeus\tS-PER\nmet\tO\n\nIraq\tS-LOC\n",
        b"Ekeus a b c I-PER\nmet a b c O\n\nIraq a b c I-LOC\n",  # German CoNLL-2003 has five columns
    ],
    ids=["tabs", "spaces", "bom-crlf", "wide", "bioes", "five"],
)
def test_layouts_read_alike(data: bytes) -> None:
    file = parse(data)
    assert not file.problems.count
    assert [s.tokens for s in file.sentences] == [["Ekeus", "met"], ["Iraq"]]
    assert [s.tags for s in file.sentences] == [["B-PER", "O"], ["B-LOC"]]


def test_orphans_are_repaired_counted_and_placed() -> None:
    file = parse(b"a\tB-PER\nb\tI-PER\n\nc\tO\nd\tI-LOC\n")
    assert file.scheme == "BIO2"
    assert file.sentences[1].tags == ["O", "B-LOC"]
    assert file.repairs == [(4, 1)]


def test_raw_leaves_the_tags_as_they_are() -> None:
    assert parse(b"a\tB-PER\n\nd\tI-LOC\n", raw=True).sentences[1].tags == ["I-LOC"]


def test_without_labels_the_tag_column_is_never_looked_at() -> None:
    file = parse(b"a\tB-PER\nb\tnonsense\n", labels=False)
    assert not file.problems.count
    assert file.sentences == [Sentence("some-set/train:1", ["a", "b"])]
    assert parse(b"a\nb\n", labels=False).sentences[0].tokens == ["a", "b"]


def test_encodings(tmp_path: Path) -> None:
    text = "Señor\tO\nPérez\tB-PER\n"
    latin = parse(text.encode("latin-1"))
    assert (latin.encoding, latin.sentences[0].tokens) == ("latin-1", ["Señor", "Pérez"])
    assert parse(text.encode()).encoding == "utf-8"
    strict = conll.parse(text.encode("latin-1"), "x.conll", "utf-8")
    assert [(p.line, p.found) for p in strict.problems.listed] == [
        (1, "byte 0xf1 at column 3 of the line"),
        (2, "byte 0xe9 at column 2 of the line"),
    ]
    path = tmp_path / "train.conll.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert conll.read(str(path)).sentences[0].tokens == ["Señor", "Pérez"]


def test_odd_characters_that_are_not_white_space_stay_in_the_token() -> None:
    file = parse("\u200b\tO\na\u2028b\tO\nc\u00a0d\tB-PER\ne\x85\tO\n".encode())
    assert not file.problems.count
    assert file.sentences[0].tokens == ["\u200b", "a\u2028b", "c\u00a0d", "e\x85"]
    assert (file.spaced, file.c1_controls) == (1, 1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\tO\nb\n", [(2, "1 columns in 'b'")]),
        (b"a x O\nb O\n", [(2, "2 columns in 'b O'")]),
        (b"a 1 2 3 4 O\n", [(1, "6 columns in 'a 1 2 3 4 O'")]),
        (b"a\tO\nb\tPER\n", [(2, "tag 'PER'")]),
        (b"a\tO\nb\tB-\nc\tX-PER\n", [(2, "tag 'B-'"), (3, "tag 'X-PER'")]),
        (b"a\tO\n\tO\n", [(2, "an empty token")]),
        (b"a\x00b\tO\n", [(1, "control character U+0000 in 'a\\x00b'")]),
        (b"a\tO\rb\tO\n", [(1, "a carriage return inside the line")]),
        (b"caf\xe9\tO\n\x93hi\tO\n", [(2, "control character U+0093 in '\\x93hi'")]),
        ("a\tO\n".encode("utf-16"), [(1, "UTF-16")]),
        (b"", [(None, "no sentence")]),
        (b"\n\n-DOCSTART- -X- O O\n\n", [(None, "no sentence")]),
    ],
)
def test_problems_name_the_line(data: bytes, expected: list[tuple[int | None, str]]) -> None:
    assert found(data) == expected


def test_all_problems_are_counted_and_the_first_ones_listed() -> None:
    file = parse(b"a\tO\n" + b"b\n" * 80)
    assert file.problems.count == 80
    assert len(file.problems.listed) == 50
    with pytest.raises(BadData, match="30 more problems of this file") as error:
        file.problems.raise_any()
    assert "train.conll:2: found 1 columns in 'b'; expected 2 to 5 columns" in str(error.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.conll.gz", gzip.compress(b"a\tO\n" * 500, mtime=0)[:-20], "a broken gzip file"),
        ("b.conll.gz", b"a\tO\n", "bytes that begin 61 09 4f 0a; expected gzip"),
        ("c.conll.gz", b"", "an empty file"),
        ("d.conll", b"", "no sentence"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadData, match=message) as error:
        conll.read(str(path))
    assert name in str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nowhere"):
        conll.read(str(tmp_path / "nowhere.conll"))


def test_written_text_reads_back() -> None:
    sentences = [Sentence("some/x:1", ["a b", "c"], ["B-PER", "O"]), Sentence("some/x:4", ["d"], ["B-LOC"])]
    back = conll.parse(conll.to_text(sentences).encode(), "some/x.conll").sentences
    assert back == sentences


@pytest.mark.parametrize(
    "sentence", [Sentence("1", ["a\tb"], ["O"]), Sentence("1", [" "], ["O"]), Sentence("1", ["a"])]
)
def test_what_cannot_stand_in_a_column_is_refused(sentence: Sentence) -> None:
    with pytest.raises(ValueError, match="sentence 1"):
        conll.to_text([sentence])

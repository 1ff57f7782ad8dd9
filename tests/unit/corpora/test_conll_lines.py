"""What a line of a column file is, and files whose first column holds no words."""

from pathlib import Path

import pytest

from tofner.check.files import RoleFile, run_check
from tofner.corpora import conll, plain
from tofner.corpora.evaluate import evaluate_files
from tofner.errors import BadData

CONLL_U = """# sent_id = 1
# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\t_\t_\t5\tcase\t_\t_
4\tel\tel\tDET\t_\t_\t5\tdet\t_\t_
5\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\t_
"""


@pytest.mark.parametrize(
    ("line", "kind", "cells"),
    [
        ("", "blank", []),
        (" \t ", "blank", []),
        ("\u00a0", "blank", []),
        ("\u3000 \u2003", "blank", []),
        ("-DOCSTART-", "docstart", []),
        ("-DOCSTART- -X- O O", "docstart", []),
        ("-DOCSTART-\tO", "docstart", []),
        ("-DOCSTART-s O", "word", ["-DOCSTART-s", "O"]),
        ("# id 12 domain=en", "comment", []),
        ("# id 5239d808-f300\tdomain=en", "comment", []),
        ("# text = Angela Merkel", "comment", []),
        ("# newdoc", "comment", []),
        ("#begin document (bc/cctv/00); part 000", "comment", []),
        ("#end document", "comment", []),
        ("#", "word", ["#"]),
        ("# O", "word", ["#", "O"]),
        ("#\tO", "word", ["#", "O"]),
        ("# # I-NP B-ORG", "word", ["#", "#", "I-NP", "B-ORG"]),
        ("# #", "word", ["#", "#"]),
        ("# SYM", "word", ["#", "SYM"]),
        ("# _ _ _", "word", ["#", "_", "_", "_"]),
        ("# 1\tO", "word", ["# 1", "O"]),
        ("#fun O", "word", ["#fun", "O"]),
        ("New York\tNNP\tB-LOC", "word", ["New York", "NNP", "B-LOC"]),
        ("10\u00a0000 O", "word", ["10\u00a0000", "O"]),
        ("  Oslo   NNP  B-LOC  ", "word", ["Oslo", "NNP", "B-LOC"]),
        ("\tO", "word", ["", "O"]),
    ],
)
def test_kinds_of_lines(line: str, kind: str, cells: list[str]) -> None:
    assert conll.read_line(line) == (kind, cells)


def test_comments_are_no_words_and_do_not_end_a_sentence() -> None:
    text = "# id 1 domain=en\nAngela _ _ B-PER\n# a remark here\nMerkel _ _ I-PER\n\n# id 2 domain=en\n# _ _ O\n"
    for labels in (True, False):
        file = conll.parse(text.encode(), "x/train.conll", labels=labels)
        assert [sentence.tokens for sentence in file.sentences] == [["Angela", "Merkel"], ["#"]]
        assert (file.comments, file.problems.count, file.lines) == (3, 0, [2, 7])
        assert [file.line_of(0, 0), file.line_of(0, 1), file.line_of(1, 0)] == [2, 4, 7]


def test_comments_are_counted_in_target_text_and_by_check(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("# id 1 domain=en\nAngela _ _ B-PER\nMerkel _ _ I-PER\n")
    assert plain.read(str(path)).comments == 1
    for kind in ("ner", "text"):
        report = run_check([RoleFile("role", kind, "set", "train", str(path))])
        assert report.files[0].comments == 1
        assert "role set/train: 1 comment lines skipped" in report.notes


def test_an_unknown_type_is_placed_behind_comments(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("Angela _ B-PER\n# a remark here\nOslo _ B-CITY\n")
    report = run_check([RoleFile("role", "ner", "set", "train", str(path), types=("PER",))])
    assert [problem.line for problem in report.problems] == [3]


def test_a_difference_behind_comments_is_placed(tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text("# id 1 domain=en\nTom B-PER\n# a remark here\nran O\n")
    (tmp_path / "pred.conll").write_text("Tom B-PER\nwalked O\n")
    with pytest.raises(BadData, match=r"pred.conll:2: found 'walked'; expected 'ran', as on line 4 of"):
        evaluate_files(str(tmp_path / "gold.conll"), str(tmp_path / "pred.conll"))


@pytest.mark.parametrize("text", ["1\tAngela\tB-PER\n2\tMerkel\tI-PER\n\n1\tOslo\tB-LOC\n", "0 a O\n1 b O\n", CONLL_U])
def test_running_numbers_are_refused_in_one_problem(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.conll"
    path.write_text(text)
    first = 3 if text is CONLL_U else 1
    for labels in (True, False):
        (problem,) = conll.scan(str(path), labels=labels).problems.listed
        assert (problem.found, problem.line) == ("running numbers as first column", first)
        assert "cut -f 2,3" in problem.fix
    with pytest.raises(BadData, match="running numbers"):
        evaluate_files(str(path), str(path))


@pytest.mark.parametrize(
    "text", ["1 x O\n2 x O\n\n3 x O\n", "1 x O\n3 x O\n", "1 x O\n", "1 O\n2 O\n", "2 x O\n3 x O\n"]
)
def test_other_numbers_are_words(text: str) -> None:
    assert not conll.parse(text.encode(), "x.conll").problems.count

"""Strict scores against hand-counted cases and against spans."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tofner.corpora.evaluate import evaluate_files
from tofner.errors import BadData
from tofner.words.scores import confusion, error_examples, score_tags
from tofner.words.spans import tags_to_spans

GOLD = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"]]


def test_hand_counted() -> None:
    found = score_tags(GOLD, [["B-PER", "I-PER", "O", "B-ORG"], ["B-LOC", "B-ORG"]])
    assert found["micro"] == {
        "precision": 0.5,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(4 / 7),
        "support": 3,
    }
    assert found["types"]["PER"]["f1"] == 1.0
    assert found["types"]["LOC"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert found["spans"]["recall"] == 1.0
    assert found["spans"]["precision"] == 0.75
    assert found["macro"]["f1"] == pytest.approx((1 + 0 + 2 / 3) / 3)


def test_strict_counts_an_orphan_as_no_entity() -> None:
    found = score_tags([["B-PER", "O"]], [["I-PER", "O"]])
    assert found["micro"]["f1"] == 0.0
    assert found["invalid_tags"] == 1
    assert found["spans"]["f1"] == 0.0


def test_an_orphan_does_not_melt_into_the_entity_before_it_when_types_are_ignored() -> None:
    found = score_tags([["B-PER", "O"]], [["B-PER", "I-LOC"]])
    assert found["spans"]["f1"] == 1.0


def test_nothing_anywhere_is_zero_not_an_error() -> None:
    assert score_tags([["O"]], [["O"]])["micro"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_orphans_alone_are_no_entities_and_no_error() -> None:
    """seqeval's averages over no type at all would be NaN, with a warning."""
    found = score_tags([["O", "O"]], [["I-PER", "I-PER"]])
    assert found["micro"] == found["macro"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert (found["types"], found["invalid_tags"]) == ({}, 1)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        score_tags([["O"]], [["O", "O"]])


@st.composite
def valid_tags(draw: st.DrawFn, length: int) -> list[str]:
    tags: list[str] = []
    for _ in range(length):
        choices = ["O", "B-PER", "B-LOC"]
        if tags and tags[-1] != "O":
            choices.append(f"I-{tags[-1][2:]}")
        tags.append(draw(st.sampled_from(choices)))
    return tags


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(valid_tags(n), valid_tags(n))))
def test_micro_scores_are_those_of_sets_of_spans(pair: tuple[list[str], list[str]]) -> None:
    gold, predicted = (set(tags_to_spans(tags)) for tags in pair)
    right = len(gold & predicted)
    found = score_tags([pair[0]], [pair[1]])
    assert found["micro"]["precision"] == pytest.approx(right / len(predicted) if predicted else 0.0)
    assert found["micro"]["recall"] == pytest.approx(right / len(gold) if gold else 0.0)
    untyped = [{span[:2] for span in side} for side in (gold, predicted)]
    assert found["spans"]["recall"] == pytest.approx(len(untyped[0] & untyped[1]) / len(gold) if gold else 0.0)
    matrix = confusion([pair[0]], [pair[1]], ["PER", "LOC"])["matrix"]
    assert sum(map(sum, matrix[:-1])) == len(gold)
    assert sum(row[i] for i in range(2) for row in matrix) == len(predicted)
    assert matrix[0][0] + matrix[1][1] == right


def test_error_examples_skip_right_sentences() -> None:
    examples = error_examples([["a"], ["b"]], [["B-PER"], ["O"]], [["B-PER"], ["B-LOC"]], limit=5)
    assert examples == [{"tokens": ["b"], "gold": [], "predicted": [[0, 1, "LOC"]]}]


def test_files_with_other_tokens_name_both_lines(tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text("Oslo B-LOC\n\nTom B-PER\nran O\n")
    (tmp_path / "pred.conll").write_text("Oslo B-LOC\n\nTom B-PER\nwalked O\n")
    with pytest.raises(BadData) as error:
        evaluate_files(str(tmp_path / "gold.conll"), str(tmp_path / "pred.conll"))
    assert "pred.conll:4" in str(error.value)
    assert "'walked'" in str(error.value)
    assert "line 4 of" in str(error.value)


def test_files_with_missing_sentences(tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text("Oslo B-LOC\n\nTom B-PER\n")
    (tmp_path / "pred.conll").write_text("Oslo B-LOC\n")
    with pytest.raises(BadData, match="found 1 sentences; expected 2"):
        evaluate_files(str(tmp_path / "gold.conll"), str(tmp_path / "pred.conll"))


def test_files_keep_invalid_tags_for_strict_scoring(tmp_path: Path) -> None:
    (tmp_path / "gold.conll").write_text("New B-LOC\nYork I-LOC\n\nOslo B-LOC\n")
    (tmp_path / "pred.conll").write_text("New I-LOC\nYork I-LOC\n\nOslo B-LOC\n")
    found = evaluate_files(str(tmp_path / "gold.conll"), str(tmp_path / "pred.conll"))
    assert (found["micro"]["recall"], found["micro"]["precision"]) == (0.5, 1.0)
    assert found["invalid_tags"] == 1
    assert (found["scheme"]["predicted"], found["repaired_tags"]["predicted"]) == ("BIO2", 0)


SCHEMES = {
    "IOB1": ["I-PER", "I-PER", "B-PER", "O", "I-LOC-"],
    "BIO2": ["B-PER", "I-PER", "B-PER", "O", "B-LOC-"],
    "BIOES": ["B-PER", "E-PER", "S-PER", "O", "S-LOC-"],
    "BILOU": ["B-PER", "L-PER", "U-PER", "O", "U-LOC-"],
}


@pytest.mark.parametrize("gold", SCHEMES)
@pytest.mark.parametrize("predicted", SCHEMES)
def test_files_in_any_two_schemes_are_compared(tmp_path: Path, gold: str, predicted: str) -> None:
    for name, scheme in (("gold", gold), ("pred", predicted)):
        (tmp_path / name).write_text("".join(f"w{i} {tag}\n" for i, tag in enumerate(SCHEMES[scheme])))
    found = evaluate_files(str(tmp_path / "gold"), str(tmp_path / "pred"))
    assert found["scheme"] == {"gold": gold, "predicted": predicted}
    assert found["repaired_tags"] == {"gold": 0, "predicted": 0}
    assert (found["micro"]["f1"], found["micro"]["support"]) == (1.0, 3)
    assert {name: row["support"] for name, row in found["types"].items()} == {"PER": 2, "LOC-": 1}
    assert found["confusion"] == {"labels": ["LOC-", "PER", "none"], "matrix": [[1, 0, 0], [0, 2, 0], [0, 0, 0]]}


def test_mended_tags_of_another_scheme_are_told(tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("a S-PER\nb O\n")
    (tmp_path / "pred").write_text("a B-PER\nb S-PER\n")
    found = evaluate_files(str(tmp_path / "gold"), str(tmp_path / "pred"))
    assert found["repaired_tags"] == {"gold": 0, "predicted": 1}
    assert (found["micro"]["precision"], found["micro"]["recall"]) == (0.5, 1.0)


def test_types_keep_their_names_whatever_they_are() -> None:
    """Dashes at an end, rows of seqeval's table, and the name that stands for no entity in a confusion."""
    types = ["-", "LOC", "LOC-", "macro avg", "micro avg", "none", "weighted avg"]
    gold = [[f"B-{type_}" for type_ in types]]
    predicted = [[*gold[0][:2], "B-LOC", *gold[0][3:5], "O", gold[0][6]]]
    found = score_tags(gold, predicted)
    assert list(found["types"]) == types
    assert [row["support"] for row in found["types"].values()] == [1] * 7
    assert [row["recall"] for row in found["types"].values()] == [1, 1, 0, 1, 1, 0, 1]
    assert found["micro"]["support"] == 7
    assert found["micro"]["precision"] == pytest.approx(5 / 6)
    assert found["macro"]["recall"] == pytest.approx(5 / 7)
    matrix = confusion(gold, predicted, types)["matrix"]
    assert (matrix[5][5], matrix[5][7]) == (0, 1)  # an entity of type `none` that was missed
    assert (matrix[2][1], matrix[2][2]) == (1, 0)

"""Whether the method helped, in numbers and in words."""

from typing import Any

import numpy as np
import pytest

from tofner.stages.effect import effect, in_words
from tofner.stages.pages.lines import measure
from tofner.stages.report import helped
from tofner.training.progress import in_words as epoch_in_words
from tofner.words.scores import score_tags
from tofner.words.spans import Span, spans_to_tags

WORDS = 12


def tagged(spans: list[Span]) -> list[str]:
    return spans_to_tags(spans, WORDS)


def sides(seed: int, keep: float, wrong_type: float) -> tuple[list[list[str]], list[list[str]]]:
    """Gold, and a tagger that finds a share of it, some with another type."""
    random = np.random.default_rng(seed)
    gold, found = [], []
    for _ in range(150):
        spans = [Span(start, start + 2, str(random.choice(["PER", "LOC"]))) for start in (0, 4, 8)]
        kept = [one for one in spans if random.random() < keep]
        changed = [Span(s, e, "ORG") if random.random() < wrong_type else Span(s, e, t) for s, e, t in kept]
        gold.append(tagged(spans))
        found.append(tagged(changed))
    return gold, found


def test_scores_are_those_of_seqeval_with_and_without_types() -> None:
    gold, last = sides(1, 0.9, 0.5)
    first = [tags if number % 3 else ["O"] * WORDS for number, tags in enumerate(last)]
    told = effect(gold, [first], [last], 7)
    assert told is not None
    for name, key in (("exact", "micro"), ("spans", "spans")):
        assert told[name]["candidate"] == pytest.approx(score_tags(gold, last)[key]["f1"])
        assert told[name]["champion"] == pytest.approx(score_tags(gold, first)[key]["f1"])
    assert told["spans"]["candidate"] > told["exact"]["candidate"] + 0.1
    assert 0 < told["exact"]["low"] < told["exact"]["difference"] < told["exact"]["high"]


def test_rows_that_do_not_belong_together_say_nothing() -> None:
    assert effect([], [[]], [[]], 1) is None
    assert effect([["O"]], [], [], 1) is None
    assert effect([["O"]], [[["O"]]], [[["O", "O"]]], 1) is None
    assert effect([["O"]], [[["O"]], [["O"]]], [[["O"]], [["O"], ["O"]]], 1) is None


def test_several_seeds_are_means_of_theirs() -> None:
    gold, last = sides(1, 0.9, 0.5)
    lasts = [last, sides(1, 0.7, 0.1)[1]]
    firsts = [[tags if number % 3 else ["O"] * WORDS for number, tags in enumerate(rows)] for rows in lasts]
    told = effect(gold, firsts, lasts, 7)
    assert told is not None
    for name, key in (("exact", "micro"), ("spans", "spans")):
        for side, rows in (("candidate", lasts), ("champion", firsts)):
            scores = [score_tags(gold, one)[key]["f1"] for one in rows]
            assert told[name][side] == pytest.approx(sum(scores) / 2)
    assert "50.00 to 52.00" in in_words({name: comparison(0.001, 0.04) for name in told}, "a", "b", 2)
    said = in_words({name: comparison(-0.01, 0.04) for name in told}, "a", "b", 2)
    assert "100 sentences and 2 seeds can show" in said
    assert "means of 2 seeds, with 95 % intervals by a paired bootstrap over sentences and seeds" in said


def comparison(low: float, high: float) -> dict[str, Any]:
    one = {"candidate": 0.52, "champion": 0.5, "difference": 0.02, "low": low, "high": high, "worse": 0.0}
    return {**one, "sentences": 100, "entities": 50, "samples": 1000}


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.04, "The method helped: ner 1 against ner, F1 50.00 to 52.00, +2.00 (+0.10 to +4.00) with the right"),
        (-0.04, -0.001, "The method did harm: "),
        (-0.01, 0.04, "The method made no difference that 100 sentences can show: "),
    ],
)
def test_the_interval_decides_on_the_words(low: float, high: float, said: str) -> None:
    told = {"exact": comparison(low, high), "spans": comparison(0.01, 0.02)}
    shown = in_words(told, "ner", "ner 1")
    assert shown.startswith(said)
    assert "(+1.00 to +2.00) whatever the type" in shown
    rows = [{"name": name, "f1": f1} for name, f1 in (("mlm", None), ("ner", 0.5), ("ner 1", 0.52))]
    assert helped(told, rows, {"metrics": {"f1": 0.52}}) == shown


def test_without_gold_it_says_what_to_do() -> None:
    said = helped(None, [], {"metrics": {}})
    assert "not measured" in said
    assert "roles.target_test" in said
    assert "one tagger alone" in helped(None, [], {"metrics": {"f1": 0.5}})


def test_a_loss_is_shown_as_a_loss() -> None:
    assert measure("mlm", [[1.0, -2.5]]) == ("loss on held-out text", [[1.0, 2.5]])
    assert measure("ner", [[1.0, 0.5]]) == ("F1 on held-out sentences", [[1.0, 0.5]])
    assert "-" not in epoch_in_words({"score": -2.5, "loss": 2.5, "perplexity": 12.2}).replace("held-out", "")

"""What the gate decides, and what it says: by cases whose answer is known by hand."""

import dataclasses
import json
import math
import random
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from tofner.release.gate import Gate, Labelled, Unlabelled, Verdict, decide, interval
from tofner.release.page import to_markdown
from tofner.words.agreement import agreement
from tofner.words.bootstrap import Comparison
from tofner.words.scores import score_tags

Rows = list[list[str]]
GOLD: Rows = [["B-PER", "O", "B-LOC"]] * 200


def found(right: int, of: Rows = GOLD, seed: int = 1) -> Rows:
    """The gold tags in `right` of the sentences, drawn by seed, and nothing in the others."""
    chosen = set(random.Random(seed).sample(range(len(of)), right))
    return [tags if i in chosen else ["O"] * len(tags) for i, tags in enumerate(of)]


def labelled(
    candidate: int | Rows,
    champion: int | Rows | None,
    name: str = "news/dev",
    role: Literal["source", "target"] = "source",
    gold: Rows = GOLD,
) -> Labelled:
    ours, theirs = (found(side, gold) if isinstance(side, int) else side for side in (candidate, champion))
    assert ours is not None
    return Labelled(name, role, gold, ours, theirs)


def text(candidate: Rows, champion: Rows, name: str = "posts/train") -> Unlabelled:
    return Unlabelled(name, candidate, champion)


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, float):
        yield value


def test_equal_taggers_pass_as_not_worse_and_fail_as_better() -> None:
    same = labelled(150, 150)
    verdict = decide(Gate(), "v1", [same])
    assert verdict.promote
    assert verdict.reason == "not worse by more than 0.50 F1 points than v1 on news/dev, confidence 95 %"
    (row,) = verdict.sets
    assert row.score is not None
    assert (row.decides, row.said, row.score.difference, row.score.low, row.score.high) == (True, "", 0, 0, 0)
    assert row.candidate == score_tags(same.gold, same.candidate)["micro"]["f1"]
    better = decide(Gate(promote="better"), "v1", [same])
    assert (better.promote, better.reason) == (False, "not shown to be better: news/dev +0.00 (+0.00 to +0.00)")


def test_a_clear_winner_passes_and_a_clear_loser_does_not() -> None:
    for promote in ("not-worse", "better"):
        gate = Gate(promote=promote)
        assert decide(gate, "v1", [labelled(180, 120)]).promote
        lost = decide(gate, "v1", [labelled(120, 180)])
        assert not lost.promote
        assert re.fullmatch(r"news/dev: worse by more than 0\.50 F1 points: -\S+ \(-\S+ to -\S+\)", lost.reason)
    assert decide(Gate(promote="better"), "v1", [labelled(180, 120)]).reason.startswith("better than v1 on news/dev")


def test_what_may_be_worse_is_held_back_though_it_looks_better() -> None:
    """A small gain among many differences: the burden of proof is the candidate's."""
    candidate, champion = found(130, seed=1), found(128, seed=2)
    verdict = decide(Gate(), "v1", [labelled(candidate, champion)])
    (row,) = verdict.sets
    assert row.score is not None
    assert row.score.difference > 0 > row.score.low
    assert not verdict.promote
    assert "may be worse by more than 0.50 F1 points" in verdict.reason
    wide = Gate(margin=-100 * row.score.low + 0.01)
    assert decide(wide, "v1", [labelled(candidate, champion)]).promote
    assert not decide(Gate(margin=-100 * row.score.low - 0.01), "v1", [labelled(candidate, champion)]).promote


def test_confidence_samples_and_seed_reach_the_bootstrap() -> None:
    one = [labelled(found(130, seed=1), found(128, seed=2))]
    low = {}
    for gate, seed in ((Gate(), 0), (Gate(confidence=0.99), 0), (Gate(samples=200), 0), (Gate(), 1)):
        (row,) = decide(gate, "v1", one, seed=seed).sets
        assert row.score is not None
        low[gate.confidence, gate.samples, seed] = row.score.low
        assert row.score.samples == gate.samples
    assert len(set(low.values())) == 4
    assert low[0.99, 1000, 0] < low[0.95, 1000, 0]
    (row,) = decide(Gate(margin=2), "v1", one).sets
    (less,) = decide(Gate(margin=4), "v1", one).sets
    assert row.score is not None
    assert less.score is not None
    assert row.score.worse > less.score.worse > 0


def test_labelled_target_sets_decide_and_the_source_is_shown() -> None:
    lost = labelled(100, 190)
    won = labelled(180, 120, "posts/dev", "target")
    verdict = decide(Gate(), "v1", [lost, won])
    assert verdict.promote
    assert "on posts/dev," in verdict.reason
    assert [(row.name, row.decides) for row in verdict.sets] == [("news/dev", False), ("posts/dev", True)]
    other_way = decide(Gate(), "v1", [labelled(190, 100), labelled(120, 180, "posts/dev", "target")])
    assert not other_way.promote
    assert other_way.reason.startswith("posts/dev: worse")


def test_every_target_set_must_hold_and_one_must_be_better() -> None:
    same, won = labelled(150, 150, "a/dev", "target"), labelled(180, 120, "b/dev", "target")
    lost = labelled(120, 180, "c/dev", "target")
    assert decide(Gate(promote="better"), "v1", [same, won]).promote
    assert not decide(Gate(promote="better"), "v1", [same, same]).promote
    held = decide(Gate(promote="better"), "v1", [won, lost])
    assert not held.promote
    assert held.reason.startswith("c/dev: worse")
    # what is only shown proves nothing
    assert not decide(Gate(promote="better"), "v1", [same, labelled(180, 120)]).promote


@pytest.mark.parametrize("promote", ["not-worse", "better", "always"])
def test_the_first_model_has_nothing_to_compare_with(promote: Any) -> None:
    one = labelled(150, None)
    verdict = decide(Gate(promote=promote), None, [one])
    assert verdict.promote
    assert "no model to compare with yet" in verdict.reason
    (row,) = verdict.sets
    assert (row.candidate, row.score) == (score_tags(one.gold, one.candidate)["micro"]["f1"], None)
    assert decide(Gate(promote=promote), None, []).promote
    (row,) = decide(Gate(), None, [labelled([["O"]], None)]).sets
    assert (row.candidate, row.said) == (None, "gold and found tags are not equally long")


def test_always_and_never_decide_alone_and_say_what_the_comparison_says() -> None:
    for sets in ([labelled(120, 180)], [labelled(180, 120)], []):
        said = decide(Gate(), "v1", sets)
        always, never = (decide(Gate(promote=rule), "v1", sets) for rule in ("always", "never"))
        assert (always.promote, never.promote) == (True, False)
        assert said.reason in always.reason
        assert said.reason in never.reason
        assert always.sets == never.sets == said.sets
        assert (always.rule, never.rule) == ("always", "never")
    assert not decide(Gate(promote="never"), None, []).promote
    assert decide(Gate(promote="never"), None, []).reason.endswith("set to promote never")


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ([], "no labelled set to compare on: text without labels cannot promote"),
        (
            [labelled(99, 99, gold=GOLD[:99])],
            "news/dev: too small to decide: 99 sentences with 198 entities, 100 with 50",
        ),
        (
            [labelled(1, 1, gold=[*GOLD[:24], *[["O"]] * 200])],
            "news/dev: too small to decide: 224 sentences with 48 entities, 100 with 50",
        ),
        ([labelled(GOLD[1:], 150)], "news/dev: cannot be compared: gold 200 sentences, 600 words, candidate 199"),
        ([labelled([*GOLD[1:], ["O"]], 150)], "candidate 200 sentences, 598 words, champion 200 sentences, 600 words"),
        ([labelled(150, GOLD[1:])], "champion 199 sentences"),
        ([labelled(150, None)], "champion 0 sentences"),
        ([labelled([], [], gold=[])], "gold 0 sentences, 0 words"),
        # one that is only shown must fit too, but may be small
        ([labelled(GOLD[1:], 150), labelled(150, 150, "p/dev", "target")], "news/dev: cannot be compared"),
        ([labelled(150, 150), labelled(9, 9, "p/dev", "target", GOLD[:9])], "p/dev: too small to decide: 9 sentences"),
    ],
)
def test_without_enough_data_nothing_is_promoted_unless_always(sets: list[Labelled], said: str) -> None:
    for promote in ("not-worse", "better"):
        verdict = decide(Gate(promote=promote), "v1", sets)
        assert not verdict.promote
        assert said in verdict.reason
    always = decide(Gate(promote="always"), "v1", sets)
    assert always.promote
    assert said in always.reason


def test_sizes_that_just_suffice() -> None:
    assert decide(Gate(), "v1", [labelled(100, 100, gold=GOLD[:100])]).promote
    assert decide(Gate(), "v1", [labelled(25, 25, gold=[*GOLD[:25], *[["O"]] * 75])]).promote
    assert decide(Gate(min_sentences=99), "v1", [labelled(99, 99, gold=GOLD[:99])]).promote
    small = labelled(9, 9, gold=GOLD[:9])
    assert decide(Gate(), "v1", [small, labelled(150, 150, "p/dev", "target")]).promote


POSTS: Rows = [["B-PER", "I-PER", "O", "O"]] * 30 + [["O", "B-LOC", "O", "O"]] * 20 + [["B-ORG", "O"]] * 19


def without(*types: str, of: Rows = POSTS) -> Rows:
    return [["O" if tag.partition("-")[2] in types else tag for tag in tags] for tags in of]


def test_a_type_that_vanished_from_the_target_text_holds_back() -> None:
    good = [labelled(150, 150)]
    assert decide(Gate(), "v1", good, [text(POSTS, POSTS)]).promote
    lost = decide(Gate(), "v1", good, [text(without("LOC"), POSTS)])
    assert not lost.promote
    assert lost.reason == "posts/train: LOC has vanished, the champion finds it 20 times"
    assert lost.text[0].vanished == ["LOC"]
    # 19 are too few to tell, and one find is enough
    assert decide(Gate(), "v1", good, [text(without("ORG"), POSTS)]).promote
    assert not decide(Gate(vanished=19), "v1", good, [text(without("ORG"), POSTS)]).promote
    assert decide(Gate(), "v1", good, [text([*without("LOC")[:-1], ["B-LOC", "O"]], POSTS)]).promote
    # nor does it matter what only the candidate finds
    assert decide(Gate(), "v1", good, [text(POSTS, without("LOC"))]).promote
    both = decide(Gate(), "v1", good, [text(POSTS, POSTS), text(without("PER", "LOC"), POSTS, "more/train")])
    assert both.reason.count("has vanished") == 2
    assert decide(Gate(promote="always"), "v1", good, [text(without("LOC"), POSTS)]).promote


def test_a_tagger_that_finds_nothing_is_held_back_though_no_type_was_frequent() -> None:
    few = [["B-PER", "O"]] * 10 + [["B-LOC", "O"]] * 10
    nothing = [["O", "O"]] * 20
    lost = decide(Gate(), "v1", [labelled(150, 150)], [text(nothing, few)])
    assert not lost.promote
    assert lost.text[0].vanished == ["LOC", "PER"]
    assert decide(Gate(), "v1", [labelled(150, 150)], [text(nothing[1:], few[1:])]).promote


@pytest.mark.parametrize(
    ("ours", "theirs"), [(POSTS[1:], POSTS), ([*POSTS[:-1], ["O"]], POSTS), ([], []), ([[]], [[]])]
)
def test_texts_that_do_not_fit_hold_back(ours: Rows, theirs: Rows) -> None:
    verdict = decide(Gate(), "v1", [labelled(150, 150)], [text(ours, theirs)])
    assert not verdict.promote
    assert verdict.reason == "posts/train: cannot be compared, no words or not the same ones"


def test_agreement_by_hand() -> None:
    """The champion has four entities, the candidate three, two are the same; an orphan begins one, as in tagging."""
    champion = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG", "B-LOC"]]
    candidate = [["B-PER", "I-PER", "O", "B-ORG"], ["O", "O", "I-LOC"]]
    seen = agreement(candidate, champion)
    assert (seen.sentences, seen.words, seen.share) == (2, 7, 4 / 7)
    assert seen.candidate == {"LOC": 1, "ORG": 1, "PER": 1}
    assert seen.champion == {"LOC": 2, "ORG": 1, "PER": 1}
    assert agreement(champion, candidate).share == seen.share
    assert agreement([["O"]], [["O"]]).share == 1
    assert agreement([["O"]], [["B-PER"]]).share == 0
    with pytest.raises(ValueError, match="equally long"):
        agreement([["O"]], [["O", "O"]])


def a_verdict() -> Verdict:
    sets = [labelled(150, 150), labelled(180, 120, "posts*/dev", "target")]
    return decide(Gate(), "v1", sets, [text(without("ORG"), POSTS)])


def test_a_verdict_is_json_with_finite_numbers() -> None:
    for verdict in (a_verdict(), decide(Gate(), None, [labelled(150, None)]), decide(Gate(), "v1", [])):
        value = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
        assert all(math.isfinite(number) for number in numbers(value))
        assert list(value) == [field.name for field in dataclasses.fields(Verdict)]
    value = a_verdict().to_json()
    assert value["sets"][1]["score"]["difference"] > 0
    assert value["text"][0]["found"]["champion"] == {"LOC": 20, "ORG": 19, "PER": 30}


def test_a_verdict_for_people() -> None:
    lines = to_markdown(a_verdict()).splitlines()
    assert lines[0] == (
        "**Promoted**: not worse by more than 0.50 F1 points than v1 on posts&#42;/dev, confidence 95 %."
    )
    assert lines[2] == "- news/dev (source): F1 85.71, champion 85.71: +0.00 (+0.00 to +0.00)"
    assert re.fullmatch(
        r"- posts&#42;/dev \(target, decides\): F1 94\.74, champion 75\.00: \+19\.74 \(\+\S+ to \+\S+\)", lines[3]
    )
    assert lines[4] == (
        "- posts/train, 238 words: 84.0 % agreement; entities in 1,000 words (champion's): "
        "LOC 84.0 (84.0), ORG 0.0 (79.8), PER 126.1 (126.1)"
    )
    assert len(lines) == 5


def test_differences_are_told_in_points_and_nothing_has_no_minus() -> None:
    score = Comparison(0.52, 0.5, 0.02, -0.00001, 0.04123, 0.1, 100, 50, 1000)
    assert interval(score) == "+2.00 (+0.00 to +4.12)"


def test_what_could_not_be_compared_is_told_to_people() -> None:
    shown = to_markdown(decide(Gate(), "v1", [labelled(GOLD[1:], 150)], [text([], [])]))
    assert shown.startswith("**Held back**: news/dev: cannot be compared: gold 200 sentences")
    assert "- news/dev (source, decides): cannot be compared: gold 200 sentences" in shown
    assert shown.endswith("- posts/train: cannot be compared\n")
    alone = to_markdown(decide(Gate(), None, [labelled(150, None)]))
    assert alone.splitlines()[2:] == ["- news/dev (source): F1 85.71"]
    assert to_markdown(decide(Gate(), "v1", [])).count("\n") == 1
    nothing = decide(Gate(), "v1", [labelled(150, 150)], [text([["O"]], [["O"]])])
    assert to_markdown(nothing).splitlines()[-1] == "- posts/train, 1 words: 100.0 % agreement"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"margins": 1}, "Extra inputs"),
        ({"promote": "sometimes"}, "'not-worse', 'better', 'always' or 'never'"),
        ({"margin": -0.1}, "greater than or equal to 0"),
        ({"margin": float("inf")}, "finite"),
        ({"confidence": 1.0}, "less than 1"),
        ({"confidence": 0.5}, "greater than 0.5"),
        ({"samples": 199}, "199 samples are too few for confidence 0.95: 200 or more"),
        ({"samples": 1000, "confidence": 0.999}, "10000 or more"),
        ({"min_sentences": 0}, "greater than 0"),
        ({"vanished": 0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        Gate(**settings)
    assert Gate(samples=200).samples == 200


def test_a_set_that_cannot_be_compared_has_no_score_but_the_others_do() -> None:
    verdict = decide(Gate(), "v1", [labelled(GOLD[1:], 150), labelled(150, 150, "b/dev")])
    assert [row.score is None for row in verdict.sets] == [True, False]
    assert [row.candidate is None for row in verdict.sets] == [True, False]

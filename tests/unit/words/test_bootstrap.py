"""The paired bootstrap against a plain formula, seqeval, exact probabilities and cases whose answer is known."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tofner.words import bootstrap
from tofner.words.bootstrap import compare, compare_seeds, count_entities
from tofner.words.scores import score_tags

TAGS = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
Rows = list[list[str]]


def draw_rows(seed: int, sentences: int, rights: tuple[float, float] = (0.8, 0.7)) -> tuple[Rows, Rows, Rows]:
    """Gold and two taggers' tags; a tagger copies a word's tag or draws one, so that they are right in part."""
    draw = random.Random(seed)
    gold = [[draw.choice(TAGS) for _ in range(draw.randint(1, 8))] for _ in range(sentences)]

    def tagger(right: float) -> Rows:
        return [[tag if draw.random() < right else draw.choice(TAGS) for tag in tags] for tags in gold]

    return gold, tagger(rights[0]), tagger(rights[1])


@st.composite
def three(draw: st.DrawFn) -> tuple[Rows, Rows, Rows]:
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=5))
    tags = st.sampled_from([*TAGS, "B-a-b", "I-a-b"])
    rows = [[draw(st.lists(tags, min_size=n, max_size=n)) for n in lengths] for _ in range(3)]
    return rows[0], rows[1], rows[2]


@settings(deadline=None)
@given(three())
def test_f1_is_that_of_seqeval_in_strict_mode(rows: tuple[Rows, Rows, Rows]) -> None:
    gold, candidate, champion = rows
    found = compare(gold, candidate, champion, samples=2)
    assert found.candidate == pytest.approx(score_tags(gold, candidate)["micro"]["f1"], abs=1e-12)
    assert found.champion == pytest.approx(score_tags(gold, champion)["micro"]["f1"], abs=1e-12)
    assert found.difference == found.candidate - found.champion
    assert (found.sentences, found.entities) == (len(gold), score_tags(gold, gold)["micro"]["support"])


def test_the_f1_of_a_known_case() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"]]
    candidate = [["B-PER", "I-PER", "O", "B-ORG"], ["B-LOC", "B-ORG"]]  # two of four, of three
    champion = [["B-PER", "O", "O", "I-LOC"], ["O", "B-ORG"]]  # one of two: the end is wrong, the orphan is none
    found = compare(gold, candidate, champion, samples=1)
    assert (found.candidate, found.champion, found.entities) == (4 / 7, 2 / 5, 3)
    assert count_entities(gold, candidate, champion).tolist() == [[1, 2, 0, 1, 2], [1, 2, 1, 1, 1]]


def plain(rows: tuple[Rows, Rows, Rows], margin: float, beyond: int, samples: int, seed: int) -> tuple[float, ...]:
    """The same draws, each resample scored by seqeval: low, high and the share that is worse."""
    sentences = len(rows[0])
    drawn = np.random.default_rng(seed).integers(0, sentences, (samples, sentences))
    differences = []
    for places in drawn:
        gold, candidate, champion = ([side[i] for i in places] for side in rows)
        differences.append(score_tags(gold, candidate)["micro"]["f1"] - score_tags(gold, champion)["micro"]["f1"])
    worse = sum(difference < -margin for difference in differences) / samples
    differences.sort()
    return differences[beyond], differences[-1 - beyond], worse


@pytest.mark.parametrize(("seed", "together"), [(0, 2_000_000), (1, 200), (2, 1)])
def test_it_is_what_a_plain_loop_over_seqeval_gives(seed: int, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many resamples are drawn at a time."""
    monkeypatch.setattr(bootstrap, "DRAWN_TOGETHER", together)
    rows = draw_rows(seed, 30)
    found = compare(*rows, margin=0.02, confidence=0.9, samples=60, seed=seed)
    low, high, worse = plain(rows, 0.02, 6, 60, seed)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert found.worse == worse
    assert found.low < found.difference < found.high


def f1_of(gold: Rows, rows: Rows) -> float:
    return float(score_tags(gold, rows)["micro"]["f1"])


def test_seeds_are_drawn_beside_the_sentences_and_f1_is_their_mean() -> None:
    """The same draws, each seed of each resample scored by seqeval."""
    gold, *_ = draw_rows(5, 25)

    def found_by(right: float, number: int) -> Rows:
        draw = random.Random(number)
        return [[tag if draw.random() < right else draw.choice(TAGS) for tag in tags] for tags in gold]

    sides = [[found_by(right, number) for number in range(3)] for right in (0.9, 0.6)]
    found = compare_seeds(gold, *sides, confidence=0.9, margin=0.01, samples=50, seed=3)
    numbers = np.random.default_rng(3)
    sentences, seeds = numbers.integers(0, 25, (50, 25)), numbers.integers(0, 3, (50, 3))
    differences = []
    for places, drawn in zip(sentences, seeds, strict=True):
        told = [gold[i] for i in places]
        ours, theirs = ([f1_of(told, [side[s][i] for i in places]) for s in drawn] for side in sides)
        differences.append(sum(ours) / 3 - sum(theirs) / 3)
    differences.sort()
    assert (found.low, found.high) == (pytest.approx(differences[5]), pytest.approx(differences[-6]))
    assert found.worse == sum(one < -0.01 for one in differences) / 50
    for mean, side in ((found.candidate, sides[0]), (found.champion, sides[1])):
        assert mean == pytest.approx(sum(f1_of(gold, one) for one in side) / 3)
    assert (found.sentences, found.entities) == (25, score_tags(gold, gold)["micro"]["support"])


def test_an_interval_over_seeds_knows_how_far_they_lie_apart() -> None:
    """Two seeds that differ by chance in nothing else: one wins by all, the other loses by all."""
    gold, nothing = [["B-PER"]] * 50, [["O"]] * 50
    found = compare_seeds(gold, [gold, nothing], [nothing, gold])
    assert (found.difference, found.low, found.high) == (0, -1, 1)
    assert found.worse == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 1000) ** 0.5)  # the second seed, drawn twice


def test_shares_are_those_of_all_resamples() -> None:
    """Three sentences have 27 resamples; the share that is worse is known exactly, and many draws come near it."""
    gold, right, wrong = [["B-PER"]] * 3, [["B-PER"]] * 3, [["O"]] * 3
    candidate, champion = [right[0], wrong[1], right[2]], [wrong[0], right[1], wrong[2]]

    def f1(rows: Rows, places: tuple[int, ...]) -> float:
        return float(score_tags([gold[i] for i in places], [rows[i] for i in places])["micro"]["f1"])

    every = [f1(candidate, places) - f1(champion, places) for places in itertools.product(range(3), repeat=3)]
    exact = sum(difference < -0.5 for difference in every) / 27  # only those of the middle sentence alone: 1 / 27
    found = compare(gold, candidate, champion, margin=0.5, samples=20_000)
    assert exact == pytest.approx(1 / 27)
    assert found.worse == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 20_000) ** 0.5)


def test_two_that_are_equal_differ_by_nothing() -> None:
    gold, candidate, _ = draw_rows(3, 50)
    found = compare(gold, candidate, candidate)
    assert (found.difference, found.low, found.high, found.worse) == (0, 0, 0, 0)


def test_a_clear_winner_is_one_in_every_resample() -> None:
    gold = [["B-PER", "O"]] * 200
    found = compare(gold, gold, [["O", "O"]] * 200, margin=0.5)
    assert (found.candidate, found.champion) == (1, 0)
    assert (found.low, found.high, found.worse) == (1, 1, 0)
    assert compare(gold, [["O", "O"]] * 200, gold, margin=0.5).worse == 1


@pytest.mark.parametrize("samples", [100, 101, 1000])
def test_swapped_it_is_its_own_mirror(samples: int) -> None:
    gold, candidate, champion = draw_rows(4, 40)
    ours, theirs = (compare(gold, *two, samples=samples) for two in ((candidate, champion), (champion, candidate)))
    assert (ours.difference, ours.low, ours.high) == (-theirs.difference, -theirs.high, -theirs.low)
    assert (ours.candidate, ours.champion) == (theirs.champion, theirs.candidate)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_no_more_resamples_lie_beyond_an_end_than_the_confidence_allows(confidence: float) -> None:
    """And with the end itself there are more."""
    gold, candidate, champion = draw_rows(8, 100, (0.8, 0.8))
    found = compare(gold, candidate, champion, confidence=confidence)
    assert found.low < 0 < found.high
    for ours, theirs, end in ((candidate, champion, -found.low), (champion, candidate, found.high)):
        beyond = compare(gold, ours, theirs, margin=end).worse
        with_it = compare(gold, ours, theirs, margin=end - 1e-6).worse
        assert beyond <= 1 - confidence + 1e-9 < with_it


@pytest.mark.parametrize("right", [19, 20])
def test_a_loss_of_just_the_margin_is_not_beyond_it(right: int) -> None:
    """0.9 - 0.95 is -0.04999999999999993 and 0.95 - 1 is -0.050000000000000044: both are a loss of 0.05."""
    gold = [["B-PER"] * 20]
    champion, candidate = ([["B-PER"] * n + ["B-LOC"] * (20 - n)] for n in (right, right - 1))
    assert compare(gold, candidate, champion, margin=0.05).worse == 0
    assert compare(gold, candidate, champion, margin=0.0499).worse == 1


def test_equal_seeds_give_equal_results_and_others_do_not() -> None:
    rows = draw_rows(6, 100)
    assert compare(*rows, seed=1) == compare(*rows, seed=1)
    assert compare(*rows, seed=1) != compare(*rows, seed=2)


def test_nothing_to_find_is_no_difference() -> None:
    found = compare([["O"]], [["O"]], [["O"]])
    assert (found.candidate, found.champion, found.low, found.high, found.entities) == (0, 0, 0, 0, 0)
    assert compare([[]], [[]], [[]]).difference == 0


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        (([], [], []), {}),
        (([["O"]], [["O"]], [["O", "O"]]), {}),
        (([["O"]], [["O"], ["O"]], [["O"]]), {}),
        (([["O"]], [["O"]], [["O"]]), {"samples": 0}),
        (([["O"]], [["O"]], [["O"]]), {"confidence": 1.0}),
        (([["O"]], [["O"]], [["O"]]), {"confidence": 0.5}),
        (([["O"]], [["O"]], [["O"]]), {"margin": -0.1}),
        (([["O"]], [["O"]], [["O"]]), {"margin": float("nan")}),
    ],
)
def test_what_cannot_be_compared_is_refused(rows: tuple[Rows, Rows, Rows], more: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        compare(*rows, **more)  # type: ignore[arg-type]


def test_seeds_without_a_counterpart_are_refused() -> None:
    with pytest.raises(ValueError):
        compare_seeds([["O"]], [[["O"]]], [[["O"]], [["O"]]])
    with pytest.raises(ValueError):
        compare_seeds([["O"]], [], [])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Two taggers that are right on a sentence with 0.8 and 0.7, by chance: 300 sets of 100 sentences.

    Each low end is to lie below the true difference in 95 % of the sets; four standard errors are allowed.
    """
    draw = np.random.default_rng(7)
    true = 2 * 0.8 / 1.8 - 2 * 0.7 / 1.7
    below = 0
    for trial in range(300):
        ours, theirs = draw.random(100) < 0.8, draw.random(100) < 0.7
        gold = [["B-PER"]] * 100
        rows = ([["B-PER"] if right else ["O"] for right in side] for side in (ours, theirs))
        below += compare(gold, *rows, samples=400, seed=trial).low <= true
    assert below / 300 == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 300) ** 0.5)

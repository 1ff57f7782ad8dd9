"""Class priors by EM: against loops over the formulas, and on synthetic data whose priors are known."""

import math

import numpy as np
import pytest

from tofner.words.priors import bias, estimate, label_shares, shares

MEANS = np.array([[0.0, 0.0], [2.0, 0.5], [0.5, 2.0]])  # of three classes, unit variance
SOURCE = np.array([0.4, 0.3, 0.3])
TARGET = np.array([0.85, 0.05, 0.1])


def drawn(priors: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the three classes, and which class each is of."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(3, size, p=priors)
    return MEANS[classes] + rng.normal(size=(size, 2)), classes


def posteriors(points: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """By Bayes' rule, which is what a well trained classifier says."""
    joint = np.exp(-0.5 * ((points[:, None, :] - MEANS) ** 2).sum(-1)) * priors
    return joint / joint.sum(1, keepdims=True)  # type: ignore[no-any-return]


def by_loops(rows: list[list[float]], source: list[float], rounds: int) -> list[float]:
    """Saerens et al. (2002), word for word, with one more item of each class."""
    target = list(source)
    for _ in range(rounds):
        sums = [1.0] * len(source)
        for row in rows:
            weighted = [p * target[k] / source[k] for k, p in enumerate(row)]
            for k, value in enumerate(weighted):
                sums[k] += value / math.fsum(weighted)
        target = [value / (len(rows) + len(source)) for value in sums]
    return target


def test_the_estimate_is_that_of_the_formulas() -> None:
    points, _ = drawn(TARGET, 300, 1)
    said = posteriors(points, SOURCE)
    found = estimate(said, SOURCE)
    assert 10 < found.rounds < 1000
    np.testing.assert_allclose(found.target, by_loops(said.tolist(), SOURCE.tolist(), found.rounds), rtol=1e-9)
    np.testing.assert_allclose(found.target, by_loops(said.tolist(), SOURCE.tolist(), 400), atol=1e-5)


def test_the_true_priors_are_found_without_a_label() -> None:
    points, classes = drawn(TARGET, 20_000, 2)
    said = posteriors(points, SOURCE)
    found = estimate(said, SOURCE).target
    np.testing.assert_allclose(found, TARGET, atol=0.01)
    assert found.sum() == pytest.approx(1)
    corrected = np.log(said) + bias(SOURCE, found)
    best = (posteriors(points, TARGET).argmax(1) == classes).mean()
    assert (said.argmax(1) == classes).mean() < best - 0.05
    assert (corrected.argmax(1) == classes).mean() == pytest.approx(best, abs=0.003)


def test_a_bias_corrects_as_bayes_rule_does() -> None:
    points, _ = drawn(TARGET, 50, 3)
    logits = np.log(posteriors(points, SOURCE)) + 7.0 + bias(SOURCE, TARGET)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(softmax, posteriors(points, TARGET), rtol=1e-9)


def test_text_like_the_source_keeps_its_priors() -> None:
    points, _ = drawn(SOURCE, 20_000, 4)
    assert np.abs(bias(SOURCE, estimate(posteriors(points, SOURCE), SOURCE).target)).max() < 0.05


def test_a_class_that_nobody_sees_has_a_prior_all_the_same() -> None:
    np.testing.assert_allclose(shares(np.array([7, 0, 1])), [8 / 11, 1 / 11, 2 / 11])
    said = np.tile([0.999999, 0.000001], (100, 1))
    found = estimate(said, np.array([0.5, 0.5]))
    assert 0 < found.target[1] < 0.02
    assert np.isfinite(bias(np.array([0.5, 0.5]), found.target)).all()


def test_labels_are_counted_word_by_word() -> None:
    found = label_shares([["O", "B-PER", "O"], [], ["O"]], ["O", "B-PER", "I-PER"])
    np.testing.assert_allclose(found, [4 / 7, 2 / 7, 1 / 7])

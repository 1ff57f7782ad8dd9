"""Class priors of unlabelled text by EM, and the correction that follows from them.

A classifier that was trained where classes have the priors p_s expects them everywhere. Where they are p_t, its
posterior should be p_s(y|x) p_t(y) / p_s(y), normalised, and p_t itself can be found without a label (Saerens, Latinne
and Decaestecker, 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities). In logits the correction
adds log(p_t / p_s), so it is a bias of the output layer.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

MOST_ROUNDS = 1000
SETTLED = 1e-7  # largest change of a prior from one round to the next


class Estimate(NamedTuple):
    """`target` float64 [classes] sums to 1; `rounds` of EM that it took."""

    target: np.ndarray
    rounds: int


def shares(counts: np.ndarray) -> np.ndarray:
    """Relative frequencies, float64 [classes]. One is added to each count, so that none is 0 (Laplace)."""
    smoothed = np.asarray(counts, np.float64) + 1
    return smoothed / smoothed.sum()  # type: ignore[no-any-return]


def label_shares(tags: Iterable[Sequence[str]], labels: Sequence[str]) -> np.ndarray:
    """`shares` of each label among the words."""
    places = {label: i for i, label in enumerate(labels)}
    counts = np.zeros(len(labels))
    for row in tags:
        np.add.at(counts, [places[tag] for tag in row], 1)
    return shares(counts)


def estimate(posteriors: np.ndarray, source: np.ndarray) -> Estimate:
    """Priors of the text that `posteriors` are of, by EM from the source's.

    Each round corrects every posterior by the priors found so far (E) and takes the mean of them, with one more item of
    each class, as the next priors (M).

    Args:
        posteriors: of each item under the source priors, [items, classes], rows summing to 1.
        source: priors of the data that the classifier was trained on, [classes], all above 0.
    """
    target = np.asarray(source, np.float64)
    rounds, moved = 0, np.inf
    while moved >= SETTLED and rounds < MOST_ROUNDS:
        corrected = posteriors * (target / source)
        corrected /= corrected.sum(axis=1, keepdims=True)
        before, target = target, shares(corrected.sum(axis=0))
        rounds, moved = rounds + 1, np.abs(target - before).max()
    return Estimate(target, rounds)


def bias(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """What the correction adds to the logits, float64 [classes]."""
    return np.log(target / source)  # type: ignore[no-any-return]

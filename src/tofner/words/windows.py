"""Windows over a sentence or document that is longer than the encoder takes.

Nothing is ever cut off: a long input becomes several overlapping windows, and each word belongs to the one window in
which it stands most central. Training, pseudo-labelling, evaluation and tagging share this plan.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """Words `start` to `end` (exclusive) are read together; `own_start` to `own_end` are labelled here."""

    start: int
    end: int
    own_start: int
    own_end: int


def plan_windows(piece_counts: Sequence[int] | np.ndarray, budget: int, overlap: int) -> list[Window]:
    """Windows of at most `budget` pieces, neighbours sharing about `overlap` pieces.

    Args:
        piece_counts: pieces of each word, each from 1 to `budget`. Shape [words].
        budget: pieces a window may hold, special tokens not counted.
        overlap: pieces that two neighbours may share, at most half of `budget`.

    Returns:
        Windows in order. Every word lies in at least one, and is owned by exactly one; the owned ranges are adjacent.
        No words, no windows.

    Raises:
        ValueError: a word is longer than the budget, or the overlap is out of range.

    >>> plan_windows([1, 1, 1, 1, 1, 1], budget=4, overlap=2)
    [Window(start=0, end=4, own_start=0, own_end=3), Window(start=2, end=6, own_start=3, own_end=6)]
    """
    counts = np.asarray(piece_counts, dtype=np.int64)
    if not 0 <= overlap <= budget // 2:
        raise ValueError(f"overlap {overlap} must lie between 0 and half of the budget {budget}")
    if counts.size and not 1 <= counts.min() <= counts.max() <= budget:
        raise ValueError(f"words of {counts.min()} to {counts.max()} pieces do not fit a budget of {budget}")
    words = counts.size
    if words and counts.sum() <= budget:  # most sentences
        return [Window(0, words, 0, words)]
    edges = np.concatenate([[0], np.cumsum(counts)])  # [words + 1], pieces before each word
    bounds: list[tuple[int, int]] = []
    start = end = 0
    while end < words:
        end = int(np.searchsorted(edges, edges[start] + budget, side="right")) - 1
        bounds.append((start, end))
        if end < words:
            shared = int(np.searchsorted(edges, edges[end] - overlap, side="left"))
            fitting = int(np.searchsorted(edges, edges[end + 1] - budget, side="left"))  # makes room for word `end`
            start = max(min(shared, end), fitting)
    cuts = [0, *(_cut(edges, a, b) for a, b in pairwise(bounds)), words]
    return [Window(*bound, cuts[i], cuts[i + 1]) for i, bound in enumerate(bounds)]


def _cut(edges: np.ndarray, left: tuple[int, int], right: tuple[int, int]) -> int:
    """The first word of the overlap that stands more central in the right window than in the left one.

    Along the overlap the left window's margin shrinks and the right one's grows, so one cut divides it.
    """
    shared = np.arange(right[0], left[1])
    before, after = edges[shared], edges[shared + 1]
    in_left = np.minimum(before - edges[left[0]], edges[left[1]] - after)
    in_right = np.minimum(before - edges[right[0]], edges[right[1]] - after)
    better = np.flatnonzero(in_right > in_left)
    return int(shared[better[0]]) if better.size else left[1]

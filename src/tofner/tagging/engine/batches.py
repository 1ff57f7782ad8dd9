"""Which windows run together.

Windows of a buffer are grouped by length, and a batch holds windows of one length only. So nothing is padded, every
piece that is computed is real, and what the network does for a window does not depend on the lengths beside it.
"""

from collections.abc import Iterator

import numpy as np


def plan_batches(lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Split windows into batches.

    Args:
        lengths: pieces of each window, int [windows].
        budget: pieces of a batch at most; a longer window runs alone.

    Yields:
        Indices into `lengths`, each exactly once; longest batches first, so that no long one is left for the end.

    >>> [batch.tolist() for batch in plan_batches(np.array([3, 5, 3, 3]), budget=6)]
    [[1], [0, 2], [3]]
    """
    order = np.lexsort((np.arange(lengths.size), -lengths))
    at = 0
    while at < lengths.size:
        length = int(lengths[order[at]])
        same = int(np.searchsorted(-lengths[order], -length, side="right"))
        rows = max(1, budget // max(1, length))
        for first in range(at, same, rows):
            yield order[first : min(first + rows, same)]
        at = same

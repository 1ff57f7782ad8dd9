"""Windows over words of known sizes."""

import pytest

from tofner.words.windows import Window, plan_windows


@pytest.mark.parametrize(
    ("counts", "budget", "overlap", "expected"),
    [
        ([1] * 6, 4, 2, [Window(0, 4, 0, 3), Window(2, 6, 3, 6)]),
        ([1] * 4, 4, 2, [Window(0, 4, 0, 4)]),
        ([1] * 5, 4, 2, [Window(0, 4, 0, 3), Window(2, 5, 3, 5)]),  # one piece too many for one window
        ([1] * 6, 4, 0, [Window(0, 4, 0, 4), Window(4, 6, 4, 6)]),
        ([1] * 9, 6, 3, [Window(0, 6, 0, 5), Window(3, 9, 5, 9)]),
        ([3, 1, 1, 1, 1], 6, 2, [Window(0, 4, 0, 3), Window(2, 5, 3, 5)]),  # the first word is large
        ([2, 2, 2, 2], 5, 1, [Window(0, 2, 0, 2), Window(2, 4, 2, 4)]),  # no word is as small as the overlap
        ([], 4, 2, []),
    ],
)
def test_windows_by_hand(counts: list[int], budget: int, overlap: int, expected: list[Window]) -> None:
    assert plan_windows(counts, budget, overlap) == expected

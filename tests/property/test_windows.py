"""Windows over long inputs."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tofner.words.windows import Window, plan_windows


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[int], int, int]:
    budget = draw(st.integers(1, 24))
    overlap = draw(st.integers(0, budget // 2))
    return draw(st.lists(st.integers(1, budget), max_size=40)), budget, overlap


def margin(counts: list[int], window: Window, word: int) -> int:
    """Pieces between a word and the nearer edge of its window."""
    return min(sum(counts[window.start : word]), sum(counts[word + 1 : window.end]))


@given(plans())
def test_each_word_is_owned_once_and_the_budget_is_kept(plan: tuple[list[int], int, int]) -> None:
    counts, budget, overlap = plan
    windows = plan_windows(counts, budget, overlap)
    assert [word for w in windows for word in range(w.own_start, w.own_end)] == list(range(len(counts)))
    for window in windows:
        assert window.start <= window.own_start <= window.own_end <= window.end
        assert sum(counts[window.start : window.end]) <= budget
    starts, ends = [w.start for w in windows], [w.end for w in windows]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))


@given(plans())
def test_what_fits_is_one_window(plan: tuple[list[int], int, int]) -> None:
    counts, budget, overlap = plan
    if counts and sum(counts) <= budget:
        assert plan_windows(counts, budget, overlap) == [Window(0, len(counts), 0, len(counts))]


@given(plans())
def test_neighbours_share_no_more_than_the_overlap(plan: tuple[list[int], int, int]) -> None:
    counts, budget, overlap = plan
    windows = plan_windows(counts, budget, overlap)
    for left, right in pairwise(windows):
        assert sum(counts[right.start : left.end]) <= overlap


@given(plans())
def test_words_are_owned_where_they_stand_most_central(plan: tuple[list[int], int, int]) -> None:
    counts, budget, overlap = plan
    windows = plan_windows(counts, budget, overlap)
    for window in windows:
        for word in range(window.own_start, window.own_end):
            best = max(margin(counts, w, word) for w in windows if w.start <= word < w.end)
            assert margin(counts, window, word) == best

"""Lazy sequences against lists: the same items, in the same places, by place and in order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tofner.corpora.lazy import Lazy, in_chunks, joined, mapped, picked


def same(found: Sequence[int], expected: list[int]) -> None:
    assert len(found) == len(expected)
    assert list(found) == list(found) == expected  # twice: nothing is used up
    assert [found[i] for i in range(len(expected))] == expected
    assert [found[-i] for i in range(1, len(expected) + 1)] == expected[::-1]
    assert list(found[1::2]) == expected[1::2]
    for place in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError):
            found[place]


def test_lazy_sequences_by_hand() -> None:
    parts = joined([[4, 5], [], [6, 7, 8]])
    same(parts, [4, 5, 6, 7, 8])
    same(picked(parts, [0, 2, 4]), [4, 6, 8])
    same(mapped(parts, lambda i: 2 * i), [8, 10, 12, 14, 16])


@given(st.lists(st.lists(st.integers()), max_size=5))
def test_joined_is_the_parts_one_after_another(parts: list[list[int]]) -> None:
    same(joined(parts), [item for part in parts for item in part])


@given(st.data())
def test_picked_is_the_items_at_these_places(data: st.DataObject) -> None:
    items = data.draw(st.lists(st.integers(), max_size=30))
    places = sorted(data.draw(st.sets(st.integers(0, len(items) - 1)))) if items else []
    same(picked(items, places), [items[i] for i in places])
    # Of a lazy sequence too, which is read as a stream.
    same(picked(joined([items[:3], items[3:]]), places), [items[i] for i in places])


@given(st.lists(st.integers()))
def test_mapped_is_every_item_changed(items: list[int]) -> None:
    same(mapped(items, lambda i: 2 * i), [2 * i for i in items])


@given(st.lists(st.integers()), st.integers(1, 7))
def test_chunks_are_whole_but_the_last(items: list[int], size: int) -> None:
    chunks = list(in_chunks(items, size))
    assert [item for chunk in chunks for item in chunk] == items
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= size for chunk in chunks)


def test_an_item_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []

    def make(i: int) -> int:
        made.append(i)
        return i

    lazy = Lazy(1000, make, lambda: map(make, range(1000)))
    assert picked(lazy, [7, 900])[1] == 900
    assert made == [900]

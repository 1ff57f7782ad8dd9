"""Sequences that make their items when they are asked for, so that a corpus of any size takes little memory."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import TypeVar, overload

import numpy as np

T = TypeVar("T")
S = TypeVar("S")


class Lazy(Sequence[T]):
    """`size` items; `at(i)` makes one, `every()` all of them in order, which is the fast way to see them all."""

    def __init__(self, size: int, at: Callable[[int], T], every: Callable[[], Iterator[T]]) -> None:
        self._size, self._at, self._every = size, at, every

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> "Lazy[T]": ...
    def __getitem__(self, place: int | slice) -> "T | Lazy[T]":
        if isinstance(place, slice):
            return picked(self, range(*place.indices(self._size)))
        if not -self._size <= place < self._size:
            raise IndexError(place)
        return self._at(place % self._size)

    def __iter__(self) -> Iterator[T]:
        return self._every()


def mapped(items: Sequence[T], change: Callable[[T], S]) -> Lazy[S]:
    """Every item changed.

    >>> list(mapped([1, 2], str))
    ['1', '2']
    """
    return Lazy(len(items), lambda i: change(items[i]), lambda: map(change, items))


def joined(parts: Iterable[Sequence[T]]) -> Lazy[T]:
    """The items of all parts, part after part.

    >>> both = joined(["ab", "c"])
    >>> list(both), both[2]
    (['a', 'b', 'c'], 'c')
    """
    held = list(parts)
    ends = list(accumulate(len(part) for part in held))

    def at(i: int) -> T:
        part = bisect_right(ends, i)
        return held[part][i - (ends[part - 1] if part else 0)]

    return Lazy(ends[-1] if ends else 0, at, lambda: chain.from_iterable(held))


def zipped(first: Sequence[T], second: Sequence[S]) -> Lazy[tuple[T, S]]:
    """The items of two sequences of one length, side by side.

    >>> list(zipped("ab", [1, 2]))
    [('a', 1), ('b', 2)]
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} items cannot stand side by side")
    return Lazy(len(first), lambda i: (first[i], second[i]), lambda: zip(first, second, strict=True))


def picked(items: Sequence[T], places: Sequence[int]) -> Lazy[T]:
    """The items at these places, which must rise.

    >>> list(picked("abcdef", [1, 4])), picked("abcdef", [1, 4])[1]
    (['b', 'e'], 'e')
    """

    def every() -> Iterator[T]:
        stream, before = iter(items), -1
        for place in places:
            yield next(islice(stream, int(place) - before - 1, None))
            before = int(place)

    return Lazy(len(places), lambda i: items[int(places[i])], every)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter.

    >>> list(in_chunks("abc", 2))
    [['a', 'b'], ['c']]
    """
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def cap(examples: Sequence[T], limit: int | None, seed: int) -> Sequence[T]:
    """At most `limit` examples, drawn without replacement by `seed`, in their original order."""
    if limit is None or len(examples) <= limit:
        return examples
    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return picked(examples, np.sort(chosen).tolist())

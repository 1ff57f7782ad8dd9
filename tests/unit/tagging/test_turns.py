"""The service's queue, in a loop of the test's own: which slices are done, in which order, and who is refused.

Time stands still unless a test moves it; a tagger that must be slow is held back by an event.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from tests.tiny_tagger import publish_tiny
from tofner.tagging import Tagger
from tofner.tagging.engine.texts import Words, to_words
from tofner.tagging.turns import Overloaded, Rate, Stopping, TooMuch, Turns, cost_of
from tofner.words.pieces import joined


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return Tagger.load(publish_tiny(tmp_path_factory.mktemp("model")), threads=2)


class Steps:
    """A tagger on one core that does a slice when it is told to, and notes what it did."""

    def __init__(self, tagger: Tagger, threads: int = 1) -> None:
        self.tagger, self.threads = tagger, threads
        self.done: list[list[str]] = []
        self.go = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tagger, name)

    def _wait(self, what: list[str]) -> None:
        self.done.append(what)
        self.entered.release()
        self.go.acquire()

    def tag_group(self, group: list[Words]) -> Any:
        self._wait([str(row.text) for row in group])
        return self.tagger.tag_group(group)

    def encode(self, rows: list[Words]) -> Any:
        self._wait([f"encode {len(row.words)}" for row in rows])
        return self.tagger.encode(rows)

    def run(self, prepared: Any, batch: np.ndarray) -> Any:
        self._wait([f"run {len(batch)}"])
        return self.tagger.run(prepared, batch)


def play(tagger: Any, scenario: Callable[[Turns], Awaitable[None]], **more: Any) -> None:
    async def begin() -> None:
        settings = {"slice_words": 8, "wait_s": 100.0, "timeout_s": 1000.0, "words_per_s": 1.0, "now": lambda: 0.0}
        turns = Turns(tagger, **{**settings, **more})  # type: ignore[arg-type]
        try:
            await scenario(turns)
        finally:
            if isinstance(tagger, Steps):
                tagger.go.release(1000)
            await asyncio.gather(*turns.tasks)
            turns.close()

    asyncio.run(begin())


async def begun(turns: Turns, *texts: str) -> list["asyncio.Task[Any]"]:
    """A request a text; each has come as far as it gets by itself."""
    tasks = []
    for text in texts:
        tasks.append(asyncio.ensure_future(turns.tag([to_words(text)])))
        await asyncio.sleep(0)
    return tasks


def test_requests_that_wait_are_tagged_together_and_answered_apart(tagger: Tagger) -> None:
    steps = Steps(tagger)
    texts = ["a b c", "d e", "New York", "f", "g h i"]

    async def scenario(turns: Turns) -> None:
        tasks = await begun(turns, *texts)
        assert turns.words == 3 + 2 + 2 + 1 + 3
        steps.go.release(10)
        assert await asyncio.gather(*tasks) == [tagger.tag([text]) for text in texts]
        assert (turns.words, len(turns.requests), len(turns.turns)) == (0, 0, 0)

    play(steps, scenario)
    assert steps.done == [["a b c"], ["d e", "New York", "f", "g h i"]]


def test_a_group_holds_no_more_than_a_slice(tagger: Tagger) -> None:
    steps = Steps(tagger)

    async def scenario(turns: Turns) -> None:
        tasks = await begun(turns, "a", "b c d", "e f g", "h i j", "k")
        steps.go.release(10)
        await asyncio.gather(*tasks)

    play(steps, scenario)
    assert steps.done == [["a"], ["b c d", "e f g", "k"], ["h i j"]]


def test_a_large_request_and_small_ones_take_turns(tagger: Tagger) -> None:
    steps = Steps(tagger)
    rows = [f"w{i} x y z z z" for i in range(4)]  # a slice each

    async def scenario(turns: Turns) -> None:
        large = asyncio.ensure_future(turns.tag([to_words(row) for row in rows]))
        await asyncio.sleep(0)
        (small,) = await begun(turns, "New York in the")
        steps.go.release(10)
        assert await small == tagger.tag(["New York in the"])
        assert await large == tagger.tag(rows)

    play(steps, scenario)
    assert steps.done == [[rows[0]], [rows[1]], ["New York in the"], [rows[2]], [rows[3]]]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_long_text_gets_the_answer_that_it_has_in_one_go(tagger: Tagger, threads: int) -> None:
    text = " ".join(f"Obama met Merkel {i} in New York , said {'x' * (i % 40)} ." for i in range(300))
    rows = ["New York", text, "Ajax", text[:4000]]

    async def scenario(turns: Turns) -> None:
        assert await turns.tag([to_words(row) for row in rows]) == tagger.tag(rows)
        assert turns.words == 0

    play(Steps2(tagger, threads), scenario, slice_words=64, wait_s=1e9, timeout_s=1e9)


class Steps2:
    """The tagger, with another number of cores for the queue."""

    def __init__(self, tagger: Tagger, threads: int) -> None:
        self.tagger, self.threads = tagger, threads

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tagger, name)


def test_no_slice_of_a_long_text_is_large(tagger: Tagger) -> None:
    steps = Steps(tagger)
    steps.go.release(10_000)
    text = " ".join(f"w{i}" for i in range(700)) + " " + "x" * 500

    async def scenario(turns: Turns) -> None:
        await turns.tag([to_words(text)])

    play(steps, scenario, slice_words=64, wait_s=1e9, timeout_s=1e9)
    encoded = [int(what.split()[1]) for (what,) in steps.done if what.startswith("encode")]
    assert sum(encoded) == 701
    assert max(encoded) <= 64
    runs = sum(what.startswith("run") for (what,) in steps.done)
    prepared = tagger.prepare([to_words(text)])
    assert runs == len(tagger.batches(prepared)) >= 2


def test_parts_make_the_pieces_of_the_whole(tagger: Tagger) -> None:
    words = to_words("Angela Merkel met Größe 漢字 \u200b " + "x" * 60).words
    (whole,) = tagger.encode([Words(words, None, None)])
    parts = [tagger.encode([Words(words[a : a + 2], None, None)])[0] for a in range(0, len(words), 2)]
    made = joined(parts)
    assert made.ids.tolist() == whole.ids.tolist()
    assert made.starts.tolist() == whole.starts.tolist()
    assert made.cut_words == whole.cut_words == 1


def test_what_is_given_up_is_not_done(tagger: Tagger) -> None:
    steps = Steps(tagger)

    async def scenario(turns: Turns) -> None:
        first, given_up = await begun(turns, "a b c", "given up")
        large = asyncio.ensure_future(turns.tag([to_words(f"w{i} x y z z z") for i in range(4)]))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert turns.words == 3 + 24
        steps.go.release(1)
        await first
        await asyncio.to_thread(steps.entered.acquire)
        large.cancel()  # while its first slice is being done
        await asyncio.gather(large, return_exceptions=True)
        steps.go.release(1)
        await asyncio.gather(*turns.tasks)
        assert (turns.words, turns.free) == (0, 1)

    play(steps, scenario)
    assert steps.done == [["a b c"], ["w0 x y z z z"]]


def test_a_request_waits_for_others_in_slices_and_not_for_all_of_them(tagger: Tagger) -> None:
    """At one word a second, slices of 8: a small request waits for one slice of a large one, of 24."""
    steps = Steps(tagger)

    async def scenario(turns: Turns) -> None:
        assert turns.expected_wait_s(3) == 0
        large = asyncio.ensure_future(turns.tag([to_words(f"w{i} x y z z z") for i in range(4)]))
        await begun(turns, "a b c")
        assert turns.expected_wait_s(1) == 8 + 3
        assert turns.expected_wait_s(9) == 16 + 3
        assert turns.expected_wait_s(100) == 24 + 3
        large.cancel()

    play(steps, scenario)


def test_who_is_refused(tagger: Tagger) -> None:
    steps = Steps(tagger)

    async def scenario(turns: Turns) -> None:
        await begun(turns, "a b c d e")
        turns.check(1)
        turns.check(10)  # 5 s for others, 10 of its own
        with pytest.raises(Overloaded) as error:
            turns.check(11)
        assert error.value.retry_s == 5
        with pytest.raises(TooMuch, match="about 16 s of work; at most 15 s"):
            turns.check(16)
        await begun(turns, "f")
        with pytest.raises(Overloaded, match="try again in 6 s"):
            turns.check(1)
        (refused,) = await begun(turns, "g")
        assert refused.done(), "it may not wait"
        assert isinstance(refused.exception(), Overloaded)
        assert turns.words == 6

    play(steps, scenario, wait_s=5.0, timeout_s=15.0)


def test_a_request_larger_than_a_slice_is_taken_when_nothing_waits(tagger: Tagger) -> None:
    async def scenario(turns: Turns) -> None:
        assert await turns.tag([to_words("New York Ajax Madrid")]) == tagger.tag(["New York Ajax Madrid"])
        assert await turns.tag([]) == []
        assert await turns.tag([to_words("")]) == [[]]

    play(tagger, scenario, slice_words=2, wait_s=0.0)


def test_whoever_waits_is_told_that_the_service_ends(tagger: Tagger) -> None:
    steps = Steps(tagger)

    async def scenario(turns: Turns) -> None:
        tasks = await begun(turns, "a b c", "d")
        turns.stop()
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in told] == [Stopping, Stopping]
        with pytest.raises(Stopping):
            turns.check(1)

    play(steps, scenario)
    assert steps.done == [["a b c"]]


class Poison(Steps2):
    def tag_group(self, group: list[Words]) -> Any:
        if any(row.text == "poison" for row in group):
            raise MemoryError("no room")
        return self.tagger.tag_group(group)


def test_a_fault_of_the_engine_reaches_the_request_that_caused_it_and_no_other(tagger: Tagger) -> None:
    async def scenario(turns: Turns) -> None:
        tasks = await begun(turns, "first", "a b", "poison", "New York")
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(one) if isinstance(one, Exception) else "" for one in found] == ["", "", "no room", ""]
        assert found[3] == tagger.tag(["New York"])
        assert (turns.words, turns.free) == (0, 1)

    play(Poison(tagger, 1), scenario)


def test_a_fault_in_a_long_text_ends_its_request(tagger: Tagger) -> None:
    class Broken(Steps2):
        def run(self, prepared: Any, batch: np.ndarray) -> Any:
            raise RuntimeError("no such operator")

    async def scenario(turns: Turns) -> None:
        with pytest.raises(RuntimeError, match="no such operator"):
            await turns.tag([to_words("a b c d e f g h i j")])
        assert (turns.words, len(turns.turns)) == (0, 0)

    play(Broken(tagger, 1), scenario)


def test_a_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate(1000.0)
    assert rate.words_per_s == 1000
    rate.add(100, 1.0)
    assert rate.words_per_s == pytest.approx((1000 * np.exp(-0.1) + 100) / (np.exp(-0.1) + 1))
    for _ in range(100):
        rate.add(100, 1.0)
    assert rate.words_per_s == pytest.approx(100, rel=1e-3)


def test_the_rate_is_measured_where_every_core_has_a_whole_slice(tagger: Tagger) -> None:
    """Small slices are made of waiting; what they say of the speed is too little."""
    time = [0.0]

    class Timed(Steps2):
        def tag_group(self, group: list[Words]) -> Any:
            time[0] += 2.0
            return self.tagger.tag_group(group)

    seen: list[tuple[int, float]] = []

    async def scenario(turns: Turns) -> None:
        turns.rate.add = lambda words, seconds: seen.append((words, seconds))  # type: ignore[method-assign]
        await turns.tag([to_words("a b c")])
        assert seen == []
        await turns.tag([to_words("a b c d")])
        assert seen == [(4, 2.0)]

    play(Timed(tagger, 1), scenario, now=lambda: time[0])


def test_costs() -> None:
    assert cost_of(to_words("a b c")) == 3
    assert cost_of(Words(["漢" * 60], "漢" * 60, None)) == 10

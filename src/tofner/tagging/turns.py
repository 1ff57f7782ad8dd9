"""What waits to be tagged in the service, and in which order: slices that take turns.

A request is cut into slices of about `slice_words`: several texts, or a part of a long one. A free core takes the next
slice of the request whose turn it is, filled up with texts of the requests behind it; then that request goes to the
end. So a small request waits for a slice of each large one and not for all of it, and large ones share what is left.
What is given up loses the slices that have not begun.

A request is taken if it can be expected to be answered in time, by its cost and by what has been tagged in a second so
far; else it is refused at once, with the seconds after which it may come again.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from tofner.tagging.engine.tagger import Answer, Prepared, Tagger
from tofner.tagging.engine.texts import Entity, Words
from tofner.words.pieces import Pieces, joined

WORD_CHARACTERS = 6  # of a text that count as one word at least, so that text without spaces has a cost too
_MEMORY_S = 10.0  # how long a measured rate counts


class Overloaded(Exception):
    """Too much is waiting; `retry_s` is when to come again."""

    def __init__(self, retry_s: float) -> None:
        super().__init__(f"too much text is waiting; try again in {math.ceil(retry_s)} s")
        self.retry_s = retry_s


class TooMuch(Exception):
    """More than could be tagged within the time, with nothing else to do."""


class Stopping(Exception):
    """The service ends; nothing more is tagged."""


def cost_of(row: Words) -> int:
    """About how many words of work an input is.

    >>> cost_of(Words(["New", "York"], None, None)), cost_of(Words(["x" * 600], None, None))
    (2, 100)
    """
    characters = len(row.text) if row.text is not None else sum(map(len, row.words))
    return max(len(row.words), characters // WORD_CHARACTERS)


class Rate:
    """Words a second that are tagged while there is enough to do."""

    def __init__(self, words_per_s: float) -> None:
        """`words_per_s`: the first guess, which later measurements replace."""
        self.words, self.seconds = words_per_s, 1.0

    def add(self, words: int, seconds: float) -> None:
        """Words that were tagged within seconds of full work."""
        kept = math.exp(-seconds / _MEMORY_S)
        self.words = self.words * kept + words
        self.seconds = self.seconds * kept + seconds

    @property
    def words_per_s(self) -> float:
        return max(1e-9, self.words / max(1e-9, self.seconds))


@dataclass(eq=False)
class Request:
    """The inputs of one request, what is left of them to do, and their answers."""

    cost: int
    answer: "asyncio.Future[list[list[Entity]]]"
    found: list[list[Entity]]
    slices: "deque[Slice]" = field(default_factory=deque)
    left: int = 0  # words that are not done
    open: int = 0  # slices that are being done


@dataclass(eq=False)
class Slice:
    """A part of a request that is done in one go: some of its `rows`, or `step` of a long text.

    A step returns the steps that come after it. `alone`: not together with other requests.
    """

    request: Request
    size: int
    places: Sequence[int] = ()
    rows: Sequence[Words] = ()
    step: "Callable[[], list[Slice]] | None" = None
    alone: bool = False


class Turns:
    """The queue of a tagger. All methods are called in one event loop; the work is done in threads, one a core."""

    def __init__(
        self,
        tagger: Tagger,
        slice_words: int,
        wait_s: float,
        timeout_s: float,
        words_per_s: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            slice_words: cost of a slice at most; a text that costs more is cut.
            wait_s: the longest that a request may be expected to wait for others.
            timeout_s: within which a request must be answered.
            words_per_s: first guess of the rate.
            now: seconds of a clock that never goes back.
        """
        self.tagger, self.slice_words, self.wait_s, self.timeout_s, self.now = (
            tagger,
            slice_words,
            wait_s,
            timeout_s,
            now,
        )
        self.rate = Rate(words_per_s)
        self.requests: set[Request] = set()
        self.turns: deque[Request] = deque()
        self.free = tagger.threads
        self.threads = ThreadPoolExecutor(tagger.threads, "tofner-slice")
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopped = False
        self.full_since: float | None = None  # since when every core has work

    @property
    def words(self) -> int:
        """Words that wait or are being tagged."""
        return sum(request.left for request in self.requests)

    def expected_wait_s(self, cost: int = 1) -> float:
        """Seconds until a request of `cost` words has had its turns: of each other one no more is done meanwhile than
        of it, in whole slices."""
        turns = math.ceil(max(1, cost) / self.slice_words) * self.slice_words
        return sum(min(request.left, turns) for request in self.requests) / self.rate.words_per_s

    def check(self, cost: int) -> None:
        """Raises as `tag`, for a request of about this cost."""
        if self.stopped:
            raise Stopping
        own = cost / self.rate.words_per_s
        if own > self.timeout_s:
            raise TooMuch(f"about {own:.0f} s of work; at most {self.timeout_s:g} s, in several requests")
        wait = self.expected_wait_s(cost)
        if wait > self.wait_s or wait + own > self.timeout_s:
            raise Overloaded(max(1.0, wait))

    async def tag(self, rows: Sequence[Words]) -> list[list[Entity]]:
        """Entities of the inputs of one request. If it is cancelled, what has not begun is dropped.

        Raises:
            Overloaded: it would have to wait too long.
            TooMuch: it is too much for one request.
            Stopping: the service ends.
        """
        costs = [cost_of(row) for row in rows]
        self.check(sum(costs))
        request = Request(sum(costs), asyncio.get_running_loop().create_future(), [[] for _ in rows])
        self._cut(request, rows, costs)
        request.left = request.cost
        if not request.slices:
            return request.found
        self.requests.add(request)
        self.turns.append(request)
        self._start()
        try:
            return await request.answer
        finally:
            self._drop(request)

    def _cut(self, request: Request, rows: Sequence[Words], costs: Sequence[int]) -> None:
        """Fill `slices`."""
        places: list[int] = []
        size = 0
        for place, cost in enumerate(costs):
            if places and size + cost > self.slice_words:
                request.slices.append(Slice(request, size, places, [rows[i] for i in places]))
                places, size = [], 0
            if cost > self.slice_words:
                text = LongText(self.tagger, request, place, rows[place], cost, self.slice_words)
                request.slices.append(text.first())
            else:
                places, size = [*places, place], size + cost
        if places:
            request.slices.append(Slice(request, size, places, [rows[i] for i in places]))

    def _drop(self, request: Request) -> None:
        """Forget a request, be it answered or given up."""
        self.requests.discard(request)
        request.slices.clear()
        if request in self.turns:
            self.turns.remove(request)

    def _start(self) -> None:
        """Give free cores something to do."""
        while self.free and self.turns and not self.stopped:
            group = self._next()
            self.free -= 1
            if not self.free:
                self.full_since = self.now()
            task = asyncio.get_running_loop().create_task(self._run(group))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def _next(self) -> list[Slice]:
        """The slice whose turn it is; rows of the requests behind it fill it up."""
        group: list[Slice] = []
        size = 0
        for request in list(self.turns):
            slice_ = request.slices[0]
            joins = slice_.step is None and not slice_.alone and size + slice_.size <= self.slice_words
            if group and not joins:
                continue
            self.turns.remove(request)
            request.slices.popleft()
            if request.slices:
                self.turns.append(request)
            request.open += 1
            group.append(slice_)
            size += slice_.size
            if slice_.step is not None or slice_.alone or size >= self.slice_words:
                break
        return group

    async def _run(self, group: list[Slice]) -> None:
        begun = self.now()
        try:
            later = await asyncio.get_running_loop().run_in_executor(self.threads, self._do, group)
        except Exception as error:
            self._failed(group, error)
        else:
            for slice_ in reversed(later):
                if slice_.request in self.requests:
                    slice_.request.slices.appendleft(slice_)
            for slice_ in group:
                slice_.request.left = max(0, slice_.request.left - slice_.size)
        finally:
            self._measure(sum(slice_.size for slice_ in group), begun)
            self.free += 1
            for slice_ in group:
                self._done(slice_.request)
            self._start()

    def _do(self, group: list[Slice]) -> list[Slice]:
        """In a thread: the slices of a group, which are steps of long texts or rows."""
        if group[0].step is not None:
            return group[0].step()
        found = iter(self.tagger.tag_group([row for slice_ in group for row in slice_.rows]))
        for slice_ in group:
            for place in slice_.places:
                slice_.request.found[place] = next(found)
        return []

    def _failed(self, group: list[Slice], error: Exception) -> None:
        """One input may be to blame: those of several requests are tried again, each request alone."""
        for slice_ in group:
            if len(group) > 1 and slice_.request in self.requests:
                slice_.alone = True
                slice_.request.slices.appendleft(slice_)
            elif not slice_.request.answer.done():
                slice_.request.answer.set_exception(error)

    def _measure(self, size: int, begun: float) -> None:
        """Count the words of a slice that was not small and had every core at work with it."""
        now = self.now()
        if self.full_since is not None and begun >= self.full_since and 2 * size >= self.slice_words:
            self.rate.add(size * self.tagger.threads, now - begun)
        if not self.turns:
            self.full_since = None

    def _done(self, request: Request) -> None:
        request.open -= 1
        if request not in self.requests:
            return
        if request.slices:
            if request not in self.turns:
                self.turns.append(request)
        elif not request.open and not request.answer.done():
            request.answer.set_result(request.found)

    def stop(self) -> None:
        """Begin nothing more; whoever waits is told."""
        self.stopped = True
        for request in list(self.requests):
            if not request.answer.done():
                request.answer.set_exception(Stopping())

    def close(self) -> None:
        """Wait for what is being done."""
        self.threads.shutdown(wait=True, cancel_futures=True)


class LongText:
    """One input that is tagged in slices, with the result that it has in one go.

    Its words become pieces part by part; its windows depend on all of them, so they are planned then; the batches of
    windows are slices again, for as many cores as are free.
    """

    def __init__(self, tagger: Tagger, request: Request, place: int, row: Words, cost: int, slice_words: int) -> None:
        self.tagger, self.request, self.place, self.row = tagger, request, place, row
        self.cost, self.slice_words = cost, slice_words
        self.parts: list[Pieces] = []
        self.at = 0
        self.answers: list[Answer] = []
        self.lock = Lock()

    def first(self) -> Slice:
        return Slice(self.request, 0, step=self._encode)

    def _encode(self) -> list[Slice]:
        words = self.row.words
        end = self.at + 1
        size = len(words[self.at])
        while end < len(words) and end - self.at < self.slice_words and size < self.slice_words * WORD_CHARACTERS:
            size += len(words[end])
            end += 1
        part = Words(words[self.at : end], None, None)
        self.parts += self.tagger.encode([part])
        self.at = end
        return [Slice(self.request, 0, step=self._encode if end < len(words) else self._plan)]

    def _plan(self) -> list[Slice]:
        prepared = self.tagger.cut([self.row], [joined(self.parts)])
        self.parts = []
        batches = self.tagger.batches(prepared)
        self.missing = len(batches)
        total = max(1, prepared.pieces)
        slices = []
        for batch in batches:
            size = round(self.cost * int(prepared.lengths[batch].sum()) / total)

            def step(batch: "object" = batch) -> list[Slice]:
                return self._batch(prepared, batch)

            slices.append(Slice(self.request, size, step=step))
        return slices

    def _batch(self, prepared: Prepared, batch: "object") -> list[Slice]:
        answer = self.tagger.run(prepared, batch)  # type: ignore[arg-type]
        with self.lock:
            self.answers.append(answer)
            self.missing -= 1
            last = not self.missing
        return [Slice(self.request, 0, step=lambda: self._finish(prepared))] if last else []

    def _finish(self, prepared: Prepared) -> list[Slice]:
        (self.request.found[self.place],) = self.tagger.collect(prepared, self.answers).entities()
        return []

"""Stages that work at the same time, with bounded queues between them.

Each stage is a generator function over the stage before it, in a thread of its own; only the queues' few items are
held, so memory does not grow with the input. A stage that fails ends them all, and its error is raised where the
results are read; so does a reader that stops early.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()
_LOOK_S = 0.2


class Clock:
    """Seconds that each phase worked (not waited)."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now = now
        self.seconds: dict[str, float] = {}

    def timed(self, phase: str, items: Iterator[T]) -> Iterator[T]:
        """Pass items through, adding up the time it takes to make them."""
        while True:
            start = self.now()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.add(phase, self.now() - start)
            yield item

    @contextlib.contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the time of what is done inside."""
        start = self.now()
        try:
            yield
        finally:
            self.add(phase, self.now() - start)

    def add(self, phase: str, seconds: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds


def ahead(items: Iterator[T], size: int, name: str) -> Iterator[T]:
    """The same items, made in a thread of its own that runs at most `size` items ahead.

    Errors come through in their place. When the caller stops reading, the thread ends.
    """
    line: queue.Queue[Any] = queue.Queue(maxsize=size)
    stop = threading.Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in items:
                if not _put(line, item, stop):
                    break
        except BaseException as error:
            failure.append(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None and not failure:
                close()
            _put(line, _END, stop)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not _END:
            yield item
        if failure:
            raise failure[0]
    finally:
        stop.set()
        thread.join()


def _put(line: "queue.Queue[Any]", item: object, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            line.put(item, timeout=_LOOK_S)
        except queue.Full:
            continue
        else:
            return True
    return False

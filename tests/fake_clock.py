"""Time for tests of what waits: it moves when somebody sleeps, and not otherwise."""

import threading
from collections.abc import Callable

from tofner.patience import Clock


class FakeClock:
    """Attributes:
    time: seconds; every sleep adds its own.
    slept: the pauses, in order.
    draws: the bounds between which jitter was drawn.
    jitter: what is drawn, as a share of the way from the lower bound to the upper one.
    while_asleep: what the world does during a pause.
    """

    def __init__(self, jitter: float = 1.0) -> None:
        self.time, self.jitter = 0.0, jitter
        self.slept: list[float] = []
        self.draws: list[tuple[float, float]] = []
        self.while_asleep: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self._sleep, self._uniform)

    def _sleep(self, seconds: float) -> None:
        with self._lock:  # one sleeper at a time: the world changes once
            self.time += seconds
            self.slept.append(seconds)
            self.while_asleep()

    def _uniform(self, low: float, high: float) -> float:
        self.draws.append((low, high))
        return low + self.jitter * (high - low)

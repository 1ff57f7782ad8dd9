"""What shows progress and runs stages side by side, on clocks and events of the tests' own."""

import itertools
import threading
from collections.abc import Iterator

import pytest

from tofner.tagging.job.pipeline import Clock, ahead
from tofner.tagging.job.progress import Progress


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_line_of_progress() -> None:
    hand = Hand()
    progress = Progress(1000, quiet=True, now=hand)
    assert progress.line(100.0 + 5).endswith("0%  time left unknown")
    progress.add(2_000, 30_000, 200)
    progress.add(0, 0, 50)
    assert progress.line(110.0) == "2,000 records  200 records/s  3,000 words/s  25%  about 0:00:30 left"
    progress.add(0, 0, 5_000)
    assert progress.line(8_000.0).endswith("100%  about 0:00:00 left")
    slow = Progress(4, quiet=True, now=hand)
    slow.add(1, 1, 1)
    assert slow.line(100.0 + 1353).endswith("25%  about 1:07:39 left")


@pytest.mark.parametrize(("terminal", "every"), [(False, 10.0), (True, 0.5)])
def test_progress_is_shown_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool, every: float
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    hand = Hand()
    progress = Progress(100, now=hand)
    shown = []
    for moved in (0.0, every * 0.75, every * 0.25, every * 0.75, every):
        hand.seconds += moved
        progress.add(1, 1, 1)
        shown.append(capsys.readouterr().err.count("records/s"))
    assert shown == [0, 0, 1, 0, 1]
    progress.end()
    assert capsys.readouterr().err.count("5 records ") == 1


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    hand = Hand()
    progress = Progress(100, quiet=True, now=hand)
    hand.seconds += 1000
    progress.add(1, 1, 1)
    progress.end()
    assert capsys.readouterr().err == ""


def test_a_phase_is_charged_for_its_own_work_only() -> None:
    hand = Hand()
    clock = Clock(now=hand)

    def made() -> Iterator[int]:
        for i in range(3):
            hand.seconds += 2
            yield i
        hand.seconds += 1  # the end is found out too

    for _ in clock.timed("read", made()):
        hand.seconds += 50  # somebody else's
    clock.add("write", 4)
    clock.add("write", 3)
    assert clock.seconds == {"read": 7, "write": 7}


def test_stages_keep_order_and_run_no_further_ahead_than_they_may() -> None:
    """Two wait in the queue and one is in hand; the next is not begun before one of them is read."""
    begun = [threading.Event() for _ in range(8)]

    def made() -> Iterator[int]:
        for i in range(8):
            begun[i].set()
            yield i

    items = ahead(made(), 2, "test")
    assert next(items) == 0
    begun[3].wait()
    assert not any(event.is_set() for event in begun[4:])
    assert list(items) == list(range(1, 8))


def test_an_error_comes_through_after_what_was_made_before_it() -> None:
    def made() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("out of luck")

    items = ahead(made(), 1, "test")
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="out of luck"):
        next(items)


def test_a_stage_ends_when_its_reader_does() -> None:
    ended = threading.Event()

    def made() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            ended.set()

    items = ahead(made(), 1, "test-of-ahead")
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert ended.is_set(), "closed by the stage's own thread, which has been joined"
    assert not [thread for thread in threading.enumerate() if thread.name == "test-of-ahead"]

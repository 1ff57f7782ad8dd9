"""Progress on stderr: records, records/s, words/s, time left.

One moving line on a terminal; elsewhere a line now and then.
"""

import sys
import time
from collections.abc import Callable

from tofner.logs import tell

_TERMINAL_S = 0.5
_LOG_S = 10.0


class Progress:
    """Counts what is written and shows it."""

    def __init__(self, total_bytes: int, quiet: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds of a clock that never goes back."""
        self.total = max(1, total_bytes)
        self.quiet = quiet
        self.now = now
        self.terminal = sys.stderr.isatty()
        self.start = self.shown = now()
        self.records = self.words = self.bytes = 0

    def add(self, records: int, words: int, size: int) -> None:
        """`size`: stored bytes of input that are done with."""
        self.records += records
        self.words += words
        self.bytes += size
        now = self.now()
        if not self.quiet and now - self.shown >= (_TERMINAL_S if self.terminal else _LOG_S):
            self.shown = now
            self._show(self.line(now))

    def line(self, now: float) -> str:
        """`12,000 records  340 records/s  5,500 words/s  41 %  about 0:52 left`"""
        passed = max(1e-9, now - self.start)
        share = min(1.0, self.bytes / self.total)
        left = int(passed * (1 - share) / share) if share > 0 else 0
        rest = f"about {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left" if share > 0 else "time left unknown"
        return (
            f"{self.records:,} records  {self.records / passed:,.0f} records/s  "
            f"{self.words / passed:,.0f} words/s  {share:.0%}  {rest}"
        )

    def _show(self, line: str) -> None:
        if self.terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        else:
            tell(line, records=self.records, words=self.words, bytes=self.bytes, of_bytes=self.total)

    def end(self) -> None:
        if not self.quiet:
            self._show(self.line(self.now()))
            if self.terminal:
                print(file=sys.stderr)

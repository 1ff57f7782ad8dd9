"""What a command says while it works: lines for people, or a JSON object a line for machines.

    {"time": "2026-03-01T12:00:00.000+00:00", "level": "info", "message": "12,000 records ...", "records": 12000}

Everything that this process prints to stderr becomes such objects, warnings and traces too; what native code writes
past Python does not.
"""

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO, TypeVar

FORMAT = "TOFNER_LOG_FORMAT"  # environment: `json`, or `text` as when it is not set
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LEVELS = {"tofner:": "error", "Traceback": "error", "note:": "warning", "warning:": "warning"}


def _now() -> datetime:
    return datetime.now(UTC)


class JsonLines(io.TextIOBase):
    """A text stream whose every line is written as a JSON object."""

    def __init__(self, target: TextIO, now: Callable[[], datetime] = _now) -> None:
        self._target, self._now, self._pending = target, now, ""

    encoding, errors = "utf-8", "backslashreplace"

    def fileno(self) -> int:
        return self._target.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"found {type(text).__name__}, expected str")
        *lines, self._pending = re.split(r"\r\n|\n|\r", self._pending + text)
        for line in lines:
            self.event(line)
        return len(text)

    def flush(self) -> None:
        self._target.flush()

    def event(self, message: str, **fields: Any) -> None:
        """One object; nothing for an empty line."""
        message = _ANSI.sub("", message).rstrip()
        if not message:
            return
        level = next((level for start, level in _LEVELS.items() if message.startswith(start)), "info")
        about = {"time": self._now().isoformat(timespec="milliseconds"), "level": level, "message": message, **fields}
        self._target.write(json.dumps(about, ensure_ascii=False, default=str) + "\n")
        self._target.flush()


def use(format_: str) -> None:
    """From here on, stderr in this format: `text` or `json`. Twice does no harm."""
    if format_ == "json" and not isinstance(sys.stderr, JsonLines):
        sys.stderr = JsonLines(sys.stderr)


def follow() -> None:
    """The format that the environment asks for, in a process that another one has started."""
    use(os.environ.get(FORMAT, "text"))


Item = TypeVar("Item")


def ticking(
    items: Iterable[Item],
    title: str,
    total: int,
    every_s: float = 5.0,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """The items, and now and then a line that says how many have been done with: `export: compared 40 of 200`."""
    last = now()
    for done, item in enumerate(items):
        if now() - last >= every_s:
            last = now()
            tell(f"{title} {done} of {total}", done=done, total=total)
        yield item


def tell(message: str, **fields: Any) -> None:
    """A line to stderr; with `fields` where stderr takes them."""
    stream: Any = sys.stderr
    if isinstance(stream, JsonLines):
        stream.event(message, **fields)
    else:
        print(message, file=stream, flush=True)

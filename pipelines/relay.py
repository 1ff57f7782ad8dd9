"""What a person sees while `kfp.local` runs a graph: one line a task, and what the stages say, by their names.

`kfp.local` prints everything to standard output: its own log, each task's inputs and outputs, and the output of the
task's process indented by four spaces. All of it goes to the log file; the screen gets the stages' own lines.
"""

import re
import time
from collections.abc import Mapping
from typing import TextIO

ANSI = re.compile(r"\x1b\[[0-9;]*m")
KFP_LINE = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} - (?P<level>[A-Z]+) - (?P<text>.*)$")
STARTED = re.compile(r"^Executing task '(?P<task>[^']+)'$")
ENDED = re.compile(r"^Task '(?P<task>[^']+)' finished with status (?P<status>[A-Z]+)$")
BAR = re.compile(r"\d+%\|")  # a tqdm bar; each of its steps arrives as a line of its own
BAR_EVERY_S = 10.0  # how often a bar is shown where it cannot be redrawn in place


class Relay:
    """A text stream that stands in for `sys.stdout` while a graph runs.

    Attributes:
        task: name of the task that runs, or ran last.
        failed: name of the first task that failed, or empty.
        trace: whether that one printed a Python trace.
        seconds: time that each task took, by name, in order.
    """

    def __init__(self, screen: TextIO, log: TextIO, names: Mapping[str, str]) -> None:
        """`names` gives each component's task name; a component without one (a condition) is not shown."""
        self._screen, self._log, self._names = screen, log, names
        self._pending = ""
        self._inside = self._bar_open = self._skipping_json = self._traced = False
        self._bar_shown = self._started = 0.0
        self.task = self.failed = ""
        self.trace = False
        self.seconds: dict[str, float] = {}

    def write(self, text: str) -> int:
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            self._line(ANSI.sub("", line.rstrip("\r")))
        return len(text)

    def flush(self) -> None:
        self._screen.flush()
        self._log.flush()

    def isatty(self) -> bool:
        return False

    def reused(self, task: str) -> None:
        """A task whose result came from the cache."""
        self._show(f"  {self._names.get(task, task)}: unchanged, reused")

    def _line(self, line: str) -> None:
        self._log.write(line + "\n")
        if found := KFP_LINE.match(line):
            self._of_kfp(found["level"], found["text"])
        elif self._inside:
            self._of_stage(line.removeprefix("    "))

    def _of_kfp(self, level: str, text: str) -> None:
        if found := STARTED.match(text):
            self.task = self._names.get(found["task"], found["task"])
            self._traced, self._started = False, time.monotonic()
            self._show(f"> {self.task}")
        elif text == "Streamed logs:":
            self._inside = True
        elif found := ENDED.match(text):
            self._inside = self._skipping_json = False
            self.seconds[self.task] = time.monotonic() - self._started
            verdict = "done" if found["status"] == "SUCCESS" else "FAILED"
            if verdict == "FAILED" and not self.failed:  # tasks that do not depend on it may still follow
                self.failed, self.trace = self.task, self._traced
            self._show(f"  {self.task}: {verdict} after {self.seconds[self.task]:.1f} s")
        elif level in {"WARNING", "ERROR"}:
            self._show(f"  kfp: {text}")

    def _of_stage(self, line: str) -> None:
        if line.startswith("[KFP Executor"):
            self._skipping_json = line.endswith("Got executor_input:")
        elif self._skipping_json:
            self._skipping_json = line != "}"
        elif BAR.search(line):
            self._bar(line)
        elif line.strip():
            self._traced = self._traced or line.startswith("Traceback (most recent call last)")
            self._show(f"  {self.task} | {line}")

    def _bar(self, line: str) -> None:
        if self._screen.isatty():
            self._screen.write(f"\r\x1b[K  {self.task} | {line.strip()}"[:160])
            self._bar_open = True
            self._screen.flush()
        elif time.monotonic() - self._bar_shown >= BAR_EVERY_S:
            self._bar_shown = time.monotonic()
            self._show(f"  {self.task} | {line.strip()}")

    def _show(self, line: str) -> None:
        if self._bar_open:
            self._screen.write("\n")
            self._bar_open = False
        self._screen.write(line + "\n")
        self._screen.flush()

"""What a person sees while `kfp.local` runs a graph: one line a task, and what the stages say, by their names.

`kfp.local` prints everything to standard output: its own log, each task's inputs and outputs, and the output of the
task's process indented by four spaces. All of it goes to the log file; the screen gets the stages' own lines, and how
far the run is: on a terminal one line that moves, elsewhere with each task that begins, and now and then.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from tofner.logs import JsonLines
from tofner.stages.config import CONFIGS
from tofner_kubeflow.pipelines.forecast import Forecast, told

ANSI = re.compile(r"\x1b\[[0-9;]*m")
KFP_LINE = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} - (?P<level>[A-Z]+) - (?P<text>.*)$")
STARTED = re.compile(r"^Executing task '(?P<task>[^']+)'$")
ENDED = re.compile(r"^Task '(?P<task>[^']+)' finished with status (?P<status>[A-Z]+)$")
BAR = re.compile(r"\d+%\|")  # a tqdm bar; each of its steps arrives as a line of its own
STEP = re.compile(r"\bstep (?P<step>\d+)/(?P<steps>\d+)\b")  # of a training stage's own bar
WORKED = re.compile(rf"^(?:{'|'.join(CONFIGS)}): done in (?P<seconds>[\d.]+) s\b")  # a stage's own time
FOUND = re.compile(r"^\w+: already done\b")  # a result in the store; says nothing of how fast this machine is
STAGE_BAR = re.compile(r"^\S+ [█·]+ +\d+%  ")
PROGRESS_EVERY_S = 30.0  # how often the run's progress is told where no line can move
MOST_COLUMNS = 160
BAR_EVERY_S = 10.0  # how often a bar is shown where it cannot be redrawn in place


class Relay:
    """A text stream that stands in for `sys.stdout` while a graph runs.

    Attributes:
        task: name of the task that runs, or ran last.
        failed: name of the first task that failed, or empty.
        trace: whether that one printed a Python trace.
        seconds: time that each task took, by name, in order.
        worked_s: seconds of them in which stages were at work, as these say themselves; not their processes' imports.
    """

    def __init__(
        self,
        screen: TextIO,
        log: TextIO,
        names: Mapping[str, str],
        count: Callable[[], Mapping[str, float] | None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            names: each component's task name; a component without one (a condition) is not shown.
            count: work of each task by its name, as soon as somebody can count it; asked when a task begins.
            now: seconds of a clock that never goes back.
        """
        self._screen, self._log, self._names, self._count, self._now = screen, log, names, count, now
        self._forecast = Forecast([*dict.fromkeys(names.values())])
        self._pending = ""
        self._inside = self._moving = self._skipping_json = self._traced = self._found = False
        self._bar_shown = self._started = self._share = self._most = 0.0
        self._told = now()
        self._bar_text = ""
        self.task = self.failed = ""
        self.trace = False
        self.seconds: dict[str, float] = {}
        self.worked_s = 0.0

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
        name = self._names.get(task, task)
        self._forecast.over(name, None)
        self._show(f"  {name}: unchanged, reused")

    def progress(self) -> str:
        """`task 5 of 14: line 6: ner, 38% of the work, about 3:10 left`; share and time as soon as both are known."""
        one = self._fields()
        known = "" if one["left_s"] is None else f", {one['share']:.0%} of the work, about {told(one['left_s'])} left"
        return f"task {one['number']} of {one['of']}: {self.task}{known}"

    def _fields(self) -> dict[str, Any]:
        forecast, over = self._forecast, self.task in self.seconds
        running = ("", 0.0, 0.0) if over else (self.task, self._share, self._now() - self._started)
        left = forecast.left_s(*running)
        about = {"number": forecast.finished + (not over), "of": len(forecast.names)}
        if left is None:
            return {**about, "share": None, "left_s": None}
        self._most = max(self._most, forecast.share(*running))  # estimates change; a run does not go backwards
        return {**about, "share": round(self._most, 3), "left_s": round(left, 1)}

    def _line(self, line: str) -> None:
        self._log.write(line + "\n")
        if found := KFP_LINE.match(line):
            self._of_kfp(found["level"], found["text"])
        elif self._inside:
            self._of_stage(line.removeprefix("    "))

    def _of_kfp(self, level: str, text: str) -> None:
        if found := STARTED.match(text):
            self.task = self._names.get(found["task"], found["task"])
            self._traced = self._found = False
            self._started, self._share, self._bar_text = self._now(), 0.0, ""
            if self._forecast.units is None:
                self._forecast.units = self._count()
            self._told = self._now()
            if not self._screen.isatty():
                self._show(self.progress())
            self._show(f"> {self.task}")
        elif text == "Streamed logs:":
            self._inside = True
        elif found := ENDED.match(text):
            self._inside = self._skipping_json = False
            self.seconds[self.task] = self._now() - self._started
            self._forecast.over(self.task, None if self._found else self.seconds[self.task])
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
            if found := STEP.search(line):
                self._share = int(found["step"]) / max(1, int(found["steps"]))
                if STAGE_BAR.match(line) and self._screen.isatty():
                    self._bar_text = line.strip()
                    self._move()
                    return
            if worked := WORKED.match(line):
                self.worked_s += float(worked["seconds"])
            self._found = self._found or bool(FOUND.match(line))
            self._traced = self._traced or line.startswith("Traceback (most recent call last)")
            self._show(f"  {self.task} | {line}")

    def _bar(self, line: str) -> None:
        if self._screen.isatty():
            self._bar_text = line.strip()
            self._move()
        elif self._now() - self._bar_shown >= BAR_EVERY_S:
            self._bar_shown = self._now()
            self._show(f"  {self.task} | {line.strip()}")

    def _show(self, line: str) -> None:
        if isinstance(self._screen, JsonLines):
            self._screen.event(line.strip(), task=self.task, **self._fields())
            return
        erase = "\r\x1b[K" if self._moving else ""
        self._moving = False
        self._screen.write(f"{erase}{line}\n")
        if self._screen.isatty():
            self._move()
        elif self._now() - self._told >= PROGRESS_EVERY_S:
            self._told = self._now()
            self._screen.write(f"  {self.progress()}\n")
        self._screen.flush()

    def _move(self) -> None:
        """The line that moves: how far the run is, and the bar of what is at work."""
        bar = f" | {self._bar_text}" if self._bar_text else ""
        self._screen.write(f"\r\x1b[K{self.progress()}{bar}"[:MOST_COLUMNS])
        self._moving = True
        self._screen.flush()

    def end(self) -> None:
        """The line that moves has nothing more to tell."""
        if self._moving:
            self._screen.write("\r\x1b[K")
            self._moving = False
            self._screen.flush()

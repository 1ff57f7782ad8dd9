"""What a run has done so far, in the store, for whoever waits for it: a record a step, and one summary of the run.

    STORE/runs/RUN/steps/STEP.json    written when a step begins and when it ends
    STORE/runs/RUN/run_summary.json   written when a step fails, and by the last one

RUN is the orchestrator's name for the run; without one nothing is kept. An orchestrator knows that a task has failed,
and not why: a step that fails writes the cause down itself, and one that was ended from outside leaves a record that
says `running`.
"""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tofner import storage
from tofner.errors import BadInput, PassingFault, Problem, TofnerError

RUNS = "runs"
SUMMARY = "run_summary.json"
LAST = "publish"
AGAIN = "start the run again: what is finished is found in the store"


@dataclass
class Record:
    """One step of a run. `status` is running, done, reused, off or failed; times are seconds since 1970."""

    step: str
    status: str = "running"
    stage: str = ""
    uri: str = ""
    started: float = 0.0
    ended: float | None = None
    cpus: int = 0
    gpus: int = 0
    told: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, str] = field(default_factory=dict)

    def of(self, status: str, stage: str, uri: str, told: dict[str, Any]) -> None:
        """What came of it: its result's address, and what the stage tells of it."""
        self.status, self.stage, self.uri, self.told = status, stage, uri, told


@contextlib.contextmanager
def kept(store: str, run_id: str, step: str, clock: Callable[[], float] = time.time) -> Iterator[Record]:
    """Writes the record of a step before and after the work inside."""
    root = storage.join(store, RUNS, run_id) if run_id else ""
    record = Record(step, started=clock(), cpus=_cpus(), gpus=_gpus())
    _write(root, record)
    try:
        yield record
    except BaseException as error:
        record.status, record.failure = "failed", _explain(error)
        raise
    finally:
        record.ended = clock()
        _write(root, record)


def list_runs(store: str) -> list[str]:
    """Names of the runs that have left records in a store."""
    return sorted({info.path.split("/")[0] for info in storage.list_files(storage.join(store, RUNS))})


def summarise(root: str) -> dict[str, Any]:
    """A run in one object, from the records of its steps; `root` is STORE/runs/RUN.

    Returns:
        `status` (succeeded, failed, running), `stage`, `cause` and `next` of a failure, `model`, `version`, `promoted`,
        `gate`, `report`, `f1` as far as they are known, `steps` in order of time, `hours` of CPU and GPU by stage.

    Raises:
        BadInput: there is no record of such a run.
    """
    names = [info.path for info in storage.list_files(storage.join(root, "steps"))]
    if not names:
        raise BadInput(Problem(root, "no records", "those of a run's steps", "look whether store and run are right"))
    steps = [json.loads(storage.read_bytes(storage.join(root, "steps", name))) for name in names]
    steps.sort(key=lambda one: one["started"])
    failed = next((one for one in steps if one["status"] == "failed"), None)
    last = next((one for one in steps if one["step"] == LAST and one["status"] in ("done", "reused")), None)
    told = {one["step"]: one for one in steps}
    made = last["told"].get("model", {}) if last else {}
    summary: dict[str, Any] = {
        "status": "failed" if failed else "succeeded" if last else "running",
        "stage": "",
        "cause": "",
        "next": "",
        "model": last["uri"] if last else "",
        "version": made.get("version", ""),
        "promoted": made.get("promoted"),
        "gate": made.get("gate", ""),
        "report": told.get("report", {}).get("uri", ""),
        "f1": told.get("evaluate", {}).get("told", {}).get("metrics", {}).get("f1"),
        "steps": steps,
        "hours": _hours(steps),
    }
    if failed:
        summary |= {"stage": failed["step"], "cause": failed["failure"]["cause"], "next": failed["failure"]["next"]}
    elif not last:
        open_steps = [one["step"] for one in steps if one["status"] == "running"]
        summary["stage"] = ", ".join(open_steps)
        summary["cause"] = "ended from outside, if it no longer runs: evicted, killed for its memory, or stopped"
        summary["next"] = AGAIN
    return summary


def _hours(steps: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """CPU and GPU hours that each stage held, of steps that have ended."""
    hours: dict[str, dict[str, float]] = {}
    for one in steps:
        if one["ended"] is not None:
            row = hours.setdefault(one["stage"] or one["step"], {"cpu": 0.0, "gpu": 0.0})
            spent = max(0.0, one["ended"] - one["started"]) / 3600
            row["cpu"] += spent * one["cpus"]
            row["gpu"] += spent * one["gpus"]
    return {stage: {kind: round(value, 4) for kind, value in row.items()} for stage, row in hours.items()}


def _explain(error: BaseException) -> dict[str, str]:
    """Kind, cause and next step of a failure."""
    text = str(error) or type(error).__name__
    if isinstance(error, BadInput):
        return {"kind": "input", "cause": text, "next": f"mend what it names, then {AGAIN}"}
    if isinstance(error, PassingFault):
        return {"kind": "passing", "cause": text, "next": AGAIN}
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        more = "give the task more memory, or halve its batch_size and double its gradient_accumulation"
        return {"kind": "memory", "cause": f"out of memory: {text}", "next": f"{more}, then {AGAIN}"}
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return {"kind": "stopped", "cause": "stopped", "next": AGAIN}
    return {"kind": "bug", "cause": f"{type(error).__name__}: {text}", "next": "the task's log has the trace"}


def show(summary: dict[str, Any]) -> list[str]:
    """A summary as lines: its steps, hours by stage, and what came of it."""
    rows = []
    for one in summary["steps"]:
        took = "" if one["ended"] is None else f"{one['ended'] - one['started']:9.1f} s"
        rows.append(f"{one['step']:<18} {one['status']:<8} {took:>11}  {one['uri']}".rstrip())
    for stage, hours in summary["hours"].items():
        rows.append(f"{stage:<18} {hours['cpu']:8.3f} CPU hours {hours['gpu']:8.3f} GPU hours")
    end = [f"status {summary['status']}"]
    for name in ("stage", "cause", "next", "model", "gate", "report", "f1"):
        if summary[name] not in ("", None):
            end.append(f"{name:<6} {summary[name]}")
    return [*rows, *end]


def _write(root: str, record: Record) -> None:
    """Keep a record. A store that does not answer is the stage's to report: a record fails no work."""
    if not root:
        return
    value = vars(record) | {"written_at": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        _put(storage.join(root, "steps", re.sub(r"\W+", "-", record.step) + ".json"), value)
        if record.status == "failed" or (record.step == LAST and record.ended is not None):
            _put(storage.join(root, SUMMARY), summarise(root))
    except TofnerError as error:
        print(f"note: this step could not be recorded: {error}", file=sys.stderr, flush=True)


def _put(uri: str, value: dict[str, Any]) -> None:
    storage.write_bytes(uri, json.dumps(value, indent=1, ensure_ascii=False).encode())


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> int:
    """GPUs that the container was given, by what NVIDIA's device plugin tells it; torch is not asked."""
    seen = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    return 0 if seen in ("", "void", "none", "all") else len(seen.split(","))

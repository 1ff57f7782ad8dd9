"""Follows a run of a Kubeflow server until it ends, and tells what came out of it.

The API names no failed task of a big run and no cause: these stand in `STORE/runs/RUN_ID`, where each task keeps a
record of itself (`tofner.records`). An image that cannot be pulled leaves a run RUNNING for ever: whoever waits gives
up when nothing has changed for long.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tofner import records, storage
from tofner.errors import BadData, PassingFault, Problem, TofnerError
from tofner_kubeflow.pipelines.backend import Backend

POLL_S = 15.0  # Argo moves in steps of 10 s
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED", "ERROR")
DONE = ("SUCCEEDED", "SKIPPED", "CACHED", "OMITTED")
MOST_NAMED = 4  # tasks at work in one line

Say = Callable[[str], None]


class TimeOver(PassingFault):
    """A run took longer than somebody wanted to wait. It goes on."""


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a run: altogether (None: for ever), and while nothing changes."""

    whole_s: float | None
    no_progress_s: float


def follow(backend: Backend, run_id: str, tasks: frozenset[str], patience: Patience, say: Say) -> dict[str, Any]:
    """Waits until the run has ended; returns it as the server gives it.

    `tasks` are the names to count. A line is said whenever something has changed.

    Raises:
        TimeOver: time is over. The run goes on.
        PassingFault: no answer, or nothing has changed for too long. The run goes on.
        BadInput: the server no longer knows the run, or refuses to tell.
    """
    clock, page = backend.clock, backend.page("runs", "details", run_id)
    start = changed = clock.now()
    before: object = None
    line = ""
    while True:
        run = backend.get(f"/runs/{run_id}")
        now = clock.now()
        seen = (run.get("state"), states(run))
        if seen != before:
            before, changed = seen, now
            if (told := progress(run, tasks)) != line:
                line = told
                say(f"{timedelta(seconds=int(now - start))}  {line}")
        if run.get("state") in ENDED:
            return run
        if patience.whole_s is not None and now - start >= patience.whole_s:
            raise TimeOver(f"gave up after {_span(now - start)} (--timeout); the run goes on: {page}")
        if now - changed >= patience.no_progress_s:
            raise PassingFault(
                f"nothing has changed for {_span(now - changed)} (--no-progress-timeout): a long stage, an image that "
                f"cannot be pulled, or a pod that finds no node. The run goes on: {page}"
            )
        clock.sleep(POLL_S)


def states(run: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """(task, state) of every task that the server lists."""
    listed = (run.get("run_details") or {}).get("task_details") or []
    return frozenset((str(one.get("task_id")), str(one.get("state"))) for one in listed)


def progress(run: Mapping[str, Any], tasks: frozenset[str]) -> str:
    """State, tasks done of those that the pipeline has, and the tasks at work, on one line.

    The server lists a task, its driver, its executor and each try apart; only the task itself counts.
    """
    listed = (run.get("run_details") or {}).get("task_details") or []
    found: dict[str, str] = {}
    for one in listed:  # in a loop a name stands several times, and counts when all are done
        name, state = str(one.get("display_name")), str(one.get("state"))
        if name in tasks and found.get(name, DONE[0]) in DONE:
            found[name] = state
    at_work = sorted(name for name, state in found.items() if state not in (*DONE, "FAILED"))
    more = f" and {len(at_work) - MOST_NAMED} more" if len(at_work) > MOST_NAMED else ""
    failed = sorted(name for name, state in found.items() if state == "FAILED")
    parts = [str(run.get("state") or "PENDING")]
    parts += [f"{sum(state in DONE for state in found.values())} of {len(tasks)} tasks done"] if tasks else []
    parts += [f"at work: {', '.join(at_work[:MOST_NAMED])}{more}"] if at_work else []
    parts += [f"failed: {', '.join(failed[:MOST_NAMED])}"] if failed else []
    return "; ".join(parts)


def outcome(run: Mapping[str, Any], page: str) -> tuple[bool, str]:
    """Whether the run has succeeded, and what there is to say of it.

    A run counts as failed also where the server says SUCCEEDED and the run's own summary says otherwise.
    """
    state, run_id = str(run.get("state")), str(run.get("run_id"))
    parameters = (run.get("runtime_config") or {}).get("parameters") or {}
    succeeded = state == "SUCCEEDED"
    missing = "it has no parameter `store`, where a summary would lie"
    lines: list[str] = []
    if store := str(parameters.get("store") or ""):
        try:
            summary = read_summary(storage.join(store, records.RUNS, run_id))
            succeeded = succeeded and summary.get("status") != "failed"
            lines = _good(summary) if succeeded else _bad(summary, state)
        except storage.NoSuchObject:
            missing = f"it has left no records below {store}/{records.RUNS}/{run_id}"
        except TofnerError as error:
            missing = f"its summary cannot be read: {error}"
    if not succeeded:
        lines = [*(lines or [f"the run has ended {state}; {missing}"]), f"look at the run's page: {page}"]
    return succeeded, "\n".join(lines)


def read_summary(root: str) -> dict[str, Any]:
    """The summary that a run has written to STORE/runs/RUN; of one whose task was killed, what its records say.

    Raises:
        NoSuchObject: it has left no records.
        BadData: something else stands there.
    """
    place = storage.join(root, records.SUMMARY)
    if not storage.exists(place) and storage.list_files(root):
        return records.summarise(root)
    try:
        summary = json.loads(storage.read_bytes(place))
    except ValueError:
        summary = None
    if not isinstance(summary, dict):
        raise BadData(Problem(place, "no JSON object", "a run's summary"))
    return summary


def _good(summary: Mapping[str, Any]) -> list[str]:
    f1 = summary.get("f1")
    scored = [f"F1 {f1:.4f}"] if isinstance(f1, int | float) else []
    return scored + [f"{name} {summary[name]}" for name in ("model", "report") if summary.get(name)]


def _bad(summary: Mapping[str, Any], state: str) -> list[str]:
    """Stage, cause and what to do, as the run wrote them."""
    stage, cause = summary.get("stage") or "no stage named", summary.get("cause") or "no cause named"
    lines = [f"the run has ended {state}: {stage}: {cause}"]
    return lines + [str(summary[name]) for name in ("next", "report") if summary.get(name)]


def _span(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))

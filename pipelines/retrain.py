"""Retraining as CI wants it: look whether anything has changed, run, wait, and tell what came of it.

Where a run takes place is a `Place`: a Kubeflow server, or this machine. Either is asked whether the run of an earlier
claim is still at work, so that a caller who was killed leaves nothing behind that somebody would have to clear away.
"""

import contextlib
import getpass
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tofner import records, storage
from tofner.errors import BadInput, PassingFault, TofnerError
from tofner.release import retraining
from tofner.release.page import plain
from tofner.release.retraining import FAILED, HELD_BACK, LATEST, Claim, Now, Past, State, now_utc
from tofner_kubeflow.pipelines.backend import Backend, equals, segment
from tofner_kubeflow.pipelines.cluster import laptop
from tofner_kubeflow.pipelines.compile import compile_tof
from tofner_kubeflow.pipelines.follow import ENDED, Patience, Say, TimeOver, follow, read_summary
from tofner_kubeflow.pipelines.local import StageBroke, run_graph
from tofner_kubeflow.pipelines.submit import start
from tofner_kubeflow.pipelines.uploads import Uploaded

UNCHANGED = "unchanged"
STARTING = timedelta(
    minutes=10
)  # a claim whose run is not there yet is of somebody who starts it; after this, of nobody
STOPPING_S = 900.0  # a run that was told to end is waited for
LONGEST_SAID = 500  # characters of a cause that are kept


class Seen(NamedTuple):
    """What became of a claim's run: `at work`, `ended`, `gone` (there is none), or `unknown`."""

    state: str
    run: str = ""


class Place(Protocol):
    """Where runs take place."""

    def look(self, claim: Claim, now: datetime) -> Seen:
        """What became of the run of an earlier claim."""

    def start(self, name: str) -> str:
        """Starts a run of this name; returns its id.

        Raises:
            BadInput: there is none, for certain.
            PassingFault: nobody knows.
        """

    def wait(self, run: str, longest: timedelta) -> None:
        """Waits until a run has ended, well or not. One that takes longer is ended.

        Raises:
            PassingFault: it goes on, and the same command waits for it again.
        """

    def page(self, run: str) -> str:
        """Where people look at a run."""


@dataclass(frozen=True)
class Told:
    """What a retraining came to.

    Attributes:
        outcome: `latest`, `held back`, `failed`, or `unchanged` where there was nothing to do.
        past: of this retraining, or of the last one where nothing was to do.
        summary: of the run, as `records.summarise`; empty where none was written.
        page: where the run can be looked at.
    """

    outcome: str
    why: str
    past: Past | None
    summary: dict[str, Any] = field(default_factory=dict)
    page: str = ""


def retrain(
    store: str,
    model: str,
    made_from: retraining.Inputs,
    place: Place,
    *,
    prefix: str = "retrain",
    why: str = "",
    force: bool = False,
    longest: timedelta = timedelta(days=1),
    say: Say = print,
    now: Now = now_utc,
) -> Told:
    """Retrain a model if anything that it is made from has changed, one retraining at a time.

    Args:
        made_from: digest by kind of input, as `tofner.stages.plan.made_from`.
        prefix: of the run's name.
        why: for people. force: also where nothing has changed.
        longest: a run may take; it is ended then.

    Raises:
        Busy: another retraining of this model is at work.
        PassingFault: the run goes on; the same call waits for it again.
        BadInput: the run cannot be started, or storage refuses.
    """
    state = retraining.read(store, model)
    gone = False
    if earlier := state.claim:
        seen = place.look(earlier, now())
        if seen.state == "ended":
            say(f"nobody had waited for the end of {earlier}")
            state = _settled(state, store, seen.run, now).state
        elif seen.state == "at work" and earlier.inputs == made_from:
            say(f"there is a run for this already, and it is waited for: {earlier}")
            return _waited(state, store, seen.run, place, now)
        gone = seen.state == "gone"
    kinds = retraining.changed(state, made_from)
    if not kinds and not force:
        last = next(one for one in reversed(state.past) if one.outcome != FAILED)
        return Told(UNCHANGED, f"nothing has changed since {last.at}", last)
    because = ", ".join(filter(None, (why, _changes(state, kinds))))
    name = f"{prefix}-{secrets.token_hex(4)}"
    state = retraining.claim(state, name, made_from, caller(), because, longest, now, ended=gone)
    say(f"retraining {model}, {name}: {because}")
    try:
        run = place.start(name)
    except BadInput:  # there is none, for certain
        retraining.settle(state, None)
        raise
    say(f"run: {run}\npage: {place.page(run)}")
    return _waited(state, store, run, place, now)


class _Settled(NamedTuple):
    state: State
    past: Past
    summary: dict[str, Any]


def _waited(state: State, store: str, run: str, place: Place, now: Now) -> Told:
    assert state.claim is not None
    place.wait(run, _time(state.claim.until) - now())
    why = state.claim.why
    settled = _settled(state, store, run, now)
    return Told(settled.past.outcome, why, settled.past, settled.summary, place.page(run))


def _settled(state: State, store: str, run: str, now: Now) -> _Settled:
    """Read what an ended run left, and remember it in the claim's stead."""
    claim = state.claim
    assert claim is not None
    at = now().isoformat(timespec="seconds")
    root = storage.join(store, records.RUNS, run)
    try:
        summary = read_summary(root)
    except TofnerError as error:
        if isinstance(error, PassingFault):
            raise
        summary = {"status": FAILED, "cause": f"the run has left no summary: {error}"}
    if summary.get("status") != "succeeded":
        cause = " ".join(f"{summary.get('stage') or ''}: {summary.get('cause') or 'ended from outside'}".split())
        past = Past(claim.name, at, FAILED, claim.inputs, run, claim.why, cause.lstrip(": ")[:LONGEST_SAID])
    else:
        outcome = LATEST if summary.get("promoted") else HELD_BACK
        scored = summary.get("f1")
        f1 = float(scored) if isinstance(scored, int | float) else None
        said, version = str(summary.get("gate", "")), str(summary.get("version", ""))
        past = Past(claim.name, at, outcome, claim.inputs, run, claim.why, said, version, f1)
    return _Settled(retraining.settle(state, past), past, summary)


def _changes(state: State, kinds: list[str]) -> str:
    if not any(one.outcome != FAILED for one in state.past):
        return "no earlier retraining has succeeded" if state.past else "the first retraining"
    return f"{', '.join(kinds)} changed" if kinds else "nothing has changed"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


class OnServer:
    """Runs on a Kubeflow server. `upload` puts the pipeline there, if a run is started; other arguments are those of
    `submit.start`, `tasks` and `patience` those of `follow`."""

    def __init__(
        self,
        backend: Backend,
        upload: Callable[[], Uploaded],
        experiment: str,
        parameters: Mapping[str, Any],
        tasks: frozenset[str],
        patience: Patience,
        service_account: str = "",
        about: str = "",
        say: Say = print,
    ) -> None:
        self._backend, self._upload, self._experiment = backend, upload, experiment
        self._parameters, self._tasks, self._patience = parameters, tasks, patience
        self._service_account, self._about, self._say = service_account, about, say

    def look(self, claim: Claim, now: datetime) -> Seen:
        query = {"experiment_id": self._experiment, "filter": equals("display_name", claim.name)}
        found = self._backend.pages("/runs", "runs", **query)
        run = next((one for one in found if one.get("display_name") == claim.name), None)
        if run is None:
            return Seen("unknown" if now - _time(claim.at) < STARTING else "gone")
        return Seen("ended" if run.get("state") in ENDED else "at work", str(run["run_id"]))

    def start(self, name: str) -> str:
        prefix, _, mark = name.rpartition("-")
        made = start(
            self._backend,
            self._upload(),
            self._experiment,
            prefix,
            self._parameters,
            self._service_account,
            self._about,
            mark,
        )
        return str(made["run_id"])

    def wait(self, run: str, longest: timedelta) -> None:
        left_s, own_s = max(0.0, longest.total_seconds()), self._patience.whole_s
        whole_s = left_s if own_s is None else min(left_s, own_s)
        try:
            follow(self._backend, run, self._tasks, Patience(whole_s, self._patience.no_progress_s), self._say)
        except TimeOver:
            if whole_s < left_s:
                raise
            self._say(f"the run has taken its {longest} (--deadline), and is ended")
            with contextlib.suppress(BadInput):  # it has ended meanwhile
                self._backend.post(f"/runs/{segment(run)}:terminate")
            follow(self._backend, run, self._tasks, Patience(STOPPING_S, STOPPING_S), self._say)

    def page(self, run: str) -> str:
        return self._backend.page("runs", "details", run)


class OnThisMachine:
    """A run in this process and its children; it ends when they do, and takes as long as it takes.

    A run's id holds the machine's name and the process's number, so that another call on the same machine sees whether
    it is still at work.
    """

    def __init__(self, arguments: Mapping[str, Any], work: Path, say: Say = print) -> None:
        self._arguments, self._work, self._say = arguments, work, say

    def look(self, claim: Claim, now: datetime) -> Seen:
        machine, _, process = claim.by.partition(" ")[0].rpartition(":")
        if machine != socket.gethostname() or not process.isdigit():
            return Seen("unknown")
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return Seen("gone")
        except PermissionError:
            pass  # somebody else's
        return Seen("unknown" if int(process) != os.getpid() else "gone")

    def start(self, name: str) -> str:
        return name

    def wait(self, run: str, longest: timedelta) -> None:
        rounds = int(self._arguments["iterations"])
        cluster = laptop(rounds).model_copy(update={"run_id": run})
        try:
            run_graph(compile_tof(self._work / "tof.yaml", cluster), self._arguments, self._work)
        except (TofnerError, StageBroke) as error:
            self._say(f"{error}")  # the run has ended with it, as its records say

    def page(self, run: str) -> str:
        return str(self._work)


def caller() -> str:
    """Who calls, for a claim: machine, process, and user."""
    return f"{socket.gethostname()}:{os.getpid()} ({getpass.getuser()})"


def to_markdown(told: Told, model: str) -> str:
    """What came of it, for the page of a CI job."""
    past = told.past
    f1 = "" if past is None or past.f1 is None else f"{100 * past.f1:.2f}"
    rows = {
        "version": past.version if past else "",
        "F1 of the target test": f1,
        "gate" if told.outcome != FAILED else "cause": past.said if past and told.outcome != UNCHANGED else "",
        "started because": told.why if told.outcome != UNCHANGED else "",
        "next": str(told.summary.get("next", "")),
        "model": str(told.summary.get("model", "")),
        "report": str(told.summary.get("report", "")),
        "run": told.page,
    }
    hours = told.summary.get("hours", {})
    if hours:
        rows["CPU hours"] = f"{sum(one['cpu'] for one in hours.values()):.2f}"
        rows["GPU hours"] = f"{sum(one['gpu'] for one in hours.values()):.2f}"
    lines = [f"### {plain(model)}: {headline(told)}", ""]
    lines += [f"- {name}: {plain(value)}" for name, value in rows.items() if value]
    return "\n".join(lines) + "\n"


def headline(told: Told) -> str:
    """One line."""
    version = told.past.version if told.past else ""
    return {
        UNCHANGED: f"not retrained, {told.why}",
        LATEST: f"retrained, {version} is the latest",
        HELD_BACK: f"retrained, and {version} held back",
        FAILED: "the retraining failed",
    }[told.outcome]


def outputs(told: Told) -> dict[str, str]:
    """What later steps of a CI job ask for, one line a value."""
    past = told.past
    scored = past is not None and past.f1 is not None
    values = {
        "outcome": told.outcome.replace(" ", "-"),
        "version": past.version if past else "",
        "model": str(told.summary.get("model", "")),
        "f1": f"{past.f1:.6f}" if past is not None and scored else "",
        "run": past.run if past else "",
    }
    return {name: " ".join(value.split()) for name, value in values.items()}

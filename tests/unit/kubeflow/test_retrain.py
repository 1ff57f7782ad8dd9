"""`tofner retrain`: when it starts a run, whose run it waits for, and what it says came of it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.fake_clock import FakeClock
from tests.kfp_server import KfpServer, recorded
from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner import storage
from tofner.errors import BadInput, PassingFault
from tofner.release import retraining
from tofner.release.retraining import FAILED, HELD_BACK, LATEST, Busy, Claim, State
from tofner.stages import plan
from tofner.stages.plan import made_from
from tofner_kubeflow.pipelines.backend import Backend
from tofner_kubeflow.pipelines.follow import Patience
from tofner_kubeflow.pipelines.retrain import (
    UNCHANGED,
    OnServer,
    OnThisMachine,
    Seen,
    Told,
    outputs,
    retrain,
    to_markdown,
)
from tofner_kubeflow.pipelines.uploads import Uploaded

Client = Callable[..., Backend]
MADE_FROM = {"data": "d1", "code": "c1"}
GOOD = {"status": "succeeded", "promoted": True, "gate": "not worse", "version": "v1", "f1": 0.5}
BAD = {"status": "failed", "stage": "line 4: mrc", "cause": "out of memory", "next": "more memory"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Place:
    """Runs that end as they are told to, with the summary that they are told to leave."""

    store: str
    leaves: Any = field(default_factory=lambda: dict(GOOD))
    seen: Seen = field(default_factory=lambda: Seen("unknown"))
    refuses: Exception | None = None
    goes_on: bool = False
    started: list[str] = field(default_factory=list)
    waited: list[tuple[str, timedelta]] = field(default_factory=list)

    def look(self, claim: Claim, now: datetime) -> Seen:
        return self.seen

    def start(self, name: str) -> str:
        if self.refuses:
            raise self.refuses
        self.started.append(name)
        return f"id-{name}"

    def wait(self, run: str, longest: timedelta) -> None:
        self.waited.append((run, longest))
        if self.goes_on:
            raise PassingFault("it goes on")
        self.leave(run)

    def leave(self, run: str) -> None:
        if self.leaves is not None:
            storage.write_bytes(f"{self.store}/runs/{run}/run_summary.json", json.dumps(self.leaves).encode())

    def page(self, run: str) -> str:
        return f"page of {run}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path))


def call(place: Place, hour: int = 0, **more: Any) -> Told:
    options: dict[str, Any] = {"say": lambda _: None, "now": lambda: NOW + timedelta(hours=hour)} | more
    return retrain(place.store, "m", options.pop("made_from", MADE_FROM), place, **options)


def state(place: Place) -> State:
    return retraining.read(place.store, "m")


def test_the_first_run_then_nothing_then_what_has_changed(place: Place) -> None:
    told = call(place)
    assert (told.outcome, told.why, told.page) == (LATEST, "the first retraining", f"page of id-{place.started[0]}")
    assert told.past is not None
    assert (told.past.said, told.past.version, told.past.f1) == ("not worse", "v1", 0.5)
    again = call(place, hour=1)
    assert (again.outcome, len(place.started)) == (UNCHANGED, 1)
    assert "nothing has changed since 2026-01-01T00:00:00" in again.why
    changed = call(place, hour=2, made_from=MADE_FROM | {"data": "d2"}, why="a new month")
    assert changed.why == "a new month, data changed"
    forced = call(place, hour=3, made_from=MADE_FROM | {"data": "d2"}, force=True)
    assert (forced.why, len(place.started)) == ("nothing has changed", 3)
    assert len(set(place.started)) == 3
    assert [one.why for one in state(place).past] == [told.why, changed.why, forced.why]


@pytest.mark.parametrize(
    ("leaves", "outcome", "said"),
    [
        (GOOD | {"promoted": False, "gate": "F1 fell"}, HELD_BACK, "F1 fell"),
        (BAD, FAILED, "line 4: mrc: out of memory"),
        ({"status": "running", "stage": "line 2: mlm", "cause": "ended from outside"}, FAILED, "line 2: mlm: ended"),
        (None, FAILED, "the run has left no summary"),
        ([], FAILED, "found no JSON object"),
    ],
)
def test_what_came_of_it_is_what_the_run_left(place: Place, leaves: Any, outcome: str, said: str) -> None:
    place.leaves = leaves
    told = call(place)
    assert told.outcome == outcome
    assert told.past is not None
    assert said in told.past.said
    assert state(place).claim is None
    place.leaves = GOOD
    assert call(place, hour=1).outcome == (UNCHANGED if outcome == HELD_BACK else LATEST)


def test_a_run_that_goes_on_is_waited_for_by_the_same_call(place: Place) -> None:
    place.goes_on = True
    with pytest.raises(PassingFault, match="it goes on"):
        call(place, longest=timedelta(hours=8))
    claim = state(place).claim
    assert claim is not None
    assert place.waited[-1][1] == timedelta(hours=8)
    place.goes_on, place.seen = False, Seen("at work", f"id-{claim.name}")
    assert call(place, hour=3).outcome == LATEST
    assert place.started == [claim.name], "no second run"
    assert place.waited[-1] == (f"id-{claim.name}", timedelta(hours=5)), "what is left of its time"


def test_a_run_for_something_else_is_not_waited_for(place: Place) -> None:
    place.goes_on = True
    with pytest.raises(PassingFault):
        call(place)
    claim = state(place).claim
    for seen in (Seen("at work", "id"), Seen("unknown")):
        place.seen = seen
        with pytest.raises(Busy, match="another retraining goes on"):
            call(place, hour=1, made_from={"data": "d2", "code": "c1"})
    assert state(place).claim == claim
    assert len(place.started) == 1


def test_a_run_that_ended_alone_is_remembered_before_the_next(place: Place) -> None:
    place.goes_on = True
    with pytest.raises(PassingFault):
        call(place)
    run = f"id-{place.started[0]}"
    place.leave(run)
    place.goes_on, place.seen = False, Seen("ended", run)
    assert call(place, hour=2).outcome == UNCHANGED, "its model is there"
    (past,) = state(place).past
    assert (past.run, past.outcome) == (run, LATEST)


def test_a_claim_without_a_run_is_taken_over(place: Place) -> None:
    place.refuses = PassingFault("nobody knows whether there is a run")
    with pytest.raises(PassingFault, match="nobody knows"):
        call(place)
    assert state(place).claim is not None
    place.refuses = None
    with pytest.raises(Busy):
        call(place)
    place.seen = Seen("gone")
    assert call(place).outcome == LATEST


def test_a_refused_run_leaves_no_claim(place: Place) -> None:
    place.refuses = BadInput("no such experiment")
    with pytest.raises(BadInput, match="no such experiment"):
        call(place)
    assert state(place).claim is None
    assert state(place).past == ()


# On a server


@pytest.fixture
def server(kfp: KfpServer, client: Client) -> OnServer:
    kfp.versions["v0"] = recorded("version-upload") | {"pipeline_version_id": "v0"}
    uploaded = Uploaded("p0", "v0", "hello-1", True)
    patience = Patience(7200, 3600)
    return OnServer(
        client(), lambda: uploaded, "e0", {"name": "w"}, frozenset({"say"}), patience, "sa", "about", lambda _: None
    )


def claimed(name: str, by: str = "ann", at: datetime = NOW) -> Claim:
    return Claim(name, by, at.isoformat(), (at + timedelta(days=1)).isoformat(), {})


def test_a_claims_run_is_found_by_its_name(server: OnServer, kfp: KfpServer) -> None:
    assert server.look(claimed("nightly-1"), NOW + timedelta(minutes=9)) == Seen("unknown"), "about to be started"
    assert server.look(claimed("nightly-1"), NOW + timedelta(minutes=11)) == Seen("gone")
    run = server.start("nightly-1")
    assert kfp.runs[run]["display_name"] == "nightly-1"
    assert kfp.runs[run]["service_account"] == "sa"
    assert server.look(claimed("nightly-1"), NOW) == Seen("at work", run)
    for state_ in ("SUCCEEDED", "FAILED", "CANCELED"):
        kfp.runs[run]["state"] = state_
        assert server.look(claimed("nightly-1"), NOW) == Seen("ended", run)


def test_a_run_that_takes_too_long_is_ended(server: OnServer, kfp: KfpServer, time: FakeClock) -> None:
    kfp.follow = [recorded("run-get-running")] * 5 + [
        recorded("run-get-just-terminated"),
        recorded("run-get-terminated"),
    ]
    server.wait("r0", timedelta(seconds=60))
    assert [path for method, path, *_ in kfp.bodies if method == "POST"] == ["/runs/r0:terminate"]
    assert time.time >= 60


def test_a_wait_that_is_over_ends_no_run(server: OnServer, kfp: KfpServer, time: FakeClock) -> None:
    kfp.follow = [recorded(f"run-get-{name}") for name in ("just-created", "running")] * 1000
    with pytest.raises(PassingFault, match="the run goes on"):
        server.wait("r0", timedelta(days=1))
    assert time.time == 7200
    assert kfp.asked("POST", "/runs/r0:terminate") == []


def test_a_run_that_ended_just_before_it_was_told_to_is_no_fault(server: OnServer, kfp: KfpServer) -> None:
    kfp.runs["r0"] = {"state": "SUCCEEDED"}
    kfp.follow = [recorded("run-get-running"), recorded("run-get-succeeded")]
    server.wait("r0", timedelta(0))
    assert len(kfp.asked("POST", "/runs/r0:terminate")) == 1


def test_a_run_without_progress_goes_on(server: OnServer, kfp: KfpServer) -> None:
    kfp.follow = [recorded("run-get-image-cannot-be-pulled")]
    with pytest.raises(PassingFault, match="no-progress-timeout"):
        server.wait("r0", timedelta(days=1))
    assert kfp.asked("POST", "/runs/r0:terminate") == []


# On this machine


def test_a_process_that_has_died_holds_nobody_up() -> None:
    here = OnThisMachine({}, Path("unused"))
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    by = f"{socket.gethostname()}:{alive.pid} (ann)"
    assert here.look(claimed("r", by), NOW) == Seen("unknown")
    alive.communicate(b"\n")
    assert here.look(claimed("r", by), NOW) == Seen("gone")
    assert here.look(claimed("r", f"elsewhere:{alive.pid} (ann)"), NOW) == Seen("unknown")
    assert here.look(claimed("r", f"{socket.gethostname()}:{os.getpid()} (ann)"), NOW) == Seen("gone")


# What it is made from, and what is said


@dataclass(frozen=True)
class World:
    data: Path
    preset: Path
    store: Path

    def made_from(self, graph: str = "", **more: Any) -> dict[str, str]:
        return made_from(
            plan(**{"preset": str(self.preset), "data": str(self.data), "store": str(self.store)} | more), graph
        )

    def params(self) -> list[str]:
        named = {"preset": self.preset, "data": self.data, "store": self.store}
        return [word for key, value in named.items() for word in ("--param", f"{key}={value}")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    encoder = make_encoder(root / "encoder")
    return World(make_data(root / "data"), make_preset(root / "tiny.yaml", encoder), root / "store")


def differ(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return [kind for kind in one if one[kind] != other[kind]]


def test_each_kind_of_input_is_told_apart(made: World, tmp_path: Path) -> None:
    before = made.made_from()
    assert list(before) == ["data", "encoder", "settings", "code", "graph"]
    moved = replace(made, data=tmp_path / "data")
    make_data(moved.data)
    assert differ(before, moved.made_from()) == [], "the same content elsewhere"
    with next((moved.data / "ner" / "tgt").glob("train.*")).open("a") as text:
        text.write("one O\nmore O\n\n")
    assert differ(before, moved.made_from()) == ["data"]
    encoder = make_encoder(tmp_path / "encoder", seed=1)
    assert differ(before, made.made_from(encoder=str(encoder))) == ["encoder"]
    for change in ({"seed": 3}, {"iterations": 0}, {"overrides": ["gate.margin=1"]}, {"overrides": ["use.mlm=false"]}):
        assert differ(before, made.made_from(**change)) == ["settings"], change
    assert differ(before, made.made_from(overrides=["compute.threads=9"])) == ["settings"]
    assert differ(before, made.made_from(threads=64)) == [], "a larger machine plans"
    assert differ(before, made.made_from(graph="image: b")) == ["graph"]


def test_other_code_is_told(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made.made_from()
    monkeypatch.setattr(sys.modules["tofner.stages.plan"], "code_revision", lambda stage: f"new {stage}")
    assert differ(before, made.made_from()) == ["code"]


def test_the_page_and_the_lines_for_ci(place: Place) -> None:
    place.leaves = GOOD | {"gate": "a|b\n<c>", "model": "s3://m", "hours": {"mlm": {"cpu": 1.5, "gpu": 0.25}}}
    told = call(place)
    page = to_markdown(told, "m")
    assert page.splitlines()[0] == "### m: retrained, v1 is the latest"
    assert "- F1 of the target test: 50.00\n" in page
    assert "- CPU hours: 1.50\n- GPU hours: 0.25\n" in page
    assert "<c>" not in page
    assert outputs(told) == {
        "outcome": "latest", "version": "v1", "model": "s3://m", "f1": "0.500000", "run": f"id-{place.started[0]}"
    }  # fmt: skip
    assert "- gate" not in to_markdown(call(place, hour=1), "m"), "nothing was decided"
    place.leaves = BAD
    failed = to_markdown(call(place, hour=2, force=True), "m")
    assert failed.startswith("### m: the retraining failed\n")
    assert "- cause: line 4: mrc: out of memory\n" in failed
    assert "- next: more memory\n" in failed
    place.leaves = GOOD | {"promoted": False, "f1": None}
    held = call(place, hour=3, force=True)
    assert (outputs(held)["outcome"], outputs(held)["f1"]) == ("held-back", "")


# The command


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    return replace(made, store=tmp_path / "store")


def test_the_command_on_a_server(command: Callable[..., Result], kfp: KfpServer, world: World, tmp_path: Path) -> None:
    """A failing run, a good one, nothing to do, a changed setting; uploads only where a run is started."""
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    words = ("retrain", *world.params(), "--summary", str(summary), "--output", str(output))
    kfp.follow = [recorded("run-get-failed")]
    shown = command(*words, "--version", "1f3c")
    assert shown.exit_code == 1, shown.output
    assert "the run has left no summary" in shown.stderr
    assert len(kfp.runs) == 1

    storage.write_bytes(str(world.store / "runs" / "r1" / "run_summary.json"), json.dumps(GOOD).encode())
    kfp.follow = [recorded("run-get-running"), recorded("run-get-succeeded")]
    shown = command(*words, "--version", "2e4d")
    assert shown.exit_code == 0, shown.output
    assert "no earlier retraining has succeeded" in shown.stdout
    assert kfp.runs["r1"]["display_name"].startswith("tof-2e4d-")
    assert kfp.runs["r1"]["runtime_config"]["parameters"]["seed"] == 2019, "defaults are sent too"
    uploads = len(kfp.asked("POST", "/pipelines/upload_version"))
    shown = command(*words, "--version", "3a5b")
    assert shown.exit_code == 0
    assert "not retrained, nothing has changed since" in shown.stdout, "other images of the same code"
    assert len(kfp.asked("POST", "/pipelines/upload_version")) == uploads
    assert len(kfp.runs) == 2
    storage.write_bytes(str(world.store / "runs" / "r2" / "run_summary.json"), json.dumps(GOOD).encode())
    shown = command(*words, "--version", "3a5b", "--param", "seed=7", "--because", "another seed")
    assert "another seed, settings changed" in shown.stdout
    assert [line for line in output.read_text().splitlines() if line.startswith("outcome")] == [
        "outcome=failed", "outcome=latest", "outcome=unchanged", "outcome=latest",
    ]  # fmt: skip
    assert summary.read_text().count("### ") == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--param", "sead=1"), "an unknown parameter"),
        (("--param", "preset=nothing"), "nothing"),
        (("--deadline", "soon"), "--deadline"),
    ],
)
def test_wrong_input_starts_nothing(
    command: Callable[..., Result], kfp: KfpServer, world: World, words: tuple[str, str], said: str
) -> None:
    given = world.params()[2:] if "preset=nothing" in words else world.params()
    shown = command("retrain", *given, *words)
    assert shown.exit_code == 2, shown.output
    assert said in shown.output
    assert kfp.runs == {}
    assert not (world.store / "retraining").exists()


def test_neither_server_nor_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from tofner import cli

    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    with pytest.raises(SystemExit) as ended:
        cli.main(["retrain"])
    assert ended.value.code == 2

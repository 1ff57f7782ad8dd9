"""Records of a run's steps, and the summary that tells why it failed, also where nobody was left to say so."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tofner import records
from tofner.cli import app
from tofner.errors import BadData, BadInput, PassingFault, Problem


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1800
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def work(store: str, clock: Clock, *steps: str) -> None:
    for step in steps:
        with records.kept(store, "r1", step, clock) as record:
            record.of("done", step.partition(" ")[0], f"{store}/{step}", {"metrics": {"f1": 0.25}})


def summary(store: str) -> dict[str, Any]:
    return records.summarise(f"{store}/runs/r1")


def test_a_run_that_ended_well(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_cpus", lambda: 4)
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "GPU-1,GPU-2")
    work(store, Clock(), "ner 6", "ner 9", "evaluate", "report", "publish")
    told = summary(store)
    assert (told["status"], told["f1"], told["cause"]) == ("succeeded", 0.25, "")
    assert told["model"] == f"{store}/publish"
    assert told["report"] == f"{store}/report"
    assert [one["step"] for one in told["steps"]] == ["ner 6", "ner 9", "evaluate", "report", "publish"]
    assert told["hours"]["ner"] == {"cpu": 2 * 0.5 * 4, "gpu": 2 * 0.5 * 2}
    assert json.loads(Path(store, "runs/r1/run_summary.json").read_text()) == told


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    ("error", "kind", "cause", "next_"),
    [
        (BadData(Problem("a.conll", "3 columns", "2", line=7)), "input", "a.conll:7: found 3 columns", "mend"),
        (PassingFault("no answer from the store"), "passing", "no answer from the store", "start the run again"),
        (MemoryError(), "memory", "out of memory: MemoryError", "batch_size"),
        (OutOfMemoryError("CUDA"), "memory", "out of memory: CUDA", "batch_size"),
        (ZeroDivisionError("by zero"), "bug", "ZeroDivisionError: by zero", "trace"),
        (KeyboardInterrupt(), "stopped", "stopped", "start the run again"),
    ],
)
def test_a_failed_step_says_why(store: str, error: BaseException, kind: str, cause: str, next_: str) -> None:
    clock = Clock()
    work(store, clock, "prepare")
    with pytest.raises(type(error)), records.kept(store, "r1", "line 2: mlm", clock):
        raise error
    told = json.loads(Path(store, "runs/r1/run_summary.json").read_text())
    assert (told["status"], told["stage"]) == ("failed", "line 2: mlm")
    assert told["cause"].startswith(cause)
    assert next_ in told["next"]
    assert told["steps"][-1]["failure"]["kind"] == kind


def test_a_killed_step_is_still_running_and_the_summary_says_what_that_means(store: str) -> None:
    clock = Clock()
    work(store, clock, "prepare")
    killed = records.kept(store, "r1", "line 2: mlm", clock)
    killed.__enter__()  # and never left
    told = summary(store)
    assert (told["status"], told["stage"]) == ("running", "line 2: mlm")
    assert "ended from outside" in told["cause"]
    assert "start the run again" in told["next"]
    del killed


def test_without_a_run_nothing_is_kept(store: str) -> None:
    with records.kept(store, "", "prepare"):
        pass
    assert not Path(store).exists()


def test_a_store_that_does_not_answer_fails_no_work(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(store).write_text("a file where the store should be")
    with records.kept(store, "r1", "prepare") as record:
        record.of("done", "prepare", "u", {})
    assert "note: this step could not be recorded" in capsys.readouterr().err


def test_runs_are_listed_and_told(store: str) -> None:
    clock = Clock()
    work(store, clock, "prepare")
    with pytest.raises(BadInput), records.kept(store, "r1", "line 4: mrc", clock):
        raise BadInput("no question has an answer")
    with records.kept(store, "r2", "prepare", clock) as record:
        record.of("done", "prepare", "u", {})
    runner = CliRunner()
    listed = runner.invoke(app, ["runs", store]).output.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["r1", "failed"], ["r2", "running"]]
    one = runner.invoke(app, ["runs", store, "r1"]).output
    assert "stage  line 4: mrc\ncause  no question has an answer\nnext   mend what it names" in one
    assert json.loads(runner.invoke(app, ["runs", store, "r1", "--json"]).output) == summary(store)
    assert isinstance(runner.invoke(app, ["runs", store, "r9"]).exception, BadInput)

"""The compiled graph under `kfp.local`, with doubles of the stages: processes, reuse, failures, what the screen shows.

What each task is given, for every T and switch, is looked at in test_backend_rules.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_encoder import make_data, make_preset, make_shell
from tofner.errors import BadInput, PassingFault
from tofner_kubeflow.pipelines.cluster import laptop
from tofner_kubeflow.pipelines.compile import compile_tof
from tofner_kubeflow.pipelines.local import StageBroke, run_graph

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
DOUBLE = Path(__file__).parent / "stage_double"
Run = Callable[..., list[str]]

START = ["prepare", "gold", "line 2: mlm", "line 4: mrc", "line 6: ner"]
PSEUDO = ["line 7: label", "line 9: ner"]
ROUND = ["round 1: label", "round 1: mrc", "round 1: ner"]


def end(scored: int, judged: int = 0) -> list[str]:
    """After the rounds: taggers that were not scored yet, and those that the gate has to compare."""
    return [*["evaluate"] * scored, *["judge"] * judged, "export", "report", "publish"]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tof(tmp_path_factory.mktemp("graph") / "tof.yaml", laptop(1))


@pytest.fixture
def run(compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the graph in one work folder; returns the steps that this run's processes did work for, in order."""
    journal = tmp_path / "journal.jsonl"
    monkeypatch.setenv("TOFNER_TEST_JOURNAL", str(journal))
    paths = [str(DOUBLE), str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    encoder = make_shell(tmp_path / "lib" / "python3.11" / 'it\'s "quoted" $HOME ü')
    own = {"preset": str(make_preset(tmp_path / "preset.yaml", encoder)), "data": str(make_data(tmp_path / "data"))}

    def once(iterations: int = 1, fail: str = "", **arguments: Any) -> list[str]:
        monkeypatch.setenv("TOFNER_TEST_FAIL", fail)
        journal.write_text("")
        told = {"iterations": iterations, "store": str(tmp_path / "store"), "encoder": str(encoder), **own, **arguments}
        finished = run_graph(compiled, told, tmp_path / "work")
        assert set(finished.outputs) == {"model", "report"}
        assert all(finished.outputs.values())
        return [json.loads(line)["task"] for line in journal.read_text().splitlines()]

    return once


def in_order(steps: list[str]) -> list[str]:
    """`gold` waits for nothing but the plan, so its place among the others is not fixed."""
    return [name for name in steps if name != "gold"]


def test_runs_each_step_once_and_then_none(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [*START, *PSEUDO, *ROUND]
    worked = run(1)
    assert sorted(worked) == sorted([*steps, *end(3)])
    assert in_order(worked)[: len(steps) - 1] == in_order(steps)
    shown = capsys.readouterr().out
    assert "> round 1: ner\n  round 1: ner | working on round 1: ner\n" in shown
    assert "KFP Executor" not in shown
    assert "executor_input" not in shown
    assert "\x1b" not in shown
    journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    first = next(one for one in journal if one["task"] == "line 2: mlm")
    assert first["inputs"]["model"] == str(tmp_path / 'lib/python3.11/it\'s "quoted" $HOME ü'), "as it was given"

    assert run(1) == []
    shown = capsys.readouterr().out
    assert "> plan\n" in shown, "what it looks at may have changed"
    assert "  round 1: ner: unchanged, reused\n" in shown
    log = min((tmp_path / "work" / "logs").glob("run-*.log")).read_text()
    assert "KFP Executor" in log
    assert "working on round 1: ner" in log


def test_changes_mean_fresh_work_from_there_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(run(0)) == sorted([*START, *PSEUDO, *end(2)])
    assert "nothing to do, T is 0" in capsys.readouterr().out
    assert sorted(run(1)) == sorted([*ROUND, *end(1, 2)])
    assert sorted(run(0, overrides=["stages.pseudo_ner.epochs=3"])) == sorted([PSEUDO[1], *end(1, 1)])


@pytest.mark.parametrize(("code", "kind"), [("2", BadInput), ("75", PassingFault)])
def test_a_stage_hands_its_error_on(run: Run, code: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^line 2: mlm: mlm says no$"):
        run(1, fail=f"line 2: mlm={code}")


def test_a_bug_shows_its_trace(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StageBroke, match=r"^line 2: mlm: "):
        run(1, fail="line 2: mlm=trace")
    assert "RuntimeError: a bug in the double" in capsys.readouterr().out


def test_a_killed_stage_is_a_passing_fault_and_the_next_run_goes_on(run: Run) -> None:
    with pytest.raises(PassingFault, match=r"^line 4: mrc: its process was ended from outside"):
        run(0, fail="line 4: mrc=kill")
    assert in_order(run(0))[0] == "line 4: mrc"


def test_success_without_outputs_is_a_failure_and_is_not_remembered(run: Run) -> None:
    with pytest.raises(StageBroke):
        run(0, fail="publish=silent")
    assert run(0) == ["publish"]

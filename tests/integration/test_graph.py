"""The compiled graph under `kfp.local`, with a double for the stages: what runs and on what, caching, failures."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tofner.errors import BadInput, PassingFault
from tofner_kubeflow.pipelines.cluster import LAPTOP
from tofner_kubeflow.pipelines.compile import compile_tof
from tofner_kubeflow.pipelines.local import StageBroke, run_graph

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
DOUBLE = Path(__file__).parent / "stage_double"
Run = Callable[..., list[dict[str, Any]]]

START = ["plan", "prepare", "mlm", "mrc", "ner", "evaluate"]
PSEUDO = ["pseudo_label", "pseudo_ner", "evaluate"]
ROUND = ["pseudo_label", "loop_mrc", "loop_ner", "evaluate"]
END = ["export", "report", "publish"]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tof(tmp_path_factory.mktemp("graph") / "tof.yaml", LAPTOP)


@pytest.fixture
def run(compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the graph in one work folder; returns what this run's processes did, in order."""
    journal = tmp_path / "journal.jsonl"
    monkeypatch.setenv("TOFNER_TEST_JOURNAL", str(journal))
    paths = [str(DOUBLE), str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    def once(iterations: int = 1, fail: str = "", code: str = "1", **arguments: Any) -> list[dict[str, Any]]:
        monkeypatch.setenv("TOFNER_TEST_FAIL", fail)
        monkeypatch.setenv("TOFNER_TEST_CODE", code)
        journal.write_text("")
        finished = run_graph(compiled, {"iterations": iterations, "data": "data", **arguments}, tmp_path / "work")
        assert set(finished.outputs) == {"model", "report"}
        assert all(finished.outputs.values())
        return [json.loads(line) for line in journal.read_text().splitlines()]

    return once


def tasks(entries: list[dict[str, Any]]) -> list[str]:
    """In order, `gold` apart: it waits for nothing but the plan, and only scoring waits for it."""
    return [name for entry in entries if (name := entry.get("task", entry["stage"])) != "gold"]


@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_runs_algorithm_1_and_nothing_of_skipped_rounds(run: Run, iterations: int) -> None:
    entries = run(iterations)
    assert tasks(entries) == START + PSEUDO + ROUND * iterations + END
    _check_hand_over([entry for entry in entries if entry["stage"] != "plan"], iterations)


def _check_hand_over(entries: list[dict[str, Any]], iterations: int) -> None:
    """Each theta, pseudo set and score goes where Algorithm 1 says."""
    by_task: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        by_task.setdefault(entry["task"], []).append(entry)
    corpora, gold = by_task["prepare"][0]["uri"], by_task["gold"][0]["uri"]
    mlm, mrc, ner = by_task["mlm"][0], by_task["mrc"][0], by_task["ner"][0]
    assert mlm["inputs"] == {"corpora": corpora, "model": "encoder"}  # 1-2
    assert mrc["inputs"] == {"corpora": corpora, "model": mlm["uri"], "pseudo": "", "head": ""}  # 3-4
    assert ner["inputs"] == {"corpora": corpora, "model": mrc["uri"], "pseudo": "", "head": ""}  # 5-6
    labels = by_task["pseudo_label"]
    assert labels[0]["inputs"] == {"corpora": corpora, "model": ner["uri"], "earlier": ""}  # 7
    pseudo = by_task["pseudo_ner"][0]
    assert pseudo["inputs"] == {
        "corpora": corpora, "model": ner["uri"], "pseudo": labels[0]["uri"], "head": ner["uri"],
    }  # 8-9  # fmt: skip
    tagger, g_head, taggers = pseudo["uri"], mrc["uri"], [ner["uri"], pseudo["uri"]]
    for i in range(iterations):
        label, g, h = labels[i + 1], by_task["loop_mrc"][i], by_task["loop_ner"][i]
        assert label["inputs"] == {"corpora": corpora, "model": tagger, "earlier": labels[i]["uri"]}  # 10, 17
        assert g["inputs"] == {"corpora": corpora, "model": tagger, "pseudo": label["uri"], "head": g_head}  # 13-14
        assert h["inputs"] == {"corpora": corpora, "model": g["uri"], "pseudo": label["uri"], "head": tagger}  # 15-16
        tagger, g_head = h["uri"], g["uri"]
        taggers.append(tagger)
    scores = by_task["evaluate"]
    assert [score["inputs"] for score in scores] == [{"gold": gold, "model": one} for one in taggers]
    export, report, publish = (by_task[name][0] for name in END)
    assert export["inputs"] == {"corpora": corpora, "model": tagger}
    told = " ".join(score["uri"] for score in scores)
    assert report["inputs"] == {"model": tagger, "export": export["uri"], "scores": told}
    assert publish["inputs"] == {"export": export["uri"], "model": tagger, "report": report["uri"]}
    assert all(gold not in entry["inputs"].values() for entry in entries if entry["stage"] != "evaluate")


@pytest.mark.parametrize(
    ("off", "gone"),
    [(["mlm"], {"mlm"}), (["mrc"], {"mrc"}), (["mlm", "mrc"], {"mlm", "mrc"})],
    ids=["no-mlm", "adaptabert-and-pseudo", "direct-transfer-and-pseudo"],
)
def test_a_stage_that_is_off_runs_nothing(run: Run, off: list[str], gone: set[str]) -> None:
    entries = run(1, overrides=[f"{name}=off" for name in off])
    assert tasks(entries) == [task for task in START + PSEUDO + ROUND + END if task not in gone]
    loop = next(entry for entry in entries if entry.get("task") == "loop_mrc")
    assert (loop["inputs"]["head"] == "") == ("mrc" in off), "there is an MRC head to carry on only after `mrc`"


def test_the_baselines_are_settings_of_the_same_graph(run: Run) -> None:
    entries = run(0, overrides=["mlm=off", "mrc=off", "pseudo=off"])
    assert tasks(entries) == ["plan", "prepare", "ner", "evaluate", *END]
    ner, scored, report = (
        next(one for one in entries if one["stage"] == name) for name in ("ner", "evaluate", "report")
    )
    assert ner["inputs"]["model"] == "encoder"
    assert report["inputs"]["scores"] == scored["uri"]


def test_arguments_arrive_as_they_were_given(run: Run) -> None:
    """`kfp.local` by itself puts the interpreter's path in place of `python3`, in arguments too."""
    odd = """/lib/python3.11/it's "quoted" $HOME ü"""
    entries = run(0, encoder=odd, store=odd)
    assert next(entry for entry in entries if entry["stage"] == "mlm")["inputs"]["model"] == odd
    assert {entry["store"] for entry in entries[1:]} == {odd}


def test_an_unchanged_run_plans_and_does_nothing_else(run: Run) -> None:
    run(1)
    assert tasks(run(1)) == ["plan"]


def test_more_rounds_keep_the_shared_prefix(run: Run) -> None:
    run(0)
    assert tasks(run(1)) == ["plan", *ROUND, *END]
    assert tasks(run(2)) == ["plan", *ROUND, *END]
    assert tasks(run(1)) == ["plan"]


def test_a_changed_setting_means_fresh_work_from_there_on(run: Run) -> None:
    run(0)
    assert tasks(run(0, overrides=["pseudo_ner=other"])) == ["plan", "pseudo_ner", "evaluate", *END]
    assert tasks(run(0, overrides=["publish=other"])) == ["plan", "publish"]


def test_changed_code_means_fresh_work(run: Run) -> None:
    everything = tasks(run(0))
    assert tasks(run(0, code="2")) == everything


@pytest.mark.parametrize(("code", "kind"), [("2", BadInput), ("75", PassingFault)])
def test_a_stage_hands_its_error_on(run: Run, code: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^line 4: mrc: mrc says no$"):
        run(1, fail=f"mrc={code}")


def test_a_bug_shows_its_trace(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StageBroke, match=r"^line 6: ner: "):
        run(1, fail="ner=trace")
    assert "RuntimeError: a bug in the double" in capsys.readouterr().out


def test_a_killed_stage_is_a_passing_fault_and_the_next_run_goes_on(run: Run) -> None:
    with pytest.raises(PassingFault, match=r"^round 1: mrc: its process was ended from outside"):
        run(1, fail="loop_mrc=kill")
    assert tasks(run(1)) == ["plan", *ROUND[1:], *END]


def test_success_without_outputs_is_a_failure_and_is_not_remembered(run: Run) -> None:
    with pytest.raises(StageBroke):
        run(0, fail="publish=silent")
    with pytest.raises(StageBroke):
        run(1, fail="loop_mrc=silent")
    assert tasks(run(1)) == ["plan", *ROUND[1:], *END]


def test_the_screen_shows_stages_and_the_log_everything(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(1)
    shown = capsys.readouterr().out
    assert "> round 1: ner\n  round 1: ner | working on loop_ner\n" in shown
    assert "KFP Executor" not in shown
    assert "executor_input" not in shown
    assert "\x1b" not in shown
    run(1)
    assert "  round 1: ner: unchanged, reused\n" in capsys.readouterr().out
    log = min((tmp_path / "work" / "logs").glob("run-*.log")).read_text()
    assert "KFP Executor" in log
    assert "working on loop_ner" in log

"""What the process of a task imports: only what its work needs, and next to nothing where there is none; and that a
local run needs none for what is off, done or planning.

Each task is the program that a pod runs, in an interpreter of its own; the store is a folder.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_encoder import make_data, make_preset, make_shell
from tofner import child, storage
from tofner.stages import plan
from tofner.stages.plan import Plan, load_plan, save_plan
from tofner.stages.runtime import locate
from tofner.stages.steps import place_of
from tofner_kubeflow.components.stage import START
from tofner_kubeflow.pipelines import processes
from tofner_kubeflow.pipelines.answers import answer
from tofner_kubeflow.pipelines.processes import run_process

NETWORKS = {"torch", "transformers", "accelerate", "onnxruntime", "onnx", "seqeval"}
CORPORA = {"datasets", "pandas", "pyarrow"}
NO_PROCESS = "a process was started"
ANY_WORK = NETWORKS | CORPORA | {"numpy", "tokenizers", "yaml", "jinja2", "boto3"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Parameters of a run without line 2."""
    root = tmp_path_factory.mktemp("light")
    encoder = make_shell(root / "encoder")
    preset, data = make_preset(root / "preset.yaml", encoder), make_data(root / "data")
    numbers = {"iterations": 0, "seed": 1, "max_iterations": 0, "gpus": 0, "threads": 0}
    switches = {"mlm": "off", "mrc": "preset", "pseudo": "preset", "order": "preset"}
    addresses = {"preset": str(preset), "data": str(data), "store": str(root / "store"), "encoder": str(encoder)}
    return {**addresses, **numbers, **switches, "overrides": [], "model_name": "", "run_id": ""}


@pytest.fixture(scope="module")
def planned(told: dict[str, Any]) -> Plan:
    names = ("preset", "data", "store", "encoder", "iterations", "seed", "max_iterations", "gpus", "threads")
    return plan(**{name: told[name] for name in names}, overrides=["use.mlm=false"])


def command(function: str, folder: Path, **values: Any) -> list[str]:
    """As KFP starts a task; its outputs go to `folder`/output.json."""
    given = {"inputs": {"parameterValues": values}, "outputs": {"outputFile": str(folder / "output.json")}}
    program = [sys.executable, "-c", START]
    return [*program, "--executor_input", json.dumps(given), "--function_to_execute", function]


def outputs_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "output.json").read_text())["parameterValues"]
    return found


def task(function: str, folder: Path, **values: Any) -> tuple[dict[str, Any], set[str]]:
    """Output parameters of a task, and the top-level packages that its process has imported."""
    words = [
        f"{START}\nprint('LOADED', *sys.modules)" if word == START else word
        for word in command(function, folder, **values)
    ]
    words[2] = f"import sys; {words[2]}"
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = done.stdout[done.stdout.rindex("LOADED ") :].split()[1:]
    return outputs_in(folder), {name.partition(".")[0] for name in loaded}


def answered(function: str, folder: Path, **values: Any) -> dict[str, Any]:
    """Output parameters of a task that the run answers without a process."""
    assert run_process(command(function, folder / "answered", **values)) == 0
    return outputs_in(folder / "answered")


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, a process that the run starts fails the test."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail(NO_PROCESS)

    monkeypatch.setattr(processes.subprocess, "Popen", refuse)


def put_result(planned: Plan, stage: str, inputs: dict[str, str], folder: Path) -> str:
    """A result where a stage would leave it."""
    uri = locate(stage, planned.store, planned.settings[stage], inputs)[2]
    report = {
        "metrics": {},
        "confusion": None,
        "published": "",
        "counts": {},
        "notes": [],
        "details": {},
        "summary": "",
    }
    (folder / "report.json").write_text(json.dumps({**report, "stage": stage, "seconds": 1.0}))
    (folder / "manifest.json").write_text(json.dumps({"stage": stage, "digest": stage, "files": {}, "inputs": inputs}))
    storage.store_folder(folder, uri)
    return uri


def test_planning_loads_no_network_and_no_corpus(told: dict[str, Any], planned: Plan, tmp_path: Path) -> None:
    outputs, loaded = task("plan", tmp_path, **told)
    assert load_plan(outputs["Output"]) == planned
    assert not (NETWORKS | CORPORA) & loaded


def test_the_work_of_gold_loads_no_network(planned: Plan, tmp_path: Path) -> None:
    outputs, loaded = task("gold", tmp_path, run=save_plan(planned))
    assert outputs["Output"] == place_of(planned, "gold")
    assert "datasets" in loaded, "it writes a corpus"
    assert not NETWORKS & loaded


def test_a_step_that_is_off_loads_next_to_nothing(planned: Plan, tmp_path: Path) -> None:
    outputs, loaded = task("mlm", tmp_path, step="line 2: mlm", run=save_plan(planned), gpus="0")
    assert outputs["model"] == planned.encoder
    assert not ANY_WORK & loaded


def finished(stage: str, planned: Plan, made: Path) -> dict[str, Any]:
    """Makes the result of `prepare` or of line 4; returns what its task is given."""
    made.mkdir(exist_ok=True)
    run = save_plan(planned)
    if stage == "prepare":
        put_result(planned, "prepare", {"data": planned.data}, made)
        return {"run": run}
    put_result(planned, "mrc", {"model": planned.encoder, "corpora": place_of(planned, "prepare")}, made)
    return {"step": "line 4: mrc", "run": run, "model": planned.encoder, "gpus": "0"}


@pytest.mark.parametrize("stage", ["prepare", "mrc"])
def test_a_step_that_is_done_loads_next_to_nothing(stage: str, planned: Plan, tmp_path: Path) -> None:
    outputs, loaded = task(stage, tmp_path, **finished(stage, planned, tmp_path / "made"))
    if stage == "mrc":
        assert outputs["model"].startswith(f"{planned.store}/work/mrc/")
    assert outputs["run"] == save_plan(planned)
    assert not ANY_WORK & loaded


def test_light_stages_load_no_network() -> None:
    stages = ", ".join(f"tofner.stages.{name}" for name in ("prepare", "gold", "report", "publish", "release"))
    program = f"import sys, {stages}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not (NETWORKS | CORPORA) & {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.usefixtures("no_process")
def test_a_run_plans_without_a_process(told: dict[str, Any], planned: Plan, tmp_path: Path) -> None:
    assert load_plan(answered("plan", tmp_path, **told)["Output"]) == planned


def test_a_run_answers_what_is_off_as_its_process_would(
    planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"step": "line 2: mlm", "run": save_plan(planned), "gpus": "0"}
    outputs, _ = task("mlm", tmp_path, **given)
    monkeypatch.setattr(processes.subprocess, "Popen", None)
    assert answered("mlm", tmp_path, **given) == outputs
    said = capsys.readouterr()
    assert "line 2: mlm: nothing to do, use.mlm is false" in said.out, "as a process's lines do, it reaches the relay"
    assert said.err == ""


def test_a_run_answers_what_is_done_and_nothing_that_has_work(planned: Plan, tmp_path: Path) -> None:
    # Another store, where nothing is done.
    store = str(tmp_path / "store")
    planned = replace(planned, store=store)
    run = save_plan(planned)
    for stage, given in (("prepare", {}), ("mrc", {"step": "line 4: mrc", "model": planned.encoder, "gpus": "0"})):
        assert answer(command(stage, tmp_path, run=run, **given)) is None
        assert not (tmp_path / "output.json").exists()
        done = finished(stage, planned, tmp_path / "made")
        assert answer(command(stage, tmp_path, **done)) == 0
        assert outputs_in(tmp_path)["run"] == run
        (tmp_path / "output.json").unlink()


def test_what_decides_more_than_its_result_has_a_process(planned: Plan, tmp_path: Path) -> None:
    run, there = save_plan(planned), planned.encoder
    for function, names in (("evaluate", ("gold", "model")), ("publish", ("model", "export", "report"))):
        made, given = tmp_path / function, dict.fromkeys(names, there)
        made.mkdir()
        put_result(planned, function, given, made)
        assert answer(command(function, tmp_path, run=run, **given)) is None


def test_a_plan_that_is_not_there_is_for_the_process_to_tell(planned: Plan, tmp_path: Path) -> None:
    assert answer(command("gold", tmp_path, run=f"{planned.store}/plans/none.json")) is None


def test_an_error_of_the_user_is_the_tasks_exit_code(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "error.json"
    monkeypatch.setenv("TOFNER_ERROR_FILE", str(note))
    assert answer(command("plan", tmp_path, **told | {"data": str(tmp_path / "nowhere")})) == 2
    assert json.loads(note.read_text())["exit_code"] == 2
    assert "nowhere" in capsys.readouterr().out


def test_a_bug_shows_its_trace(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: Any) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr("tofner.stages.begin", breaks)
    assert answer(command("plan", tmp_path, **told)) == 1
    said = capsys.readouterr().out
    assert said.startswith("Traceback (most recent call last)")
    assert "RuntimeError: a bug" in said


def test_a_signal_to_the_run_is_no_exit_of_the_task(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return ""

    monkeypatch.setattr("tofner.stages.begin", stopped)
    monkeypatch.setattr(child, "_leaving", [])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    alarm = signal.getsignal(signal.SIGALRM)
    try:
        with processes.stoppable(lambda: "plan"), pytest.raises(SystemExit) as end:
            answer(command("plan", tmp_path, **told))
    finally:
        signal.signal(signal.SIGALRM, alarm)
    assert end.value.code == 130

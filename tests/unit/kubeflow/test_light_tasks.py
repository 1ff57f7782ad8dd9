"""What the process of a task imports: only what its work needs, and next to nothing where there is none.

Each task is the program that a pod runs, in an interpreter of its own; the store is a folder.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_encoder import make_data, make_preset, make_shell
from tofner import storage
from tofner.stages import plan
from tofner.stages.plan import Plan, load_plan, save_plan
from tofner.stages.runtime import locate
from tofner.stages.steps import place_of
from tofner_kubeflow.components.stage import START

NETWORKS = {"torch", "transformers", "accelerate", "onnxruntime", "onnx", "seqeval"}
CORPORA = {"datasets", "pandas", "pyarrow"}
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


def task(function: str, folder: Path, **values: Any) -> tuple[dict[str, Any], set[str]]:
    """Output parameters of a task, and the top-level packages that its process has imported."""
    output = folder / function.replace(" ", "-") / "output.json"
    given = {"inputs": {"parameterValues": values}, "outputs": {"outputFile": str(output)}}
    program = f"{START}\nimport sys\nprint('LOADED', *sys.modules)"
    command = [sys.executable, "-c", program, "--executor_input", json.dumps(given), "--function_to_execute", function]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = done.stdout[done.stdout.rindex("LOADED ") :].split()[1:]
    return json.loads(output.read_text())["parameterValues"], {name.partition(".")[0] for name in loaded}


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


@pytest.mark.parametrize("stage", ["prepare", "mrc"])
def test_a_step_that_is_done_loads_next_to_nothing(stage: str, planned: Plan, tmp_path: Path) -> None:
    run, made = save_plan(planned), tmp_path / "made"
    made.mkdir()
    if stage == "prepare":
        uri = put_result(planned, "prepare", {"data": planned.data}, made)
        outputs, loaded = task("prepare", tmp_path, run=run)
        assert outputs["run"] == run
    else:
        inputs = {"model": planned.encoder, "corpora": place_of(planned, "prepare")}
        uri = put_result(planned, "mrc", inputs, made)
        step = {"step": "line 4: mrc", "run": run, "model": planned.encoder, "gpus": "0"}
        outputs, loaded = task("mrc", tmp_path, **step)
        assert outputs["model"] == uri
    assert storage.folder_index(uri) is not None
    assert not ANY_WORK & loaded


def test_light_stages_load_no_network() -> None:
    stages = ", ".join(f"tofner.stages.{name}" for name in ("prepare", "gold", "report", "publish", "release"))
    program = f"import sys, {stages}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not (NETWORKS | CORPORA) & {name.partition(".")[0] for name in done.stdout.split()}

"""The workflows call what there is: commands, options, targets, folders. Their form is checked by `make lint`."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SURFACE = json.loads((ROOT / "tests" / "golden" / "surface.json").read_text(encoding="utf-8"))


def read(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job.get("steps", [])]


def commands(path: Path) -> list[list[str]]:
    """Every command line of a workflow, in words."""
    scripts = "\n".join(step["run"] for step in steps(path) if "run" in step).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in scripts.splitlines() if line.count('"') % 2 == 0]


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_the_five() -> None:
    assert [path.stem for path in WORKFLOWS] == ["audit", "images", "kubeflow", "retrain", "tests"]


def test_scripts_are_bash(workflow: Path) -> None:
    for step in steps(workflow):
        if "run" in step:
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)


def test_what_a_user_writes_is_never_part_of_a_script(workflow: Path) -> None:
    """It would be run; as a variable of the environment it is a text."""
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")


def test_commands_and_targets_exist(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = 0
    for words in commands(workflow):
        if words[:1] == ["tofner"]:
            flags = SURFACE["commands"][words[1]].values()
            known = {flag for one in flags for flag in one["flags"].split(", ")}
            assert {word for word in words if word.startswith("--")} <= known
            called += 1
        if words[:1] == ["make"]:
            targets_here = [word for word in words[1:] if "=" not in word and not word.startswith(".")]
            assert set(targets_here) <= targets
            called += 1
        if words[:2] == ["bash", ".ci/run"]:
            called += 1
    assert called, "this workflow calls nothing of the project"


def test_paths_that_are_watched_exist() -> None:
    watched = read(ROOT / ".github/workflows/retrain.yml")[True]["push"]["paths"]  # YAML 1.1 reads `on` as true
    for path in watched:
        assert list(ROOT.glob(path.removesuffix("/**"))), path


def test_the_retraining_job_ends_after_its_wait() -> None:
    job = read(ROOT / ".github/workflows/retrain.yml")["jobs"]["retrain"]
    (words,) = [
        words for words in commands(ROOT / ".github/workflows/retrain.yml") if words[:2] == ["tofner", "retrain"]
    ]
    wait_h = int(words[words.index("--timeout") + 1].removesuffix("h"))
    assert wait_h * 60 < job["timeout-minutes"] <= 360, "a hosted job is killed after 6 hours"


def test_only_declared_variables_are_read(workflow: Path) -> None:
    """A name that the head of the file does not explain is one that nobody sets."""
    text = workflow.read_text(encoding="utf-8")
    head = text.partition("\nname:")[0]
    for name in set(re.findall(r"(?:vars|secrets)\.([A-Z0-9_]+)", text)):
        assert re.search(rf"\b{name}\b", head), name


def test_least_rights_and_actions_of_a_version(workflow: Path) -> None:
    content = read(workflow)
    assert content["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step["uses"]
        if str(step.get("uses", "")).startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_the_profile_for_kind_fits_its_runner() -> None:
    """Four CPUs and 16 GB, of which Kubeflow reserves half; two tasks run beside each other."""
    from tofner_kubeflow.pipelines.cluster import load_cluster

    cluster = load_cluster(str(ROOT / "tests/kubeflow/small.yaml"), (), revision="r")
    assert cluster.encoder.gpus == 0
    assert 2 * float(cluster.encoder.cpu) <= 2
    assert 2 * int(cluster.encoder.memory.removesuffix("Gi")) <= 8

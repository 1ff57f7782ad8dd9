"""The manifests in k8s/tagging: what kustomize makes of them, counts that agree, and what policies ask of pods."""

import copy
import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2] / "k8s" / "tagging"


@functools.cache
def has_kustomize() -> bool:
    """Whether there is a kubectl with a kustomize that knows `replacements` (1.24 or later tell its version)."""
    if shutil.which("kubectl") is None:
        return False
    done = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "kustomizeVersion" in json.loads(done.stdout)


needs_kubectl = pytest.mark.skipif(not has_kustomize(), reason="kubectl 1.24 or later is not installed")


@functools.cache
def rendered() -> dict[str, Any]:
    """Documents by kind."""
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True)
    assert not done.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


def job_spec() -> Any:
    return yaml.safe_load((FOLDER / "base" / "job.yaml").read_text())["spec"]


def specs(name: str) -> Any:
    """The Job spec as it is written, as it is rendered, and inside the CronJob."""
    if name == "written":
        return job_spec()
    return rendered()["Job"]["spec"] if name == "Job" else rendered()["CronJob"]["spec"]["jobTemplate"]["spec"]


each_spec = pytest.mark.parametrize(
    "name", ["written", pytest.param("Job", marks=needs_kubectl), pytest.param("CronJob", marks=needs_kubectl)]
)


@each_spec
def test_shard_counts_agree(name: str) -> None:
    spec = specs(name)
    rows = (line.partition("=") for line in (FOLDER / "config.env").read_text().splitlines())
    config = {key: value for key, _, value in rows}
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == int(config["TOFNER_WORKERS"]) >= spec["parallelism"]


@each_spec
def test_pods_are_confined(name: str) -> None:
    pod = specs(name)["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_pods_are_described_once() -> None:
    described = [path.name for path in FOLDER.rglob("*.yaml") if "containers:" in path.read_text()]
    assert described == ["job.yaml"]


@needs_kubectl
def test_kustomize_makes_one_of_each() -> None:
    assert sorted(rendered()) == ["ConfigMap", "CronJob", "Job", "ServiceAccount"]
    for document in rendered().values():
        labels = document["metadata"]["labels"]
        assert labels == {"app.kubernetes.io/name": "tofner", "app.kubernetes.io/component": "tagging"}


@needs_kubectl
def test_a_nightly_run_differs_in_where_it_writes_alone() -> None:
    once, nightly = copy.deepcopy(specs("Job")), copy.deepcopy(specs("CronJob"))
    (container,) = nightly["template"]["spec"]["containers"]
    path = {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}
    assert container["env"].pop(0) == {"name": "JOB_NAME", "valueFrom": path}
    assert container["args"][2] == "--output=$(TOFNER_OUTPUT)/$(JOB_NAME)"
    container["args"][2] = "--output=$(TOFNER_OUTPUT)"
    assert nightly == once
    labels = rendered()["CronJob"]["spec"]["jobTemplate"]["metadata"]["labels"]
    assert labels == once["template"]["metadata"]["labels"]


@needs_kubectl
@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_pods_find_their_settings_and_image(kind: str) -> None:
    spec = specs(kind)
    (container,) = spec["template"]["spec"]["containers"]
    config_map, secret = container["envFrom"]
    assert config_map["configMapRef"]["name"] == rendered()["ConfigMap"]["metadata"]["name"]
    assert secret["secretRef"]["name"] == "tofner-s3"
    assert spec["template"]["spec"]["serviceAccountName"] == rendered()["ServiceAccount"]["metadata"]["name"]
    assert container["image"].startswith("tofner-tagger:")
    data = rendered()["ConfigMap"]["data"]
    used = {arg.partition("$(")[2].partition(")")[0] for arg in container["args"]}
    assert used <= {*data, "JOB_NAME"}
    # what the CronJob inherits, one by one
    given = job_spec()
    assert {key: spec[key] for key in given if key != "template"} == {k: v for k, v in given.items() if k != "template"}


@needs_kubectl
def test_rendered_manifests_are_valid() -> None:
    validator = pytest.importorskip("kubernetes_validate")
    for document in rendered().values():
        validator.validate(document, validator.latest_version(), strict=True)


@needs_kubectl
def test_a_changed_argument_of_the_job_ends_the_rendering(tmp_path: Path) -> None:
    """The nightly patch names an argument by its place: it tests what stands there."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "tagging"))
    job = folder / "base" / "job.yaml"
    job.write_text(job.read_text().replace("- --model=", "- --quiet\n            - --model="))
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "args/2" in done.stderr

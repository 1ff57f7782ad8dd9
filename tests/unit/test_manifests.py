"""The manifests in k8s/tagging: what kustomize makes of them, counts that agree, and what policies ask of pods."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kustomize import K8S, kustomize
from tests.kustomize import rendered as documents_of

FOLDER = K8S / "tagging"


def rendered() -> dict[str, Any]:
    """Documents by kind."""
    return {document["kind"]: document for document in documents_of("tagging")}


def job_spec() -> Any:
    return yaml.safe_load((FOLDER / "base" / "job.yaml").read_text())["spec"]


def specs(name: str) -> Any:
    """The Job spec as it is written, as it is rendered, and inside the CronJob."""
    if name == "written":
        return job_spec()
    return rendered()["Job"]["spec"] if name == "Job" else rendered()["CronJob"]["spec"]["jobTemplate"]["spec"]


each_spec = pytest.mark.parametrize("name", ["written", "Job", "CronJob"])


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


def test_kustomize_makes_one_of_each() -> None:
    assert sorted(rendered()) == ["ConfigMap", "CronJob", "Job", "ServiceAccount"]
    for document in rendered().values():
        labels = document["metadata"]["labels"]
        assert labels == {"app.kubernetes.io/name": "tofner", "app.kubernetes.io/component": "tagging"}


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


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_pods_find_their_settings_and_image(kind: str) -> None:
    spec = specs(kind)
    (container,) = spec["template"]["spec"]["containers"]
    own, store = (source["configMapRef"]["name"] for source in container["envFrom"])
    assert own == rendered()["ConfigMap"]["metadata"]["name"]
    assert store == "tofner-s3"
    assert spec["template"]["spec"]["serviceAccountName"] == rendered()["ServiceAccount"]["metadata"]["name"]
    assert container["image"].startswith("tofner-tagger:")
    data = rendered()["ConfigMap"]["data"]
    used = {arg.partition("$(")[2].partition(")")[0] for arg in container["args"]}
    assert used <= {*data, "JOB_NAME"}
    # what the CronJob inherits, one by one
    given = job_spec()
    assert {key: spec[key] for key in given if key != "template"} == {k: v for k, v in given.items() if k != "template"}


def test_a_changed_argument_of_the_job_ends_the_rendering(tmp_path: Path) -> None:
    """The nightly patch names an argument by its place: it tests what stands there."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "tagging"))
    job = folder / "base" / "job.yaml"
    job.write_text(job.read_text().replace("- --model=", "- --quiet\n            - --model="))
    done = kustomize(folder)
    assert done.returncode != 0
    assert "args/2" in done.stderr

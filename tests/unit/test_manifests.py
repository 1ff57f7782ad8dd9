"""The manifests in k8s/tagging: counts that must agree, and what a cluster's policies ask of pods."""

from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2] / "k8s" / "tagging"


def jobs() -> dict[str, Any]:
    """The Job specs of both manifests."""
    job = yaml.safe_load((FOLDER / "job.yaml").read_text())["spec"]
    cron = yaml.safe_load((FOLDER / "cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
    return {"job": job, "cronjob": cron}


@pytest.mark.parametrize("name", ["job", "cronjob"])
def test_shard_counts_agree(name: str) -> None:
    spec = jobs()[name]
    rows = (line.partition("=") for line in (FOLDER / "config.env").read_text().splitlines())
    config = {key: value for key, _, value in rows}
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == int(config["TOFNER_SHARDS"]) >= spec["parallelism"]


@pytest.mark.parametrize("name", ["job", "cronjob"])
def test_pods_are_confined(name: str) -> None:
    pod = jobs()[name]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}

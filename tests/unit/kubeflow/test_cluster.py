"""Each option of a cluster's profile reaches the pods that it is for, as the compiled YAML says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tofner.errors import BadSettings
from tofner_kubeflow.pipelines.cluster import load_cluster
from tofner_kubeflow.pipelines.compile import compile_tagging, compile_tof

PROFILE = """
encoder:
  cpu: "6"
  memory: 24Gi
  cpu_limit: "8"
  memory_limit: 30Gi
  gpus: 2
  resource: amd.com/gpu
  selector: {pool: gpus, zone: a}
  tolerations: [{key: gpu, operator: Equal, value: "yes", effect: NoExecute}, {key: spot}]
  scratch: 50Gi
  shared_memory: 4Gi
  timeout_s: 86400
light: {cpu: 500m, memory: 3Gi}
tagger: {cpu: "4", cpu_limit: "4", memory_limit: 6Gi}
secret: {name: mlpipeline-minio-artifact, access_key: accesskey, secret_key: secretkey}
config_map: store
pull_secrets: [registry]
labels: {team: nlp}
annotations: {sidecar.istio.io/inject: "false"}
run_as_user: 10002
model_registry: http://model-registry.kubeflow:8080
deadline_s: 172800
keep_s: 604800
"""


@pytest.fixture
def profile(tmp_path: Path) -> str:
    (tmp_path / "mine.yaml").write_text(PROFILE)
    return str(tmp_path / "mine.yaml")


def read(compiled: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Containers and Kubernetes settings by the name of the task."""
    spec, platform = yaml.safe_load_all(compiled.read_text(encoding="utf-8"))
    executors = spec["deploymentSpec"]["executors"]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {key[5:]: one["container"] for key, one in executors.items()}, {key[5:]: one for key, one in pods.items()}


def test_every_option_reaches_its_pods(profile: str, tmp_path: Path) -> None:
    cluster = load_cluster(profile, (), revision="r1", registry="r.example/t")
    containers, pods = read(compile_tof(tmp_path / "tof.yaml", cluster))
    resources = containers["mlm"]["resources"]
    assert (resources["resourceCpuRequest"], resources["resourceMemoryRequest"]) == ("6", "24Gi")
    assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("8", "30Gi")
    assert resources["accelerator"]["resourceType"] == "amd.com/gpu"
    pod = pods["mlm"]
    assert pod["nodeSelector"]["labels"] == {"pool": "gpus", "zone": "a"}
    assert pod["tolerations"] == [
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoExecute"},
        {"key": "spot", "operator": "Exists"},
    ]
    mounts = {one["mountPath"]: (one.get("medium"), one["sizeLimit"]) for one in pod["emptyDirMounts"]}
    assert mounts == {"/tmp": (None, "50Gi"), "/dev/shm": ("Memory", "4Gi")}
    assert int(pod["activeDeadlineSeconds"]) == 86400

    told = {"name": "TOFNER_MODEL_REGISTRY", "value": "http://model-registry.kubeflow:8080"}
    assert {name for name, one in containers.items() if told in one.get("env", [])} == {"publish"}

    light = pods["prepare"]
    assert containers["prepare"]["resources"]["resourceCpuRequest"] == "500m"
    assert not {"nodeSelector", "tolerations", "emptyDirMounts", "activeDeadlineSeconds"} & set(light)
    assert "accelerator" not in containers["prepare"]["resources"]
    for one in pods.values():
        (secret,) = one["secretAsEnv"]
        assert secret["secretName"] == "mlpipeline-minio-artifact"
        entries = {key["envVar"]: key["secretKey"] for key in secret["keyToEnv"]}
        assert entries["AWS_ACCESS_KEY_ID"] == "accesskey"
        assert entries["AWS_SECRET_ACCESS_KEY"] == "secretkey"
        assert one["configMapAsEnv"][0]["configMapName"] == "store"
        assert one["imagePullSecret"][0]["secretName"] == "registry"
        assert one["podMetadata"]["labels"] == {"team": "nlp"}
        assert one["podMetadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
        assert (int(one["securityContext"]["runAsUser"]), one["securityContext"]["runAsNonRoot"]) == (10002, True)

    containers, pods = read(compile_tagging(tmp_path / "tagging.yaml", cluster))
    resources = containers["tag"]["resources"]
    assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("4", "6Gi")
    assert containers["tag"]["image"] == "r.example/t/tofner-tagger:r1"
    assert pods["tag"]["podMetadata"]["labels"] == {"team": "nlp"}


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_deadline_and_time_to_live_are_the_whole_runs(name: str, tmp_path: Path) -> None:
    """Absent unless asked for: an older Kubeflow refuses what it does not know."""
    cluster = load_cluster(name, (), revision="r1")
    for make in (compile_tof, compile_tagging):
        _, plain = yaml.safe_load_all(make(tmp_path / "a.yaml", cluster).read_text())
        assert "pipelineConfig" not in plain["platforms"]["kubernetes"]
        limited = cluster.model_copy(update={"deadline_s": 172800, "keep_s": 604800})
        _, platform = yaml.safe_load_all(make(tmp_path / "b.yaml", limited).read_text())
        told = platform["platforms"]["kubernetes"]["pipelineConfig"]
        assert {key: int(value) for key, value in told.items()} == {
            "activeDeadlineSeconds": 172800, "resourceTtlOnCompletion": 604800,
        }  # fmt: skip


@pytest.mark.parametrize(("name", "gpus", "tolerations"), [("gpu", 1, 1), ("cpu", 0, 0)])
def test_shipped_profiles(name: str, gpus: int, tolerations: int) -> None:
    cluster = load_cluster(name, (), revision="r")
    assert (cluster.encoder.gpus, len(cluster.encoder.tolerations)) == (gpus, tolerations)


def test_the_count_of_gpus_is_the_plans(profile: str, tmp_path: Path) -> None:
    compiled = compile_tof(tmp_path / "tof.yaml", load_cluster(profile, ["encoder.gpus=3"], revision="r"))
    spec = next(yaml.safe_load_all(compiled.read_text(encoding="utf-8")))
    given = spec["root"]["dag"]["tasks"]["plan"]["inputs"]["parameters"]
    assert given["gpus"]["runtimeValue"]["constant"] == 3
    assert given["max_iterations"]["runtimeValue"]["constant"] == 2
    assert given["run_id"]["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"


@pytest.mark.parametrize(
    ("overrides", "threads"),
    [
        ([], 4),
        (["encoder.cpu=1500m"], 2),
        (["encoder.cpu=0.5"], 1),
        (["encoder.cpu=16", "encoder.threads=8"], 8),
        (["encoder.threads=0"], 0),
    ],
)
def test_the_plan_is_told_the_threads_of_a_task(overrides: list[str], threads: int, tmp_path: Path) -> None:
    compiled = compile_tof(tmp_path / "tof.yaml", load_cluster("cpu", ["encoder.cpu=4", *overrides], revision="r"))
    spec = next(yaml.safe_load_all(compiled.read_text(encoding="utf-8")))
    assert (
        spec["root"]["dag"]["tasks"]["plan"]["inputs"]["parameters"]["threads"]["runtimeValue"]["constant"] == threads
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["encoder.cpu=four"], "encoder.cpu"),
        (["encoder.cpu=0"], "encoder.cpu"),
        (["tagger.cpu_limit=2 cores"], "tagger.cpu_limit"),
        (["encoder.gpu=2"], "encoder.gpu: found an unknown key; expected a known one; did you mean encoder.gpus?"),
        (["encoder.gpus=-1"], "encoder.gpus"),
        (["retries=many"], "retries"),
        (["encoder.tolerations=[{key: a, operator: Is}]"], "operator"),
    ],
)
def test_wrong_options_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(BadSettings) as error:
        load_cluster("gpu", overrides, revision="r")
    assert message in str(error.value)


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(BadSettings, match=r"profile: found 'gpus'; expected one of cpu, gpu, or a \.yaml file"):
        load_cluster("gpus", (), revision="r")

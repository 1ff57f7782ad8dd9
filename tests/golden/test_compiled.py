"""The compiled graph is what the golden file says, is small enough for etcd, and the picture shows it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tofner.settings import MAX_ITERATIONS
from tofner_kubeflow.pipelines import picture
from tofner_kubeflow.pipelines.cluster import Cluster
from tofner_kubeflow.pipelines.compile import (
    GOLDEN,
    GOLDEN_CLUSTER,
    GOLDEN_TAGGING,
    PICTURE,
    REPOSITORY,
    compile_tagging,
    compile_tof,
)
from tofner_kubeflow.pipelines.local import task_names

GOLDEN_BYTES = 256 << 10  # a quarter of what a cluster could store; bodies that grow show up here first


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tof(tmp_path_factory.mktemp("compiled") / "tof.yaml", GOLDEN_CLUSTER)


@pytest.fixture(scope="module")
def documents(compiled: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(compiled.read_text(encoding="utf-8")))


def test_golden(compiled: Path) -> None:
    assert compiled.read_bytes() == GOLDEN.read_bytes(), "`make golden` writes it anew; look at the difference"


def test_golden_tagging(tmp_path: Path) -> None:
    written = compile_tagging(tmp_path / "tagging.yaml", GOLDEN_CLUSTER)
    assert written.read_bytes() == GOLDEN_TAGGING.read_bytes(), "`make golden` writes it anew"
    spec = next(yaml.safe_load_all(written.read_text(encoding="utf-8")))
    container = spec["deploymentSpec"]["executors"]["exec-tag"]["container"]
    assert container["image"] == "tofner-tagger:golden"
    assert container["resources"]["resourceCpuLimit"] == "2"
    assert container["command"][:2] == ["tofner", "tag"]
    loop = spec["root"]["dag"]["tasks"]["for-loop-1"]["parameterIterator"]["items"]
    assert loop == {"inputParameter": "pipelinechannel--workers"}
    assert spec["components"]["comp-for-loop-1"]["dag"]["tasks"]["tag"]["cachingOptions"] == {}, "never cached"


def test_the_picture_is_of_this_graph(compiled: Path) -> None:
    assert picture.draw(compiled) == PICTURE.read_text(encoding="utf-8"), "`make golden` draws it anew"


def test_compiling_is_deterministic(compiled: Path, tmp_path: Path) -> None:
    """In another process, with another hash seed."""
    target = str(tmp_path / "b.yaml")
    code = "from pathlib import Path\nfrom tofner_kubeflow.pipelines.compile import *\n"
    code += f"compile_tof(Path({target!r}), GOLDEN_CLUSTER)"
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path}
    )
    assert (tmp_path / "b.yaml").read_bytes() == compiled.read_bytes()


def test_is_small_enough_for_etcd(compiled: Path) -> None:
    assert compiled.stat().st_size < GOLDEN_BYTES


def test_run_parameters_have_types_and_defaults(documents: list[dict[str, Any]]) -> None:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    kinds = {name: (one["parameterType"], one["defaultValue"]) for name, one in parameters.items()}
    assert kinds == {
        "preset": ("STRING", "sample"),
        "data": ("STRING", ""),
        "store": ("STRING", "s3://tofner"),
        "encoder": ("STRING", ""),
        "iterations": ("NUMBER_INTEGER", 1.0),
        "seed": ("NUMBER_INTEGER", 2019.0),
        "overrides": ("LIST", []),
        "model_name": ("STRING", ""),
    }


def test_only_the_plan_is_never_cached(documents: list[dict[str, Any]]) -> None:
    cached = {name: task["cachingOptions"].get("enableCache", False) for name, task in _tasks(documents[0]).items()}
    assert [name for name, on in cached.items() if not on] == ["plan"]


def test_tasks_that_run_the_encoder_and_only_those_ask_for_a_gpu(documents: list[dict[str, Any]]) -> None:
    spec = documents[0]
    names = {
        name.partition("-")[0]
        for name in _tasks(spec)
        if _container(spec, name).get("resources", {}).get("accelerator")
    }
    assert names == {"mlm", "mrc", "ner", "pseudo", "evaluate"}
    platform = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {key for key, one in platform.items() if "tolerations" in one} == {
        f"exec-{name}" for name in _tasks(spec) if name.partition("-")[0] in names
    }
    assert all(one["secretAsEnv"] and one["configMapAsEnv"] for one in platform.values())


def test_gpu_tasks_and_only_those_are_tried_again(documents: list[dict[str, Any]]) -> None:
    tried = {name.partition("-")[0] for name, task in _tasks(documents[0]).items() if "retryPolicy" in task}
    assert tried == {"mlm", "mrc", "ner", "pseudo", "evaluate"}


def test_images_are_pinned(documents: list[dict[str, Any]]) -> None:
    spec = documents[0]
    assert {_container(spec, name)["image"] for name in _tasks(spec)} == {"tofner-trainer:golden"}


def test_no_values_of_secrets_are_in_it(compiled: Path) -> None:
    text = compiled.read_text(encoding="utf-8")
    assert text.count("secretName: tofner-s3") == len(_tasks(yaml.safe_load(text.split("\n---\n")[0])))


def test_tasks_are_named_like_their_components(documents: list[dict[str, Any]], compiled: Path) -> None:
    """`kfp.local` logs the one at a start and the other at a cache hit; both lead to one display name."""
    for name, task in _tasks(documents[0]).items():
        assert task["componentRef"]["name"] == f"comp-{name}"
    shown = [task_names(compiled)[name] for name in _tasks(documents[0])]
    assert len(set(shown)) == len(shown)
    assert sum(name.endswith(": mrc") and name.startswith("round") for name in shown) == MAX_ITERATIONS


def test_another_cluster_is_a_matter_of_options(tmp_path: Path) -> None:
    cluster = Cluster(revision="v1", registry="r.example/t", gpus=0, secret="", config_map="", retries=0)
    documents = list(yaml.safe_load_all(compile_tof(tmp_path / "tof.yaml", cluster).read_text(encoding="utf-8")))
    assert len(documents) == 1, "no Kubernetes settings are left"
    text = (tmp_path / "tof.yaml").read_text(encoding="utf-8")
    assert "r.example/t/tofner-trainer:v1" in text
    assert "accelerator" not in text
    assert "retryPolicy" not in text


def _tasks(spec: dict[str, Any]) -> dict[str, Any]:
    graphs = [spec["root"]["dag"], *(one["dag"] for one in spec["components"].values() if "dag" in one)]
    return {name: task for graph in graphs for name, task in graph["tasks"].items() if not name.startswith("condition")}


def _container(spec: dict[str, Any], task: str) -> dict[str, Any]:
    container: dict[str, Any] = spec["deploymentSpec"]["executors"][f"exec-{task}"]["container"]
    return container

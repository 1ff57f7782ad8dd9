"""The compiled graph is what the golden file says, is small enough for etcd, and the picture shows it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tofner_kubeflow.pipelines import picture
from tofner_kubeflow.pipelines.cluster import laptop, load_cluster
from tofner_kubeflow.pipelines.compile import (
    GOLDEN,
    GOLDEN_CLUSTER,
    GOLDEN_TAGGING,
    PICTURE,
    REPOSITORY,
    compile_tagging,
    compile_tof,
)
from tofner_kubeflow.pipelines.figures import measure
from tofner_kubeflow.pipelines.local import task_names

MOST = GOLDEN_CLUSTER.max_iterations
ENCODER = {"mlm", "mrc", "ner", "pseudo", "evaluate"}  # what the components of tasks that run it begin with


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


def test_run_parameters_have_types_and_defaults(documents: list[dict[str, Any]]) -> None:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    kinds = {name: (one["parameterType"], one["defaultValue"]) for name, one in parameters.items()}
    assert kinds == {
        "preset": ("STRING", "sample"),
        "data": ("STRING", ""),
        "store": ("STRING", "s3://tofner"),
        "encoder": ("STRING", ""),
        "iterations": ("NUMBER_INTEGER", 1.0),
        "mlm_stage": ("STRING", "preset"),
        "mrc_stage": ("STRING", "preset"),
        "pseudo": ("STRING", "preset"),
        "order": ("STRING", "preset"),
        "seed": ("NUMBER_INTEGER", 2019.0),
        "overrides": ("LIST", []),
        "model_name": ("STRING", ""),
    }


@pytest.mark.parametrize("most", [1, 2, 3])
def test_it_is_small_and_short_and_the_page_says_so(most: int, tmp_path: Path) -> None:
    """The row of docs/deploy.md for each number of rounds; and what Kubeflow's page can show of the usual graph."""
    found = measure(compile_tof(tmp_path / "tof.yaml", load_cluster("gpu", (), revision="golden", max_iterations=most)))
    sizes = f"{found.yaml / 1000:.0f} KB | {found.status / 1000:.0f} KB"
    row = f"| {most} | {found.tasks} | {found.pods} | {found.steps} | {found.ranks} | {found.artifacts} | {sizes} |"
    assert row in (REPOSITORY / "docs" / "deploy.md").read_text(encoding="utf-8"), row
    if most == MOST == 2:
        assert (found.pods, found.steps) <= (38, 36)
        assert found.ranks <= 17
        assert found.artifacts <= 5
        assert found.edges <= 4
        assert found.yaml < 70_000
        assert found.status < 900_000


def test_parameters_that_are_a_choice_are_menus(documents: list[dict[str, Any]]) -> None:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    menus = {name: one["literals"] for name, one in parameters.items() if "literals" in one}
    switch = ["preset", "on", "off"]
    order = ["preset", "mlm-mrc", "mrc-mlm"]
    rounds = [0.0, 1.0, 2.0]
    assert menus == {"iterations": rounds, "mlm_stage": switch, "mrc_stage": switch, "pseudo": switch, "order": order}


def test_it_is_flat(documents: list[dict[str, Any]]) -> None:
    """No If, no Else, no OneOf, no loop: groups are where Kubeflow's page and its cache go wrong."""
    assert not [name for name, one in documents[0]["components"].items() if "dag" in one]
    assert not [key for key, task in _tasks(documents[0]).items() if {"triggerPolicy", "parameterIterator"} & set(task)]


def test_nothing_is_kept_by_the_orchestrators_cache(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    assert {json.dumps(task["cachingOptions"]) for task in _tasks(documents[0]).values()} == {"{}"}
    local = next(yaml.safe_load_all(compile_tof(tmp_path / "local.yaml", laptop(1)).read_text(encoding="utf-8")))
    kept = {name for name, task in _tasks(local).items() if task["cachingOptions"].get("enableCache")}
    assert set(_tasks(local)) - kept == {"plan"}, "what it looks at may change in its place"


def test_tasks_that_run_the_encoder_and_only_those_ask_for_a_gpu(documents: list[dict[str, Any]]) -> None:
    spec = documents[0]
    names = {
        name.partition("-")[0]
        for name in _tasks(spec)
        if _container(spec, name).get("resources", {}).get("accelerator")
    }
    assert names == ENCODER
    platform = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {key for key, one in platform.items() if "tolerations" in one} == {
        f"exec-{name}" for name in _tasks(spec) if name.partition("-")[0] in names
    }
    assert all(one["secretAsEnv"] and one["configMapAsEnv"] for one in platform.values())


def test_each_task_asks_for_the_gpus_that_the_one_before_it_counted(documents: list[dict[str, Any]]) -> None:
    """The count is an input of the task itself: KFP's driver looks for it nowhere else."""
    for name, task in _tasks(documents[0]).items():
        accelerator = _container(documents[0], name).get("resources", {}).get("accelerator")
        if accelerator:
            given = task["inputs"]["parameters"]
            source = given["gpus"]["taskOutputParameter"]
            assert source["outputParameterKey"] == "gpus"
            assert source["producerTask"] == given["run"]["taskOutputParameter"]["producerTask"]
            channel = accelerator["resourceCount"].removeprefix("{{$.inputs.parameters['").removesuffix("']}}")
            assert given[channel] == given["gpus"]


def test_retries_are_asked_for(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    """KFP ends a healthy second try when the longest wait is over, counted from the start of the first: so a week."""
    assert not [name for name, task in _tasks(documents[0]).items() if "retryPolicy" in task]
    asked = compile_tof(tmp_path / "tof.yaml", load_cluster("gpu", ["retries=2"], revision="golden"))
    tasks = _tasks(next(yaml.safe_load_all(asked.read_text(encoding="utf-8"))))
    policies = {name: task["retryPolicy"] for name, task in tasks.items() if "retryPolicy" in task}
    assert {name.partition("-")[0] for name in policies} == ENCODER
    assert {(one["maxRetryCount"], one["backoffMaxDuration"]) for one in policies.values()} == {(2, "604800s")}


def test_names_are_short_and_unlike(documents: list[dict[str, Any]]) -> None:
    names = [task["taskInfo"]["name"] for task in _tasks(documents[0]).values()]
    assert len(set(names)) == len(names) == 12 + 3 * MOST
    assert max(map(len, names)) <= 20, "Kubeflow's page cuts longer ones"


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
    assert sum(name.endswith(": mrc") and name.startswith("round") for name in shown) == MOST


def test_another_cluster_is_a_matter_of_options(tmp_path: Path) -> None:
    bare = ["secret.name=", "config_map="]
    cluster = load_cluster("cpu", bare, revision="v1", registry="r.example/t")
    documents = list(yaml.safe_load_all(compile_tof(tmp_path / "tof.yaml", cluster).read_text(encoding="utf-8")))
    assert len(documents) == 1, "no Kubernetes settings are left"
    text = (tmp_path / "tof.yaml").read_text(encoding="utf-8")
    assert "r.example/t/tofner-trainer:v1" in text
    assert "accelerator" not in text
    assert "retryPolicy" not in text


def _tasks(spec: dict[str, Any]) -> dict[str, Any]:
    tasks: dict[str, Any] = spec["root"]["dag"]["tasks"]
    return tasks


def _container(spec: dict[str, Any], task: str) -> dict[str, Any]:
    container: dict[str, Any] = spec["deploymentSpec"]["executors"][f"exec-{task}"]["container"]
    return container

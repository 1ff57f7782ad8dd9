"""What is read of a compiled pipeline, and which values a run gets."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kfp_server import recorded
from tofner.errors import BadInput, BadSettings
from tofner_kubeflow.pipelines.package import (
    Parameter,
    arguments,
    read_package,
    revision_of,
    same_pipeline,
    told,
    typed,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "tof.yaml"


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    other = path.with_name("other.yaml")
    other.write_text(text.replace(old, new), encoding="utf-8")
    return other


def test_every_parameter_gets_a_value_as_the_server_would_say_it(package: Path) -> None:
    """The file says 1.0 and 0.0; the recorded run that was sent all of them says 2, and the UI shows what was sent."""
    values = arguments(read_package(package), ["name=world", 'items=["a=1"]', "sleep=2e1", "times=2"])
    assert values == recorded("run-get-succeeded")["runtime_config"]["parameters"]
    assert repr(arguments(read_package(package), ["name="])["times"]) == "1"
    assert arguments(read_package(package), ["name=a=b"]) == {"name": "a=b", "times": 1, "items": [], "sleep": 0.0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["tmies=2", "name="], "--param tmies: found an unknown parameter; .*did you mean times?"),
        ([], "--param name: found nothing; expected a text"),
        (["name=w", "times=1.5"], "--param times: found '1.5'; expected an integer"),  # the server takes it
        (["name=w", "times=two"], "expected an integer"),
        (["name=w", "times=true"], "expected an integer"),
        (["name=w", "times="], "expected an integer"),
        (["name=w", "times=9007199254740993"], "at most 9007199254740992"),
        (["name=w", "sleep=NaN"], "expected a number"),
        (["name=w", "sleep=1e999"], "expected a number"),
        (["name=w", "items=a"], "expected a list as JSON, for example"),
        (["name=w", 'items={"a": 1}'], "expected a list as JSON"),
        (["name=w", "name=v"], "--param name: found two values"),
        (["name"], "found no value; expected key=value"),
        (["times=x", "other=1"], "(?s)times.*other.*name"),
    ],
)
def test_wrong_values_are_listed_before_the_server_is_asked(package: Path, given: list[str], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        arguments(read_package(package), given)


def test_values_of_the_other_types() -> None:
    def one(type_: str, literals: tuple[Any, ...] = ()) -> Parameter:
        return Parameter("p", type_, None, True, "", literals)

    assert typed(one("BOOLEAN"), "true") is True
    assert typed(one("STRUCT"), '{"a": [1]}') == {"a": [1]}
    assert typed(one("NUMBER_DOUBLE"), "3") == 3
    assert typed(one("STRING", ("a", "b")), "b") == "b"
    for type_, text in (("BOOLEAN", "yes"), ("STRUCT", "[1]"), ("TASK_FINAL_STATUS", "x")):
        with pytest.raises(ValueError, match=r"expected|true or false|object|not TASK"):
            typed(one(type_), text)
    with pytest.raises(ValueError, match="one of a, b"):
        typed(one("STRING", ("a", "b")), "c")


def test_the_training_graph(tmp_path: Path) -> None:
    tof = read_package(GOLDEN)
    assert tof.name == "tof"
    assert revision_of(tof) == "golden"
    declared = yaml.safe_load(GOLDEN.read_text(encoding="utf-8").partition("\n---\n")[0])["root"]["inputDefinitions"]
    assert set(arguments(tof, [])) == set(declared["parameters"])
    assert {"plan", "prepare", "publish"} <= tof.tasks
    assert not {name for name in tof.tasks if name.startswith("condition")}
    about = told(tof, "1f3c2d4", "https://docs.example")
    assert "Code revision: 1f3c2d4" in about
    assert "https://docs.example" in about
    for name, one in declared["parameters"].items():
        assert f"{name}: {one['description']}" in about


def test_a_description_has_a_limit(package: Path) -> None:
    """It travels in an address, and 8 kB of address is what proxies take."""
    long = read_package(changed(package, "one light task", "word " * 2000))
    assert len(told(long, "r", "")) <= 3000


@pytest.mark.parametrize(
    ("image", "revision"),
    [
        ("registry.example:5000/team/tofner-trainer:1f3c2d4", "1f3c2d4"),
        ("tofner-trainer@sha256:0123456789abcdef0123", "sha256-0123456789ab"),
        ("registry.example:5000/team/tofner-trainer", ""),
    ],
)
def test_the_revision_is_the_images(package: Path, image: str, revision: str) -> None:
    found = read_package(changed(package, "local/tofner-trainer:stub", image))
    if revision:
        assert revision_of(found) == revision
        return
    with pytest.raises(BadInput, match="--version"):
        revision_of(found)


@pytest.mark.parametrize("text", ["", "a: [", "kind: Workflow\napiVersion: argoproj.io/v1alpha1\n", "[1]", "root: x\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"other\.yaml: found .*compiled pipeline.*tofner compile"):
        read_package(tmp_path / "other.yaml")
    with pytest.raises(BadInput, match=r"none\.yaml: found No such file"):
        read_package(tmp_path / "none.yaml")


def test_the_servers_spelling_of_a_pipeline_is_the_same_pipeline(package: Path) -> None:
    answered = recorded("version-upload")["pipeline_spec"]
    assert same_pipeline(read_package(package), answered)
    other = read_package(changed(package, "name: hello", "name: hallo"))
    assert not same_pipeline(other, answered)


def test_the_part_for_kubernetes_is_compared_too() -> None:
    """Both parts as protobuf writes them, which is what the server does."""
    spec, platform = yaml.safe_load_all(GOLDEN.read_text(encoding="utf-8"))
    kinds = {"pipeline_spec": pipeline_spec_pb2.PipelineSpec, "platform_spec": pipeline_spec_pb2.PlatformSpec}
    answered = {
        name: json_format.MessageToDict(json_format.ParseDict(part, kinds[name]()))
        for name, part in (("pipeline_spec", spec), ("platform_spec", platform))
    }
    tof = read_package(GOLDEN)
    assert same_pipeline(tof, answered)
    executors = answered["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors["exec-plan"]["secretAsEnv"][0]["secretName"] = "another"
    assert not same_pipeline(tof, answered)
    assert not same_pipeline(tof, answered["pipeline_spec"])

"""Each component calls its stage with what it was given, fills its artifacts, and holds no logic of its own."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from kfp import dsl

from tofner_kubeflow.components import images
from tofner_kubeflow.components.artifacts import fill
from tofner_kubeflow.components.evaluate import evaluate
from tofner_kubeflow.components.export import export
from tofner_kubeflow.components.gold import gold
from tofner_kubeflow.components.mlm import mlm
from tofner_kubeflow.components.mrc import mrc
from tofner_kubeflow.components.ner import ner
from tofner_kubeflow.components.plan import plan
from tofner_kubeflow.components.prepare import prepare
from tofner_kubeflow.components.pseudo_label import pseudo_label
from tofner_kubeflow.components.publish import publish
from tofner_kubeflow.components.report import report
from tofner_kubeflow.components.stage import START

STAGES: dict[str, Any] = {
    "prepare": prepare,
    "gold": gold,
    "mlm": mlm,
    "mrc": mrc,
    "ner": ner,
    "pseudo_label": pseudo_label,
    "evaluate": evaluate,
    "export": export,
    "report": report,
    "publish": publish,
}
FOLDER = Path(images.__file__).parent
MOST_STATEMENTS = 7
# All that a run shows in Kubeflow's page beside its parameters.
ARTIFACTS: dict[str, dict[str, Any]] = {
    "evaluate": {"confusion": dsl.ClassificationMetrics},
    "report": {"metrics": dsl.Metrics, "html": dsl.HTML},
    "publish": {"tagger": dsl.Model, "summary": dsl.Markdown},
}
PUBLISHED = {"uri": "s3://b/publish", "name": "n", "version": "v", "f1": 0.5, "bytes": 7, "encoder": "e"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []

    def take(name: str, run: str, **inputs: str) -> Any:
        made.append((name, run, inputs))
        confusion = {"labels": ["PER", "O"], "matrix": [[1, 2], [3, 4]]}
        pages = {"markdown": "# hi", "html": "<p>hi</p>"}
        result = SimpleNamespace(
            uri=f"s3://b/{name}", metrics={"f1": 0.5}, confusion=confusion, model=PUBLISHED, **pages
        )
        return SimpleNamespace(run=f"{run}!", uri=f"s3://b/{name}", gpus="3", result=result)

    def begin(*arguments: Any) -> str:
        made.append(arguments)
        return "s3://b/plans/1.json"

    monkeypatch.setitem(sys.modules, "tofner.stages", _module("tofner.stages", take=take, begin=begin))
    return made


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(members)
    return module


def _artifacts(name: str, folder: Path) -> dict[str, Any]:
    return {output: kind(uri=str(folder / output)) for output, kind in ARTIFACTS.get(name, {}).items()}


@pytest.mark.parametrize("name", STAGES)
def test_a_run_shows_few_artifacts(name: str) -> None:
    """One metrics, HTML, Markdown, confusion and model a run, so that the page leads to them."""
    outputs = STAGES[name].component_spec.outputs
    found = {key: one.type.partition("@")[0] for key, one in outputs.items() if one.type.startswith("system.")}
    assert found == {key: kind.schema_title for key, kind in ARTIFACTS.get(name, {}).items()}


@pytest.mark.parametrize("name", STAGES)
def test_takes_its_step_and_hands_on_what_came_of_it(name: str, calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    function = STAGES[name].python_func
    artifacts = _artifacts(name, tmp_path)
    strings = {one: f"<{one}>" for one in inspect.signature(function).parameters if one not in artifacts}
    returned = function(**strings, **artifacts)
    [(step, run, inputs)] = calls
    assert (step, run) == (strings.get("step", name), "<run>")
    assert inputs == {one: text for one, text in strings.items() if one not in ("step", "run", "gpus")}
    uri = f"s3://b/{step}"
    handed = {"prepare": ("<run>!", "3")}.get(name, ("<run>!", uri, "3") if "step" in strings else uri)
    assert returned == handed
    for artifact in artifacts.values():
        assert Path(artifact.path).stat().st_size, "an artifact without a file never hits the local cache"


def test_plan_is_told_all_parameters_of_a_run(calls: list[tuple[Any, ...]]) -> None:
    made = plan.python_func(
        preset="wnut16", data="d", store="s3://b", encoder="e", iterations=2, mlm="on", mrc="off", pseudo="preset",
        order="mrc-mlm", seed=7, overrides=["a=b"], model_name="name", max_iterations=3, gpus=2, threads=5, run_id="r",
    )  # fmt: skip
    switches = {"mlm": "on", "mrc": "off", "pseudo": "preset", "order": "mrc-mlm"}
    assert calls == [("r", switches, "wnut16", "d", "s3://b", "e", 2, 7, ["a=b"], "name", 3, 2, 5)]
    assert made == "s3://b/plans/1.json"


def test_artifacts_hold_what_the_stage_says(tmp_path: Path) -> None:
    result = SimpleNamespace(
        uri="s3://b/x",
        metrics={"f1": 0.25},
        confusion={"labels": ["A"], "matrix": [[3]]},
        markdown="# m",
        html="<b>",
        model=PUBLISHED,
    )
    made = {name: kind(uri=str(tmp_path / "deep" / name)) for name, kind in {
        "model": dsl.Model, "metrics": dsl.Metrics, "confusion": dsl.ClassificationMetrics, "markdown": dsl.Markdown,
        "html": dsl.HTML}.items()}  # fmt: skip
    fill(result, **made)
    assert made["model"].metadata == PUBLISHED
    assert Path(made["model"].path).read_text() == "s3://b/x"
    assert made["model"].uri == str(tmp_path / "deep" / "model"), "KFP's launcher refuses URIs outside its bucket"
    assert made["metrics"].metadata == {"f1": 0.25}
    assert made["confusion"].metadata["confusionMatrix"]["rows"] == [{"row": [3]}]
    assert Path(made["html"].path).read_text() == "<b>"
    assert json.loads(Path(made["metrics"].path).read_text()) == {"f1": 0.25}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model", dsl.Model),
        ("metrics", dsl.Metrics),
        ("confusion", dsl.ClassificationMetrics),
        ("markdown", dsl.Markdown),
        ("html", dsl.HTML),
    ],
)
def test_no_artifact_is_left_empty(tmp_path: Path, name: str, kind: Any) -> None:
    result = SimpleNamespace(uri="u", metrics={}, confusion=None, markdown="", html="\n", model={})
    with pytest.raises(ValueError, match=f"nothing for {name}"):
        fill(result, **{name: kind(uri=str(tmp_path / name))})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_modules_import_only_kfp_and_bodies_are_tiny(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                root = name.partition(".")[0]
                assert root in {"kfp", "tofner_kubeflow"} or root in sys.stdlib_module_names, (
                    f"{path.name} imports {name}"
                )
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            statements = [one for one in ast.walk(node) if isinstance(one, ast.stmt)]
            assert len(statements) - 2 <= MOST_STATEMENTS, f"{path.name}: put the logic into the stage"
            assert ast.get_docstring(node), "the run page shows it"


@pytest.mark.parametrize("component", [*STAGES.values(), plan], ids=[*STAGES, "plan"])
def test_nothing_is_installed_when_a_task_starts(component: Any) -> None:
    container = component.component_spec.implementation.container
    assert container.image == images.TRAINER
    assert container.command == ["python3", "-c", START]
    assert container.args == ["--executor_input", "{{$}}", "--function_to_execute", component.python_func.__name__]
    assert component.description


def test_a_task_finds_its_function_in_the_image(tmp_path: Path) -> None:
    """The command of the graph, as it is, in a process that has KFP's executor and this package."""
    given = {"inputs": {"parameterValues": {"run": "no-such-plan"}}, "outputs": {"outputFile": str(tmp_path / "out")}}
    command = [sys.executable, "-c", START, "--executor_input", json.dumps(given), "--function_to_execute", "gold"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "tofner: gold: no-such-plan: found" in ended.stderr


def test_an_off_step_shows_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="off"):
        fill(None, markdown=dsl.Markdown(uri=str(tmp_path / "m")))


def test_images_are_pinned_by_tag_or_digest() -> None:
    assert (
        images.pinned("tofner-trainer", "1f3c", "registry.example/team/") == "registry.example/team/tofner-trainer:1f3c"
    )
    assert images.pinned("tofner-trainer", "sha256:abc") == "tofner-trainer@sha256:abc"

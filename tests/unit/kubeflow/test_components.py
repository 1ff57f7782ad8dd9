"""Each component calls its stage with what it was given, fills its artifacts, and holds no logic of its own."""

import ast
import inspect
import json
import sys
from contextlib import nullcontext
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
from tofner_kubeflow.components.keep import keep
from tofner_kubeflow.components.mlm import mlm
from tofner_kubeflow.components.mrc import mrc
from tofner_kubeflow.components.ner import ner
from tofner_kubeflow.components.plan import plan
from tofner_kubeflow.components.prepare import prepare
from tofner_kubeflow.components.pseudo_label import pseudo_label
from tofner_kubeflow.components.publish import publish
from tofner_kubeflow.components.report import report

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
    "report": {"metrics": dsl.Metrics, "markdown": dsl.Markdown, "html": dsl.HTML},
    "publish": {"tagger": dsl.Model},
}
PUBLISHED = {"uri": "s3://b/publish", "name": "n", "version": "v", "f1": 0.5, "bytes": 7, "encoder": "e"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    made: list[tuple[Any, ...]] = []

    def execute(stage: str, store: str, settings: str, inputs: dict[str, str]) -> Any:
        made.append((stage, store, settings, inputs))
        confusion = {"labels": ["PER", "O"], "matrix": [[1, 2], [3, 4]]}
        pages = {"markdown": "# hi", "html": "<p>hi</p>"}
        return SimpleNamespace(
            uri=f"s3://b/{stage}", metrics={"f1": 0.5}, confusion=confusion, model=PUBLISHED, **pages
        )

    def made_plan(*arguments: Any) -> Any:
        made.append(arguments)
        settings = {name: f"{name}!" for name in PLANNED[:13]}
        return SimpleNamespace(
            settings=settings, encoder="e", use_mlm=True, use_mrc=False, use_pseudo=True, iterations=2
        )

    monkeypatch.setitem(
        sys.modules,
        "tofner.stages",
        _module("tofner.stages", execute=execute, plan=made_plan, expected_errors=nullcontext),
    )
    return made


PLANNED = (
    "prepare gold mlm mrc ner pseudo_label pseudo_ner loop_mrc loop_ner evaluate export report publish "
    "encoder use_mlm use_mrc use_pseudo iterations"
).split()


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(members)
    return module


def _artifacts(name: str, folder: Path) -> dict[str, Any]:
    return {output: kind(uri=str(folder / output)) for output, kind in ARTIFACTS.get(name, {}).items()}


@pytest.mark.parametrize("name", STAGES)
def test_a_run_shows_few_artifacts(name: str) -> None:
    """One metrics, one HTML and one Markdown a run, so that the page leads to them; the confusion of each score."""
    outputs = STAGES[name].component_spec.outputs
    found = {key: one.type.partition("@")[0] for key, one in outputs.items() if one.type.startswith("system.")}
    assert found == {key: kind.schema_title for key, kind in ARTIFACTS.get(name, {}).items()}


@pytest.mark.parametrize("name", STAGES)
def test_calls_its_stage_and_returns_its_uri(name: str, calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    function = STAGES[name].python_func
    artifacts = _artifacts(name, tmp_path)
    strings = {one: f"<{one}>" for one in inspect.signature(function).parameters if one not in artifacts}
    returned = function(**strings, **artifacts)
    [(stage, store, settings, inputs)] = calls
    assert (stage, store, settings) == (name, "<store>", "<settings>")
    own = {"store", "settings", *(["earlier"] if name == "evaluate" else [])}
    assert inputs == {one: text for one, text in strings.items() if one not in own}
    if name == "evaluate":
        assert returned == ("s3://b/evaluate", "<earlier> s3://b/evaluate")
    else:
        assert returned == f"s3://b/{name}"
    for artifact in artifacts.values():
        assert Path(artifact.path).stat().st_size, "an artifact without a file never hits the local cache"


def test_the_first_scores_have_no_blank_before_them(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    artifacts = _artifacts("evaluate", tmp_path)
    scored = evaluate.python_func(gold="g", model="m", settings="s", store="b", earlier="", **artifacts)
    assert scored[1] == "s3://b/evaluate"


def test_plan_gives_the_settings_of_every_stage_and_the_switches(calls: list[tuple[Any, ...]]) -> None:
    made = plan.python_func("wnut16", "d", "s3://b", "", 2, 7, ["a=b"], "name")
    assert calls == [("wnut16", "d", "s3://b", "", 2, 7, ["a=b"], "name")]
    assert made._fields == tuple(PLANNED) == plan.python_func.__annotations__["return"]._fields
    assert (made.loop_ner, made.use_mrc, made.iterations) == ("loop_ner!", False, 2)


def test_keep_passes_everything_on() -> None:
    assert keep.python_func("m", "s", "h", "l") == ("m", "s", "h", "l")


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


@pytest.mark.parametrize("component", [*STAGES.values(), plan, keep], ids=[*STAGES, "plan", "keep"])
def test_nothing_is_installed_when_a_task_starts(component: Any) -> None:
    container = component.component_spec.implementation.container
    assert container.image == images.TRAINER
    assert "pip install" not in " ".join(map(str, [*container.command, *container.args]))
    assert component.description


def test_images_are_pinned_by_tag_or_digest() -> None:
    assert (
        images.pinned("tofner-trainer", "1f3c", "registry.example/team/") == "registry.example/team/tofner-trainer:1f3c"
    )
    assert images.pinned("tofner-trainer", "sha256:abc") == "tofner-trainer@sha256:abc"

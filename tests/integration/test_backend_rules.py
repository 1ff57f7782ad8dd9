"""The graph by the rules of Kubeflow's backend: every T and switch, first and second run, and what broke before."""

import importlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from tests.kfp_backend import CACHED, COMPLETE, Backend, Outcome
from tests.tiny_encoder import make_data, make_preset, make_shell
from tofner import records, storage
from tofner_kubeflow.pipelines.cluster import Cluster
from tofner_kubeflow.pipelines.compile import compile_tof

pytestmark = pytest.mark.integration
DOUBLE = Path(__file__).parent / "stage_double"
MOST = 2
CLUSTER = Cluster(revision="r1", max_iterations=MOST)
SWITCHES = [
    (t, mlm, mrc, pseudo, order)
    for t, mlm, mrc, pseudo, order in itertools.product(
        range(MOST + 1), *[("preset", "off")] * 3, ("preset", "mrc-mlm")
    )
    if pseudo != "off" or t == 0
]
Told = dict[str, Any]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tof(tmp_path_factory.mktemp("graph") / "tof.yaml", CLUSTER)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rules")
    make_data(root / "data")
    make_preset(root / "preset.yaml", make_shell(root / "encoder"))
    return root


class Doubled:
    """Components called in this process, over doubles of the stages; `journal` says which stages did work."""

    def __init__(self, compiled: Path, root: Path, store: Path, journal: Path) -> None:
        self.journal, self.now = journal, ""
        self.backend = Backend(compiled, self.call)
        self.arguments = {"preset": str(root / "preset.yaml"), "data": str(root / "data"), "store": str(store)}
        self.outputs: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, dict[str, Any]] = {}

    def call(self, task: str, function: str, inputs: dict[str, Any]) -> dict[str, Any]:
        component = getattr(importlib.import_module(f"tofner_kubeflow.components.{function}"), function)
        declared = component.component_spec.outputs
        folder = self.journal.parent / "artifacts" / task.replace(" ", "-")
        shown = {
            name: getattr(dsl, one.type.partition("@")[0].removeprefix("system."))(uri=str(folder / name))
            for name, one in declared.items()
            if one.type.startswith("system.")
        }
        sys.argv[1:] = ["--executor_input", json.dumps({"inputs": {"parameterValues": inputs}})]
        sys.argv += ["--function_to_execute", function]
        returned = component.python_func(**inputs, **shown)
        values = returned if isinstance(returned, tuple) else (returned,)
        names = [name for name in declared if name not in shown]
        self.inputs[task], self.outputs[task] = inputs, dict(zip(names, values, strict=True))
        return dict(self.outputs[task])

    def run(self, **more: Any) -> Outcome:
        self.journal.write_text("")
        return self.backend.run(**self.arguments, **more)

    @property
    def worked(self) -> list[Told]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()]


Make = Callable[[], Doubled]


@pytest.fixture
def make(compiled: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv("TOFNER_TEST_JOURNAL", str(tmp_path / "journal.jsonl"))
    monkeypatch.syspath_prepend(str(DOUBLE))
    monkeypatch.setattr(sys, "argv", ["task"])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    stage_double = importlib.import_module("stage_double")
    for stage in stage_double.STAGES:
        monkeypatch.delitem(sys.modules, f"tofner.stages.{stage}", raising=False)
        monkeypatch.delattr(f"tofner.stages.{stage}", raising=False)  # the package holds its modules too
    stage_double.install()
    before = dict(sys.modules)
    yield lambda: Doubled(compiled, root, tmp_path / "store", tmp_path / "journal.jsonl")
    for stage in stage_double.STAGES:
        if f"tofner.stages.{stage}" not in before:
            sys.modules.pop(f"tofner.stages.{stage}", None)
            vars(sys.modules["tofner.stages"]).pop(stage, None)


def algorithm_1(t: int, mlm: bool, mrc: bool, pseudo: bool, mrc_first: bool) -> list[tuple[str, str, dict[str, str]]]:
    """Stage, name and inputs of each step by the paper's Algorithm 1, an input by the name of the step that made it."""
    steps: list[tuple[str, str, dict[str, str]]] = []
    theta, g, adapted = "encoder", "", []
    for stage in ("mrc", "mlm") if mrc_first else ("mlm", "mrc"):
        if {"mlm": mlm, "mrc": mrc}[stage]:
            steps.append((stage, stage, {"model": theta}))
            theta = stage
            adapted.append(stage)
    g = "mrc" if mrc else ""
    steps.append(("ner", "ner", {"model": theta}))
    h, labels = "ner", ""
    if pseudo:
        steps.append(("pseudo_label", "labels", {"model": h}))
        steps.append(("ner", "pseudo", {"model": h, "pseudo": "labels", "head": h}))
        h, labels = "pseudo", "labels"
    for i in range(1, t + 1):
        steps.append(("pseudo_label", f"labels {i}", {"model": h, "earlier": labels}))
        labels = f"labels {i}"
        steps.append(("mrc", f"mrc {i}", {"model": h, "pseudo": labels} | ({"head": g} if g else {})))
        steps.append(("ner", f"ner {i}", {"model": f"mrc {i}", "pseudo": labels, "head": h}))
        g, h = f"mrc {i}", f"ner {i}"
    return steps


@pytest.mark.parametrize(("t", "mlm", "mrc", "pseudo", "order"), SWITCHES)
def test_every_run_is_algorithm_1_and_the_second_does_nothing(
    make: Make, root: Path, t: int, mlm: str, mrc: str, pseudo: str, order: str
) -> None:
    doubled = make()
    told = {"iterations": t, "mlm_stage": mlm, "mrc_stage": mrc, "pseudo": pseudo, "order": order}
    first = doubled.run(**told)
    assert first.failure == ""
    assert set(first.states.values()) == {COMPLETE}
    assert len(first.states) == 12 + 3 * MOST
    assert all(first.outputs.values())

    expected = algorithm_1(t, mlm != "off", mrc != "off", pseudo != "off", order == "mrc-mlm")
    worked = [one for one in doubled.worked if one["stage"] in ("mlm", "mrc", "ner", "pseudo_label")]
    assert [one["stage"] for one in worked] == [stage for stage, _, _ in expected]
    made = {"encoder": str(root / "encoder")}
    for one, (_, name, inputs) in zip(worked, expected, strict=True):
        made[name] = doubled.outputs[one["task"]].get("model") or doubled.outputs[one["task"]]["labels"]
        corpora = one["inputs"].pop("corpora")
        assert "/prepare/" in corpora
        assert one["inputs"] == {key: made[source] for key, source in inputs.items()}
    last = made[next(name for stage, name, _ in reversed(expected) if stage == "ner")]
    assert {one["stage"]: one["inputs"].get("model") for one in doubled.worked}["export"] == last
    scored = [one["inputs"] for one in doubled.worked if one["stage"] == "evaluate"]
    gold = doubled.outputs["gold"]["Output"]
    assert scored == [{"gold": gold, "model": made[name]} for stage, name, _ in expected if stage == "ner"]
    assert all(gold not in one["inputs"].values() for one in doubled.worked if one["stage"] != "evaluate")

    wanted = dict.fromkeys(first.gpus, 0) | {one["task"]: 1 for one in worked} | {"line 20: evaluate": 1}
    assert first.gpus == wanted
    outputs = dict(doubled.outputs)
    second = doubled.run(**told)
    assert second.failure == ""
    assert doubled.worked == []
    assert set(second.gpus.values()) == {0}, "a GPU would be asked for to find that the work is done"
    assert {name: {**one, "gpus": ""} for name, one in doubled.outputs.items()} == {
        name: {**one, "gpus": ""} for name, one in outputs.items()
    }


def test_a_second_opinion_comes_from_the_last_mrc_model(make: Make) -> None:
    """Where only words are believed on which tagger and MRC model agree, a label step is given the MRC model too."""
    doubled = make()
    told = {"iterations": MOST, "overrides": ["stages.loop_ner.trust=agree"]}
    first = doubled.run(**told)
    assert first.failure == ""
    given = {one["task"]: one["inputs"].get("mrc") for one in doubled.worked if one["stage"] == "pseudo_label"}
    last = {"round 1: label": "line 4: mrc", "round 2: label": "round 1: mrc"}
    assert given == {"line 7: label": None} | {name: doubled.outputs[mrc]["model"] for name, mrc in last.items()}
    second = doubled.run(**told)
    assert (second.failure, doubled.worked, set(second.gpus.values())) == ("", [], {0})
    more = doubled.run(**told | {"overrides": ["stages.pseudo_ner.trust=agree"]})
    assert more.failure == ""
    given = {one["task"]: one["inputs"].get("mrc") for one in doubled.worked if one["stage"] == "pseudo_label"}
    assert given["line 7: label"] == doubled.outputs["line 4: mrc"]["model"]
    assert given["round 1: label"] is None


def test_scores_with_corrected_priors_read_the_target_text(make: Make) -> None:
    doubled = make()
    told = {"iterations": 0, "overrides": ["stages.export.priors=em"]}
    assert doubled.run(**told).failure == ""
    (corpora,) = {one["inputs"]["corpora"] for one in doubled.worked if one["stage"] == "export"}
    scored = [one["inputs"] for one in doubled.worked if one["stage"] == "evaluate"]
    assert [one.get("corpora") for one in scored] == [corpora, corpora]
    second = doubled.run(**told)
    assert (second.failure, doubled.worked, set(second.gpus.values())) == ("", [], {0})


def test_more_rounds_go_on_from_what_is_there(make: Make) -> None:
    doubled = make()
    doubled.run(iterations=0)
    second = doubled.run(iterations=1)
    assert [one["task"] for one in doubled.worked][:3] == ["round 1: label", "round 1: mrc", "round 1: ner"]
    assert [name for name, gpus in second.gpus.items() if gpus] == [
        "round 1: label", "round 1: mrc", "round 1: ner", "line 20: evaluate",
    ]  # fmt: skip


def test_a_driver_that_starts_twice_costs_a_run_and_no_work(make: Make) -> None:
    doubled = make()
    doubled.backend.restarted = "line 9: ner"
    assert "two tasks have the same task name" in doubled.run().failure
    doubled.backend.restarted = ""
    assert doubled.run().failure == ""
    assert doubled.worked[0]["task"] == "line 9: ner"


def test_no_choice_but_those_that_are_offered(make: Make) -> None:
    assert "iterations: 3.0" in make().run(iterations=3.0).failure
    assert "order" in make().run(order="mrc").failure


def test_a_fraction_is_refused_by_the_plan(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        make().run(seed=1.5)
    assert "seed: found 1.5; expected a whole number" in capsys.readouterr().err


def test_a_run_leaves_records(make: Make, tmp_path: Path) -> None:
    doubled = make()
    doubled.run()
    root = storage.join(str(tmp_path / "store"), "runs", "run-1")
    summary = records.summarise(root)
    assert (summary["status"], summary["f1"]) == ("succeeded", 0.5)
    assert json.loads((Path(root) / "run_summary.json").read_text()) == summary
    states = {one["step"]: one["status"] for one in summary["steps"]}
    assert len(states) == 12 + 3 * MOST - 1 + 1
    assert states["line 2: mlm"] == "done"
    assert states["round 2: ner"] == "off"
    assert summary["report"] == doubled.outputs["report"]["Output"]


@pytest.fixture
def branches(tmp_path: Path) -> Path:
    """A graph of the shape that failed: If, Else and OneOf, with rounds that are skipped one after another."""

    @dsl.component(base_image="x")
    def plan(t: int) -> int:
        return t

    @dsl.component(base_image="x")
    def train(model: str) -> str:
        return model

    @dsl.component(base_image="x")
    def keep(model: str) -> str:
        return model

    @dsl.component(base_image="x")
    def export(model: str) -> str:
        return model

    @dsl.pipeline(name="branches")
    def graph(t: int = 1) -> str:
        planned = plan(t=t).set_caching_options(False)
        theta: Any = train(model="encoder").output
        for i in (1, 2, 3):
            with dsl.If(planned.output >= i):
                trained = train(model=theta)
            with dsl.Else():
                kept = keep(model=theta)
            theta = dsl.OneOf(trained.output, kept.output)
        return export(model=theta).output  # type: ignore[no-any-return]

    compiler.Compiler().compile(graph, str(tmp_path / "branches.yaml"))
    return tmp_path / "branches.yaml"


def test_branches_fail_where_they_failed_on_the_real_backend(branches: Path) -> None:
    def call(task: str, function: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"Output": inputs["t"] if function == "plan" else f"{inputs['model']}+" if function == "train" else
                inputs["model"]}  # fmt: skip

    backend = Backend(branches, call)
    fresh = backend.run(t=1)
    assert fresh.failure.startswith("export: processing OneOf: No successful task found for output key")
    assert CACHED in fresh.states.values(), "the second skipped round is like the first"
    again = backend.run(t=1)
    assert "No successful task found" in again.failure
    assert "export" not in again.failure, "at the first OneOf"
    assert Backend(branches, call).run(t=3).failure == "", "with no round skipped it holds, once"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_metrics_that_are_no_numbers_fail_a_task(branches: Path, value: Any) -> None:
    def call(task: str, function: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"Output": inputs.get("t", "m"), "metrics of the run page": {"f1": value}}

    assert "metrics f1 are no numbers" in Backend(branches, call).run().failure

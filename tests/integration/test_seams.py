"""Algorithm 1 through the real components, each with its real stage below it, on a tiny encoder and tiny corpora.

What `kfp` does between them is left out: artifacts are its own classes, over files below a temporary folder.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from tests.tiny_encoder import make_data, make_encoder, make_preset, sentences
from tofner import records, storage
from tofner.release.page import plain
from tofner.stages import steps
from tofner.stages.plan import load_plan
from tofner.tagging import Tagger
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

pytestmark = pytest.mark.integration

# So that every tagger finds some entities of the target, and each another share.
OVERRIDES = ["stages.ner.epochs=16", "stages.ner.max_train_examples=18"]
STAGES = (prepare, gold, mlm, mrc, ner, pseudo_label, evaluate, export, report, publish)
KINDS = {
    kind.schema_title: kind for kind in (dsl.Model, dsl.Metrics, dsl.ClassificationMetrics, dsl.Markdown, dsl.HTML)
}


def artifacts_of(component: Any, folder: Path) -> dict[str, Any]:
    """An empty artifact of its declared kind for each that the component declares, with files below `folder`."""
    declared = {name: output.type.partition("@")[0] for name, output in component.component_spec.outputs.items()}
    return {name: KINDS[kind](name=name, uri=str(folder / name)) for name, kind in declared.items() if kind in KINDS}


def call(component: Any, **arguments: Any) -> Any:
    """What `kfp`'s executor does: several outputs come by the names that the component declares."""
    returned = component.python_func(**arguments)
    names = component.python_func.__annotations__["return"]
    return names(*returned) if isinstance(returned, tuple) else returned


def finished_at(result: Path) -> str:
    return str(json.loads((result / "manifest.json").read_text())["finished_at"])


@dataclass
class Task:
    """One call of a component, what it returned, and the result that its stage left in the store."""

    name: str
    inputs: dict[str, str]
    artifacts: dict[str, Any]
    returned: Any
    result: str

    def said(self, name: str = "report.json") -> Any:
        return json.loads(storage.read_bytes(storage.join(self.result, name)))

    def text(self, name: str) -> str:
        path = Path(self.result, name)
        return path.read_text(encoding="utf-8") if path.is_file() else ""


@dataclass
class Run:
    root: Path
    tasks: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data, self.store = str(make_data(self.root / "data")), str(self.root / "store")
        preset = make_preset(self.root / "preset.yaml", make_encoder(self.root / "encoder"))
        switches = dict.fromkeys(("mlm", "mrc", "pseudo", "order"), "preset")
        told = {"preset": str(preset), "data": self.data, "store": self.store, "encoder": "", "iterations": 1}
        more = {
            "seed": 2019,
            "overrides": OVERRIDES,
            "model_name": "tiny-tagger",
            "max_iterations": 2,
            "gpus": 2,
            "threads": 0,
        }
        self.plan: str = plan.python_func(**told, **switches, **more, run_id="run-7")

    def do(self, component: Any, step: str = "", **inputs: str) -> Any:
        """Calls a component as KFP would, with the plan's address and, where it runs the encoder, a number of GPUs."""
        name = component.component_spec.name.replace("-", "_")
        results = self.root / "store" / "work" / name
        before = set(results.iterdir()) if results.is_dir() else set()
        artifacts = artifacts_of(component, self.root / "artifacts" / f"{len(self.tasks)}")
        told = {"run": self.plan} | ({"step": step} if step else {})
        if "gpus" in component.component_spec.inputs:
            told["gpus"] = "2"
        returned = call(component, **told, **inputs, **artifacts)
        made = set(results.iterdir()) - before if results.is_dir() else set()
        *others, last = sorted(made, key=finished_at) or [None]
        self.tasks += [Task(name, inputs, {}, returned, str(one)) for one in others]
        self.tasks += [Task(name, inputs, artifacts, returned, str(last))] if last else []
        return returned

    def of(self, name: str) -> list[Task]:
        return [task for task in self.tasks if task.name == name]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """T = 1 of at most 2 rounds, in the order of `pipelines.tof`."""
    r = Run(tmp_path_factory.mktemp("seams"))
    assert r.do(prepare).gpus == "2", "of the next task"
    test = r.do(gold)
    f = r.do(mlm, "line 2: mlm")
    g = r.do(mrc, "line 4: mrc", model=f.model)
    h = r.do(ner, "line 6: ner", model=g.model)
    y = r.do(pseudo_label, "line 7: label", model=h.model)
    h = r.do(ner, "line 9: ner", model=h.model, pseudo=y.labels, head=h.model)
    y = r.do(pseudo_label, "round 1: label", model=h.model, earlier=y.labels)
    g = r.do(mrc, "round 1: mrc", model=h.model, pseudo=y.labels, head=g.model)
    h = r.do(ner, "round 1: ner", model=g.model, pseudo=y.labels, head=h.model)
    assert h.gpus == "0", "round 2 is off"
    off = r.do(pseudo_label, "round 2: label", model=h.model, earlier=y.labels)
    assert (off.labels, off.run, off.gpus) == (y.labels, r.plan, "0")
    assert r.do(mrc, "round 2: mrc", model=h.model, pseudo=off.labels, head=g.model).model == g.model
    off = r.do(ner, "round 2: ner", model=g.model, pseudo=off.labels, head=h.model)
    assert (off.model, off.gpus) == (h.model, "2"), "scoring is next"
    scores = r.do(evaluate, gold=test, model=h.model)
    onnx = r.do(export, model=h.model)
    told = r.do(report, model=h.model, export=onnx, scores=scores)
    r.do(publish, model=h.model, export=onnx, report=told)
    return r


NAMES = [component.component_spec.name.replace("-", "_") for component in STAGES]


def check_model(task: Task, artifact: Any, content: str) -> None:
    assert content == task.returned
    decided = {"promoted": True, "gate": "there is no model to compare with yet"}
    assert artifact.metadata == task.said()["details"]["model"] | decided
    assert artifact.metadata["uri"] == task.returned
    sizes = [path.stat().st_size for path in Path(content).rglob("*") if path.is_file() and path.name != "_index.json"]
    assert artifact.metadata["bytes"] == sum(sizes)
    assert storage.folder_index(content) is not None, "the artifact leads to a stored folder"


def check_metrics(task: Task, artifact: Any, content: str) -> None:
    assert json.loads(content) == artifact.metadata
    assert json.loads(content) == task.said()["metrics"]
    assert all(isinstance(value, float) and 0 <= value <= 1 for value in artifact.metadata.values())


def check_confusion(task: Task, artifact: Any, content: str) -> None:
    said = task.said()["confusion"]
    assert json.loads(content) == said
    shown = artifact.metadata["confusionMatrix"]
    assert [row["row"] for row in shown["rows"]] == said["matrix"]
    assert [one["displayName"] for one in shown["annotationSpecs"]] == said["labels"]


def check_markdown(task: Task, artifact: Any, content: str) -> None:
    """The run's summary, at `publish`: what was decided first, then the report's text."""
    head, _, report_text = content.partition("\n\n# ")
    metadata = task.artifacts["tagger"].metadata
    assert head.splitlines() == [
        f"**tiny-tagger {metadata['version']} is the latest.**",
        "",
        f"- F1: {100 * metadata['f1']:.2f}",
        "- gate: there is no model to compare with yet",
        f"- model: {plain(metadata['uri'])}",
        f"- report: {plain(task.inputs['report'])}",
    ]
    assert f"# {report_text}" == Path(task.inputs["report"], "report.md").read_text(encoding="utf-8")


def check_html(task: Task, artifact: Any, content: str) -> None:
    assert content == task.text("report.html")


CHECKS: dict[type, Callable[[Task, Any, str], None]] = {
    dsl.Model: check_model,
    dsl.Metrics: check_metrics,
    dsl.ClassificationMetrics: check_confusion,
    dsl.Markdown: check_markdown,
    dsl.HTML: check_html,
}


@pytest.mark.parametrize("name", NAMES)
def test_every_artifact_holds_what_the_stage_reports(run: Run, name: str) -> None:
    assert run.of(name)
    for task in run.of(name):
        for artifact in task.artifacts.values():
            CHECKS[type(artifact)](task, artifact, Path(artifact.path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_no_artifact_is_empty(run: Run, name: str) -> None:
    empty = [
        (task.name, artifact.name)
        for task in run.of(name)
        for artifact in task.artifacts.values()
        if Path(artifact.path).read_text(encoding="utf-8").strip() in ("", "{}", "null")
    ]
    assert empty == []


@pytest.mark.parametrize("name", NAMES)
def test_each_result_names_the_inputs_it_was_given(run: Run, name: str) -> None:
    """From component to stage nothing is lost, swapped or made up; what the plan knows is added."""
    plan_knows = {"corpora": run.of("prepare")[0].result, "data": run.data}
    for task in run.of(name):
        manifest = task.said("manifest.json")
        assert manifest["stage"] == name
        for one in ("corpora", "data"):
            assert manifest["inputs"].pop(one, plan_knows[one]) == plan_knows[one]
        if name == "mlm":
            assert manifest["inputs"] == {"model": str(run.root / "encoder")}
        elif name == "evaluate":  # of every tagger of the run
            assert manifest["inputs"].keys() == task.inputs.keys()
            assert manifest["inputs"]["gold"] == task.inputs["gold"]
        else:
            assert manifest["inputs"] == task.inputs


def test_scores_come_in_order_to_the_report(run: Run) -> None:
    scored = run.of("evaluate")
    assert run.of("report")[0].inputs["scores"].split() == [task.result for task in scored]
    told = run.of("report")[0].said("run.json")
    f1 = {row["name"]: row["f1"] for row in told["rows"] if row["f1"] is not None}
    names = ("ner", "pseudo_ner", "ner 1")
    assert f1 == {name: task.said()["metrics"]["f1"] for name, task in zip(names, scored, strict=True)}
    assert told["final"] == scored[-1].said()
    models = {row["name"]: row["uri"] for row in told["rows"]}
    assert [models[name] for name in names] == [task.result for task in run.of("ner")]
    assert [task.said("manifest.json")["inputs"]["model"] for task in scored] == [task.result for task in run.of("ner")]


def test_reported_scores_are_those_of_the_predictions(run: Run) -> None:
    """By seqeval from what `evaluate` wrote and the gold corpus as it was made, apart from the stages' own readers."""
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    truth = [tags for _, tags in sentences("posts", 8, offset=57)]
    for task in run.of("evaluate"):
        blocks = task.text("predicted.conll").strip().split("\n\n")
        found = [[line.split()[-1] for line in block.splitlines()] for block in blocks]
        assert task.said()["metrics"]["f1"] == pytest.approx(f1_score(truth, found, mode="strict", scheme=IOB2))
        assert task.said()["counts"]["sentences"] == len(truth)


def test_the_report_gathers_what_every_stage_said(run: Run) -> None:
    told = run.of("report")[0].said("run.json")
    training = [task for task in run.tasks if task.name in ("mlm", "mrc", "ner")]
    names = ["mlm", "mrc", "ner", "pseudo_ner", "mrc 1", "ner 1"]
    assert [one["name"] for one in told["curves"]] == names
    for one, task in zip(told["curves"], training, strict=True):
        assert one["loss"] == task.said()["details"]["training"]["loss"] != []
        assert len(one["score"]) == task.said()["metrics"]["epochs"]
    parts = [task.said()["details"]["sets"] for task in (run.of("prepare")[0], run.of("gold")[0])]
    assert told["sets"] == [*parts[0], *parts[1]]
    seconds = sum(round(task.said()["seconds"], 1) for task in run.tasks if task.name not in ("report", "publish"))
    assert told["seconds"] == pytest.approx(seconds)
    assert len(told["times"]) == len(run.tasks) - 2
    f1 = run.of("evaluate")[-1].said()["metrics"]["f1"]
    assert f"F1 {100 * f1:.2f} on tgt/test" in told["verdict"] == run.of("report")[0].said()["summary"]
    assert list(run.of("report")[0].artifacts["metrics"].metadata) == ["f1", "f1_ner", "f1_ner_1", "f1_pseudo_ner"]


def test_the_report_compares_the_last_tagger_with_the_first(run: Run) -> None:
    told = run.of("report")[0].said("run.json")
    scored = [task.said()["details"]["scores"] for task in run.of("evaluate")]
    for kind, name in (("exact", "micro"), ("spans", "spans")):
        assert told["effect"][kind]["candidate"] == pytest.approx(scored[-1][name]["f1"])
        assert told["effect"][kind]["champion"] == pytest.approx(scored[0][name]["f1"])
    assert ": ner 1 against ner, F1" in told["helped"]
    assert told["helped"] in run.of("report")[0].text("report.md")


def test_the_report_tells_what_the_published_model_finds_in_target_text(run: Run) -> None:
    from tofner.corpora.corpus import read_ner, read_text

    known = run.of("report")[0].said("run.json")["unlabelled"]
    text = list(read_text(Path(run.of("prepare")[0].result) / "target_text.parquet"))
    with Tagger.load(run.of("publish")[0].returned) as tagger:
        found = tagger.tag([one.tokens for one in text])
    assert (known["sentences"], known["words"]) == (len(text), sum(len(one.tokens) for one in text))
    counts = {row["type"]: row["found"] for row in known["rates"]}
    labels = [entity.label for row in found for entity in row]
    assert counts == {type_: labels.count(type_) for type_ in counts}
    assert sum(known["histogram"]) == len(labels) > 0
    source = read_ner(Path(run.of("prepare")[0].result) / "source_ner.parquet")
    words = sum(len(one.tokens) for one in source)
    for row in known["rates"]:
        given = sum((one.tags or []).count(f"B-{row['type']}") for one in source)
        assert row["source"] == pytest.approx(1000 * given / words)
    assert [(row["first"], row["second"]) for row in known["agreement"]] == [
        ("ner", "pseudo_ner"), ("ner", "ner 1"), ("pseudo_ner", "ner 1")
    ]  # fmt: skip
    first, second = (read_ner(Path(task.result) / "pseudo_ner.parquet") for task in run.of("pseudo_label"))
    changed = [x != y for a, b in zip(first, second, strict=True) for x, y in zip(a.tags, b.tags, strict=True)]  # type: ignore[arg-type]
    assert known["agreement"][0]["changed"] == pytest.approx(sum(changed) / len(changed), abs=0.02)  # orphans begin one
    assert known["agreement"][1]["changed"] > 0


def test_the_report_says_how_many_labels_changed(run: Run) -> None:
    from tofner.corpora.corpus import read_ner

    first, second = (read_ner(Path(task.result) / "pseudo_ner.parquet") for task in run.of("pseudo_label"))
    changed = [x != y for a, b in zip(first, second, strict=True) for x, y in zip(a.tags, b.tags, strict=True)]  # type: ignore[arg-type]
    told = run.of("report")[0].said("run.json")["labels"]
    assert [one["name"] for one in told] == ["pseudo_label", "pseudo_label 1"]
    assert [one["changed"] for one in told] == [None, sum(changed) / len(changed)]
    assert 0 < sum(changed) < len(changed)
    assert [sum(one["entities"].values()) for one in told] == [
        sum(tag.startswith("B-") for one in part for tag in one.tags or []) for part in (first, second)
    ]


def test_what_was_published_is_the_last_tagger(run: Run) -> None:
    (task,) = run.of("publish")
    published, last = Path(task.returned), Path(run.of("ner")[-1].result)
    weights = "model.safetensors"
    assert (published / "checkpoint" / weights).read_bytes() == (last / weights).read_bytes()
    assert (published / "labels.json").read_bytes() == (last / "labels.json").read_bytes()
    assert (published / "model.onnx").read_bytes() == Path(run.of("export")[0].returned, "model.onnx").read_bytes()
    assert json.loads((published.parent / "latest.json").read_text())["version"] == published.name
    words = [tokens for tokens, _ in sentences("posts", 8, offset=57)]
    blocks = run.of("evaluate")[-1].text("predicted.conll").strip().split("\n\n")
    expected = [sum(line.split()[-1].startswith("B-") for line in block.splitlines()) for block in blocks]
    assert any(expected)
    with Tagger.load(published.parent) as tagger:
        assert [len(row) for row in tagger.tag(words)] == expected


def test_the_same_calls_again_do_nothing_and_say_the_same(run: Run, tmp_path: Path) -> None:
    def seen() -> list[Path]:
        """Apart from records, and from the comparison with what is published by now."""
        return sorted(
            p for p in (run.root / "store").rglob("*") if p.is_file() and not {"runs", "judge"} & set(p.parts)
        )

    before = seen()
    for task, component, step in ((run.of("ner")[0], ner, "line 6: ner"), (run.of("evaluate")[-1], evaluate, "")):
        artifacts = artifacts_of(component, tmp_path / task.name)
        told = {"run": run.plan, "gpus": "2"} | ({"step": step} if step else {})
        again = call(component, **told, **task.inputs, **artifacts)
        assert again == (task.returned._replace(gpus="0") if step else task.returned)
        for name, artifact in artifacts.items():
            assert Path(artifact.path).read_bytes() == Path(task.artifacts[name].path).read_bytes()
    assert seen() == before


def test_the_walk_ahead_of_the_work_ends_where_the_work_did(run: Run) -> None:
    """Addresses that follow from plan and store are those that the tasks handed on."""
    planned = load_plan(run.plan.partition("#")[0])
    found = steps.done(planned)
    assert list(found) == steps.chain(2)
    handed = [task.result for task in run.tasks if task.name in ("mlm", "mrc", "ner", "pseudo_label")]
    assert [uri for name, uri in found.items() if name != "evaluate" and not name.startswith("round 2")] == handed
    assert found["evaluate"] == run.of("report")[0].inputs["scores"]
    assert steps.taggers(planned, handed[-1]) == [task.result for task in run.of("ner")]


def test_each_step_leaves_a_record(run: Run) -> None:
    told = records.summarise(storage.join(run.store, "runs", "run-7"))
    assert told["status"] == "succeeded"
    assert told["f1"] == run.of("evaluate")[-1].said()["metrics"]["f1"]
    assert told["model"] == run.of("publish")[0].returned
    assert [one["status"] for one in told["steps"]].count("off") == 3
    assert told["hours"]["ner"]["cpu"] > 0
    assert json.loads(Path(run.store, "runs/run-7/run_summary.json").read_text())["model"] == told["model"]


def test_the_page_and_the_card_lead_to_the_model_and_its_run(run: Run) -> None:
    (published,) = [task.returned for task in run.of("publish")]
    assert run.of("report")[0].said("run.json")["model"]["published"] == published
    assert published in run.of("report")[0].text("report.html")
    assert "Published by the pipeline run run-7." in Path(published, "README.md").read_text(encoding="utf-8")

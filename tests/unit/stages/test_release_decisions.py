"""What is released and what is not: int8 by its F1, the graph by its parity, the version by its contents."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.tiny_encoder import make_encoder, sentences
from tests.tiny_tagger import make_graph, make_tokenizer, publish_tiny
from tofner import storage
from tofner.corpora.corpus import write_ner, write_text
from tofner.corpora.examples import Sentence
from tofner.errors import BadInput
from tofner.model import evaluations
from tofner.model.layout import ANSWER
from tofner.model.versions import find
from tofner.onnx.parity import ParityError, ShapesDiffer, ValuesDiffer, check_parity
from tofner.onnx.quantise import Product, QuantiseReport
from tofner.settings import Export, Machine, Ner
from tofner.stages import export as export_stage
from tofner.stages import publish as publish_stage
from tofner.stages.config import ExportConfig, PublishConfig
from tofner.stages.report import History, name_rows
from tofner.stages.work import Report, Work
from tofner.tagging import Tagger
from tofner.training import checkpoint
from tofner.words.spans import Span, spans_to_tags

MACHINE = Machine(device="cpu", threads=2, precision="fp32")

# int8


def gate(folder: Path, dev: list[Sentence], margin: float) -> Report:
    report = Report()
    config = ExportConfig(seed=1, code="c", machine=MACHINE, export=Export(int8_margin=margin))
    export_stage._add_int8(folder, [], [], dev, config, report)
    return report


@pytest.mark.parametrize(
    ("fp32", "int8", "margin", "released"),
    [
        (0.75, 0.75, 0.0, True),
        (0.75, 0.5, 0.25, True),  # just so much
        (0.75, 0.484375, 0.25, False),
        (0.75, 0.734375, 0.0, False),
        (0.5, 1.0, 0.0, True),  # better is no loss
        (0.75, 0.875, 0.25, True),
    ],
)
def test_int8_may_lose_the_margin_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fp32: float, int8: float, margin: float, released: bool
) -> None:
    def quantise(source: Path, target: Path, feeds: object, threads: int) -> QuantiseReport:
        target.write_bytes(b"graph")
        return QuantiseReport([Product(["a"], 0.0, 0.001, True), Product(["b"], 0.5, 0.03, False)])

    monkeypatch.setattr("tofner.stages.export.quantise", quantise)
    monkeypatch.setattr(
        "tofner.stages.export._dev_f1", lambda _, precision, __: {"fp32": fp32, "int8": int8}[precision]
    )
    report = gate(tmp_path, [], margin)
    assert (tmp_path / "model.int8.onnx").exists() == released
    assert report.counts == {"int8_products_left_fp32": 1, "int8_released": int(released)}
    assert report.metrics == {"dev_f1_fp32": fp32, "dev_f1_int8": int8, "int8_worst_difference": 0.03}
    lost = f"int8 lost {100 * (fp32 - int8):.2f} F1 on the source dev, more than {100 * margin:.2f}: not published"
    assert report.notes == ([] if released else [lost])
    verb = "published" if released else "not published"
    assert report.details["int8"] == (
        f"int8 is {verb}: F1 {100 * int8:.2f} on the source dev, fp32 {100 * fp32:.2f}, "
        f"allowed loss {100 * margin:.2f}; 5 bytes"
    )


@pytest.mark.parametrize(("seed", "released"), [(0, True), (1, False)])
def test_each_graph_is_scored_by_its_own_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, released: bool
) -> None:
    """Gold is what the fp32 graph says. The same graph as int8 keeps all F1, one of other weights does not."""
    folder = publish_tiny(tmp_path / "m", seed=0)
    words = ["Angela Merkel met Obama in New York".split(), "the Ajax of Madrid said a U.N. is in Berlin".split()]
    with Tagger.load(folder) as tagger:
        rows = tagger.tag(words)
    assert all(rows)
    tags = [
        spans_to_tags([Span(e.start, e.end, e.label) for e in row], len(tokens))
        for row, tokens in zip(rows, words, strict=True)
    ]
    dev = [Sentence(str(i), tokens, row) for i, (tokens, row) in enumerate(zip(words, tags, strict=True))]

    def quantise(source: Path, target: Path, feeds: object, threads: int) -> QuantiseReport:
        onnx.save(make_graph(make_tokenizer().get_vocab_size(), 7, seed), str(target))
        return QuantiseReport()

    monkeypatch.setattr("tofner.stages.export.quantise", quantise)
    report = gate(folder, dev, 0.003)
    assert report.metrics["dev_f1_fp32"] == 1.0
    assert (report.metrics["dev_f1_int8"] == 1.0) == released
    assert (folder / "model.int8.onnx").exists() == released


# Parity


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger as the ner stage leaves it, of random weights, and corpora beside it."""
    root = tmp_path_factory.mktemp("trained")
    encoder = make_encoder(root / "encoder")
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    model = checkpoint.load_tagger(encoder, labels, "carry")
    (root / "model").mkdir()
    checkpoint.save(model, encoder, root / "model")
    checkpoint.save_tagger_files(root / "model", labels, Ner(learning_rate=1e-3, max_pieces=32, overlap_pieces=8))
    for name in ("report.json", "manifest.json", "_index.json"):
        (root / "model" / name).write_text("{}")
    (root / "corpora").mkdir()
    text = [Sentence(str(i), tokens) for i, (tokens, _) in enumerate(sentences("posts", 6))]
    write_text(root / "corpora" / "target_text.parquet", text)
    write_ner(root / "corpora" / "source_ner_dev.parquet", [Sentence("1", ["Tom"], ["B-PER"])])
    return root


def exported(trained: Path, tmp_path: Path, **settings: Any) -> tuple[Report, Path]:
    inputs = {"corpora": str(trained / "corpora"), "model": str(trained / "model")}
    output = tmp_path / "output"
    output.mkdir()
    work = Work("export", str(tmp_path / "store"), inputs, output, tmp_path / "scratch", str(tmp_path / "state"))
    config = ExportConfig(seed=1, code="c", machine=MACHINE, export=Export(int8=False, **settings))
    return export_stage.run(config, work), output


def test_a_graph_beyond_its_tolerance_is_no_result(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError):
        exported(trained, tmp_path, tolerance=1e-12)


def test_an_export_is_the_tagger_and_nothing_of_its_report(trained: Path, tmp_path: Path) -> None:
    report, output = exported(trained, tmp_path)
    assert 0 < report.metrics["max_difference"] < 1e-3
    assert report.counts["words"] == sum(len(tokens) for tokens, _ in sentences("posts", 6))
    assert report.counts["onnx_bytes"] == (output / "model.onnx").stat().st_size
    assert report.details["sizes"] == {"model.onnx": (output / "model.onnx").stat().st_size}
    assert f"{report.metrics['max_difference']:.2g} at most" in report.summary
    for name in ("tokenizer.json", "labels.json", "tagger.json", "checkpoint/model.safetensors"):
        assert (output / name).read_bytes() == (trained / "model" / Path(name).name).read_bytes()
    assert not {"report.json", "manifest.json", "_index.json"} & {path.name for path in output.rglob("*")}


@pytest.fixture(scope="module")
def graph(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return onnx.load(str(exported(trained, tmp_path_factory.mktemp("graph"))[1] / "model.onnx"))


def compare(trained: Path, graph: onnx.ModelProto, path: Path, tolerance: float) -> dict[str, float]:
    from tofner.words.features import tag_windows

    onnx.save(graph, str(path))
    folder = trained / "model"
    words = [tokens for tokens, _ in sentences("posts", 6)]
    windows, _ = tag_windows(checkpoint.piece_encoder(folder), words, 32, 8)
    return check_parity(checkpoint.load_trained_tagger(folder)[0], path, windows, tolerance)


def changed(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy


def output_of(graph: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """Let `nodes` make the logits from what was called so and is `before` now."""
    for node in graph.graph.node:
        for i, name in enumerate(node.output):
            node.output[i] = "before" if name == "logits" else name
    graph.graph.node.extend(nodes)


def test_nan_is_no_agreement(trained: Path, graph: onnx.ModelProto, tmp_path: Path) -> None:
    broken = changed(graph)
    broken.graph.initializer.append(numpy_helper.from_array(np.float32("nan"), "nan"))
    output_of(broken, helper.make_node("Add", ["before", "nan"], ["logits"]))
    with pytest.raises(ValuesDiffer, match="nan"):
        compare(trained, broken, tmp_path / "x.onnx", 1e9)


def test_one_label_more_is_no_agreement(trained: Path, graph: onnx.ModelProto, tmp_path: Path) -> None:
    broken = changed(graph)
    broken.graph.initializer.append(numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 1], np.int64), "pads"))
    output_of(broken, helper.make_node("Pad", ["before", "pads"], ["logits"]))
    broken.graph.output[0].type.tensor_type.shape.dim[2].Clear()
    with pytest.raises(ShapesDiffer, match=r"\(1, 5, 6\).*\(1, 5, 5\)"):
        compare(trained, broken, tmp_path / "x.onnx", 1e-3)


def test_a_graph_that_fails_only_where_it_is_marked_is_found_out(
    trained: Path, graph: onnx.ModelProto, tmp_path: Path
) -> None:
    """The engine asks by marks, so parity must too: this graph is right until a piece is marked."""
    compare(trained, graph, tmp_path / "whole.onnx", 1e-3)
    broken = changed(graph)
    constants = {"mark": np.int64(ANSWER), "last": np.array([2], np.int64), "much": np.float32(0.1)}
    broken.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    output_of(
        broken,
        helper.make_node("Equal", ["attention_mask", "mark"], ["marked"]),
        helper.make_node("Cast", ["marked"], ["marked_f"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["marked_f", "last"], ["marked_3"]),
        helper.make_node("Mul", ["marked_3", "much"], ["error"]),
        helper.make_node("Add", ["before", "error"], ["logits"]),
    )
    with pytest.raises(ValuesDiffer, match=r"differ by 0\.1"):
        compare(trained, broken, tmp_path / "x.onnx", 1e-3)


# The report's rows


def told(uri: str, stage: str, **inputs: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    manifest = {"stage": stage, "inputs": inputs, "finished_at": "t", "digest": f"digest of {uri}"}
    return uri, manifest, {"seconds": 1.23, "metrics": {"score": 0.5}, "counts": {"of": uri}}


HISTORY: History = [
    told("c", "prepare", data="d"),
    told("f", "mlm", corpora="c", model="e"),
    told("g", "mrc", corpora="c", model="f"),
    told("h", "ner", corpora="c", model="g"),
    told("l", "pseudo_label", corpora="c", model="h"),
    told("h0", "ner", corpora="c", model="h", pseudo="l", head="h"),
    told("l1", "pseudo_label", corpora="c", model="h0"),
    told("g1", "mrc", corpora="c", model="h0", pseudo="l1", head="g"),
    told("h1", "ner", corpora="c", model="g1", pseudo="l1", head="h0"),
    told("l2", "pseudo_label", corpora="c", model="h1"),
    told("g2", "mrc", corpora="c", model="h1", pseudo="l2", head="g1"),
    told("h2", "ner", corpora="c", model="g2", pseudo="l2", head="h1"),
]
NAMES = [
    "prepare", "mlm", "mrc", "ner", "pseudo_label", "pseudo_ner",
    "pseudo_label 1", "mrc 1", "ner 1", "pseudo_label 2", "mrc 2", "ner 2",
]  # fmt: skip


def scored(model: str, f1: float) -> tuple[str, dict[str, Any], dict[str, Any]]:
    uri, manifest, report = told(f"score of {model}", "evaluate", gold="t", model=model)
    return uri, manifest, {**report, "metrics": {"f1": f1, "precision": f1 / 2, "recall": f1 / 4, "span_f1": f1 / 8}}


def test_rows_are_named_by_algorithm_1() -> None:
    rows = name_rows(HISTORY, [])
    assert [row["name"] for row in rows] == NAMES
    assert [row["iteration"] for row in rows] == [0] * 6 + [1] * 3 + [2] * 3
    assert [row["uri"] for row in rows] == [uri for uri, _, _ in HISTORY]
    assert [row["digest"] for row in rows] == [f"digest of {uri}" for uri, _, _ in HISTORY]
    assert [row["counts"] for row in rows] == [{"of": uri} for uri, _, _ in HISTORY]
    assert {row["dev"] for row in rows} == {0.5}
    assert {row["f1"] for row in rows} == {None}


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_fewer_rounds_have_the_same_names(rounds: int) -> None:
    assert [row["name"] for row in name_rows(HISTORY[: 6 + 3 * rounds], [])] == NAMES[: 6 + 3 * rounds]


def test_scores_stand_beside_the_tagger_that_was_scored() -> None:
    """In whatever order they came."""
    given = {"h1": 0.75, "h": 0.25, "h2": 1.0, "h0": 0.5}
    rows = {row["uri"]: row for row in name_rows(HISTORY, [scored(*item) for item in given.items()])}
    assert {uri: row["f1"] for uri, row in rows.items() if row["f1"] is not None} == given
    for uri, f1 in given.items():
        found = [rows[uri][name] for name in ("precision", "recall", "span_f1")]
        assert found == [f1 / 2, f1 / 4, f1 / 8]


# Publishing

EXPORT = {
    "model.onnx": "graph", "tokenizer.json": "{}", "labels.json": "{}", "tagger.json": "{}",
    "checkpoint/model.safetensors": "weights", "report.json": '{"of": "export"}', "_index.json": "{}",
}  # fmt: skip
DIGEST = "0123456789abcdef" * 4
NUMBERS = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 4}
SCORES = {"types": {"PER": NUMBERS}, "micro": NUMBERS, "macro": NUMBERS, "spans": NUMBERS}
RUN = {
    "run": {
        "description": "news to posts", "target_language": "en", "encoder": "e", "seed": 1, "iterations": 1,
        "overrides": [], "machine": {"device": "cpu", "threads": 2, "precision": "fp32"},
        "roles": {"target_test": ["tgt/test"], "source_ner": {"train": ["s/train"]}, "target_text": ["t/train"],
                  "target_mrc": {"train": []}, "source_mrc": {"train": []}},
    },
    "transductive": False,
    "helped": "The method helped.",
    "alarms": ["type LOC has vanished"],
    "rows": name_rows(HISTORY, [scored("h2", 0.5)]),
    "final": {"details": {"scores": SCORES}, "metrics": {"f1": 0.5}},
    "types": ["PER"],
}  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Work:
    files = {
        "export": {**EXPORT, "manifest.json": json.dumps({"stage": "export", "digest": DIGEST})},
        "report": {
            "run.json": json.dumps(RUN), "report.html": "<p>", "report.json": '{"of": "report"}', "_index.json": "{}",
            "manifest.json": json.dumps({"stage": "report", "digest": DIGEST[::-1]}),
        },
    }  # fmt: skip
    for folder, parts in files.items():
        for path, text in parts.items():
            (tmp_path / folder / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / path).write_text(text)
    inputs = {"export": str(tmp_path / "export"), "report": str(tmp_path / "report"), "model": "m"}
    (tmp_path / "output").mkdir()
    scratch = tmp_path / "scratch"
    return Work("publish", str(tmp_path / "store"), inputs, tmp_path / "output", scratch, str(tmp_path / "state"))


CONFIG = PublishConfig(code="c", model_name="tiny")


def latest(work: Work) -> dict[str, Any] | None:
    found = storage.read_pointer(storage.join(work.store, "models", "tiny", "latest.json"))
    return found[0] if found else None


def test_what_is_published_and_under_which_version(work: Work) -> None:
    report = publish_stage.run(CONFIG, work)
    folder = Path(work.store, "models", "tiny", DIGEST[:12])
    assert report.published == str(folder)
    assert report.counts == {"files": 10, "new_version": 1}
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    told = report.details["model"]
    assert told == {
        "name": "tiny", "version": DIGEST[:12], "uri": str(folder), "f1": 0.5, "encoder": "e",
        "bytes": sum(len(text.encode()) for path, text in found.items() if path != "_index.json"),
    }  # fmt: skip
    assert report.details["sizes"]["model.onnx"] == len("graph")
    assert f"tiny {DIGEST[:12]}, new: 10 files" in report.summary
    index = json.loads(found.pop("_index.json"))
    assert set(index["files"]) == set(found)
    card = found.pop("README.md")
    assert f"# tiny {DIGEST[:12]}" in card
    assert "news to posts" in card
    assert found == {
        **{path: text for path, text in EXPORT.items() if path not in ("report.json", "_index.json")},
        "manifest.json": json.dumps({"stage": "export", "digest": DIGEST}),
        "reports/run.json": json.dumps(RUN),
        "reports/report.html": "<p>",
        "reports/report.json": '{"of": "report"}',
    }
    assert latest(work) is None, "which version is the latest is not decided here"
    assert json.loads((work.output / "model.json").read_text()) == {
        "name": "tiny", "version": DIGEST[:12], "uri": str(folder),
    }  # fmt: skip


def test_publishing_again_changes_nothing(work: Work) -> None:
    first = publish_stage.run(CONFIG, work)
    states = {path: path.stat().st_mtime_ns for path in Path(work.store).rglob("*") if path.is_file()}
    shutil.rmtree(work.scratch)
    again = publish_stage.run(CONFIG, work)
    assert (first.published, first.counts["new_version"]) == (again.published, 1)
    assert again.counts["new_version"] == 0
    assert ", there already: " in again.summary
    after = {p: p.stat().st_mtime_ns for p in Path(work.store).rglob("*") if p.is_file() and p.name[0] != "."}
    assert after == {path: time for path, time in states.items() if path.name[0] != "."}


def test_a_later_test_set_tells_more_than_the_card_and_the_model_stays_as_it_is(work: Work) -> None:
    """Published without labels, scored later, scored once more."""
    silent: dict[str, Any] = {**RUN, "final": {"details": {"scores": {}}, "metrics": {}}}
    silent["run"] = {**RUN["run"], "roles": {**RUN["run"]["roles"], "target_test": []}}
    place = Path(work.inputs["report"], "run.json")

    def publish(run: dict[str, Any]) -> Report:
        place.write_text(json.dumps(run))
        shutil.rmtree(work.scratch, ignore_errors=True)
        return publish_stage.run(CONFIG, work)

    def shown() -> float | None:
        (model,) = find(work.store)
        (version,) = model.versions
        return version.f1

    first = publish(silent)
    before = {path: path.read_bytes() for path in Path(first.published).rglob("*") if path.is_file()}
    assert shown() is None
    assert "evaluation" not in first.details["model"]
    scored_later = publish(RUN)
    assert shown() == 0.5
    beside = Path(scored_later.details["model"]["evaluation"])
    assert beside.parent == Path(work.store, "evaluations", "tiny", DIGEST[:12])
    assert "50.00" in (beside / "README.md").read_text()
    assert json.loads((beside / "reports" / "run.json").read_text()) == RUN
    assert "evaluation" not in publish(RUN).details["model"], "it is known already"
    publish({**RUN, "final": {**RUN["final"], "metrics": {"f1": 0.625}}})
    assert shown() == 0.625
    assert beside.is_dir(), "earlier ones stay"
    assert {path: path.read_bytes() for path in Path(first.published).rglob("*") if path.is_file()} == before


def test_of_two_evaluations_at_a_time_the_second_is_told(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_stage.run(CONFIG, work)
    root = storage.join(work.store, "models", "tiny")
    folder = Path(work.inputs["report"])
    real = storage.read_pointer

    def meanwhile(uri: str) -> Any:
        found = real(uri)
        if found is None:
            storage.move_pointer(uri, {"evaluation": "theirs"}, None)
        return found

    monkeypatch.setattr(storage, "read_pointer", meanwhile)
    with pytest.raises(BadInput, match="another evaluation, published meanwhile"):
        evaluations.keep(root, DIGEST[:12], folder, "ours")

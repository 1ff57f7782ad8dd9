"""The tagger class: words, offsets, windows, order, models."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.tiny_tagger import LABELS, make_tokenizer, publish_tiny
from tofner.errors import BadModel
from tofner.tagging import Entity, Tagger, tag_job
from tofner.tagging.engine.batches import plan_batches
from tofner.words.pieces import PieceEncoder
from tofner.words.segment import segment
from tofner.words.spans import tags_to_spans
from tofner.words.windows import plan_windows

TEXTS = ["Angela Merkel met Obama in New York.", "", "  \n ", "Größe 漢字 🙂 e\u0301!", "Ajax " * 100, "Madrid"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Tagger:
    return Tagger.load(folder, threads=2)


def reference(folder: Path, words: list[str], max_pieces: int = 32, overlap: int = 8) -> list[tuple[int, int, str]]:
    """The same decoding spelled out: one window at a time, one softmax a word."""
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    encoder = PieceEncoder(make_tokenizer())
    (pieces,) = encoder.encode([words], max_pieces - 2)
    tags = ["?"] * len(words)
    for window in plan_windows(pieces.counts, max_pieces - 2, overlap):
        inner = pieces.ids[pieces.starts[window.start] : pieces.starts[window.end]]
        ids = np.array([[*encoder.prefix, *inner.tolist(), *encoder.suffix]], np.int64)
        (logits,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for word in range(window.own_start, window.own_end):
            at = 1 + pieces.starts[word] - pieces.starts[window.start]
            tags[word] = LABELS[int(np.argmax(logits[0, at]))]
    return [tuple(span) for span in tags_to_spans(tags)]


def test_same_entities_as_decoding_spelled_out(folder: Path, tagger: Tagger) -> None:
    for text in TEXTS:
        words = segment(text)
        expected = [(words[a].start, words[b - 1].end, t) for a, b, t in reference(folder, [w.text for w in words])]
        assert [(e.start, e.end, e.label) for e in tagger.tag([text])[0]] == expected


def test_surfaces_scores_and_order(tagger: Tagger) -> None:
    found = tagger.tag(TEXTS)
    assert len(found) == len(TEXTS)
    assert sum(map(len, found)) > 10
    for text, row in zip(TEXTS, found, strict=True):
        assert [e.start for e in row] == sorted(e.start for e in row)
        assert all(text[e.start : e.end] == e.text and 0 < e.score <= 1 for e in row)


def test_tokens_give_token_offsets(tagger: Tagger) -> None:
    text = TEXTS[0]
    words = segment(text)
    of_text, of_tokens = tagger.tag([text, [word.text for word in words]])
    assert [(words[e.start].start, words[e.end - 1].end, e.label, e.score) for e in of_tokens] == [
        (e.start, e.end, e.label, e.score) for e in of_text
    ]
    assert Entity(0, 2, "PER", 0.5, "a b").as_record(of_tokens=True) == {
        "start_token": 0, "end_token": 2, "label": "PER", "score": 0.5, "text": "a b",
    }  # fmt: skip


def test_batch_mates_change_nothing(tagger: Tagger) -> None:
    together = tagger.tag(TEXTS * 3)
    assert together == [tagger.tag([text])[0] for text in TEXTS] * 3


def test_threads_change_nothing(folder: Path, tagger: Tagger) -> None:
    with Tagger.load(folder, threads=1) as one:
        assert one.tag(TEXTS) == tagger.tag(TEXTS)


def test_equal_windows_are_computed_once(tagger: Tagger) -> None:
    from tofner.tagging.engine.texts import to_words

    prepared = tagger.prepare([to_words("New York")] * 5)
    assert (len(prepared.windows), prepared.window_count) == (1, 5)
    assert len({tuple(row) for row in tagger.tag(["New York"] * 5)}) == 1


def test_a_word_longer_than_a_window_is_counted(tagger: Tagger) -> None:
    from tofner.tagging.engine.texts import to_words

    group = tagger.prepare([to_words(["x" * 200, "Ajax"])])
    assert group.cut_words == 1
    assert len(tagger.tag([["x" * 200, "Ajax"]])) == 1


def test_odd_tokens(tagger: Tagger) -> None:
    assert tagger.tag([["", " ", "\u200b", "a b", "\n"]])[0] is not None
    assert tagger.tag([[]]) == [[]]
    assert tagger.tag([]) == []


@pytest.mark.parametrize("budget", [1, 7, 100])
def test_batches_hold_each_window_once_and_one_length(budget: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 50)
    batches = list(plan_batches(lengths, budget))
    assert sorted(np.concatenate(batches).tolist()) == list(range(50))
    for batch in batches:
        assert len(set(lengths[batch])) == 1
        assert len(batch) == 1 or lengths[batch].sum() <= budget


def test_no_torch_and_no_pydantic(folder: Path) -> None:
    code = (
        "import sys; from tofner.tagging import Tagger, tag_job; Tagger.load(sys.argv[1]).tag(['x'])\n"
        "print(sorted(set(sys.argv[2].split()) & set(sys.modules)))"
    )
    heavy = "torch transformers pydantic typer datasets kfp starlette boto3 pyarrow onnx"
    done = subprocess.run([sys.executable, "-c", code, str(folder), heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_latest_pointer(folder: Path, tmp_path: Path) -> None:
    publish_tiny(tmp_path / "v2", seed=1)
    (tmp_path / "latest.json").write_text('{"version": "v2"}')
    assert Tagger.load(tmp_path).model.folder == tmp_path / "v2"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.json", "{", "broken JSON"),
        ("labels.json", '{"labels": ["O", "PER"]}', "BIO2"),
        ("labels.json", '{"labels": ["O", "B-A", "B-A"]}', "twice"),
        ("labels.json", '{"labels": ["O", "B-A"]}', "logits a piece"),
        ("tagger.json", '{"format": 2}', "format 2"),
        ("tagger.json", '{"format": 1, "segmentation": "x", "max_pieces": 32, "overlap_pieces": 8}', "segmentation"),
        (
            "tagger.json",
            '{"format": 1, "segmentation": "tofner-words-1", "max_pieces": 32, "overlap_pieces": 20}',
            "half",
        ),
        ("model.onnx", "nothing", "ONNX Runtime can load"),
        ("tokenizer.json", "{}", "tokenizer"),
        ("tokenizer.json", None, "no tokenizer.json"),
        ("model.onnx", None, "no model.onnx"),
    ],
)
def test_broken_models(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    folder = publish_tiny(tmp_path / "m")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(BadModel, match=said):
        Tagger.load(folder)


def test_no_model_there(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BadModel, match="no such folder"):
        Tagger.load(tmp_path / "none")
    with pytest.raises(BadModel, match="int8"):
        Tagger.load(folder, "int8")
    with pytest.raises(BadModel, match="fp32 or int8"):
        Tagger.load(folder, "fp64")  # type: ignore[arg-type]


def test_token_type_ids_are_fed(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    folder = publish_tiny(tmp_path / "m")
    model = onnx.load(str(folder / "model.onnx"))
    model.graph.input.append(helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, ["b", "s"]))
    onnx.save(model, str(folder / "model.onnx"))
    about = json.loads((folder / "tagger.json").read_text())
    assert about["max_pieces"] == 32
    assert len(Tagger.load(folder).tag(["New York"])) == 1


def test_a_model_is_given_text_cut_as_its_training_text_was(tmp_path: Path) -> None:
    text = "漢字 in Mer\u00adkel"
    old = Tagger.load(publish_tiny(tmp_path / "old", segmentation="tofner-words-1"), threads=1)
    new = Tagger.load(publish_tiny(tmp_path / "new"), threads=1)
    assert old.words(text).words == ["漢字", "in", "Mer", "\u00ad", "kel"]
    assert new.words(text).words == ["漢", "字", "in", "Mer\u00adkel"]
    for tagger in (old, new):
        cut = tagger.words(text)
        of_tokens = [(e.label, e.score) for e in tagger.tag([cut.words])[0]]
        assert [(e.label, e.score) for e in tagger.tag([text])[0]] == of_tokens
        (tmp_path / "in.txt").write_text(text)
        tag_job(str(tagger.model.folder), str(tmp_path / "in.txt"), str(tagger.model.folder / "out"), quiet=True)
        row = json.loads((tagger.model.folder / "out/in.jsonl").read_text())
        assert [(e["label"], e["score"]) for e in row["entities"]] == of_tokens


def test_a_model_of_an_unknown_segmentation_is_refused(tmp_path: Path) -> None:
    for name in ("tofner-words-9", "", None, ["tofner-words-1"]):
        folder = publish_tiny(tmp_path, segmentation=name)  # type: ignore[arg-type]
        with pytest.raises(BadModel, match="expected tofner-words-1 or tofner-words-2"):
            Tagger.load(folder)


@pytest.mark.parametrize("version", ["../other", "..", ".", "a/b", "/abs", "", 5, None, "v\n1"])
def test_a_pointer_does_not_lead_out_of_its_root(tmp_path: Path, version: object) -> None:
    publish_tiny(tmp_path / "other")
    publish_tiny(tmp_path / "root/a/b")
    (tmp_path / "root/latest.json").write_text(json.dumps({"version": version}))
    with pytest.raises(BadModel, match=r"latest.json: found"):
        Tagger.load(tmp_path / "root")


@pytest.mark.parametrize("name", ["labels.json", "tagger.json"])
@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", "null", "{}", '{"labels": 5, "max_pieces": 1e999}', "\xff"]
)
def test_damaged_descriptions_of_a_model_are_told(tmp_path: Path, name: str, text: str) -> None:
    publish_tiny(tmp_path)
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(BadModel, match=name):
        Tagger.load(tmp_path)


@pytest.mark.parametrize(
    ("pieces", "overlap"), [(True, 0), (10**30, 4), (1e9, 4), (32, True), (32, -1), ("32", 8), (None, 0)]
)
def test_windows_of_no_size_are_told(tmp_path: Path, pieces: object, overlap: object) -> None:
    publish_tiny(tmp_path, max_pieces=pieces, overlap_pieces=overlap)  # type: ignore[arg-type]
    with pytest.raises(BadModel, match=r"tagger.json: found max_pieces"):
        Tagger.load(tmp_path)


def test_a_graph_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    """More pieces than the graph has positions; a tokenizer of another vocabulary fails likewise."""
    tagger = Tagger.load(publish_tiny(tmp_path, max_pieces=600, overlap_pieces=8), threads=1)
    with pytest.raises(BadModel, match=r"model.onnx: found a graph that cannot be run on 1 windows of 600 pieces"):
        tagger.tag([" ".join("abcdefgh"[i % 8] for i in range(700))])


def test_the_digest_covers_weights_outside_of_the_graph(tmp_path: Path) -> None:
    folder = publish_tiny(tmp_path)
    graph = onnx.load(folder / "model.onnx")
    onnx.save(graph, folder / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=512)
    before = Tagger.load(folder, threads=1).model.digest
    data = bytearray((folder / "model.data").read_bytes())
    data[100] ^= 1
    (folder / "model.data").write_bytes(data)
    assert Tagger.load(folder, threads=1).model.digest != before

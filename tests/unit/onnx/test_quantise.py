"""int8 from fp32, and the folder for ONNX servers."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.tiny_tagger import make_graph, publish_tiny
from tofner.errors import BadInput, BadModel
from tofner.onnx import quantise as module
from tofner.onnx.quantise import quantise
from tofner.onnx.triton import write_triton
from tofner.tagging import Tagger


@pytest.fixture
def feeds() -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(3)
    ids = [random.integers(4, 200, (2, 24)) for _ in range(40)]
    return [{"input_ids": row, "attention_mask": np.ones_like(row)} for row in ids]


@pytest.fixture(autouse=True)
def small_products_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALLEST", 16)


def logits(path: Path, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], feed)[0])


def test_int8_is_close_and_does_not_depend_on_company(tmp_path: Path, feeds: list[dict[str, np.ndarray]]) -> None:
    folder = publish_tiny(tmp_path / "m")
    report = quantise(folder / "model.onnx", folder / "model.int8.onnx", feeds)
    assert (report.kept, len(report.products)) == (0, 8)  # of two layers: q+k+v, out, in, out
    assert [len(product.names) for product in report.products] == [3, 1, 1, 1] * 2
    exact, whole = (logits(folder / name, feeds[0]) for name in ("model.onnx", "model.int8.onnx"))
    assert np.square(whole - exact).sum() < 0.01 * np.square(exact - exact.mean()).sum()
    alone = logits(folder / "model.int8.onnx", {name: value[:1] for name, value in feeds[0].items()})
    np.testing.assert_array_equal(alone[0], whole[0])
    kinds = [node.op_type for node in onnx.load(str(folder / "model.int8.onnx")).graph.node]
    assert (kinds.count("MatMulIntegerToFloat"), kinds.count("QuantizeLinear")) == (12, 8)
    tagger = Tagger.load(folder, "int8", threads=1)
    texts = ["Angela Merkel met Obama in New York.", "Ajax " * 50]
    assert tagger.tag(texts) == [tagger.tag([text])[0] for text in texts]
    assert tagger.model.digest != Tagger.load(folder).model.digest


def test_sensitive_products_stay_fp32(tmp_path: Path, feeds: list[dict[str, np.ndarray]]) -> None:
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(make_graph(220, 7), str(source))
    report = quantise(source, target, feeds, most_error=0.0)
    assert report.kept == len(report.products) == 8
    np.testing.assert_array_equal(logits(source, feeds[0]), logits(target, feeds[0]))
    names = report.products[0].names
    assert len(quantise(source, target, feeds, keep_fp32=names).products) == 7


def test_outlier_channels_move_to_the_weights(
    tmp_path: Path, feeds: list[dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_graph(220, 7)
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if value.shape == (32,) and np.all(value == 1):  # the gain of a normalisation
            gain = value.copy()
            gain[3] = 60.0
            tensor.CopyFrom(onnx.numpy_helper.from_array(gain, tensor.name))
    onnx.save(model, str(tmp_path / "a.onnx"))
    smooth = quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", feeds)
    assert any(product.alpha > 0 for product in smooth.products)
    assert max(product.error for product in smooth.products) < 0.02
    monkeypatch.setattr(module, "ALPHAS", (0.0,))
    plain = quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", feeds)
    pairs = list(zip(smooth.products, plain.products, strict=True))
    assert all(with_.error <= without.error for with_, without in pairs)
    assert any(with_.error < without.error / 2 for with_, without in pairs)


def test_nothing_to_quantise(
    tmp_path: Path, feeds: list[dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(make_graph(220, 7), str(tmp_path / "a.onnx"))
    with pytest.raises(BadModel, match="calibration"):
        quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", [])
    monkeypatch.setattr(module, "SMALLEST", 1000)
    with pytest.raises(BadModel, match="no matrix product"):
        quantise(tmp_path / "a.onnx", tmp_path / "b.onnx", feeds)


def test_triton_folder(tmp_path: Path) -> None:
    folder = publish_tiny(tmp_path / "m")
    made = write_triton(folder, tmp_path / "repository", "es", threads=2)
    files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    assert files == ["1/model.onnx", "config.pbtxt", "labels.txt", "tokenizer.json"]
    config = (made / "config.pbtxt").read_text()
    assert 'backend: "onnxruntime"' in config
    assert '{ name: "input_ids" data_type: TYPE_INT64 dims: [ -1, -1 ] }' in config
    assert '{ name: "logits" data_type: TYPE_FP32 dims: [ -1, -1, 7 ] label_filename: "labels.txt" }' in config
    assert config.count("{") == config.count("}")
    assert (made / "labels.txt").read_text().split() == json.loads((folder / "labels.json").read_text())["labels"]
    with pytest.raises(BadInput, match="of that name"):
        write_triton(folder, tmp_path / "repository", "es")
    with pytest.raises(BadInput, match="letters"):
        write_triton(folder, tmp_path / "repository", "a/b")
    with pytest.raises(BadModel, match=r"model.int8.onnx"):
        write_triton(folder, tmp_path / "repository", "x", int8=True)
    assert sorted(path.name for path in (tmp_path / "repository").iterdir()) == ["es"]

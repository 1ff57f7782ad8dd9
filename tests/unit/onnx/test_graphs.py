"""Graphs against formulas in numpy: answers for marked pieces, attention without a mask, products on 8-bit integers."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.tiny_tagger import make_graph, publish_tiny
from tofner.model.layout import ANSWER, MARKS
from tofner.onnx.marks import answer_marked_only, skip_full_mask
from tofner.onnx.quantise import QuantiseReport, quantise
from tofner.tagging import Tagger
from tofner.tagging.engine.texts import to_words

LABELS = 7


def run(proto: onnx.ModelProto | Path, feed: dict[str, np.ndarray]) -> np.ndarray:
    """The graph's only output."""
    source = str(proto) if isinstance(proto, Path) else proto.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    """Four rows, two of them padded."""
    ids = np.random.default_rng(2).integers(4, 200, (4, 9))
    mask = np.ones_like(ids)
    mask[1, 6:] = mask[3, 2:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.fixture(scope="module")
def marked() -> onnx.ModelProto:
    proto = make_graph(220, LABELS)
    assert answer_marked_only(proto, "logits")
    return proto


def test_marked_pieces_get_their_logits_and_all_others_zeros(marked: Any, batch: dict[str, np.ndarray]) -> None:
    exact = run(make_graph(220, LABELS), batch)
    wanted = np.zeros(batch["input_ids"].shape, bool)
    wanted[0, [1, 3]] = wanted[1, 5] = wanted[3, 1] = True
    got = run(marked, {**batch, "attention_mask": np.where(wanted, ANSWER, batch["attention_mask"])})
    np.testing.assert_allclose(got, np.where(wanted[..., None], exact, 0), atol=1e-5)
    assert exact.any(axis=-1).all()


def test_without_marks_every_piece_but_padding_is_answered(marked: Any, batch: dict[str, np.ndarray]) -> None:
    exact = run(make_graph(220, LABELS), batch)
    np.testing.assert_allclose(run(marked, batch), exact * batch["attention_mask"][..., None], atol=1e-5)


def test_a_graph_that_knows_marks_says_so_and_keeps_its_other_properties() -> None:
    proto = make_graph(220, LABELS)
    helper.set_model_props(proto, {"made by": "hand"})
    assert answer_marked_only(proto, "logits")
    assert {entry.key: entry.value for entry in proto.metadata_props} == {"made by": "hand", MARKS: str(ANSWER)}
    onnx.checker.check_model(proto)


def test_what_follows_the_last_attention_works_on_marked_rows_alone(marked: Any) -> None:
    """The products of the last attention's output, of the feed-forward part and of the head."""
    kinds = [node.op_type for node in marked.graph.node]
    last = len(kinds) - kinds[::-1].index("Gather")
    assert kinds[last:].count("MatMul") == 4


def test_the_engine_asks_a_graph_that_knows_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = publish_tiny(tmp_path / "m")
    words = [["Größe", "Ajax", "New"], ["Madrid", "U.N.", "x"]]
    with Tagger.load(folder, threads=1) as tagger:
        plain = tagger.tag(words)
    proto = onnx.load(str(folder / "model.onnx"))
    assert answer_marked_only(proto, "logits")
    onnx.save(proto, str(folder / "model.onnx"))
    with Tagger.load(folder, threads=1) as tagger:
        masks: list[tuple[np.ndarray, np.ndarray]] = []
        session = tagger.runner.session

        class Seen:
            def run(self, names: list[str], feed: dict[str, np.ndarray]) -> Any:
                answers = session.run(names, feed)
                masks.append((feed["attention_mask"], answers[0]))
                return answers

        monkeypatch.setattr(tagger.runner, "session", Seen())
        assert tagger.tag(words) == plain
        owned = tagger.prepare([to_words(row) for row in words]).owned
    assert sum(int((mask == ANSWER).sum()) for mask, _ in masks) == sum(row.size for row in owned) == 6
    for mask, answers in masks:
        assert set(np.unique(mask)) == {1, ANSWER}
        assert (answers.any(axis=-1) == (mask == ANSWER)).all()


HEADS, SIZE = 2, 4


def attention_graph() -> onnx.ModelProto:
    """query, key, value float32 [B, S, H], mask int32 [B, S] -> float32 [B, S, H], by ONNX Runtime's operator."""
    names = ["query", "key", "value"]
    node = helper.make_node(
        "MultiHeadAttention", [*names, "", "mask"], ["mixed"], "attention", domain="com.microsoft", num_heads=HEADS
    )
    shape: list[str | int | None] = ["b", "s", HEADS * SIZE]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    inputs.append(helper.make_tensor_value_info("mask", TensorProto.INT32, ["b", "s"]))
    outputs = [helper.make_tensor_value_info("mixed", TensorProto.FLOAT, shape)]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([node], "attention", inputs, outputs)
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """softmax(q k' / sqrt d) v over the pieces that are not padding (Vaswani et al. 2017, Eq. 1)."""
    out = np.zeros_like(query)
    for b in range(len(query)):
        real = mask[b] > 0
        for head in range(HEADS):
            part = slice(head * SIZE, (head + 1) * SIZE)
            scores = np.exp(query[b, :, part] @ key[b, real, part].T / SIZE**0.5)
            out[b, :, part] = scores / scores.sum(axis=1, keepdims=True) @ value[b, real, part]
    return out


@pytest.mark.parametrize("padded", [False, True])
def test_attention_with_and_without_padding(padded: bool) -> None:
    random = np.random.default_rng(4)
    feed = {name: random.normal(size=(3, 5, HEADS * SIZE)).astype(np.float32) for name in ("query", "key", "value")}
    mask = np.ones((3, 5), np.int32)
    if padded:
        mask[1, 3:] = mask[2, 1:] = 0
    proto = attention_graph()
    skip_full_mask(proto)
    got, exact = run(proto, {**feed, "mask": mask}), attention(**feed, mask=mask)
    np.testing.assert_allclose(got[mask > 0], exact[mask > 0], atol=1e-5)


def test_attention_has_no_mask_where_nothing_is_padded() -> None:
    proto = attention_graph()
    skip_full_mask(proto)
    (choice,) = [node for node in proto.graph.node if node.op_type == "If"]
    branches = {attribute.name: attribute.g.node[0] for attribute in choice.attribute}
    assert {name: list(node.input) for name, node in branches.items()} == {
        "then_branch": ["query", "key", "value"],
        "else_branch": ["query", "key", "value", "", "mask"],
    }
    assert all(node.attribute[0].i == HEADS for node in branches.values())


VOCABULARY, WIDE, OUT = 300, 64, 80
OUTLIERS = [5, 17]


def product_graph(table: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    """input_ids int64 [B, S] -> table[ids] W + b, float32 [B, S, N]; the mask is taken and not looked at."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"]),
        helper.make_node("MatMul", ["x", "weight"], ["xw"], "product"),
        helper.make_node("Add", ["xw", "bias"], ["logits"]),
    ]
    tensors = [numpy_helper.from_array(v, n) for n, v in (("table", table), ("weight", weight), ("bias", bias))]
    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "s", OUT])]
    graph = helper.make_graph(nodes, "product", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.fixture(scope="module")
def numbers() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activations that are not symmetric and have outlier channels; columns of W of very different size."""
    random = np.random.default_rng(6)
    table = random.uniform(-1, 3, (VOCABULARY, WIDE)).astype(np.float32)
    table[:, OUTLIERS] *= 30
    table[0] = 1e4  # of padding
    weight = random.normal(size=(WIDE, OUT)).astype(np.float32)
    weight *= np.logspace(-3, 3, OUT, dtype=np.float32)
    return table, weight, random.normal(size=OUT).astype(np.float32)


def made(
    numbers: tuple[np.ndarray, ...], folder: Path, feeds: list[dict[str, np.ndarray]], **how: Any
) -> tuple[QuantiseReport, Path]:
    onnx.save(product_graph(*numbers), str(folder / "a.onnx"))
    return quantise(folder / "a.onnx", folder / "b.onnx", feeds, most_error=1.0, **how), folder / "b.onnx"


def feeds_of(ids: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [{"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}]


def parts_of(path: Path) -> dict[str, np.ndarray]:
    """Step, zero point, int8 weight, scales and bias of the only product; 1/s where there is one."""
    graph = onnx.load(str(path)).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (product,) = [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    names = ["x", "weight", "step", "scale", "zero", "weight_zero", "bias"]
    found = {name: constants[at] for name, at in zip(names, product.input, strict=True) if at in constants}
    smoothing = [constants[node.input[1]] for node in graph.node if node.op_type == "Mul"]
    return {**found, "smooth": 1 / smoothing[0] if smoothing else np.ones(WIDE, np.float32)}


def test_a_product_on_integers_is_the_product(numbers: Any, tmp_path: Path) -> None:
    """Every channel, small or large, keeps its values to 3 %; no part of the rewritten graph is left out."""
    ids = np.arange(1, VOCABULARY).reshape(1, -1)
    report, path = made(numbers, tmp_path, feeds_of(ids))
    assert (report.kept, report.products[0].names) == (0, ["product"])
    table, weight, bias = numbers
    exact = table[ids] @ weight
    got = run(path, feeds_of(ids)[0]) - bias
    error = np.square(got - exact).sum(axis=(0, 1)) / np.square(exact - exact.mean(axis=(0, 1))).sum(axis=(0, 1))
    assert error.max() < 0.03**2, error
    total = np.square(got - exact).sum() / np.square(exact - exact.mean(axis=(0, 1))).sum()
    np.testing.assert_allclose(report.products[0].error, total, rtol=0.02)


def test_the_numbers_of_a_product(numbers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SmoothQuant's Eq. 4 and the affine grid of Jacob et al. (2018), Eq. 1, with a margin of 5 % on both sides."""
    alpha = 0.35
    monkeypatch.setattr("tofner.onnx.quantise.ALPHAS", (alpha,))
    ids = np.concatenate([np.arange(1, VOCABULARY), np.zeros(21, np.int64)]).reshape(1, -1)
    report, path = made(numbers, tmp_path, feeds_of(ids))
    found = parts_of(path)
    assert report.products[0].alpha == alpha
    table, weight, bias = numbers
    rows = table[1:]
    smooth = np.abs(rows).max(axis=0) ** alpha / np.abs(weight).max(axis=1) ** (1 - alpha)
    smooth /= np.exp(np.log(smooth).mean())
    np.testing.assert_allclose(found["smooth"], smooth, rtol=1e-4)
    low, high = (1.05 * edge for edge in ((rows / smooth).min(), (rows / smooth).max()))
    assert low < 0 < high, "padding is not looked at"
    np.testing.assert_allclose(found["step"], (high - low) / 255, rtol=1e-4)
    assert abs(int(found["zero"]) - (-low / found["step"])) <= 0.51
    scaled = weight * smooth[:, None]
    largest = [max(*np.abs(column), *np.abs(column.reshape(-1, 2).sum(axis=1))) for column in scaled.T]
    np.testing.assert_allclose(found["scale"], np.array(largest) / 127, rtol=1e-4)
    assert (np.abs(found["weight"] * found["scale"] - scaled) <= 0.5001 * found["scale"]).all()
    assert not found["weight_zero"].any()
    np.testing.assert_array_equal(found["bias"], bias)


@pytest.mark.parametrize("rows", [WIDE, WIDE + 1])
def test_no_pair_of_products_overflows_sixteen_bits(numbers: Any, tmp_path: Path, rows: int) -> None:
    """What vpmaddubsw of AVX2 adds, 255 w_2k + 255 w_2k+1, stays within int16; and the scale gives nothing away."""
    table, weight, bias = numbers
    table, weight = np.resize(table, (VOCABULARY, rows)), np.resize(np.abs(weight), (rows, OUT))
    _, path = made((table, weight, bias), tmp_path, feeds_of(np.arange(1, VOCABULARY).reshape(1, -1)))
    whole = parts_of(path)["weight"].astype(np.int64)
    pairs = whole[: rows - rows % 2].reshape(rows // 2, 2, OUT).sum(axis=1)
    assert (np.abs(255 * pairs) <= np.iinfo(np.int16).max).all()
    assert (np.maximum(np.abs(pairs).max(axis=0), np.abs(whole).max(axis=0)) >= 126).all()


def test_the_range_holds_the_largest_piece_of_each_text(numbers: Any, tmp_path: Path) -> None:
    """Of 3,000 pieces a part is drawn; the one that is far larger than all others may not be missed."""
    table, weight, bias = numbers
    table = table.copy()
    table[7] *= 20
    for place in (11, 1500, 2999):
        ids = np.full((1, 3000), 9)
        ids[0, ::2] = np.random.default_rng(1).integers(8, VOCABULARY, 1500)
        ids[0, place] = 7
        _, path = made((table, weight, bias), tmp_path, feeds_of(ids))
        found = parts_of(path)
        top = (255 - int(found["zero"])) * float(found["step"])
        assert top >= (table[7] / found["smooth"]).max()

"""Graphs of several encoder families say what their checkpoints say, and attention is one operator."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedModel

from tests.tiny_tagger import publish_tiny
from tofner.model.layout import ANSWER, MARKS
from tofner.onnx.export import export
from tofner.onnx.marks import answer_marked_only
from tofner.onnx.parity import AxesFixed, NamesDiffer, ParityError, TagsDiffer, ValuesDiffer, check_parity
from tofner.tagging import Tagger
from tofner.words.features import TagWindow
from tofner.words.windows import Window

SMALL: dict[str, Any] = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_labels": 5,
    "pad_token_id": 0,
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
MODERN = {"local_attention": 6, "global_attn_every_n_layers": 2, "cls_token_id": 1, "sep_token_id": 2}
MODERN |= {"bos_token_id": 1, "eos_token_id": 2}


def tagger(family: str, **given: Any) -> PreTrainedModel:
    torch.manual_seed(3)
    config = AutoConfig.for_model(family, **{**SMALL, **given})
    model: PreTrainedModel = AutoModelForTokenClassification.from_config(config).eval()
    for name, parameter in model.named_parameters():  # larger than initial: differences must show in the logits
        if "norm" not in name.lower():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def windows() -> list[TagWindow]:
    random = np.random.default_rng(5)
    sizes = random.integers(3, 40, 12).tolist()
    return [
        TagWindow(i, Window(0, size - 2, 0, size - 2), random.integers(1, 90, size), np.arange(1, size - 1))
        for i, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("family", "given", "fused"),
    [
        ("bert", {}, 2),
        ("roberta", {}, 2),
        ("xlm-roberta", {}, 2),
        ("electra", {"embedding_size": 16}, 2),
        ("distilbert", DISTIL, 2),
        ("modernbert", MODERN, 1),  # its other layer looks at neighbours only, which the operator cannot say
        ("deberta-v2", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, 0),
    ],
)
def test_families(tmp_path: Path, family: str, given: dict[str, Any], fused: int) -> None:
    model, path = tagger(family, **given), tmp_path / "model.onnx"
    attention = model.config._attn_implementation
    export(model, path, 20)
    assert check_parity(model, path, windows(), 2e-4)["words"] > 100
    kinds = Counter(node.op_type for node in onnx.load(str(path)).graph.node)
    assert (kinds["If"], kinds["MultiHeadAttention"]) == (fused, 0)  # with and without mask, inside
    assert model.config._attn_implementation == attention
    assert MARKS in {entry.key for entry in onnx.load(str(path)).metadata_props}


def test_marks_choose_the_pieces_that_are_answered(tmp_path: Path) -> None:
    model, path = tagger("bert"), tmp_path / "model.onnx"
    export(model, path, 17)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    ids = random.integers(1, 90, (4, 9))
    mask = np.ones_like(ids)
    mask[1, 6:] = mask[3, 2:] = 0
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    every = session.run(["logits"], given)[0]
    assert every.shape == (4, 9, 5)
    assert not every[mask == 0].any()
    assert every[mask == 1].any(axis=-1).all()
    wanted = (mask == 1) & (random.random(ids.shape) < 0.4)
    some = session.run(["logits"], {**given, "attention_mask": np.where(wanted, ANSWER, mask)})[0]
    np.testing.assert_allclose(some[wanted], every[wanted], atol=1e-5)
    assert not some[~wanted].any()


def test_a_graph_without_a_tail_stays_as_it_is() -> None:
    node = onnx.helper.make_node("Cast", ["attention_mask"], ["logits"], to=onnx.TensorProto.FLOAT)
    ends = [onnx.helper.make_tensor_value_info(n, t, ["b", "s"]) for n, t in (("attention_mask", 7), ("logits", 1))]
    proto = onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:]))
    before = proto.SerializeToString()
    assert not answer_marked_only(proto, "logits")
    assert proto.SerializeToString() == before


def _rename(graph: onnx.GraphProto) -> None:
    graph.input[0].name = "ids"
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = "ids" if name == "input_ids" else name


def _fix(graph: onnx.GraphProto) -> None:
    for value in graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1


def _shift(graph: onnx.GraphProto) -> None:
    """Move all of the head's bias, so that logits differ."""
    bias = next(tensor for tensor in graph.initializer if "classifier.bias" in tensor.name)
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.5), bias.name))


def _lift(graph: onnx.GraphProto) -> None:
    """Lift one label by less than any tolerance would see but above all others."""
    bias = next(tensor for tensor in graph.initializer if "classifier.bias" in tensor.name)
    values = onnx.numpy_helper.to_array(bias).copy()
    values[4] += 50
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))


@pytest.mark.parametrize(
    ("change", "tolerance", "kind"),
    [(_rename, 1e-4, NamesDiffer), (_fix, 1e-4, AxesFixed), (_shift, 1e-4, ValuesDiffer), (_lift, 99.0, TagsDiffer)],
)
def test_each_disagreement_is_named(tmp_path: Path, change: Any, tolerance: float, kind: type[ParityError]) -> None:
    model, path = tagger("bert"), tmp_path / "model.onnx"
    export(model, path, 20)
    proto = onnx.load(str(path))
    change(proto.graph)
    onnx.save(proto, str(path))
    with pytest.raises(kind):
        check_parity(model, path, windows(), tolerance)


def test_the_engine_asks_for_first_pieces(tmp_path: Path) -> None:
    folder = publish_tiny(tmp_path / "m")
    texts = ["Angela Merkel met Obama in New York.", "Ajax " * 90, "Unbelievable antidisestablishmentarianism"]
    with Tagger.load(folder) as tagger:
        before = tagger.tag(texts)
        assert not tagger.runner.knows_marks
    proto = onnx.load(str(folder / "model.onnx"))
    assert answer_marked_only(proto, "logits")
    onnx.save(proto, str(folder / "model.onnx"))
    with Tagger.load(folder) as tagger:
        session, masks = tagger.runner.session, []
        tagger.runner.session = SimpleNamespace(
            run=lambda names, feed: masks.append(feed["attention_mask"]) or session.run(names, feed)
        )
        assert tagger.tag(texts) == before
    assert masks
    assert all(set(np.unique(mask)) == {1, ANSWER} for mask in masks)  # specials and later pieces are only read
    assert any(before)

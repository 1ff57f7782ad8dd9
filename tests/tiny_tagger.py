"""A published tagger made on the spot, without torch: two layers, hidden 32, random but fixed weights.

Its tags mean nothing; they depend on every piece of the window and its position, which is what the tests need.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
HIDDEN, HEADS, POSITIONS = 32, 4, 512
_WORDS = "the of and in to a is said New York Berlin Merkel Obama U.N. Reuters Madrid Ajax".split()


def make_tokenizer() -> Tokenizer:
    """WordPiece over single characters and a few words; anything else is unknown."""
    characters = [chr(i) for i in range(33, 127)] + list("äöüßéñ¿漢字🙂")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *characters, *(f"##{c}" for c in characters), *_WORDS]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=10_000))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    specials = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", specials)
    return tokenizer


class _Graph:
    """Collects nodes and weights."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int, scale: float = 0.3) -> str:
        return self.constant(self.random.normal(0, scale, shape).astype(np.float32))

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, x: str, size_in: int, size_out: int) -> str:
        return self.op("Add", self.op("MatMul", x, self.weight(size_in, size_out)), self.weight(size_out))

    def norm(self, x: str) -> str:
        ones, zeros = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)
        return self.op("LayerNormalization", x, self.constant(ones), self.constant(zeros), axis=-1)

    def heads(self, x: str, order: list[int]) -> str:
        shape = self.constant(np.array([0, 0, HEADS, HIDDEN // HEADS], np.int64))
        return self.op("Transpose", self.op("Reshape", x, shape), perm=order)

    def attention(self, x: str, bias: str) -> str:
        query, key, value = (self.linear(x, HIDDEN, HIDDEN) for _ in range(3))
        scores = self.op("MatMul", self.heads(query, [0, 2, 1, 3]), self.heads(key, [0, 2, 3, 1]))
        scaled = self.op("Add", self.op("Mul", scores, self.constant(np.float32((HEADS / HIDDEN) ** 0.5))), bias)
        mixed = self.op("MatMul", self.op("Softmax", scaled, axis=-1), self.heads(value, [0, 2, 1, 3]))
        merged = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = self.op("Reshape", merged, self.constant(np.array([0, 0, HIDDEN], np.int64)))
        return self.linear(flat, HIDDEN, HIDDEN)


def make_graph(vocabulary: int, labels: int, seed: int = 0, layers: int = 2) -> onnx.ModelProto:
    """input_ids, attention_mask int64 [B, S] -> logits float32 [B, S, L]."""
    g = _Graph(seed)
    length = g.op("Slice", g.op("Shape", "input_ids"), *(g.constant(np.array([i], np.int64)) for i in (1, 2, 0)))
    zero = g.constant(np.array([0], np.int64))
    places = g.op("Slice", g.weight(POSITIONS, HIDDEN, scale=1.0), zero, length, zero)
    x = g.norm(g.op("Add", g.op("Gather", g.weight(vocabulary, HIDDEN, scale=1.0), "input_ids"), places))
    mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    masked = g.op("Mul", g.op("Sub", mask, g.constant(np.float32(1))), g.constant(np.float32(1e4)))
    bias = g.op("Unsqueeze", masked, g.constant(np.array([1, 2], np.int64)))
    for _ in range(layers):
        x = g.norm(g.op("Add", x, g.attention(x, bias)))
        x = g.norm(g.op("Add", x, g.linear(g.op("Tanh", g.linear(x, HIDDEN, 64)), 64, HIDDEN)))
    logits = g.linear(x, HIDDEN, labels)
    g.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "s", labels])
    graph = helper.make_graph(g.nodes, "tiny", inputs, [output], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def publish_tiny(
    folder: Path,
    max_pieces: int = 32,
    overlap_pieces: int = 8,
    seed: int = 0,
    segmentation: str = "tofner-words-2",
) -> Path:
    """Write a published model folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    onnx.save(make_graph(tokenizer.get_vocab_size(), len(LABELS), seed), str(folder / "model.onnx"))
    (folder / "labels.json").write_text(json.dumps({"labels": LABELS}))
    about = {"format": 1, "max_pieces": max_pieces, "overlap_pieces": overlap_pieces, "segmentation": segmentation}
    (folder / "tagger.json").write_text(json.dumps(about))
    return folder

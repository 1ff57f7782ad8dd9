"""int8 from fp32: a separate artifact that keeps the tags.

Each matrix product `x W + b` of the encoder becomes `q(x / s) q(s W) + b` on 8-bit integers:

- `W` int8, symmetric, one scale for each output channel, such that no two neighbours down a column sum to more than
  128. x86 CPUs without 8-bit dot products (AVX2) add such a pair of products in 16 bits, where 255 x 128 just fits and
  more is cut off without a word: so the product is exact on every CPU, and a model made on one tags alike on another;
- `x` uint8 with one fixed range for each tensor, found on calibration text. A fixed range makes a row's result
  independent of the rows beside it, so int8 tags, as fp32 ones, do not depend on what shares a batch (a dynamic range
  would);
- `s`, one number for each input channel, moves outlier channels from activations to weights (SmoothQuant, Xiao et al.
  2023, Eq. 4: s_c = max|x_c|^a / max|W_c|^(1-a)). The strength `a` is chosen product by product, by
  the squared error of the output on calibration rows;
- products whose error stays above `most_error` are left in fp32. So is the head, which is small.

GELU takes its tanh form, whose error (5e-4 at most) is far below that of 8 bits, and which is faster.

Products of one input (query, key and value) share its quantised form. Needs a CPU with 8-bit dot products (AVX512-VNNI,
AVX-VNNI, ARM dot product) to be fast.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from tofner.errors import BadModel, Problem
from tofner.logs import ticking

ALPHAS = (0.0, 0.35, 0.5, 0.65, 0.8)
MOST_ERROR = 0.02  # relative squared error of a product's output, above which it stays fp32
SMALLEST = 64  # channels; smaller products (the head) gain nothing
_CALIBRATION_ROWS = 1024
_MICROSOFT = "com.microsoft"

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Product:
    """How one product, or several of one input, came out.

    Attributes:
        names: of the MatMul nodes.
        error: relative squared error of the output on calibration rows: |y' - y|^2 / |y - mean y|^2.
        quantised: False: left in fp32.
    """

    names: list[str]
    alpha: float
    error: float
    quantised: bool


@dataclass
class QuantiseReport:
    """What `quantise` did."""

    products: list[Product] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Products left in fp32."""
        return sum(not product.quantised for product in self.products)

    def as_dict(self) -> dict[str, object]:
        worst = max((product.error for product in self.products), default=0.0)
        return {"quantised": len(self.products) - self.kept, "left_fp32": self.kept, "worst_error": worst}


@dataclass
class _Group:
    """MatMul nodes with one input and constant weights [K, N]."""

    source: str
    nodes: list[onnx.NodeProto]
    weights: list[np.ndarray]
    rows: list[np.ndarray] = field(default_factory=list)

    @property
    def weight(self) -> np.ndarray:
        return np.concatenate(self.weights, axis=1)


def quantise(
    model: Path,
    target: Path,
    calibration: Iterable[Feed],
    keep_fp32: Sequence[str] = (),
    most_error: float = MOST_ERROR,
    threads: int = 0,
) -> QuantiseReport:
    """Write the int8 graph of an fp32 one.

    Args:
        model, target: ONNX files, weights inside.
        calibration: inputs of the graph, int64 [B, S] each: some hundred sentences of unlabelled or source text.
        keep_fp32: names of MatMul nodes, or parts of them, to leave in fp32.
        threads: that compute the activations, whose last bits depend on it; 0 for all cores.

    Raises:
        BadModel: there is no product to quantise, or no calibration text.
    """
    proto = onnx.load(str(model))
    groups = _find_groups(proto.graph, keep_fp32)
    if not groups:
        raise BadModel(Problem(str(model), "no matrix product with constant weights", "an exported encoder"))
    _collect_rows(proto, groups, calibration, threads)
    if not groups[0].rows:
        raise BadModel(Problem(str(model), "no calibration text", "some hundred sentences"))
    report = QuantiseReport()
    rewriter = _Rewriter(proto.graph)
    for group in groups:
        plan = _choose(group)
        quantised = plan.error <= most_error
        names = [_name(node) for node in group.nodes]
        report.products.append(Product(names, plan.alpha, plan.error, quantised))
        if quantised:
            rewriter.replace(group, plan)
    rewriter.finish()
    for node in proto.graph.node:
        if node.op_type == "Gelu":
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("approximate", "tanh"))
    if not any(entry.domain == _MICROSOFT for entry in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    onnx.save(proto, str(target))
    return report


def _find_groups(graph: onnx.GraphProto, keep: Sequence[str]) -> list[_Group]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    groups: dict[str, _Group] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in constants or any(part in _name(node) for part in keep):
            continue
        weight = numpy_helper.to_array(constants[node.input[1]])
        if weight.ndim != 2 or min(weight.shape) < SMALLEST or weight.dtype != np.float32:
            continue
        group = groups.setdefault(node.input[0], _Group(node.input[0], [], []))
        group.nodes.append(node)
        group.weights.append(weight)
    return list(groups.values())


def _name(node: onnx.NodeProto) -> str:
    """A node's name, or that of its output where the exporter gave none."""
    return str(node.name or node.output[0])


def _collect_rows(proto: onnx.ModelProto, groups: list[_Group], calibration: Iterable[Feed], threads: int) -> None:
    """Rows [rows, K] of each product's input: evenly drawn from the calibration text, and the largest of each feed."""
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(group.source) for group in groups)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = list(calibration)
    each = max(1, -(-_CALIBRATION_ROWS // max(1, len(feeds))))
    random = np.random.default_rng(0)
    for feed in ticking(feeds, "export: windows read for int8", len(feeds)):
        mask = np.asarray(feed["attention_mask"]).reshape(-1) > 0
        taken = np.sort(random.permutation(int(mask.sum()))[:each])
        for group, value in zip(groups, session.run(None, dict(feed)), strict=True):
            # after the last attention there may be rows of real pieces only (tofner.onnx.marks)
            rows = value if value.ndim == 2 else value.reshape(-1, value.shape[-1])[mask]
            # a few pieces, often special tokens, have activations many times larger: the range must hold them
            largest = int(np.abs(rows).max(axis=1).argmax())
            group.rows.append(rows[np.append(taken, largest)])


@dataclass(frozen=True)
class _Plan:
    """Numbers of one quantised product: x' = clip(round(x / (s * step)) + zero), W' = round(s W / scale)."""

    alpha: float
    smooth: np.ndarray
    step: float
    zero: int
    weight: np.ndarray
    scale: np.ndarray
    error: float


def _choose(group: _Group) -> _Plan:
    """The plan of least output error."""
    rows, weight = np.concatenate(group.rows), group.weight
    exact = rows @ weight
    spread = float(np.square(exact - exact.mean(axis=0)).sum()) or 1.0
    plans = (_plan(rows, weight, exact, spread, alpha) for alpha in ALPHAS)
    return min(plans, key=lambda plan: plan.error)


def _plan(
    rows: np.ndarray,
    weight: np.ndarray,
    exact: np.ndarray,
    spread: float,
    alpha: float,
) -> _Plan:
    smooth = np.ones(rows.shape[1], np.float32)
    if alpha:
        of_x = np.maximum(np.abs(rows).max(axis=0), 1e-5)
        of_w = np.maximum(np.abs(weight).max(axis=1), 1e-5)
        smooth = (of_x**alpha / of_w ** (1 - alpha)).astype(np.float32)
        smooth /= np.exp(np.log(smooth).mean())
    smoothed = rows / smooth
    # A margin of 5 %: other text goes a little beyond what calibration saw.
    low, high = min(0.0, float(smoothed.min()) * 1.05), max(0.0, float(smoothed.max()) * 1.05)
    step = max((high - low) / 255, 1e-8)
    zero = int(np.clip(np.rint(-low / step), 0, 255))
    scaled = weight * smooth[:, None]
    scale = np.maximum(_largest(scaled), 1e-8).astype(np.float32) / 127
    whole = np.clip(np.rint(scaled / scale), -127, 127).astype(np.int8)
    seen = (np.clip(np.rint(smoothed / step) + zero, 0, 255) - zero).astype(np.float32)
    got = (seen @ whole.astype(np.float32)) * (step * scale)
    error = float(np.square(got - exact).sum()) / spread
    return _Plan(alpha, smooth, step, zero, whole, scale, error)


def _largest(weight: np.ndarray) -> np.ndarray:
    """Of each column of [K, N]: the largest weight or sum of a pair of rows (0 and 1, 2 and 3 ...), without sign."""
    even = np.pad(weight, ((0, len(weight) % 2), (0, 0)))
    both = np.concatenate([weight, even[0::2] + even[1::2]])
    return np.asarray(np.abs(both).max(axis=0))


class _Rewriter:
    """Puts quantised products in the place of MatMul (and the Add of its bias)."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.removed: set[str] = set()  # first outputs of removed nodes
        self.added: dict[str, list[onnx.NodeProto]] = {}  # before the node with this first output
        self.count = 0

    def constant(self, value: np.ndarray | np.generic) -> str:
        self.count += 1
        name = f"int8_{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def replace(self, group: _Group, plan: _Plan) -> None:
        self.count += 1
        base = f"int8_{self.count}"
        nodes: list[onnx.NodeProto] = []
        source = group.source
        if plan.alpha:
            nodes.append(helper.make_node("Mul", [source, self.constant(1 / plan.smooth)], [f"{base}_smooth"]))
            source = f"{base}_smooth"
        step, zero = self.constant(np.float32(plan.step)), self.constant(np.uint8(plan.zero))
        nodes.append(helper.make_node("QuantizeLinear", [source, step, zero], [f"{base}_x"]))
        at = 0
        for number, (node, weight) in enumerate(zip(group.nodes, group.weights, strict=True)):
            columns = slice(at, at + weight.shape[1])
            at = columns.stop
            add = self._bias_add(node)
            bias = self._bias_of(add, node) if add is not None else np.zeros(weight.shape[1], np.float32)
            self.removed.update([node.output[0], *([add.output[0]] if add is not None else [])])
            whole, scale = np.ascontiguousarray(plan.weight[:, columns]), plan.scale[columns]
            inputs = [f"{base}_x", self.constant(whole), step, self.constant(scale), zero]
            inputs += [self.constant(np.zeros(scale.size, np.int8)), self.constant(bias)]
            output = add.output[0] if add is not None else node.output[0]
            nodes.append(
                helper.make_node("MatMulIntegerToFloat", inputs, [output], f"{base}_{number}", domain=_MICROSOFT)
            )
        self.added.setdefault(group.nodes[0].output[0], []).extend(nodes)

    def _bias_add(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        users = self.users.get(node.output[0], [])
        if len(users) != 1 or users[0].op_type != "Add" or any(o.name == node.output[0] for o in self.graph.output):
            return None
        other = [name for name in users[0].input if name != node.output[0]]
        tensor = self.constants.get(other[0]) if other else None
        return users[0] if tensor is not None and len(tensor.dims) == 1 else None

    def _bias_of(self, add: onnx.NodeProto, node: onnx.NodeProto) -> np.ndarray:
        name = next(name for name in add.input if name != node.output[0])
        return numpy_helper.to_array(self.constants[name]).astype(np.float32)

    def finish(self) -> None:
        """Write the nodes in a valid order and drop weights that nobody reads any more."""
        nodes: list[onnx.NodeProto] = []
        for node in self.graph.node:
            nodes += self.added.get(node.output[0], [])
            if node.output[0] not in self.removed:
                nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        read = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        del self.graph.value_info[:]

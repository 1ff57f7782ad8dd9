"""Less work for the graph: an attention without mask where nothing is padded, a last layer only for what is asked for.

The engine's batches hold windows of one length, so their masks say nothing, and `MultiHeadAttention` is faster
without one. The graph looks, once a run, whether there is padding.

A tagger reads the logits of each word's first piece and throws the others away. What follows the last attention treats
every piece by itself, so there the graph can work on the wanted pieces alone. `attention_mask` says which: 0 padding, 1
read, 2 read and answer. In a batch without a 2 every piece that is not padding is answered, so a client that knows
masks of 0 and 1 only gets what it expects; pieces that are not answered have logits of 0.
"""

from collections import defaultdict

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tofner.model.layout import ANSWER, MARKS

_MASK = "attention_mask"
_BY_PIECE = {"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Erf", "Tanh", "Sigmoid", "Relu", "Gelu", "Identity", "Cast"}


def answer_marked_only(proto: onnx.ModelProto, logits: str) -> bool:
    """Rewrite a graph so that it knows marks; False, and the graph as it was, if nothing follows the last attention.

    Args:
        proto: inputs int64 [B, S], among them `attention_mask`; changed in place.
        logits: its output, float32 [B, S, L].
    """
    graph = proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    tail = _tail(graph, constants, logits)
    made = {node.output[0] for node in tail}
    edges = {name for node in tail for name in node.input} - made - constants - {""}
    if not any(node.op_type == "MatMul" for node in tail) or not edges or edges & {value.name for value in graph.input}:
        return False
    early = [node for node in graph.node if node.output[0] not in made]
    _rename(early, {_MASK: "marks_read"})
    _rename(tail, {name: f"marks_of_{name}" for name in edges} | {logits: "marks_logits"})
    nodes = [*_rows(), *early, *_gathers(sorted(edges)), *tail, *_scatter(logits)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in (
            ("marks_one", 1),
            ("marks_flat", [-1]),
            ("marks_column", [-1, 1]),
        )
    )
    del graph.value_info[:]
    helper.set_model_props(proto, {**{p.key: p.value for p in proto.metadata_props}, MARKS: str(ANSWER)})
    return True


def _rename(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    for node in nodes:
        for side in (node.input, node.output):
            for i, name in enumerate(side):
                side[i] = names.get(name, name)


def _tail(graph: onnx.GraphProto, constants: set[str], logits: str) -> list[onnx.NodeProto]:
    """Nodes that treat each piece by itself and are read by such nodes or by nobody, in order."""
    users: dict[str, list[int]] = defaultdict(list)
    for i, node in enumerate(graph.node):
        for name in node.input:
            users[name].append(i)
    inside: set[int] = set()
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    ranks |= {
        node.output[0]: len(node.attribute[0].t.dims)
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    outputs = {value.name for value in graph.output}
    for i in range(len(graph.node) - 1, -1, -1):
        node = graph.node[i]
        ends = node.output[0] == logits or (node.output[0] not in outputs and users[node.output[0]])
        if ends and _by_piece(node, constants, ranks) and all(user in inside for user in users[node.output[0]]):
            inside.add(i)
    return [graph.node[i] for i in sorted(inside)]


def _by_piece(node: onnx.NodeProto, constants: set[str], ranks: dict[str, int]) -> bool:
    """Whether each row [H] of the output comes from the same rows of the inputs."""
    fixed = [ranks.get(name, 9) for name in node.input if name in constants]
    if node.op_type == "MatMul":
        return node.input[1] in constants and fixed == [2]
    if node.op_type == "LayerNormalization":
        axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"] or [-1]
        return axes == [-1] and all(rank == 1 for rank in fixed)
    return node.op_type in _BY_PIECE and len(node.output) == 1 and all(rank <= 1 for rank in fixed)


def _rows() -> list[onnx.NodeProto]:
    """Numbers of the pieces to answer among all B*S, int64 [R]: those with the highest mark."""
    node = helper.make_node
    return [
        node("Min", [_MASK, "marks_one"], ["marks_read"]),
        node("Reshape", [_MASK, "marks_flat"], ["marks_all"]),
        node("ReduceMax", ["marks_all"], ["marks_highest"], keepdims=0),
        node("Equal", ["marks_all", "marks_highest"], ["marks_wanted"]),
        node("NonZero", ["marks_wanted"], ["marks_found"]),
        node("Reshape", ["marks_found", "marks_flat"], ["marks_rows"]),
    ]


def _gathers(names: list[str]) -> list[onnx.NodeProto]:
    """[B, S, H] -> [R, H] for each tensor that the tail reads."""
    nodes: list[onnx.NodeProto] = []
    for name in names:
        flat, width = f"marks_flat_{name}", f"marks_width_{name}"
        nodes += [
            helper.make_node("Shape", [name], [width], start=-1),
            helper.make_node("Concat", ["marks_flat", width], [f"{width}_2"], axis=0),
            helper.make_node("Reshape", [name, f"{width}_2"], [flat]),
            helper.make_node("Gather", [flat, "marks_rows"], [f"marks_of_{name}"], axis=0),
        ]
    return nodes


def _scatter(logits: str) -> list[onnx.NodeProto]:
    """[R, L] -> [B, S, L], zeros elsewhere."""
    node = helper.make_node
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    return [
        node("Shape", ["marks_all"], ["marks_count"]),
        node("Shape", ["marks_logits"], ["marks_labels"], start=-1),
        node("Concat", ["marks_count", "marks_labels"], ["marks_full"], axis=0),
        node("ConstantOfShape", ["marks_full"], ["marks_zeros"], value=zero),
        node("Reshape", ["marks_rows", "marks_column"], ["marks_places"]),
        node("ScatterND", ["marks_zeros", "marks_places", "marks_logits"], ["marks_filled"]),
        node("Shape", [_MASK], ["marks_batch"]),
        node("Concat", ["marks_batch", "marks_labels"], ["marks_shape"], axis=0),
        node("Reshape", ["marks_filled", "marks_shape"], [logits]),
    ]


def skip_full_mask(proto: onnx.ModelProto) -> None:
    """Let each `MultiHeadAttention` with a padding mask run without it in batches that are not padded."""
    nodes: list[onnx.NodeProto] = []
    asked: set[str] = set()
    for node in proto.graph.node:
        if node.op_type != "MultiHeadAttention" or len(node.input) < 5 or node.input[3]:
            nodes.append(node)
            continue
        mask, output = node.input[4], node.output[0]
        full = f"full_{mask}"
        if mask not in asked:
            asked.add(mask)
            nodes.append(helper.make_node("ReduceMin", [mask], [f"least_{mask}"], keepdims=0))
            nodes.append(helper.make_node("Cast", [f"least_{mask}"], [full], to=TensorProto.BOOL))
        branches = {}
        for name, inputs in (("then_branch", node.input[:3]), ("else_branch", node.input)):
            inner = onnx.NodeProto()
            inner.CopyFrom(node)
            del inner.input[:], inner.output[:]
            inner.input.extend(inputs)
            inner.output.append(f"{name}_{output}")
            value = helper.make_tensor_value_info(inner.output[0], TensorProto.FLOAT, None)
            branches[name] = helper.make_graph([inner], f"{name}_{output}", [], [value])
        nodes.append(helper.make_node("If", [full], [output], node.name, **branches))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)

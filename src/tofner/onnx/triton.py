"""A model folder that a stock ONNX server loads as it is: NVIDIA Triton, and KServe's Triton runtime.

    REPOSITORY/NAME/config.pbtxt
    REPOSITORY/NAME/1/model.onnx
    REPOSITORY/NAME/labels.txt        one label a line; Triton names classification results by it
    REPOSITORY/NAME/tokenizer.json    for the client: the server maps piece ids to logits, words are the client's

Format: Triton's model configuration, protobuf text (model_config.proto). Batching is the graph's own first dimension,
so `max_batch_size` is 0 and shapes are written out; a client may send any [B, S].
"""

import json
import shutil
import tempfile
from pathlib import Path

import onnx

from tofner.errors import BadInput, BadModel, Problem
from tofner.model.layout import ARTIFACTS, LABELS, TOKENIZER

_TYPES: dict[int, str] = {
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.INT32: "TYPE_INT32",
    onnx.TensorProto.FLOAT: "TYPE_FP32",
}


def write_triton(model_folder: Path, repository: Path, name: str, int8: bool = False, threads: int = 1) -> Path:
    """Write a published model into a model repository; returns `REPOSITORY/NAME`, there whole or not at all.

    Args:
        model_folder: a published model folder on this machine.
        name: of the model on the server; letters, digits, `-` and `_`.
        int8: take `model.int8.onnx`.
        threads: of one inference (intra-op), since the server would take every core of the node.

    Raises:
        BadModel: the folder lacks a file.
        BadInput: the name cannot be used, or is taken.
    """
    if not name or not all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
        raise BadInput(Problem("name", repr(name), "letters, digits, - and _"))
    source = model_folder / ARTIFACTS["int8" if int8 else "fp32"]
    for path in (source, model_folder / LABELS, model_folder / TOKENIZER):
        if not path.is_file():
            raise BadModel(Problem(str(path), "no such file", "a published model folder"))
    target = repository / name
    if target.exists():
        raise BadInput(Problem(str(target), "a model of that name", "a new name", "remove it or choose another name"))
    repository.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=repository))
    try:
        (scratch / "1").mkdir()
        shutil.copyfile(source, scratch / "1" / ARTIFACTS["fp32"])
        shutil.copyfile(model_folder / TOKENIZER, scratch / TOKENIZER)
        labels = _labels(model_folder)
        (scratch / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        (scratch / "config.pbtxt").write_text(triton_config(source, name, threads), encoding="utf-8")
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _labels(folder: Path) -> list[str]:
    value = json.loads((folder / LABELS).read_text(encoding="utf-8"))
    return [str(label) for label in value["labels"]]


def triton_config(model: Path, name: str, threads: int = 1) -> str:
    """`config.pbtxt` for a graph: its own inputs and outputs, dynamic dimensions as -1."""
    graph = onnx.load(str(model), load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [_tensor(value) for value in graph.input if value.name not in constants]
    outputs = [_tensor(value, labels=True) for value in graph.output]
    return (
        f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: 0\n'
        f"input [\n{_joined(inputs)}\n]\noutput [\n{_joined(outputs)}\n]\n"
        "instance_group [\n  { kind: KIND_CPU count: 1 }\n]\n"
        f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}\n'
        'parameters { key: "inter_op_thread_count" value { string_value: "1" } }\n'
    )


def _tensor(value: onnx.ValueInfoProto, labels: bool = False) -> str:
    kind = value.type.tensor_type
    dims = ", ".join(str(d.dim_value) if d.HasField("dim_value") else "-1" for d in kind.shape.dim)
    extra = ' label_filename: "labels.txt"' if labels else ""
    return f'  {{ name: "{value.name}" data_type: {_TYPES[kind.elem_type]} dims: [ {dims} ]{extra} }}'


def _joined(rows: list[str]) -> str:
    return ",\n".join(rows)

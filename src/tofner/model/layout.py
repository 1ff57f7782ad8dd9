"""Names of the files in a model folder, in one place."""

from typing import Literal

Precision = Literal["fp32", "int8"]


ARTIFACTS: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}


FORMAT = 1


MARKS = "tofner.marks"  # metadata key of a graph that computes the last layer for marked pieces only


ANSWER = 2  # the mark: a value of `attention_mask` beside 0 (padding) and 1 (read)

"""A tagger checkpoint as an ONNX graph with free batch and length axes.

Uses torch's TorchScript exporter (docs/decisions.md); `tofner.onnx.parity` compares every graph with its checkpoint.
"""

import warnings
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from tofner.training.checkpoint import takes_token_types

LOGITS = "logits"


def input_names(model: PreTrainedModel) -> list[str]:
    """Inputs of the graph, int64 [batch, pieces] each; `token_type_ids` only where the family has them."""
    names = ["input_ids", "attention_mask"]
    return [*names, "token_type_ids"] if takes_token_types(model) else names


def export(model: PreTrainedModel, path: Path, opset: int) -> None:
    """Write a token classifier to `path`: int64 inputs [batch, pieces], `logits` float32 [batch, pieces, labels]."""
    names = input_names(model)
    ids = torch.arange(2 * 8).reshape(2, 8) % 7 + 1
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    example["attention_mask"][1, 5:] = 0
    graph = _Logits(model, names).cpu().eval()
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # the tracer warns of every shape it turns into a constant; parity is checked below
        torch.onnx.export(
            graph,
            tuple(example[name] for name in names),
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=names,
            output_names=[LOGITS],
            dynamic_axes={name: {0: "batch", 1: "pieces"} for name in [*names, LOGITS]},
        )


class _Logits(nn.Module):
    """The model with positional inputs and the logits alone as output."""

    def __init__(self, model: PreTrainedModel, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return output

"""A tagger checkpoint as an ONNX graph with free batch and length axes.

Uses torch's TorchScript exporter (docs/decisions.md); `tofner.onnx.parity` compares every graph with its checkpoint.

Attention becomes one operator, ONNX Runtime's `com.microsoft.MultiHeadAttention`, in every model that takes its
attention from transformers' registry and whose pieces all see each other. Other models keep their own attention, traced
as it is.
"""

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, bidirectional_mask_function, sdpa_mask

from tofner.onnx.marks import answer_marked_only, skip_full_mask
from tofner.training.checkpoint import takes_token_types

LOGITS = "logits"
_ATTENTION = "tofner_onnx"


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
    before = model.config._attn_implementation
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        # the tracer warns of every shape it turns into a constant; parity is checked by the caller
        warnings.simplefilter("ignore")
        if before == "sdpa":
            model.set_attn_implementation(_ATTENTION)
        try:
            torch.onnx.export(
                graph,
                tuple(example[name] for name in names),
                str(path),
                dynamo=False,
                opset_version=opset,
                input_names=names,
                output_names=[LOGITS],
                dynamic_axes={name: {0: "batch", 1: "pieces"} for name in [*names, LOGITS]},
                custom_opsets={"com.microsoft": 1},
            )
        finally:
            model.set_attn_implementation(before)
    proto = onnx.load(str(path))
    answer_marked_only(proto, LOGITS)
    skip_full_mask(proto)
    onnx.save(proto, str(path))


class _Logits(nn.Module):
    """The model with positional inputs and the logits alone as output."""

    def __init__(self, model: PreTrainedModel, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return output


class _MultiHeadAttention(torch.autograd.Function):
    """One operator in the graph: query, key and value [B, S, N, D], mask int32 [B, S] -> [B, S, N, D]."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor,
        heads: int,
        size: int,
        scale: float,
    ) -> torch.Tensor:
        return torch.empty_like(query)  # tracing looks at shapes only

    @staticmethod
    def symbolic(g: Any, query: Any, key: Any, value: Any, mask: Any, heads: int, size: int, scale: float) -> Any:
        def reshape(x: Any, shape: list[int]) -> Any:
            return g.op("Reshape", x, g.op("Constant", value_t=torch.tensor(shape)))

        inputs = [reshape(x, [0, -1, heads * size]) for x in (query, key, value)]
        no_bias = g.op("prim::Constant")
        no_bias.setType(torch._C.NoneType.get())
        output = g.op("com.microsoft::MultiHeadAttention", *inputs, no_bias, mask, num_heads_i=heads, scale_f=scale)
        return reshape(output, [0, -1, heads, size]).setType(query.type())


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention function: [B, N, S, D] each -> [B, S, N, D]."""
    heads, size = int(query.shape[1]), int(query.shape[3])
    plain = all(tensor.shape[1] == heads and tensor.shape[3] == size for tensor in (key, value))
    if not plain or attention_mask is None or attention_mask.dim() != 2:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **rest)
        return output, None
    turned = (tensor.transpose(1, 2) for tensor in (query, key, value))
    scale = float(size**-0.5 if scaling is None else scaling)
    joined: torch.Tensor = _MultiHeadAttention.apply(*turned, attention_mask, heads, size, scale)  # type: ignore[no-untyped-call]
    return joined, None


def _mask(**given: Any) -> torch.Tensor | None:
    """transformers' mask function: the padding mask, int32 [B, S], where every piece sees every other one."""
    padding: torch.Tensor | None = given.get("attention_mask")
    if given.get("mask_function") is not bidirectional_mask_function or padding is None:
        full: torch.Tensor | None = sdpa_mask(**given)
        return full
    return padding.to(torch.int32)


AttentionInterface.register(_ATTENTION, _attention)
AttentionMaskInterface.register(_ATTENTION, _mask)

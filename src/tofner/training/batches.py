"""Examples and batches: drawn by a seed, padded to the longest of a batch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

Features = dict[str, np.ndarray]  # arrays of one example, all [pieces]


def cap(examples: Sequence[Any], limit: int | None, seed: int) -> list[Any]:
    """At most `limit` examples, drawn without replacement by `seed`, in their original order."""
    if limit is None or len(examples) <= limit:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[i] for i in np.sort(chosen)]


def pad(batch: Sequence[Features], fill: dict[str, int]) -> dict[str, torch.Tensor]:
    """Stack features to int64 tensors [batch, longest], padded with `fill`, and add `attention_mask`."""
    longest = max(example["input_ids"].size for example in batch)
    tensors = {}
    for name in batch[0]:
        rows = np.full((len(batch), longest), fill.get(name, 0), dtype=np.int64)
        for row, example in zip(rows, batch, strict=True):
            row[: example[name].size] = example[name]
        tensors[name] = torch.from_numpy(rows)
    mask = np.arange(longest) < np.array([example["input_ids"].size for example in batch])[:, None]
    tensors["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
    return tensors


class Examples(Dataset[Features]):
    """Features in memory; `make(i)` builds example i, so that maskings cost nothing until they are read."""

    def __init__(self, size: int, make: Callable[[int], Features]) -> None:
        self.size, self.make = size, make

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Features:
        return self.make(i)

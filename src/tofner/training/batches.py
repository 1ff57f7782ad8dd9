"""Examples and batches, padded to the longest of a batch."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.utils.data import Dataset

from tofner.corpora.corpus import cache_file
from tofner.corpora.lazy import in_chunks

T = TypeVar("T")

Features = dict[str, np.ndarray]  # arrays of one example, all [pieces]
ENCODED_TOGETHER = 1000  # sentences or questions
WRITTEN_TOGETHER = 1000  # rows of features


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
    """`make(i)` builds example i, so that maskings cost nothing until they are read; `lengths` are their pieces.

    `epoch` is the one that they are read in, from 0; training keeps it, and an example may look at it.
    """

    epoch = 0

    def __init__(self, size: int, make: Callable[[int], Features], lengths: Sequence[int] | None = None) -> None:
        self.size, self.make, self.lengths = size, make, lengths

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Features:
        return self.make(i)


class FeatureFile:
    """Features on disk, memory-mapped: a corpus of any size takes the memory of the examples that are being read.

    Row i is a dict of int32 arrays [pieces], which may not be written to.
    """

    def __init__(self, rows: Iterable[Features], columns: Sequence[str]) -> None:
        """Raises whatever `rows` raises."""
        import datasets

        kinds = datasets.Features({name: datasets.List(datasets.Value("int32")) for name in columns})
        path = cache_file("features.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, kinds.arrow_schema) as writer:
            for group in in_chunks(rows, WRITTEN_TOGETHER):
                arrays = [_lists([row[name] for row in group]) for name in columns]
                writer.write_batch(pa.record_batch(arrays, schema=kinds.arrow_schema))
        made = datasets.Dataset.from_file(path)
        self._columns = {name: made.data.column(name) for name in columns}
        self.lengths: list[int] = pc.list_value_length(self._columns[columns[0]]).to_pylist()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> Features:
        return {name: column[i].values.to_numpy() for name, column in self._columns.items()}


def _lists(rows: Sequence[np.ndarray]) -> pa.ListArray:
    """Arrays of int32 as one Arrow array of lists."""
    ends = np.cumsum([0, *(row.size for row in rows)], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(rows).astype(np.int32)))

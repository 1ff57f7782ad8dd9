"""A tagger whose labels are as frequent as target text has them: class priors corrected by EM (`words/priors.py`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tofner.corpora.corpus import read_ner, read_text
from tofner.corpora.lazy import cap, mapped
from tofner.training.checkpoint import piece_encoder
from tofner.training.ner import forward_by_length
from tofner.words.features import tag_windows
from tofner.words.pieces import PieceEncoder
from tofner.words.priors import bias, estimate, label_shares


@dataclass(frozen=True)
class Corrected:
    """What was done: rows of `label`, `source` and `target` prior and `bias`, and of how many `words` by how many
    `rounds`."""

    rows: list[dict[str, Any]]
    words: int
    rounds: int


def correct(
    model: nn.Module, folder: Path, labels: Sequence[str], sizes: tuple[int, int], corpora: Path, limit: int, seed: int
) -> Corrected:
    """Add the correction to the bias of the output layer of `model`, in place.

    Source priors are the shares of the labels in D_s,n, of every tagger: one that was trained on its own pseudo-labels
    expects the target to be as it labelled it, and EM would find just that.

    Args:
        folder: the tagger's.
        sizes: pieces of a window, and pieces that windows share.
        corpora: what the stage `prepare` made.
        limit: of target sentences, drawn by seed.
    """
    source = label_shares(mapped(read_ner(corpora / "source_ner.parquet"), lambda one: one.tags or []), labels)
    text = cap(read_text(corpora / "target_text.parquet"), limit, seed)
    posteriors = soft_tags(model, piece_encoder(folder), [one.tokens for one in text], *sizes)
    found = estimate(posteriors, source)
    added = bias(source, found.target)
    output = model.get_submodule("classifier")
    with torch.no_grad():
        output.get_parameter("bias").add_(torch.from_numpy(added).float().to(output.get_parameter("bias").device))
    columns = zip(labels, source.tolist(), found.target.tolist(), added.tolist(), strict=True)
    rows = [dict(zip(("label", "source", "target", "bias"), row, strict=True)) for row in columns]
    return Corrected(rows, len(posteriors), found.rounds)


def soft_tags(
    model: nn.Module,
    encoder: PieceEncoder,
    sentences: Sequence[Sequence[str]],
    max_pieces: int,
    overlap_pieces: int,
    batch_size: int = 64,
) -> np.ndarray:
    """The distribution over labels of each word, from the window that owns it: float64 [words, labels], in no order."""
    windows, _ = tag_windows(encoder, sentences, max_pieces, overlap_pieces)
    rows = [
        row[torch.from_numpy(one.owned.astype(np.int64))].double().softmax(-1).numpy()
        for batch, logits in forward_by_length(model, windows, batch_size)
        for one, row in zip(batch, logits, strict=True)
    ]
    return np.concatenate(rows)

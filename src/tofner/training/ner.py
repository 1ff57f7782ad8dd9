"""The NER task: token classification by the first piece of each word (Eq. 3-4), training and prediction."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from torch import nn

from tofner.corpora.lazy import in_chunks
from tofner.errors import BadData, Problem
from tofner.training.batches import ENCODED_TOGETHER, Examples, FeatureFile, Features, pad
from tofner.words.features import IGNORED, TagWindow, tag_windows
from tofner.words.pieces import PieceEncoder
from tofner.words.scores import best_tags, label_names
from tofner.words.spans import orphans, tags_to_spans


def tag_examples(
    encoder: PieceEncoder,
    sentences: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    labels: Sequence[str],
    max_pieces: int,
    overlap_pieces: int,
    trusted: Sequence[Sequence[bool] | None] | None = None,
) -> tuple[Examples, dict[str, int]]:
    """Training features: each word counts once, in the window that owns it, by its first piece.

    Args:
        trusted: which words of a sentence count in the loss; None for all of one, or of every one. A window in which
            none does is left out, since the mean loss over no word is no number.

    Returns:
        The examples (`input_ids`, `labels`, both [pieces]), and counts of windows and of shortened words; where some
        words may be left out, of these and of all words too.

    Raises:
        BadData: a tag that `labels` does not have.
    """
    ids = {label: i for i, label in enumerate(labels)}
    unknown = sorted({tag for sequence in tags for tag in sequence} - set(ids))
    if unknown:
        raise BadData(Problem("training data", f"tags {', '.join(unknown)}", f"one of {', '.join(labels)}"))
    shortened = words_seen = left_out = 0

    def rows() -> Iterator[Features]:
        nonlocal shortened, words_seen, left_out
        counted: Iterable[Sequence[bool] | None] = repeat(None, len(sentences)) if trusted is None else trusted
        for chunk in in_chunks(zip(sentences, tags, counted, strict=True), ENCODED_TOGETHER):
            windows, cut = tag_windows(encoder, [words for words, _, _ in chunk], max_pieces, overlap_pieces)
            shortened += cut
            words_seen += sum(len(words) for words, _, _ in chunk)
            left_out += sum(not one for _, _, counts in chunk for one in counts or ())
            for one in windows:
                _, own, counts = chunk[one.sentence]
                targets = np.full(one.ids.size, IGNORED, np.int32)
                for word in range(one.window.own_start, one.window.own_end):
                    if counts is None or counts[word]:
                        targets[one.first[word - one.window.start]] = ids[own[word]]
                if counts is None or (targets != IGNORED).any():
                    yield {"input_ids": one.ids, "labels": targets}

    table = FeatureFile(rows(), ("input_ids", "labels"))
    told = {"windows": len(table), "shortened_words": shortened}
    if trusted is not None:
        told |= {"words": words_seen, "left_out_words": left_out}
    return Examples(len(table), table.__getitem__, table.lengths), told


@dataclass(frozen=True)
class Tagging:
    """Predicted tags of one sentence and the probability of each, both [words].

    `orphans` counts I- tags that continued nothing and were read as beginnings.
    """

    tags: list[str]
    scores: list[float]
    orphans: int


def predict_tags(
    model: nn.Module,
    encoder: PieceEncoder,
    sentences: Sequence[Sequence[str]],
    labels: Sequence[str],
    max_pieces: int,
    overlap_pieces: int,
    batch_size: int = 64,
) -> list[Tagging]:
    """Tag sentences of words: the best tag of each word's first piece, from the window that owns the word.

    Tags come out as valid BIO2: an orphan I- begins an entity, as in `tags_to_spans`.
    """
    windows, _ = tag_windows(encoder, sentences, max_pieces, overlap_pieces)
    best = [np.zeros(len(words), np.int16) for words in sentences]
    probability = [np.zeros(len(words), np.float64) for words in sentences]
    for batch, logits in forward_by_length(model, windows, batch_size):
        for window, row in zip(batch, logits, strict=True):
            place = slice(window.window.own_start, window.window.own_end)
            chosen = best_tags(row.numpy()[window.owned])
            best[window.sentence][place], probability[window.sentence][place] = chosen
    return [_tagging(label_names(ids, labels), p) for ids, p in zip(best, probability, strict=True)]


def forward_by_length(
    model: nn.Module, windows: Sequence[TagWindow], batch_size: int
) -> Iterator[tuple[list[TagWindow], torch.Tensor]]:
    """Windows in batches of similar length, with their logits, float32 [batch, pieces, labels] on the CPU."""
    device = next(model.parameters()).device
    order = sorted(range(len(windows)), key=lambda i: (windows[i].ids.size, i))
    for start in range(0, len(order), batch_size):
        batch = [windows[i] for i in order[start : start + batch_size]]
        inputs = pad([{"input_ids": window.ids} for window in batch], {"input_ids": 0})
        with torch.inference_mode():
            yield batch, model(**{name: t.to(device) for name, t in inputs.items()}).logits.float().cpu()


def _tagging(tags: list[str], scores: np.ndarray) -> Tagging:
    wrong = orphans(tags)
    for span in tags_to_spans(tags):
        tags[span.start] = f"B-{span.type}"
    return Tagging(tags, [float(score) for score in scores], len(wrong))

"""Sentences to encoder inputs: windows with special tokens, as plain numpy arrays.

Training, predictions of checkpoints and ONNX tagging stand on it; knows no framework.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tofner.words.pieces import PieceEncoder, Pieces
from tofner.words.windows import Window, plan_windows

IGNORED = -100  # label of pieces that count in no loss


class TagWindow(NamedTuple):
    """One window of one sentence.

    Attributes:
        sentence: index of the sentence it comes from.
        window: the words it covers and those it owns.
        ids: int32 [pieces], special tokens included.
        first: int32 [words of the window], where in `ids` each word's first piece stands.
    """

    sentence: int
    window: Window
    ids: np.ndarray
    first: np.ndarray

    @property
    def owned(self) -> np.ndarray:
        """`first` of the words that the window owns."""
        start = self.window.start
        return self.first[self.window.own_start - start : self.window.own_end - start]


def tag_windows(
    encoder: PieceEncoder, sentences: Sequence[Sequence[str]], max_pieces: int, overlap_pieces: int
) -> tuple[list[TagWindow], int]:
    """Windows of every sentence, in order, and how many words were shortened because they alone fill a window.

    Raises:
        ValueError: `overlap_pieces` is more than half of what a window holds.
    """
    encoded = encoder.encode(sentences, max_word_pieces=encoder.room(max_pieces))
    return list(cut_windows(encoder, encoded, max_pieces, overlap_pieces)), sum(p.cut_words for p in encoded)


def cut_windows(
    encoder: PieceEncoder, encoded: Iterable[Pieces], max_pieces: int, overlap_pieces: int
) -> Iterator[TagWindow]:
    """As `tag_windows`, from sentences whose words have at most `encoder.room(max_pieces)` pieces: the one way from
    words to what an encoder reads, in training and in tagging."""
    room = encoder.room(max_pieces)
    prefix, suffix = np.asarray(encoder.prefix, np.int32), np.asarray(encoder.suffix, np.int32)
    for i, pieces in enumerate(encoded):
        starts = pieces.starts
        for window in plan_windows(pieces.counts, room, overlap_pieces):
            begin = starts[window.start]
            ids = np.concatenate([prefix, pieces.ids[begin : starts[window.end]], suffix])
            yield TagWindow(i, window, ids, starts[window.start : window.end] - begin + prefix.size)


@dataclass(frozen=True)
class SpanWindow:
    """One window of one question: query, then a part of the context.

    Attributes:
        example: index of the question it comes from.
        window: context words it covers and those it owns.
        ids: int32 [pieces]; `types` int32 [pieces], 1 on the context where the family has token types.
        first, last: int32 [words of the window], where each context word begins and ends in `ids`.
    """

    example: int
    window: Window
    ids: np.ndarray
    types: np.ndarray
    first: np.ndarray
    last: np.ndarray


def span_windows(
    encoder: PieceEncoder,
    queries: Sequence[Sequence[str]],
    contexts: Sequence[Sequence[str]],
    max_pieces: int,
    overlap_pieces: int,
) -> tuple[list[SpanWindow], int]:
    """Windows of every (query, context) pair, in order, and how many long words or queries were shortened.

    A query may take half of the window; the rest goes to the context. What a window holds of the context varies with
    the query, so here an overlap of more than half of it is lowered to that.
    """
    specials = len(encoder.pair_prefix) + len(encoder.pair_middle) + len(encoder.pair_suffix)
    room = max_pieces - specials
    distinct = {query: i for i, query in enumerate(dict.fromkeys(map(tuple, queries)))}
    encoded_queries = encoder.encode(list(distinct))
    cut = sum(pieces.ids.size > room // 2 for pieces in encoded_queries)
    cache: dict[tuple[str, ...], Pieces] = {}
    windows: list[SpanWindow] = []
    for i, (query, context) in enumerate(zip(queries, contexts, strict=True)):
        query_ids = encoded_queries[distinct[tuple(query)]].ids[: room // 2]
        key = tuple(context)
        if key not in cache:
            cache[key] = encoder.encode([context], max_word_pieces=room // 2)[0]
            cut += cache[key].cut_words
        pieces = cache[key]
        budget = room - query_ids.size
        head = np.concatenate([encoder.pair_prefix, query_ids, encoder.pair_middle])
        for window in plan_windows(pieces.counts, budget, min(overlap_pieces, budget // 2)):
            edges = pieces.starts[window.start : window.end + 1] - pieces.starts[window.start] + head.size
            body = pieces.ids[pieces.starts[window.start] : pieces.starts[window.end]]
            ids = np.concatenate([head, body, encoder.pair_suffix]).astype(np.int32)
            types = np.zeros(ids.size, np.int32)
            types[head.size :] = encoder.pair_type
            windows.append(SpanWindow(i, window, ids, types, edges[:-1], edges[1:] - 1))
    return windows, cut

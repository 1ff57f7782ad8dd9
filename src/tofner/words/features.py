"""Sentences to encoder inputs: windows with special tokens, as plain numpy arrays.

Used by training and by evaluation of checkpoints; knows no framework.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tofner.words.pieces import PieceEncoder, Pieces
from tofner.words.windows import Window, plan_windows

IGNORED = -100  # label of pieces that count in no loss


@dataclass(frozen=True)
class TagWindow:
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


def tag_windows(
    encoder: PieceEncoder, sentences: Sequence[Sequence[str]], max_pieces: int, overlap_pieces: int
) -> tuple[list[TagWindow], int]:
    """Windows of every sentence, in order, and how many words were shortened because they alone fill a window."""
    budget = max_pieces - len(encoder.prefix) - len(encoder.suffix)
    cut = 0
    windows: list[TagWindow] = []
    for i, pieces in enumerate(encoder.encode(sentences, max_word_pieces=budget)):
        cut += pieces.cut_words
        for window in plan_windows(pieces.counts, budget, min(overlap_pieces, budget // 2)):
            body = pieces.ids[pieces.starts[window.start] : pieces.starts[window.end]]
            ids = np.concatenate([encoder.prefix, body, encoder.suffix]).astype(np.int32)
            first = pieces.starts[window.start : window.end] - pieces.starts[window.start] + len(encoder.prefix)
            windows.append(TagWindow(i, window, ids, first))
    return windows, cut


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

    A query may take half of the window; the rest goes to the context.
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

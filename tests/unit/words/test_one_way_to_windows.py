"""Training and tagging cut words into the same windows, and neither bends an overlap that does not fit."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_tagger import make_tokenizer, publish_tiny
from tofner.tagging import Tagger
from tofner.tagging.engine.texts import Words
from tofner.words.features import tag_windows
from tofner.words.pieces import PieceEncoder


def texts() -> list[list[str]]:
    chance = random.Random(3)
    words = ["Merkel", "x" * 5, "New", "y" * 40, ",", "漢字"]
    return [[chance.choice(words) for _ in range(length)] for length in (0, 1, 5, 12, 40, 200)]


def test_a_window_is_the_ids_of_its_words_between_special_tokens() -> None:
    """Words of `x` are one piece a letter; the ids come from the tokenizer alone, word by word."""
    tokenizer = make_tokenizer()
    sentence = ["xxx", "Merkel", "xx", "xxxx", "Obama", "x"]
    windows, cut = tag_windows(PieceEncoder(make_tokenizer()), [sentence], 8, 2)
    pieces = [tokenizer.encode(word, add_special_tokens=False).ids for word in sentence]
    begin, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    assert cut == 0
    assert len(windows) > 1
    for one in windows:
        inside = pieces[one.window.start : one.window.end]
        assert one.ids.tolist() == [begin, *(i for ids in inside for i in ids), end]
        assert one.ids.dtype == np.int32
        assert [one.ids[at] for at in one.first] == [ids[0] for ids in inside]
        own = pieces[one.window.own_start : one.window.own_end]
        assert [one.ids[at] for at in one.owned] == [ids[0] for ids in own]
    assert [word for one in windows for word in range(one.window.own_start, one.window.own_end)] == list(range(6))


def test_training_and_tagging_see_the_same_windows(tmp_path: Path) -> None:
    sentences = texts()
    windows, cut = tag_windows(PieceEncoder(make_tokenizer()), sentences, 32, 8)
    with Tagger.load(publish_tiny(tmp_path / "model", 32, 8), threads=1) as tagger:
        prepared = tagger.prepare([Words(words, None, None) for words in sentences])
    assert (prepared.window_count, prepared.cut_words) == (len(windows), cut)
    assert cut > 0
    before = np.cumsum([0, *map(len, sentences)])
    served = {
        (words[0], words[-1]): (ids.tolist(), first.tolist())
        for ids, first, rows in zip(prepared.windows, prepared.owned, prepared.owner, strict=True)
        for words in rows
    }
    trained = {
        (before[one.sentence] + one.window.own_start, before[one.sentence] + one.window.own_end - 1): (
            one.ids.tolist(),
            one.owned.tolist(),
        )
        for one in windows
    }
    assert served == trained


@pytest.mark.parametrize("sentence", [["x"], ["x"] * 40])
def test_an_overlap_of_more_than_half_is_refused(sentence: list[str]) -> None:
    encoder = PieceEncoder(make_tokenizer())
    assert encoder.room(16) == 14
    tag_windows(encoder, [sentence], 16, 7)
    with pytest.raises(ValueError, match="overlap 8 must lie between 0 and half of the budget 14"):
        tag_windows(encoder, [sentence], 16, 8)

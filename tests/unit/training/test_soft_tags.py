"""Distributions over labels, word by word, against transformers' own."""

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForTokenClassification

from tests.tiny_encoder import make_encoder, sentences
from tofner.training import checkpoint
from tofner.training.priors import soft_tags
from tofner.words.features import tag_windows

LABELS = ["O", "B-PER", "I-PER"]


def test_each_word_has_one_distribution(tmp_path: Path) -> None:
    """That of its first piece in the window that owns it, of long sentences too."""
    model = checkpoint.load_tagger(make_encoder(tmp_path / "e"), LABELS, "fresh").eval()
    checkpoint.save(model, tmp_path / "e", tmp_path / "tagger")
    encoder = checkpoint.piece_encoder(tmp_path / "e")
    words = [[word for words, _ in sentences("posts", 5) for word in words], ["Tom", "xyz"]]
    found = soft_tags(model, encoder, words, 24, 10)
    whole = AutoModelForTokenClassification.from_pretrained(tmp_path / "tagger").eval()
    expected = []
    windows, _ = tag_windows(encoder, words, 24, 10)
    assert len(windows) > 3
    for one in windows:
        with torch.no_grad():
            logits = whole(torch.from_numpy(one.ids[None]).long()).logits[0].double().numpy()
        rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        own = range(one.window.own_start - one.window.start, one.window.own_end - one.window.start)
        expected += [rows[one.first[w]] for w in own]
    assert len(found) == len(expected) == sum(map(len, words))
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-5)

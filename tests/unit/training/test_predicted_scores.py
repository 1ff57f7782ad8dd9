"""Predicted tags and scores against the softmax written out, in double precision."""

import math
from types import SimpleNamespace

import torch
from torch import nn

from tests.tiny_tagger import make_tokenizer
from tofner.training.ner import predict_tags
from tofner.words.pieces import PieceEncoder

LABELS = ["O", "B-PER", "I-PER"]
SENTENCES = [["Merkel", "x", "Obama", "Berlin"], ["Ajax"], []]


class Table(nn.Module):
    """Logits by the piece alone: float32 [vocabulary, labels]."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table, requires_grad=False)

    def forward(self, input_ids: torch.Tensor, **_: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table[input_ids])


def test_scores_are_the_softmax_in_double_precision() -> None:
    tokenizer = make_tokenizer()
    table = torch.randn(tokenizer.get_vocab_size(), 3, generator=torch.Generator().manual_seed(5)) * 4
    found = predict_tags(Table(table), PieceEncoder(make_tokenizer()), SENTENCES, ["O", "B-PER", "B-LOC"], 16, 4)
    for words, tagging in zip(SENTENCES, found, strict=True):
        assert len(tagging.tags) == len(words)
        for word, tag, score in zip(words, tagging.tags, tagging.scores, strict=True):
            logits = table[tokenizer.encode(word, add_special_tokens=False).ids[0]].tolist()
            best = max(range(3), key=lambda i: logits[i])
            assert tag == ["O", "B-PER", "B-LOC"][best]
            assert math.isclose(score, math.exp(logits[best]) / math.fsum(map(math.exp, logits)), rel_tol=1e-14)


def test_of_equal_logits_the_first_label_wins() -> None:
    size = make_tokenizer().get_vocab_size()
    found = predict_tags(Table(torch.zeros(size, 3)), PieceEncoder(make_tokenizer()), SENTENCES, LABELS, 16, 4)
    assert [tagging.tags for tagging in found] == [["O"] * 4, ["O"], []]
    assert found[1].scores == [1 / 3]

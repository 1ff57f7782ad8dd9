"""Features, masking, heads and the fit loop on tiny encoders of every family."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_encoder import make_encoder, sentences
from tofner.corpora.examples import MrcExample
from tofner.corpora.lazy import cap
from tofner.errors import BadData, BadModel
from tofner.model.encoder import check_checkpoint
from tofner.settings import Mlm, Mrc
from tofner.training import checkpoint
from tofner.training.batches import pad
from tofner.training.mlm import mask, mask_examples, predict_only_masked
from tofner.training.mrc import (
    SpanExtractor,
    collate,
    inside,
    load_heads,
    nearest_ends,
    predict_answers,
    save_heads,
    score_answers,
    span_examples,
    windows_of,
)
from tofner.training.ner import predict_tags, tag_examples
from tofner.words.features import IGNORED

FAMILIES = ["bert", "distilbert", "electra", "xlm-roberta"]
LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]


@pytest.fixture(params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_encoder(tmp_path / request.param, request.param)


def test_every_word_is_labelled_once_by_its_first_piece(folder: Path) -> None:
    words = ["Anna", "Berg", "xylophone", "in", "New", "York"] * 9
    tags = ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"] * 9
    encoder = checkpoint.piece_encoder(folder)
    examples, counts = tag_examples(encoder, [words], [tags], LABELS, max_pieces=32, overlap_pieces=8)
    assert counts["windows"] == len(examples) > 1
    found = [int(label) for i in range(len(examples)) for label in examples[i]["labels"] if label != IGNORED]
    assert [LABELS[i] for i in found] == tags
    assert max(examples[i]["input_ids"].size for i in range(len(examples))) <= 32


def test_unknown_tags_are_refused(folder: Path) -> None:
    with pytest.raises(BadData, match="B-XYZ"):
        tag_examples(checkpoint.piece_encoder(folder), [["a"]], [["B-XYZ"]], LABELS, 32, 8)


def test_predictions_do_not_depend_on_the_batch(folder: Path) -> None:
    model = checkpoint.load_tagger(folder, LABELS, "carry").eval()
    encoder = checkpoint.piece_encoder(folder)
    texts = [words for words, _ in sentences("posts", 9)] + [["Tom"] * 70, []]
    together = predict_tags(model, encoder, texts, LABELS, 32, 8, batch_size=64)
    alone = predict_tags(model, encoder, texts, LABELS, 32, 8, batch_size=1)
    assert [t.tags for t in together] == [t.tags for t in alone]
    assert [len(t.tags) for t in together] == [len(words) for words in texts]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_masked_prediction_has_the_loss_of_the_whole_model(folder: Path) -> None:
    model, fresh = checkpoint.load_masked_lm(folder)
    assert fresh
    model.eval()
    encoder = checkpoint.piece_encoder(folder)
    texts = [words for words, _ in sentences("news", 6)]
    examples, _ = mask_examples(encoder, texts, Mlm(max_pieces=32), model.config.vocab_size, 1, 2)
    batch = pad([examples[i] for i in range(len(examples))], {"labels": IGNORED})
    with torch.no_grad():
        whole = model(**batch).loss
        ours = predict_only_masked(model)(**batch)["loss"]
    assert float(ours) == pytest.approx(float(whole), rel=1e-5)


def test_maskings_of_a_sentence_differ_and_are_fixed_by_the_seed(tmp_path: Path) -> None:
    encoder = checkpoint.piece_encoder(make_encoder(tmp_path / "e"))
    texts = [words for words, _ in sentences("news", 3)]
    first, again, other = (mask_examples(encoder, texts, Mlm(), 100, seed, 10)[0] for seed in (1, 1, 2))
    assert len(first) == 30
    rows = [first[i]["input_ids"].tolist() for i in range(10)]
    assert len({tuple(row) for row in rows}) > 1
    assert rows == [again[i]["input_ids"].tolist() for i in range(10)]
    assert rows != [other[i]["input_ids"].tolist() for i in range(10)]


@given(st.integers(1, 60), st.floats(0.05, 0.9), st.integers(0, 2**31))
def test_masking_hits_its_share_and_spares_special_pieces(size: int, share: float, seed: int) -> None:
    ids = np.arange(10, 12 + size, dtype=np.int32)
    maskable = np.ones(ids.size, bool)
    maskable[[0, -1]] = False
    corrupted, labels = mask(ids, maskable, share, 4, 9, np.random.default_rng(seed))
    chosen = labels != IGNORED
    assert chosen.sum() == max(1, round(share * size))
    assert not chosen[[0, -1]].any()
    assert (labels[chosen] == ids[chosen]).all()
    assert (corrupted[~chosen] == ids[~chosen]).all()


def test_masking_is_80_10_10() -> None:
    ids = np.full(200_000, 50, np.int32)
    corrupted, labels = mask(ids, np.ones(ids.size, bool), 0.15, 4, 40, np.random.default_rng(0))
    chosen = corrupted[labels != IGNORED]
    shares = [(chosen == 4).mean(), (chosen == 50).mean()]
    assert shares[0] == pytest.approx(0.8 + 0.1 / 40, abs=0.01)
    assert shares[1] == pytest.approx(0.1, abs=0.01)


def question(tokens: list[str], *answers: tuple[int, int]) -> MrcExample:
    return MrcExample("q", "Who is named ?", tokens, [a for a, _ in answers], [b for _, b in answers])


SETTINGS = Mrc(learning_rate=1e-3, max_pieces=40, overlap_pieces=10)


def test_answers_are_marked_in_each_window_that_holds_them(folder: Path) -> None:
    encoder = checkpoint.piece_encoder(folder)
    example = question(["in", "Oslo", "Anna", "Berg"] * 12, (2, 4), (42, 44))
    examples, _ = span_examples(encoder, [example], SETTINGS)
    windows, _ = windows_of(encoder, [example], SETTINGS)
    assert len(windows) == len(examples) > 1
    marked = set()
    for i, window in enumerate(windows):
        features = examples[i]
        for start, end in inside(example, window):
            assert features["starts"][window.first[start]] == 1
            assert features["ends"][window.last[end - 1]] == 1
            marked.add((window.window.start + start, window.window.start + end))
        assert (features["starts"] == 1).sum() == len(inside(example, window))
        context = features["starts"] != IGNORED
        assert not context[: window.first[0]].any()
        assert not context[window.last[-1] + 1 :].any()
        assert context.sum() == window.last[-1] + 1 - window.first[0]
    assert marked == {(2, 4), (42, 44)}


@pytest.mark.parametrize("span_match", [False, True])
def test_span_extractor_learns_and_its_heads_travel(tmp_path: Path, span_match: bool) -> None:
    torch.manual_seed(0)
    folder = make_encoder(tmp_path / "e")
    encoder = checkpoint.piece_encoder(folder)
    model = SpanExtractor(checkpoint.load_encoder(folder), span_match)
    items = [words for words, _ in sentences("news", 8)]
    examples = [
        question(words, *((i, i + 1) for i, w in enumerate(words) if w in ("Anna", "Tom", "Lee"))) for words in items
    ]
    features, _ = span_examples(encoder, examples, SETTINGS)
    batch = collate([features[i] for i in range(len(features))])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        loss = model(**batch)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    model.eval()
    assert score_answers(predict_answers(model, encoder, examples, SETTINGS), examples)["f1"] > 0.9
    save_heads(model, tmp_path, SETTINGS)
    other = SpanExtractor(checkpoint.load_encoder(folder), span_match)
    load_heads(other, tmp_path)
    assert torch.equal(other.start.weight, model.start.weight)
    with pytest.raises(BadModel, match="span_match"):
        load_heads(SpanExtractor(checkpoint.load_encoder(folder), not span_match), tmp_path)


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_nearest_ends_give_disjoint_answers(starts: set[int], ends: set[int]) -> None:
    answers = nearest_ends(sorted(starts), sorted(ends))
    assert all(start in starts and end in ends and start <= end for start, end in answers)
    assert all(a[1] < b[0] for a, b in pairwise(answers))
    # A start is left out only if another start comes before its end, or there is no end.
    for start in starts - {a for a, _ in answers}:
        later = [e for e in ends if e >= start]
        assert not later or any(start < s <= min(later) for s in starts)


def test_caps_are_seeded_and_keep_order() -> None:
    assert list(cap(range(5), None, 1)) == [0, 1, 2, 3, 4]
    drawn = list(cap(range(100), 10, 1))
    assert drawn == sorted(drawn) == list(cap(range(100), 10, 1)) != list(cap(range(100), 10, 2))
    assert len(set(drawn)) == 10


def test_tagger_head_is_carried_or_fresh(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "e")
    torch.manual_seed(0)
    tagger: Any = checkpoint.load_tagger(folder, LABELS, "carry")
    checkpoint.save(tagger, folder, tmp_path / "tagger")
    carried: Any = checkpoint.load_tagger(tmp_path / "tagger", LABELS, "carry")
    fresh: Any = checkpoint.load_tagger(tmp_path / "tagger", LABELS, "fresh")
    assert torch.equal(carried.classifier.weight, tagger.classifier.weight)
    assert not torch.equal(fresh.classifier.weight, tagger.classifier.weight)


def test_pickled_or_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "e")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"no \*\.safetensors"):
        check_checkpoint(str(folder))
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadModel, match="gpt2"):
        check_checkpoint(str(folder))

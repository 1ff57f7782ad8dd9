"""The MLM task: BERT's masking, and the loss by a numpy expression."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from tests.tiny_encoder import make_encoder, sentences
from tofner.settings import Mlm
from tofner.training import checkpoint
from tofner.training.batches import Examples, pad
from tofner.training.mlm import mask, mask_examples, masked_loss, predict_only_masked
from tofner.words.features import IGNORED

SETTINGS = Mlm(max_pieces=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("mlm") / "bert")


def test_80_10_10_and_random_pieces_are_of_the_whole_vocabulary() -> None:
    size, vocabulary, mask_id = 200_000, 40, 4
    corrupted, labels = mask(
        np.full(size, 50, np.int32), np.ones(size, bool), 0.15, mask_id, vocabulary, np.random.default_rng(0)
    )
    chosen = corrupted[labels != IGNORED]
    assert chosen.size == round(0.15 * size)
    counts = np.bincount(chosen, minlength=51) / chosen.size
    assert counts[mask_id] == pytest.approx(0.8 + 0.1 / vocabulary, abs=0.008)
    assert counts[50] == pytest.approx(0.1, abs=0.008)
    others = np.delete(counts[:vocabulary], mask_id)
    assert others == pytest.approx(np.full(vocabulary - 1, 0.1 / vocabulary), abs=0.0015)


def examples_of(folder: Path, texts: list[list[str]], maskings: int, seed: int = 1) -> Examples:
    return mask_examples(checkpoint.piece_encoder(folder), texts, SETTINGS, 100, seed, maskings)[0]


def test_each_sentence_is_masked_afresh_as_often_as_asked(folder: Path) -> None:
    texts = [words for words, _ in sentences("news", 4)]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    examples = examples_of(folder, texts, maskings=7)
    assert len(examples) == 28
    for i in range(len(examples)):
        whole = tokenizer(texts[i // 7], is_split_into_words=True)["input_ids"]
        labels = examples[i]["labels"]
        chosen = labels != IGNORED
        assert not chosen[[0, -1]].any()  # [CLS] and [SEP]
        assert chosen.sum() == max(1, round(0.15 * (len(whole) - 2)))
        assert np.where(chosen, labels, examples[i]["input_ids"]).tolist() == whole
    for k in range(4):
        assert len({tuple(np.flatnonzero(examples[k * 7 + j]["labels"] != IGNORED)) for j in range(7)}) > 1


@pytest.mark.parametrize("remask", [True, False])
def test_each_epoch_has_maskings_of_its_own(folder: Path, remask: bool) -> None:
    texts = [words for words, _ in sentences("news", 6)]
    settings = SETTINGS.model_copy(update={"remask": remask})
    examples, _ = mask_examples(checkpoint.piece_encoder(folder), texts, settings, 100, 1, 3)
    seen = []
    for epoch in (0, 1, 1):
        examples.epoch = epoch
        seen.append([tuple(examples[i]["labels"].tolist()) for i in range(len(examples))])
    assert seen[1] == seen[2], "an epoch that is gone on with is the same"
    assert (seen[0] == seen[1]) != remask
    if remask:
        assert len({row for epoch in seen for row in epoch}) > len(set(seen[0])) * 1.5


def test_lengths_are_those_of_the_examples(folder: Path) -> None:
    examples = examples_of(folder, [words for words, _ in sentences("news", 5)], maskings=3)
    assert examples.lengths == [examples[i]["input_ids"].size for i in range(len(examples))]
    assert len(set(examples.lengths)) > 1


def reference_losses(folder: Path, examples: Examples) -> list[float]:
    """-log p of every predicted piece, by stock transformers, each example on its own."""
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    losses: list[float] = []
    for i in range(len(examples)):
        ids, labels = examples[i]["input_ids"], examples[i]["labels"]
        with torch.no_grad():
            logits = model(torch.from_numpy(ids.astype(np.int64))[None]).logits[0].double().numpy()
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        losses += [-np.log(p[at, labels[at]]) for at in np.flatnonzero(labels != IGNORED)]
    return losses


def masked_model(folder: Path, tmp_path: Path) -> tuple[torch.nn.Module, Path]:
    """A model that has its MLM head, so that both sides read the same one."""
    torch.manual_seed(0)
    model, fresh = checkpoint.load_masked_lm(folder)
    assert fresh
    checkpoint.save(model, folder, tmp_path)
    again, fresh = checkpoint.load_masked_lm(tmp_path)
    assert not fresh
    return predict_only_masked(again).eval(), tmp_path


def test_loss_is_that_of_the_masked_pieces(folder: Path, tmp_path: Path) -> None:
    model, place = masked_model(folder, tmp_path)
    texts = [words for words, _ in sentences("posts", 5)]
    examples = examples_of(folder, texts, maskings=2)
    batch = pad([examples[i] for i in range(len(examples))], {"labels": IGNORED})
    with torch.no_grad():
        assert float(model(**batch)["loss"]) == pytest.approx(np.mean(reference_losses(place, examples)), rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_dev_loss_is_the_mean_over_pieces_whatever_the_batches(folder: Path, tmp_path: Path, batch_size: int) -> None:
    model, place = masked_model(folder, tmp_path)
    texts = [["Tom"], [word for words, _ in sentences("news", 3) for word in words], ["in", "Oslo"]]
    examples = examples_of(folder, texts, maskings=1)
    expected = np.mean(reference_losses(place, examples))
    found = masked_loss(model, examples, batch_size)
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert found["score"] == -found["loss"]
    assert found["perplexity"] == pytest.approx(np.exp(expected), rel=1e-3)

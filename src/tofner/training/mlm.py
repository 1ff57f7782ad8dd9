"""The MLM task: BERT's masking (Devlin et al., 2019), several fresh maskings a sentence (Han & Eisenstein, 2019)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from tofner.corpora.lazy import in_chunks
from tofner.errors import BadModel, Problem
from tofner.model.layout import CONFIG, TOKENIZER
from tofner.settings import Mlm
from tofner.training.batches import ENCODED_TOGETHER, Examples, FeatureFile, Features, pad
from tofner.words.features import IGNORED, tag_windows
from tofner.words.pieces import PieceEncoder


def predict_only_masked(model: PreTrainedModel) -> PreTrainedModel:
    """Give a masked language model a forward pass that computes the output layer for the masked pieces alone.

    The product with the vocabulary is most of the work of a small encoder, and 85 % of it would be thrown away; the
    loss is that of the whole model. The instance's `forward` is replaced, so that saving, tying and parallel training
    stay transformers' own.

    The new forward takes `input_ids`, `attention_mask`, `labels` int64 [B, S] (IGNORED where nothing is predicted) and
    returns `{"loss": scalar}`.
    """
    head = _head(model)

    def forward(input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # [B, S, d]
        masked = labels != IGNORED
        logits = head(hidden[masked].unsqueeze(0)).squeeze(0)  # [masked, vocabulary]
        return {"loss": nn.functional.cross_entropy(logits.float(), labels[masked])}

    model.forward = forward
    return model


def _head(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """What the families put on their encoder's output to predict pieces: [..., d] -> [..., vocabulary]."""
    family = model.config.model_type
    if family == "bert":
        return cast("Callable[[torch.Tensor], torch.Tensor]", model.cls)
    if family == "distilbert":
        return lambda h: model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(h))))
    if family == "electra":
        return lambda h: model.generator_lm_head(model.generator_predictions(h))
    if family in ("roberta", "xlm-roberta"):
        return cast("Callable[[torch.Tensor], torch.Tensor]", model.lm_head)
    raise BadModel(Problem(CONFIG, f"model_type {family!r}", "bert, distilbert, electra, roberta or xlm-roberta"))


def mask(
    ids: np.ndarray, maskable: np.ndarray, share: float, mask_id: int, vocabulary: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Corrupt `share` of the maskable pieces, at least one: 80 % become the mask, 10 % a random piece, 10 % stay.

    Args:
        ids: int32 [pieces]. maskable: bool [pieces], false on special pieces.

    Returns:
        Corrupted ids and labels, int32 [pieces]; labels are the true ids where a piece is predicted, else IGNORED.
    """
    places = np.flatnonzero(maskable)
    labels = np.full(ids.size, IGNORED, np.int32)
    if not places.size:
        return ids.copy(), labels
    chosen = rng.choice(places, max(1, round(share * places.size)), replace=False)
    labels[chosen] = ids[chosen]
    corrupted = ids.copy()
    dice = rng.random(chosen.size)
    corrupted[chosen[dice < 0.8]] = mask_id
    swapped = chosen[(dice >= 0.8) & (dice < 0.9)]
    corrupted[swapped] = rng.integers(0, vocabulary, swapped.size)
    return corrupted, labels


def mask_id(encoder: PieceEncoder) -> int:
    """Id of the tokenizer's mask piece.

    Raises:
        BadModel: there is none, so the encoder cannot be adapted by masking.
    """
    for piece in ("[MASK]", "<mask>"):
        found = encoder.tokenizer.token_to_id(piece)
        if found is not None:
            return int(found)
    fix = "use an encoder with a mask piece, or set use.mlm=false"
    raise BadModel(Problem(TOKENIZER, "no [MASK] or <mask> piece", "one", fix))


def mask_examples(
    encoder: PieceEncoder, sentences: Sequence[Sequence[str]], settings: Mlm, vocabulary: int, seed: int, maskings: int
) -> tuple[Examples, dict[str, int]]:
    """`maskings` examples of each window (`input_ids`, `labels`, both [pieces]), drawn afresh but fixed by seed.

    With `settings.remask` each epoch has maskings of its own.
    """
    shortened = 0

    def rows() -> Iterator[Features]:
        nonlocal shortened
        for chunk in in_chunks(sentences, ENCODED_TOGETHER):
            windows, cut = tag_windows(encoder, chunk, settings.max_pieces, 0)
            shortened += cut
            yield from ({"input_ids": one.ids} for one in windows)

    table = FeatureFile(rows(), ("input_ids",))
    masked = mask_id(encoder)
    inside = slice(len(encoder.prefix), -len(encoder.suffix) or None)

    def make(i: int) -> Features:
        whole = table[i // maskings]["input_ids"]
        maskable = np.zeros(whole.size, bool)
        maskable[inside] = True
        draw = i + made.epoch * len(made) if settings.remask else i
        rng = np.random.default_rng([seed, draw])
        ids, labels = mask(whole, maskable, settings.masked_share, masked, vocabulary, rng)
        return {"input_ids": ids, "labels": labels}

    lengths = [length for length in table.lengths for _ in range(maskings)]
    made = Examples(len(lengths), make, lengths)
    return made, {"windows": len(table), "shortened_words": shortened}


def masked_loss(model: nn.Module, examples: Examples, batch_size: int) -> dict[str, float]:
    """Mean loss per predicted piece over fixed maskings; `score` is its negative, so that higher is better."""
    device = next(model.parameters()).device
    total, count = 0.0, 0
    features = sorted((examples[i] for i in range(len(examples))), key=lambda example: example["input_ids"].size)
    for start in range(0, len(features), batch_size):
        batch = pad(features[start : start + batch_size], {"labels": IGNORED})
        predicted = int((batch["labels"] != IGNORED).sum())
        with torch.inference_mode():
            loss = model(**{name: tensor.to(device) for name, tensor in batch.items()})["loss"]
        total += float(loss) * predicted
        count += predicted
    loss = total / max(count, 1)
    return {"score": -loss, "loss": loss, "perplexity": float(np.exp(min(loss, 50.0)))}

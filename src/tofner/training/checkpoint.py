"""Checkpoints: Hugging Face folders that carry their labels, window sizes and tokenizer with them.

Every checkpoint loads with `AutoModel` as the encoder alone, so each task starts from the last one's encoder
(Algorithm 1, lines 3, 5, 8, 13, 15). Weights are safetensors; nothing here unpickles anything.
"""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from tofner.errors import BadModel, Problem
from tofner.model.encoder import check_checkpoint
from tofner.model.layout import FORMAT, LABELS, TAGGER, TOKENIZER, WEIGHTS
from tofner.settings import Machine, Ner
from tofner.words.pieces import PieceEncoder
from tofner.words.segment import SEGMENTATION

TOKENIZER_FILES = (
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
)
# A pickle beside the safetensors runs whatever is in it.
EXACTLY: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True}


def piece_encoder(folder: Path) -> PieceEncoder:
    if (folder / TOKENIZER).is_file():
        return PieceEncoder.from_file(folder / TOKENIZER)
    return PieceEncoder(AutoTokenizer.from_pretrained(folder).backend_tokenizer)


def device(machine: Machine) -> Any:
    """Where predictions are made."""
    return torch.device(machine.device)


def takes_token_types(model: nn.Module) -> bool:
    """Whether the family has token type ids: BERT and ELECTRA do, DistilBERT and XLM-R do not (or only type 0)."""
    config: Any = model.config
    return config.model_type in ("bert", "electra") and getattr(config, "type_vocab_size", 0) > 1


def load_tagger(folder: Path, labels: list[str], head: str) -> PreTrainedModel:
    """A token classifier over `labels` (BIO2) whose encoder, and with `head="carry"` also head, come from `folder`.

    A head with other labels is an error when it should be carried; without any head in the folder a fresh one is made.
    """
    config = AutoConfig.from_pretrained(folder)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    model, info = AutoModelForTokenClassification.from_pretrained(
        folder, config=config, **EXACTLY, output_loading_info=True, ignore_mismatched_sizes=False
    )
    if head == "fresh" and not any(key.startswith("classifier") for key in info["missing_keys"]):
        nn.init.normal_(model.classifier.weight, std=config.initializer_range)
        nn.init.zeros_(model.classifier.bias)
    return cast("PreTrainedModel", model)


def carry_head(model: PreTrainedModel, folder: Path, labels: list[str]) -> None:
    """Put the classification head of an earlier tagger on `model` (Algorithm 1, line 15: h goes on over the rounds).

    Raises:
        BadModel: the earlier tagger has other labels.
    """
    earlier, known, _ = load_trained_tagger(folder)
    if known != labels:
        raise BadModel(Problem(str(folder), f"labels {known}", f"labels {labels}", "use the same types, or head=fresh"))
    inside = f"{model.base_model_prefix}."
    head = {name: tensor for name, tensor in earlier.state_dict().items() if not name.startswith(inside)}
    model.load_state_dict(head, strict=False)


def load_trained_tagger(folder: Path) -> tuple[PreTrainedModel, list[str], dict[str, Any]]:
    """A finished tagger with its labels and `tagger.json` (max_pieces, overlap_pieces, segmentation).

    Raises:
        BadModel: the folder is not one that the ner stage made.
    """
    for name in (LABELS, TAGGER):
        if not (folder / name).is_file():
            raise BadModel(Problem(str(folder), f"no {name}", "a checkpoint of the ner stage"))
    labels = json.loads((folder / LABELS).read_text(encoding="utf-8"))["labels"]
    about = json.loads((folder / TAGGER).read_text(encoding="utf-8"))
    check_checkpoint(str(folder))
    model = AutoModelForTokenClassification.from_pretrained(folder, **EXACTLY)
    return model.eval(), labels, about


def load_masked_lm(folder: Path) -> tuple[PreTrainedModel, bool]:
    """A masked language model and whether its head is new (the checkpoint had none).

    The output matrix is tied to the word embeddings, so a new head is only its small transform and bias.
    """
    model, info = AutoModelForMaskedLM.from_pretrained(folder, **EXACTLY, output_loading_info=True)
    model.tie_weights()
    base = f"{model.base_model_prefix}."
    fresh = any(not key.startswith(base) and "decoder" not in key for key in info["missing_keys"])
    return model, fresh


def load_encoder(folder: Path) -> PreTrainedModel:
    """The encoder alone, without pooler where the family has one."""
    config = AutoConfig.from_pretrained(folder)
    options = {"add_pooling_layer": False} if config.model_type in ("bert", "xlm-roberta", "roberta") else {}
    return cast("PreTrainedModel", AutoModel.from_pretrained(folder, **EXACTLY, **options))


def save(model: PreTrainedModel, encoder_folder: Path, output: Path) -> None:
    """Weights, config and the tokenizer files of the encoder it came from, unchanged."""
    model.save_pretrained(output)
    for path in output.glob(WEIGHTS):
        path.chmod(0o644)  # it is saved for its owner alone, and pods of one store may have different users
    if (encoder_folder / TOKENIZER).is_file():
        for name in TOKENIZER_FILES:
            if (encoder_folder / name).is_file():
                shutil.copyfile(encoder_folder / name, output / name)
    else:
        AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(output)


def save_tagger_files(output: Path, labels: list[str], training: Ner) -> None:
    """`labels.json` and `tagger.json`: what a tagger needs besides weights and tokenizer."""
    about = {
        "format": FORMAT,
        "max_pieces": training.max_pieces,
        "overlap_pieces": training.overlap_pieces,
        "segmentation": SEGMENTATION,
    }
    for name, value in ((LABELS, {"labels": labels, "scheme": "BIO2"}), (TAGGER, about)):
        (output / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")

"""Tiny encoders of each family made on the spot (two layers, hidden 32), and a tiny data root to train them on."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

NAMES = {"PER": ["Anna Berg", "Tom", "Lee Wong"], "LOC": ["Oslo", "New York"], "ORG": ["Acme Corp", "Reuters"]}
FORMS = [
    ("{PER} flew to {LOC} on Monday .", "news"),
    ("{ORG} said {PER} would lead it .", "news"),
    ("shares of {ORG} fell in {LOC} .", "news"),
    ("lol {PER} is in {LOC} rn #fun", "posts"),
    ("@x why does {ORG} hate {PER} ??", "posts"),
]
WORDS = sorted(
    {w for form, _ in FORMS for w in form.split() if "{" not in w}
    | {w for n in NAMES.values() for m in n for w in m.split()}
)
FAMILIES = {
    "bert": (BertConfig, BertModel, {}),
    "electra": (ElectraConfig, ElectraModel, {"embedding_size": 16}),
    "xlm-roberta": (
        XLMRobertaConfig,
        XLMRobertaModel,
        {"pad_token_id": 1, "type_vocab_size": 1, "max_position_embeddings": 140},
    ),
}


def make_shell(folder: Path) -> Path:
    """What passes for an encoder until it is loaded: for graphs whose stages are doubles."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).write_bytes(b"")
    return folder


def make_encoder(folder: Path, family: str = "bert", seed: int = 0) -> Path:
    """A checkpoint folder with random but fixed weights and a fast tokenizer."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer(family)
    size = tokenizer.get_vocab_size()
    if family == "distilbert":
        config = DistilBertConfig(
            vocab_size=size, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=128
        )
        model = DistilBertModel(config)
    else:
        kind, cls, extra = FAMILIES[family]
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
        config = kind(vocab_size=size, **{"max_position_embeddings": 128, **sizes, **extra})
        model = cls(config)
    model.save_pretrained(folder)
    roberta = family == "xlm-roberta"
    names = ("<s>", "</s>", "<pad>", "<unk>", "<mask>") if roberta else ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **dict(zip(("cls_token", "sep_token", "pad_token", "unk_token", "mask_token"), names, strict=True)),
    ).save_pretrained(folder)
    return folder


def _tokenizer(family: str) -> Tokenizer:
    letters = [chr(i) for i in range(33, 127)]
    if family == "xlm-roberta":
        pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "▁", *("▁" + word for word in WORDS), *letters]
        scores = [(piece, -float(i)) for i, piece in enumerate(dict.fromkeys(pieces))]
        tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.post_processor = processors.TemplateProcessing(
            "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)]
        )
        return tokenizer
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def sentences(style: str, count: int, offset: int = 0) -> list[tuple[list[str], list[str]]]:
    """`count` labelled sentences of one style, BIO2, the same for the same arguments."""
    forms = [form for form, kind in FORMS if kind == style]
    made = []
    for i in range(offset, offset + count):
        tokens: list[str] = []
        tags: list[str] = []
        for k, part in enumerate(forms[i % len(forms)].split()):
            if "{" not in part:
                tokens.append(part)
                tags.append("O")
                continue
            type_ = part.strip("{}")
            name = NAMES[type_][(i * 7 + k * 3 + i // len(forms)) % len(NAMES[type_])].split()
            tokens += name
            tags += [f"B-{type_}"] + [f"I-{type_}"] * (len(name) - 1)
        made.append((tokens, tags))
    return made


def conll(items: list[tuple[list[str], list[str]]]) -> str:
    return "".join("".join(f"{w} {t}\n" for w, t in zip(*item, strict=True)) + "\n" for item in items)


def squad(style: str, count: int) -> str:
    """Questions for the persons of the sentences."""
    paragraphs = []
    for i, (tokens, tags) in enumerate(sentences(style, count, offset=100)):
        text = " ".join(tokens)
        answers = []
        for k, tag in enumerate(tags):
            if tag == "B-PER":
                answers = [{"text": tokens[k], "answer_start": len(" ".join([*tokens[:k], ""]))}]
        if answers:
            qa = {"id": f"{style}-{i}", "question": "Who is named?", "answers": answers}
            paragraphs.append({"context": text, "qas": [qa]})
    return json.dumps({"version": "1.1", "data": [{"title": style, "paragraphs": paragraphs}]})


def make_data(root: Path, scramble_target: bool = False) -> Path:
    """A data root with sets `src`, `tgt` (ner) and `src-qa`, `tgt-qa` (mrc).

    `scramble_target` replaces every target label of train and dev by nonsense and leaves the words and the test alone.
    """
    for split, count in (("train", 24), ("dev", 8), ("test", 8)):
        for name, style in (("src", "news"), ("tgt", "posts")):
            items = sentences(style, count, offset={"train": 0, "dev": 31, "test": 57}[split])
            if name == "tgt" and scramble_target and split != "test":
                items = [
                    (words, [f"B-{('PER', 'LOC', 'ORG')[(i + k) % 3]}" for k in range(len(words))])
                    for i, (words, _) in enumerate(items)
                ]
            path = root / "ner" / name / f"{split}.conll"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(conll(items), encoding="utf-8")
    for name, style in (("src-qa", "news"), ("tgt-qa", "posts")):
        for split, count in (("train", 12), ("dev", 6)):
            path = root / "mrc" / name / f"{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(squad(style, count), encoding="utf-8")
    return root


PRESET = """
description: tiny news to tiny posts
encoder: {encoder}
types: [PER, ORG, LOC]
roles:
  source_ner: {{train: [src/train], dev: [src/dev]}}
  target_text: [tgt/train, tgt/dev]
  target_test: [tgt/test]
  target_mrc: {{train: [tgt-qa/train], dev: [tgt-qa/dev]}}
  source_mrc: {{train: [src-qa/train], dev: [src-qa/dev]}}
stages:
  mlm: {{learning_rate: 5.0e-4, epochs: 1, batch_size: 8, maskings: 2, max_pieces: 32}}
  mrc: {{learning_rate: 5.0e-4, epochs: 1, batch_size: 8, max_pieces: 64, overlap_pieces: 8}}
  ner: {{learning_rate: 5.0e-3, epochs: 8, batch_size: 8, max_pieces: 32, overlap_pieces: 8}}
  pseudo_ner: {{learning_rate: 1.0e-3, epochs: 1, batch_size: 8, max_pieces: 32, overlap_pieces: 8}}
  loop_mrc: {{learning_rate: 1.0e-3, epochs: 1, batch_size: 8, max_pieces: 64, overlap_pieces: 8}}
  export: {{int8: false}}
  loop_ner: {{learning_rate: 1.0e-3, epochs: 1, batch_size: 8, max_pieces: 32, overlap_pieces: 8}}
"""


def make_preset(path: Path, encoder: Path) -> Path:
    path.write_text(PRESET.format(encoder=encoder), encoding="utf-8")
    return path

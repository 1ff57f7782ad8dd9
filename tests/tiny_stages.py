"""Algorithm 1 at the smallest scale: real stages through `execute`, run when first asked for, and what they fitted.

The corpora differ from those of `tiny_encoder` in what the method turns on: every sentence is unlike all others, source
and target differ in size, a translated set is there, types need a label map, and each language has its own queries.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.tiny_encoder import conll, make_encoder, sentences
from tofner.stages import Plan, execute, plan
from tofner.stages.runtime import read_json

SOURCE, TRANSLATED, TARGET_TRAIN, TARGET_DEV, DEV, TEST = 60, 12, 40, 14, 10, 12  # sentences
TARGET = TARGET_TRAIN + TARGET_DEV
SOURCE_QUESTIONS, TARGET_QUESTIONS, DEV_QUESTIONS = 9, 7, 5
TYPES = ("PER", "ORG", "LOC")
DROPPED, REPAIRED = 2, 1  # MISC entities and orphan I- tags of source_ner and its translation
QUERIES = {
    "en": {"PER": "Who is it ?", "ORG": "Which firm ?", "LOC": "Which place ?"},
    "es": {"PER": "q p", "ORG": "q o", "LOC": "q l"},
}
PRESET = """
description: tiny news to tiny posts
encoder: {root}/encoder
source_language: en
target_language: es
types: [PER, ORG, LOC]
queries: {root}/queries
label_map: {{GPE: LOC, MISC: null}}
roles:
  source_ner: {{train: [src/train], dev: [src/dev]}}
  translated_ner: {{train: [trans/train]}}
  target_text: [tgt/train, tgt/dev]
  target_test: [tgt/test]
  target_mrc: {{train: [tgt-qa/train], dev: [tgt-qa/dev]}}
  source_mrc: {{train: [src-qa/train], dev: [src-qa/dev]}}
stages:
  mlm: {{learning_rate: 5.0e-4, epochs: 2, batch_size: 64, maskings: 2, max_pieces: 48}}
  mrc: {{learning_rate: 1.0e-2, epochs: 5, batch_size: 32, max_pieces: 72, overlap_pieces: 8}}
  ner: {{learning_rate: 1.0e-2, epochs: 6, batch_size: 16, max_pieces: 48, overlap_pieces: 8}}
  pseudo_ner: {{learning_rate: 1.0e-12, epochs: 1, batch_size: 64, max_pieces: 48, overlap_pieces: 8}}
  loop_mrc: {{learning_rate: 1.0e-3, epochs: 1, batch_size: 64, max_pieces: 72, overlap_pieces: 8}}
  loop_ner: {{learning_rate: 1.0e-12, epochs: 1, batch_size: 64, max_pieces: 48, overlap_pieces: 8}}
"""
TASKS = {"pseudo_ner": "ner", "loop_mrc": "mrc", "loop_ner": "ner"}  # settings of their own, stage of another
Labelled = list[tuple[list[str], list[str]]]


def marked(style: str, count: int, offset: int, mark: str) -> Labelled:
    """Sentences that end with a word of their own, of several pieces."""
    return [([*tokens, f"{mark}{i}"], [*tags, "O"]) for i, (tokens, tags) in enumerate(sentences(style, count, offset))]


def corpora() -> dict[str, Labelled]:
    made = {
        "src/train": marked("news", SOURCE, 0, "s"),
        "src/dev": marked("news", DEV, 70, "d"),
        "trans/train": marked("news", TRANSLATED, 100, "z"),
        "tgt/train": marked("posts", TARGET_TRAIN, 0, "t"),
        "tgt/dev": marked("posts", TARGET_DEV, 50, "u"),
        "tgt/test": marked("posts", TEST, 80, "v"),
    }
    for items in made.values():  # places are of another type in the files
        for _, tags in items:
            tags[:] = [tag.replace("LOC", "GPE") for tag in tags]
    made["src/train"][3][1][-1] = "B-MISC"
    made["trans/train"][2][1][-1] = "B-MISC"
    made["tgt/test"][1][1][-1] = "B-MISC"
    at = next(i for i, (_, tags) in enumerate(made["src/train"]) if i > 5 and "B-ORG" in tags)
    tags = made["src/train"][at][1]
    tags[tags.index("B-ORG")] = "I-ORG"
    return made


def words_of_target() -> list[list[str]]:
    made = corpora()
    return [words for name in ("tgt/train", "tgt/dev") for words, _ in made[name]]


def questions(style: str, count: int, offset: int, mark: str, nonsense: bool = False) -> str:
    """Questions after the first entity of each sentence, or after its last word."""
    paragraphs = []
    for i, (tokens, tags) in enumerate(marked(style, count, offset, mark)):
        at = len(tokens) - 1 if nonsense else next(k for k, tag in enumerate(tags) if tag != "O")
        answer = {"text": tokens[at], "answer_start": len("".join(f"{word} " for word in tokens[:at]))}
        qa = {"id": f"{mark}-{i}", "question": "why hate ?", "answers": [answer]}
        paragraphs.append({"context": " ".join(tokens), "qas": [qa]})
    return json.dumps({"version": "1.1", "data": [{"title": mark, "paragraphs": paragraphs}]})


def make_root(root: Path, scrambled: bool = False) -> Path:
    """A data root. `scrambled` gives every target label of train and dev, and the answers of target dev questions,
    another value."""
    for name, items in corpora().items():
        written = items
        if scrambled and name in ("tgt/train", "tgt/dev"):
            written = [
                (words, [f"B-{TYPES[(i + k) % 3]}" for k in range(len(words))]) for i, (words, _) in enumerate(items)
            ]
        _write(root / "ner" / f"{name}.conll", conll(written))
    for name, text in {
        "src-qa/train": questions("news", SOURCE_QUESTIONS, 200, "a"),
        "src-qa/dev": questions("news", DEV_QUESTIONS, 230, "b"),
        "tgt-qa/train": questions("posts", TARGET_QUESTIONS, 200, "c"),
        "tgt-qa/dev": questions("posts", DEV_QUESTIONS, 230, "e", nonsense=scrambled),
    }.items():
        _write(root / "mrc" / f"{name}.json", text)
    return root


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@dataclass
class Fitted:
    """What a stage gave to `fit`: the weights it began with, its examples, and whether the encoder waits."""

    start: dict[str, torch.Tensor]
    examples: list[dict[str, np.ndarray]]
    freeze_first: float
    dev: list[dict[str, np.ndarray]] = field(default_factory=list)  # of mlm: what the loss to choose by is of


@dataclass
class Done:
    """A finished stage."""

    uri: str
    report: dict[str, Any]
    manifest: dict[str, Any]
    fitted: Fitted | None = None

    @property
    def folder(self) -> Path:
        return Path(self.uri)

    @property
    def labels(self) -> list[str]:
        """Of a tagger."""
        found: list[str] = json.loads((self.folder / "labels.json").read_text(encoding="utf-8"))["labels"]
        return found

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = self.report["counts"]
        return found

    @property
    def digest(self) -> str:
        return str(self.manifest["digest"])

    @property
    def began(self) -> Fitted:
        assert self.fitted is not None, "the stage's result was there before"
        return self.fitted


@contextmanager
def watched(stage: str) -> Iterator[list[Fitted]]:
    """`fit` as the stage calls it, and a note of each call."""
    seen: list[Fitted] = []
    module: Any = import_module(f"tofner.stages.{stage}")
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(module, "fit"):
            real = module.fit

            def fit(model: nn.Module, examples: Any, *rest: Any, **more: Any) -> Any:
                start = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
                made = [examples[i] for i in range(len(examples))]
                seen.append(Fitted(start, made, more.get("freeze_first", 0.0)))
                return real(model, examples, *rest, **more)

            patch.setattr(module, "fit", fit)
        if hasattr(module, "masked_loss"):
            real_loss = module.masked_loss

            def masked_loss(model: nn.Module, examples: Any, batch_size: int) -> dict[str, float]:
                seen[-1].dev = [examples[i] for i in range(len(examples))]
                return real_loss(model, examples, batch_size)  # type: ignore[no-any-return]

            patch.setattr(module, "masked_loss", masked_loss)
        yield seen


@dataclass
class Chain:
    """Stages in the order of Algorithm 1 with T = 1, each run once, when first asked for."""

    root: Path
    data: Path
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.plan = self.planned()

    def planned(self, *overrides: str, **more: Any) -> Plan:
        told = (str(self.root / "preset.yaml"), str(self.data), str(self.root / "store"))
        return plan(*told, overrides=overrides, **more)

    def do(self, task: str, overrides: Sequence[str] = (), **inputs: str) -> Done:
        planned = self.planned(*overrides) if overrides else self.plan
        return self.do_with(planned.settings[task], task, **inputs)

    def do_with(self, settings: str, task: str, **inputs: str) -> Done:
        stage = TASKS.get(task, task)
        with watched(stage) as seen:
            uri = execute(stage, str(self.root / "store"), settings, inputs).uri
        report, manifest = (read_json(f"{uri}/{name}.json") for name in ("report", "manifest"))
        return Done(uri, report, manifest, seen[0] if seen else None)

    @functools.cached_property
    def prepare(self) -> Done:
        return self.do("prepare", data=str(self.data))

    @functools.cached_property
    def gold(self) -> Done:
        return self.do("gold", data=str(self.data))

    @functools.cached_property
    def mlm(self) -> Done:
        """Line 2."""
        return self.do("mlm", corpora=self.prepare.uri, model=self.plan.encoder)

    @functools.cached_property
    def mrc(self) -> Done:
        """Line 4."""
        return self.do("mrc", corpora=self.prepare.uri, model=self.mlm.uri)

    @functools.cached_property
    def ner(self) -> Done:
        """Line 6."""
        return self.do("ner", corpora=self.prepare.uri, model=self.mrc.uri)

    @functools.cached_property
    def labels(self) -> Done:
        """Line 7."""
        return self.do("pseudo_label", corpora=self.prepare.uri, model=self.ner.uri)

    @functools.cached_property
    def pseudo_ner(self) -> Done:
        """Line 9, at a rate that changes nothing."""
        return self.do(
            "pseudo_ner", corpora=self.prepare.uri, model=self.ner.uri, pseudo=self.labels.uri, head=self.ner.uri
        )

    @functools.cached_property
    def loop_mrc(self) -> Done:
        """Line 14, with the labels of line 7: those of line 10 are the same, since line 9 changed nothing."""
        return self.do(
            "loop_mrc",
            corpora=self.prepare.uri,
            model=self.pseudo_ner.uri,
            pseudo=self.labels.uri,
            head=self.mrc.uri,
        )

    @functools.cached_property
    def loop_ner(self) -> Done:
        """Line 16, at a rate that changes nothing."""
        return self.do(
            "loop_ner",
            corpora=self.prepare.uri,
            model=self.loop_mrc.uri,
            pseudo=self.labels.uri,
            head=self.pseudo_ner.uri,
        )

    @functools.cached_property
    def scores(self) -> Done:
        """Line 20."""
        return self.do("evaluate", gold=self.gold.uri, model=self.ner.uri)


def make_home(root: Path) -> Path:
    """Encoder, queries and preset."""
    make_encoder(root / "encoder")
    for language, queries in QUERIES.items():
        _write(root / "queries" / f"{language}.yaml", json.dumps({"types": queries}))
    _write(root / "preset.yaml", PRESET.format(root=root))
    return root


def make_chain(root: Path, scrambled: bool = False) -> Chain:
    return Chain(make_home(root), make_root(root / "data", scrambled))

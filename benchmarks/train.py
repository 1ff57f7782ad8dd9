"""Training speed, in one run on one encoder and data: these stages, a plain transformers Trainer, fixed padding.

    python benchmarks/train.py --data DATA --encoder FOLDER [--tasks ner mrc mlm] [--examples 640] [--rounds 2]
    python benchmarks/train.py --data DATA --encoder FOLDER --growth

Each system trains one epoch on the same examples from the same weights at the same rates, scores itself on the same dev
examples at the end and saves what it would go on from, in a process of its own, alone, with the same number of threads.
Rounds go around all systems, and the best round of each counts: what else the machine does hits all alike.

    tofner   the project's own stages: their features, batches, models, scoring
    plain    transformers' Trainer as its examples set it up: batches drawn at random and padded to their longest, dev
             scored in batches of 8; the same model, but for MLM with the output layer on every piece (run_mlm)
    fixed    the same with every example padded to `--pieces` of its task (128, 160, 128), as the authors' code does

Pieces are those of the examples without padding. The share of the ceiling is what the products of the encoder's weights
need for these pieces, forward and backward (6 operations a weight and piece), over the fastest product of [2048, H] x
[H, 4H] in the same process: padding, attention, the optimiser, scoring and saving all count against it. `other` is the
share of the time outside of forward, backward and the optimiser's step. --growth trains the NER task alone on 1x and
10x the examples and prints time and peak memory of both.
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASKS, SYSTEMS = ("ner", "mrc", "mlm"), ("tofner", "plain", "fixed")
PIECES = {"ner": 128, "mrc": 160, "mlm": 128}
BATCH = {"ner": 32, "mrc": 16, "mlm": 32}
DEV = 200  # examples
SEED = 2019


@dataclass
class Task:
    """What one task trains: features, their padding, the model, its dev score, and its settings."""

    model: Any
    examples: Any
    collate: Callable[[Sequence[Any]], dict[str, Any]]
    score: Callable[[Any], dict[str, float]]
    plain_score: Callable[[Any], dict[str, float]]
    settings: Any


def make(name: str, data: Path, folder: Path, size: int) -> Task:
    """The task as the project's stage builds it."""
    from tofner.training import checkpoint

    return {"ner": _ner, "mrc": _mrc, "mlm": _mlm}[name](data, folder, size, checkpoint.piece_encoder(folder))


def _ner(data: Path, folder: Path, size: int, encoder: Any) -> Task:
    from tofner.corpora.lazy import cap
    from tofner.corpora.read import read_labelled
    from tofner.settings import Ner
    from tofner.training import checkpoint
    from tofner.training.batches import pad
    from tofner.training.ner import predict_tags, tag_examples
    from tofner.words.features import IGNORED
    from tofner.words.scores import score_tags

    train, dev = (read_labelled(str(data / f"ner/conll03-en/{part}.conll.gz")).sentences for part in ("train", "dev"))
    train, dev = list(cap(train, size, SEED)), list(cap(dev, DEV, SEED))
    types = sorted({tag[2:] for one in train for tag in one.tags or [] if tag != "O"})
    labels = ["O", *(f"{place}-{type_}" for type_ in types for place in "BI")]
    settings = Ner(learning_rate=5e-5, head_learning_rate=1e-3, epochs=1, batch_size=BATCH["ner"], max_pieces=128)
    examples, _ = tag_examples(encoder, [s.tokens for s in train], [s.tags or [] for s in train], labels, 128, 32)
    words, gold = [s.tokens for s in dev], [s.tags or [] for s in dev]

    def score(model: Any, batch_size: int = 64) -> dict[str, float]:
        found = predict_tags(model, encoder, words, labels, 128, 32, batch_size)
        f1 = score_tags(gold, [one.tags for one in found])["micro"]["f1"]
        return {"score": f1}

    collate = functools.partial(pad, fill={"labels": IGNORED})
    model = checkpoint.load_tagger(folder, labels, "fresh")
    return Task(model, examples, collate, score, functools.partial(score, batch_size=8), settings)


def _mrc(data: Path, folder: Path, size: int, encoder: Any) -> Task:
    from tofner.corpora.lazy import cap
    from tofner.corpora.read import read_questions
    from tofner.settings import Mrc
    from tofner.training import checkpoint
    from tofner.training.mrc import SpanExtractor, collate, predict_answers, score_answers, span_examples

    train, dev = (read_questions(str(data / f"mrc/squad-en-10k/{part}.json.gz")).examples for part in ("train", "dev"))
    settings = Mrc(learning_rate=5e-5, head_learning_rate=1e-3, epochs=1, batch_size=BATCH["mrc"], max_pieces=160)
    examples, _ = span_examples(encoder, list(cap(train, size, SEED)), settings, settings.empty_windows, SEED)
    asked = list(cap(dev, DEV // 2, SEED))

    def score(model: Any, batch_size: int = BATCH["mrc"]) -> dict[str, float]:
        reads = settings.model_copy(update={"batch_size": batch_size})
        return {"score": score_answers(predict_answers(model, encoder, asked, reads), asked)["f1"]}

    model = SpanExtractor(checkpoint.load_encoder(folder), settings.span_match)
    return Task(model, examples, collate, score, functools.partial(score, batch_size=2), settings)  # x4 in scoring


def _mlm(data: Path, folder: Path, size: int, encoder: Any) -> Task:
    from tofner.corpora.lazy import cap
    from tofner.corpora.read import read_labelled
    from tofner.settings import Mlm
    from tofner.training import checkpoint
    from tofner.training.batches import pad
    from tofner.training.mlm import mask_examples, masked_loss
    from tofner.words.features import IGNORED

    train, dev = (read_labelled(str(data / f"ner/wnut16/{part}.conll.gz")).sentences for part in ("train", "dev"))
    words, held = ([s.tokens for s in cap(part, n, SEED)] for part, n in ((train, size), (dev, DEV)))
    settings = Mlm(epochs=1, batch_size=BATCH["mlm"], maskings=1)
    model, _ = checkpoint.load_masked_lm(folder)
    vocabulary = model.config.vocab_size
    examples, _ = mask_examples(encoder, words, settings, vocabulary, SEED, 1)
    asked, _ = mask_examples(encoder, held, settings, vocabulary, SEED + 1, 1)
    score = functools.partial(masked_loss, examples=asked, batch_size=BATCH["mlm"])
    slow = functools.partial(masked_loss, examples=asked, batch_size=8)
    return Task(model, examples, lambda batch: pad(batch, {"labels": IGNORED}), score, slow, settings)


def train(system: str, name: str, task: Task, threads: int, pieces: int) -> dict[str, float]:
    """Train one epoch; returns the seconds and the dev score."""
    from tofner.settings import Machine
    from tofner.training.fit import fit, prepare_torch
    from tofner.training.mlm import predict_only_masked
    from tofner.training.state import Keep

    machine = Machine(device="cpu", threads=threads, precision="fp32")
    prepare_torch(SEED, machine)
    model = predict_only_masked(task.model) if (system, name) == ("tofner", "mlm") else task.model
    with tempfile.TemporaryDirectory() as scratch, Stopwatch(model) as inside:
        start = time.perf_counter()
        if system == "tofner":
            keep = Keep(name, Path(scratch) / "states", str(Path(scratch) / "store"))
            score = fit(
                model, task.examples, task.collate, task.score, task.settings, keep, SEED, machine
            ).metrics["score"]  # fmt: skip
        else:
            score = _plain(task, model, Path(scratch), pieces if system == "fixed" else 0)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "score": float(score), "inside": inside.seconds}


def _plain(task: Task, model: Any, scratch: Path, fixed: int) -> float:
    """The loop of transformers' examples; `fixed` pieces an example, or 0 for the longest of a batch."""
    import torch
    from transformers import Trainer, TrainingArguments

    settings = task.settings

    class Plain(Trainer):
        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            model.eval()
            found = task.plain_score(model)
            metrics = {f"eval_{key}": value for key, value in found.items()}
            self.log(metrics)
            model.train()
            return metrics

        def create_optimizer(self, *_: Any) -> Any:
            """A head's own rate, so that the scores compare."""
            head = settings.head_learning_rate or settings.learning_rate
            prefix = f"{getattr(model, 'base_model_prefix', 'encoder')}."
            groups: dict[bool, list[Any]] = {True: [], False: []}
            for name, parameter in model.named_parameters():
                groups[name.startswith(prefix)].append(parameter)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, model)
            rates = {True: settings.learning_rate, False: head}
            self.optimizer = kind([{"params": p, "lr": rates[inner]} for inner, p in groups.items() if p], **options)
            return self.optimizer

    def collate(batch: Sequence[Any]) -> dict[str, Any]:
        made = task.collate(batch)
        if not fixed:
            return made
        filled = {}
        for key, value in made.items():
            fill = -100 if key in ("labels", "starts", "ends", "spans") else 0
            filled[key] = torch.nn.functional.pad(value, (0, fixed - value.shape[1]), value=fill)
        return filled

    arguments = TrainingArguments(
        output_dir=str(scratch), num_train_epochs=1, per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate, warmup_steps=settings.warmup, weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm, use_cpu=True, dataloader_pin_memory=False, eval_strategy="epoch",
        save_strategy="epoch", remove_unused_columns=False, report_to=[], disable_tqdm=True, seed=SEED,
        logging_strategy="no",
    )  # fmt: skip
    trainer = Plain(model, arguments, data_collator=collate, train_dataset=task.examples, eval_dataset=task.examples)
    trainer.model_accepts_loss_kwargs = False
    trainer.train()
    scores = [entry["eval_score"] for entry in trainer.state.log_history if "eval_score" in entry]
    return float(scores[-1])


class Stopwatch:
    """Seconds in forward, backward and the optimiser's step while training."""

    def __init__(self, model: Any) -> None:
        self.model, self.seconds = model, 0.0

    def __enter__(self) -> "Stopwatch":
        import torch

        self.kept = (self.model.forward, torch.Tensor.backward, torch.optim.AdamW.step)
        self.model.forward = self._timed(self.kept[0], lambda: self.model.training)
        torch.Tensor.backward = self._timed(self.kept[1])  # type: ignore[method-assign]
        torch.optim.AdamW.step = self._timed(self.kept[2])  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        torch.Tensor.backward, torch.optim.AdamW.step = self.kept[1:]  # type: ignore[method-assign]

    def _timed(self, action: Callable[..., Any], counts: Callable[[], bool] = lambda: True) -> Callable[..., Any]:
        @functools.wraps(action)
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return action(*arguments, **options)
            finally:
                self.seconds += (time.perf_counter() - start) * counts()

        return run


def ceiling(threads: int, hidden: int) -> float:
    """GFLOP/s of the fastest fp32 product of PyTorch on this machine."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(2048, hidden), torch.randn(hidden, 4 * hidden)
    best = float("inf")
    for _ in range(40):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * 2048 * hidden * 4 * hidden / best / 1e9


def encoder_weights(model: Any) -> int:
    """Weights that a piece is multiplied with: the matrices of the layers, without embeddings."""
    from torch import nn

    inner = model.base_model if hasattr(model, "base_model") else model.encoder
    return sum(part.weight.numel() for part in inner.modules() if isinstance(part, nn.Linear))


def measure(system: str, name: str, given: argparse.Namespace) -> dict[str, float]:
    """One system on one task, in this process."""
    peak = ceiling(given.threads, _hidden(given.encoder))
    task = make(name, given.data, given.encoder, given.examples)
    pieces = sum(task.examples.lengths)
    need = 6 * encoder_weights(task.model) * pieces / 1e9
    found = train(system, name, task, given.threads, PIECES[name])
    found |= {"pieces": pieces, "examples": len(task.examples), "gflop": need, "ceiling": peak}
    found["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _hidden(folder: Path) -> int:
    return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"])


def in_process(given: argparse.Namespace, system: str, name: str, examples: int) -> dict[str, float]:
    """Run this file on one system and task, alone; its last line is JSON."""
    command = [sys.executable, __file__, "--data", str(given.data), "--encoder", str(given.encoder)]
    command += ["--threads", str(given.threads), "--examples", str(examples), "--one", system, name]
    env = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{system} {name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().split("\n")[-1])
    return found


def show(name: str, rounds: dict[str, list[dict[str, float]]]) -> None:
    """Print the table of a task."""
    first = rounds["tofner"][0]
    print(f"\n{name}: {first['examples']:.0f} examples, {first['pieces']:.0f} pieces, batches of {BATCH[name]}")
    heads = ("seconds", "pieces/s", "tofner is x faster", "of ceiling", "other", "dev score", "MiB")
    print(f"{'system':8s}" + "".join(f"{head:>20s}" for head in heads))
    for system, found in rounds.items():
        best = min(found, key=lambda one: one["seconds"])
        each = [a["seconds"] / b["seconds"] for a, b in zip(found, rounds["tofner"], strict=True)]
        ratio = f"{min(each):.2f} to {max(each):.2f}"
        share = best["gflop"] / best["seconds"] / max(one["ceiling"] for one in found)
        other = 1 - best["inside"] / best["seconds"]
        cells = (f"{best['seconds']:.1f}", f"{best['pieces'] / best['seconds']:.0f}", ratio, f"{share:.0%}")
        cells += (f"{other:.0%}", f"{best['score']:.4f}", f"{best['memory_mib']:.0f}")
        print(f"{system:8s}" + "".join(f"{cell:>20s}" for cell in cells), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--examples", type=int, default=640, help="sentences; a third as many questions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("SYSTEM", "TASK"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one, given)))
        return 0
    if given.growth:
        once, ten = (in_process(given, "tofner", "ner", given.examples * factor) for factor in (1, 10))
        grown = ten["seconds"] / once["seconds"], ten["pieces"] / once["pieces"], ten["memory_mib"] - once["memory_mib"]
        print(f"{grown[1]:.1f} x the pieces: {grown[0]:.1f} x the time, {grown[2]:+.0f} MiB at the peak")
        return 0
    for name in given.tasks:
        rounds: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
        for _ in range(given.rounds):
            for system in SYSTEMS:
                size = given.examples // 3 if name == "mrc" else given.examples
                rounds[system].append(in_process(given, system, name, size))
        show(name, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

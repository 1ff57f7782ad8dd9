"""One fine-tuning run on transformers' Trainer: seeded, resumable, best checkpoint by a score on source dev data."""

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, enable_full_determinism
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from tofner import storage
from tofner.errors import BadData, Problem
from tofner.settings import Training
from tofner.stages.runtime import Work

Features = dict[str, np.ndarray]  # arrays of one example, all [pieces]
Score = Callable[[nn.Module], dict[str, float]]  # model -> metrics; "score" is the one to choose by, higher is better


def prepare_torch(seed: int) -> None:
    """Same seed, same weights: seeds every generator and asks torch for deterministic kernels.

    Also quiets transformers' tables of missing weights: heads are new by design.
    """
    enable_full_determinism(seed, warn_only=True)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def cap(examples: Sequence[Any], limit: int | None, seed: int) -> list[Any]:
    """At most `limit` examples, drawn without replacement by `seed`, in their original order."""
    if limit is None or len(examples) <= limit:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), limit, replace=False)
    return [examples[i] for i in np.sort(chosen)]


def pad(batch: Sequence[Features], fill: dict[str, int]) -> dict[str, torch.Tensor]:
    """Stack features to int64 tensors [batch, longest], padded with `fill`, and add `attention_mask`."""
    longest = max(example["input_ids"].size for example in batch)
    tensors = {}
    for name in batch[0]:
        rows = np.full((len(batch), longest), fill.get(name, 0), dtype=np.int64)
        for row, example in zip(rows, batch, strict=True):
            row[: example[name].size] = example[name]
        tensors[name] = torch.from_numpy(rows)
    mask = np.arange(longest) < np.array([example["input_ids"].size for example in batch])[:, None]
    tensors["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
    return tensors


class Examples(Dataset[Features]):
    """Features in memory; `make(i)` builds example i, so that maskings cost nothing until they are read."""

    def __init__(self, size: int, make: Callable[[int], Features]) -> None:
        self.size, self.make = size, make

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Features:
        return self.make(i)


def fit(
    model: nn.Module,
    examples: Examples,
    collate: Callable[[Sequence[Features]], dict[str, torch.Tensor]],
    score: Score,
    training: Training,
    work: Work,
    seed: int,
    freeze_first: float = 0.0,
) -> dict[str, float]:
    """Train `model` in place and leave it at its best epoch.

    Args:
        examples: training features.
        collate: features to a batch of tensors that `model(**batch)` takes, returning `loss`.
        score: called after each epoch; the epoch with the highest `score` wins.
        freeze_first: share of the steps during which only layers outside the encoder learn.

    Returns:
        Metrics of the best epoch, `best_epoch`, `epochs`, `train_loss`.

    Raises:
        BadData: there is nothing to train on.
    """
    if not len(examples):
        raise BadData(
            Problem(f"stage {work.stage}", "no training examples", "at least one", "check the roles of this preset")
        )
    folder = work.scratch / "trainer"
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        warmup_steps=training.warmup,  # below 1: a share of all steps
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        logging_steps=20,
        seed=seed,
        data_seed=seed,
    )
    trainer = _ScoringTrainer(model, arguments, collate, examples, score, training)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_ProgressLine(work.stage))
    trainer.add_callback(_KeepState(work.state, folder))
    if freeze_first:
        trainer.add_callback(_FreezeFirst(model, freeze_first))
    resume = restore_state(work.state, folder)
    if resume:
        print(f"{work.stage}: going on from {Path(resume).name}", file=sys.stderr, flush=True)
    result = trainer.train(resume_from_checkpoint=resume)
    history = [entry for entry in trainer.state.log_history if "eval_score" in entry]
    best = max(history, key=lambda entry: (entry["eval_score"], -entry["epoch"]))
    metrics = {key.removeprefix("eval_"): value for key, value in best.items() if key.startswith("eval_")}
    metrics.update(best_epoch=best["epoch"], epochs=training.epochs, train_loss=result.training_loss)
    return {key: float(value) for key, value in metrics.items() if key != "runtime"}


class _ScoringTrainer(Trainer):
    """Trainer whose evaluation is a function of the model, and whose head may learn at a rate of its own."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        collate: Callable[[Sequence[Features]], dict[str, torch.Tensor]],
        examples: Examples,
        score: Score,
        training: Training,
    ) -> None:
        super().__init__(model, arguments, data_collator=collate, train_dataset=examples, eval_dataset=examples)
        # Token classifiers take **kwargs but ignore the number of items: their loss is a mean, so the mean over
        # accumulated batches is the Trainer's to make. Believing the signature, it would add them up.
        self.model_accepts_loss_kwargs = False
        self.task: nn.Module = model
        self.score, self.training_settings = score, training

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        model = self.task
        training_mode = model.training
        model.eval()
        with torch.inference_mode():
            found = self.score(model)
        model.train(training_mode)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            target: Any = self.task if model is None else model
            decays = set(self.get_decay_parameter_names(target))
            in_encoder = encoder_parameters(target)
            rates = {
                True: self.args.learning_rate,
                False: self.training_settings.head_learning_rate or self.args.learning_rate,
            }
            groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
            for name, parameter in target.named_parameters():
                groups.setdefault((name in decays, name in in_encoder), []).append(parameter)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, target)
            self.optimizer = kind(
                [
                    {"params": p, "weight_decay": self.args.weight_decay if decay else 0.0, "lr": rates[inside]}
                    for (decay, inside), p in groups.items()
                ],
                **options,
            )
        return self.optimizer


def encoder_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters below the head. Heads stand outside `base_model_prefix` (or `encoder` in our own)."""
    prefix = f"{getattr(model, 'base_model_prefix', 'encoder')}."
    return {name for name, _ in model.named_parameters() if name.startswith(prefix)}


class _FreezeFirst(TrainerCallback):
    """Trains only the head for the first share of the steps: a fresh head's large gradients stay out of the encoder."""

    def __init__(self, model: nn.Module, share: float) -> None:
        inside = encoder_parameters(model)
        self.encoder = [parameter for name, parameter in model.named_parameters() if name in inside]
        self.share = share

    def _set(self, state: Any) -> None:
        learns = state.global_step >= math.ceil(self.share * state.max_steps)
        for parameter in self.encoder:
            parameter.requires_grad_(learns)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._set(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._set(state)


class _ProgressLine(TrainerCallback):
    """A line with a bar every few seconds: readable in a terminal, a pod log and a file alike."""

    def __init__(self, stage: str, every_s: float = 5.0) -> None:
        self.stage, self.every_s, self.last, self.loss = stage, every_s, 0.0, math.nan

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.started, self.first = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        if now - self.last < self.every_s and state.global_step < state.max_steps:
            return
        self.last = now
        done = state.global_step / state.max_steps
        left = (now - self.started) / max(1, state.global_step - self.first) * (state.max_steps - state.global_step)
        bar = "█" * round(20 * done) + "·" * (20 - round(20 * done))
        loss = "" if math.isnan(self.loss) else f"  loss {self.loss:.3f}"
        print(
            f"{self.stage} {bar} {done:4.0%}  step {state.global_step}/{state.max_steps}{loss}  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any
    ) -> None:
        text = "  ".join(f"{name.removeprefix('eval_')} {value:.4f}" for name, value in (metrics or {}).items())
        print(f"{self.stage} epoch {state.epoch or 0:.0f}: {text}", file=sys.stderr, flush=True)


class _KeepState(TrainerCallback):
    """Copies each saved training state to the store, so that a restarted pod goes on from it.

    The state after the last step is not copied: the result itself follows at once.
    """

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri, self.folder = uri, folder

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero or state.global_step >= state.max_steps:
            return
        for path in sorted(self.folder.glob("checkpoint-*")):  # the newest, and the best if it is another
            place = storage.join(self.uri, path.name)
            if storage.folder_index(place) is None:
                storage.store_folder(path, place)


def restore_state(uri: str, folder: Path) -> str | None:
    """Fetch the training states that a killed run left behind; the folder of the newest, or None."""
    names = {file.path.split("/")[0] for file in storage.list_files(uri)}
    whole = [name for name in names if name.startswith("checkpoint-") and storage.folder_index(storage.join(uri, name))]
    if not whole:
        return None
    for name in whole:
        fetched = storage.fetch_folder(storage.join(uri, name), folder / name)
        if fetched != folder / name:  # a local store hands out its own folder, and the Trainer will change this one
            shutil.copytree(fetched, folder / name)
    newest = folder / max(whole, key=lambda name: int(name.partition("-")[2]))
    note = newest / "trainer_state.json"
    state = json.loads(note.read_text(encoding="utf-8"))
    if state.get("best_model_checkpoint"):
        best = folder / Path(state["best_model_checkpoint"]).name  # the path of the machine that was killed
        if not best.is_dir():
            return None
        state["best_model_checkpoint"] = str(best)
        note.write_text(json.dumps(state), encoding="utf-8")
    return str(newest)

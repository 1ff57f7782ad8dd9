"""One fine-tuning run on transformers' Trainer: seeded, resumable, best checkpoint by a score on source dev data."""

import functools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments, enable_full_determinism
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.utils import logging

from tofner.errors import BadData, BadSettings, Problem
from tofner.settings import Machine, Training
from tofner.training.average import Average
from tofner.training.batches import Examples, Features
from tofner.training.progress import ProgressLine
from tofner.training.state import Keep, KeepState, restore_state

Score = Callable[[nn.Module], dict[str, float]]  # model -> metrics; "score" is the one to choose by, higher is better


@dataclass(frozen=True)
class Fitted:
    """What a training run brought.

    Attributes:
        metrics: of the weights that are left, `best_epoch`, `epochs`, `train_loss`; `averaged` checkpoints, if any.
        history: `loss`, pairs of step and mean loss since the pair before; `score`, pairs of epoch and dev score;
            `steps` of all epochs; `seconds` and `examples_per_second` of this process, with its dev scoring.
    """

    metrics: dict[str, float]
    history: dict[str, Any]


def prepare_torch(seed: int, machine: Machine) -> None:
    """Same seed, same weights: seeds every generator and asks torch for deterministic kernels.

    MKL promises equal products from run to run only in its conditional numerical reproducibility mode and with a fixed
    number of threads (oneMKL developer guide, "Obtaining Numerically Reproducible Results"). It reads the variable at
    the first product of a process, and one set by the user is left alone; AUTO keeps the fastest code of the CPU. A
    number of threads that torch has set, MKL no longer changes.

    Also quiets transformers' tables of missing weights: heads are new by design.

    Raises:
        BadSettings: this machine is not the one that the stage was told of.
    """
    _check_machine(machine)
    os.environ.setdefault("MKL_CBWR", "AUTO")
    torch.set_num_threads(machine.threads or torch.get_num_threads())
    enable_full_determinism(seed, warn_only=True)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _check_machine(machine: Machine) -> None:
    """A key names what a stage computes with, so nothing else may compute its result."""
    if machine.device != "cuda":
        return
    if not torch.cuda.is_available():
        fix = "give the task its GPU, or set compute.device=cpu for the whole run"
        raise BadSettings(Problem("GPU", "none that torch can use", "the one that the run was planned with", fix))
    if machine.precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        fix = "set compute.precision=fp32"
        raise BadSettings(Problem(torch.cuda.get_device_name(), "no bf16 arithmetic", "a GPU that has it", fix))


def fit(
    model: nn.Module,
    examples: Examples,
    collate: Callable[[Sequence[Features]], dict[str, torch.Tensor]],
    score: Score,
    training: Training,
    keep: Keep,
    seed: int,
    machine: Machine,
    freeze_first: float = 0.0,
    keep_last: bool = False,
) -> Fitted:
    """Train `model` in place and leave it at its best epoch or, with `average_last`, at the mean of its last weights.

    Args:
        examples: training features.
        collate: features to a batch of tensors that `model(**batch)` takes, returning `loss`.
        score: called after each epoch; the epoch with the highest `score` wins.
        keep: where training states go and come from.
        machine: what to compute with; `prepare_torch` has been told of it.
        freeze_first: share of the steps during which only layers outside the encoder learn; the encoder's rate rises
            after that.
        keep_last: leave the model at its last epoch, whatever the scores.

    Raises:
        BadData: there is nothing to train on.
    """
    if not len(examples):
        raise BadData(
            Problem(f"stage {keep.name}", "no training examples", "at least one", "check the roles of this preset")
        )
    gpu = machine.device == "cuda"
    keep_last = keep_last or training.average_last > 0
    arguments = TrainingArguments(
        output_dir=str(keep.folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        bf16=machine.precision == "bf16",
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=not keep_last,
        metric_for_best_model=None if keep_last else "score",
        greater_is_better=None if keep_last else True,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        logging_steps=0.02,  # of all steps: curves of 50 points, however long the run
        seed=seed,
        data_seed=seed,
    )
    trainer = _ScoringTrainer(model, arguments, collate, examples, score, training, freeze_first)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ProgressLine(keep.name))
    resume = restore_state(keep)
    average = Average(model, training.average_last, resume) if training.average_last else None
    if average is not None:
        trainer.add_callback(average)  # before its training state is stored
    trainer.add_callback(KeepState(keep))
    trainer.add_callback(_TellEpoch(examples))
    if freeze_first:
        trainer.add_callback(_FreezeFirst(model, freeze_first))
    if resume:
        print(f"{keep.name}: going on from {Path(resume).name}", file=sys.stderr, flush=True)
    started = time.monotonic()
    result = trainer.train(resume_from_checkpoint=resume)
    seconds = time.monotonic() - started
    scored = [entry for entry in trainer.state.log_history if "eval_score" in entry]
    best = scored[-1] if keep_last else max(scored, key=lambda entry: (entry["eval_score"], -entry["epoch"]))
    metrics = {key.removeprefix("eval_"): value for key, value in best.items() if key.startswith("eval_")}
    if average is not None:
        metrics["averaged"] = average.load_mean()
        model.eval()
        with torch.inference_mode():
            metrics |= score(model)
    metrics.update(best_epoch=best["epoch"], epochs=training.epochs, train_loss=result.training_loss)
    first = int(Path(resume).name.partition("-")[2]) if resume else 0
    seen = training.epochs * len(examples) * (1 - first / trainer.state.max_steps)
    history = {
        "loss": [[one["step"], one["loss"]] for one in trainer.state.log_history if "loss" in one],
        "score": [[one["epoch"], one["eval_score"]] for one in scored],
        "steps": trainer.state.max_steps,
        "seconds": seconds,
        "examples_per_second": seen / seconds,
    }
    return Fitted({key: float(value) for key, value in metrics.items() if key != "runtime"}, history)


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
        freeze_first: float,
    ) -> None:
        super().__init__(model, arguments, data_collator=collate, train_dataset=examples, eval_dataset=examples)
        # Token classifiers take **kwargs but ignore the number of items: their loss is a mean, so the mean over
        # accumulated batches is the Trainer's to make. Believing the signature, it would add them up.
        self.model_accepts_loss_kwargs = False
        self.task: nn.Module = model
        self.score, self.training_settings, self.freeze_first = score, training, freeze_first

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

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        """The Trainer's own sampler by length, which would else build every example to see how long it is."""
        examples = cast("Examples", self.train_dataset if train_dataset is None else train_dataset)
        lengths = None if examples.lengths is None else list(examples.lengths)
        together = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(together, dataset=examples, lengths=lengths, model_input_name="input_ids")

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
                    {
                        "params": p,
                        "weight_decay": self.args.weight_decay if decay else 0.0,
                        "lr": rates[inside],
                        "encoder": inside,
                    }
                    for (decay, inside), p in groups.items()
                ],
                **options,
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        if self.lr_scheduler is None:
            used: Any = self.optimizer if optimizer is None else optimizer
            waits = frozen_steps(self.freeze_first, num_training_steps)
            factors: list[Callable[[int], float]] = [
                functools.partial(rate_factor, self.training_settings, num_training_steps, waits * group["encoder"])
                for group in used.param_groups
            ]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(used, factors)
            self._created_lr_scheduler = True
        return self.lr_scheduler


def rate_factor(training: Training, steps: int, waits: int, step: int) -> float:
    """What share of its peak a learning rate has at a step.

    It rises over `warmup` of all steps, which begin after `waits` steps, during which it is 0. Where the schedule is
    linear it falls to 0 at the end of the run; where it is constant it falls by `epoch_decay` from epoch to epoch.

    >>> [rate_factor(Training(learning_rate=1, epochs=2, warmup=0.2), 10, 0, step) for step in (1, 2, 6)]
    [0.5, 1.0, 0.5]
    """
    warm = math.ceil(steps * training.warmup)
    rising = 1.0 if step >= waits + warm else max(0.0, (step - waits) / warm)
    if training.schedule == "constant":
        return rising * training.epoch_decay ** int(step * training.epochs / steps + 1e-9)
    return min(rising, max(0.0, (steps - step) / max(1, steps - warm)))


def frozen_steps(share: float, steps: int) -> int:
    return math.ceil(share * steps)


def encoder_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters below the head. Heads stand outside `base_model_prefix` (or `encoder` in our own)."""
    prefix = f"{getattr(model, 'base_model_prefix', 'encoder')}."
    return {name for name, _ in model.named_parameters() if name.startswith(prefix)}


class _TellEpoch(TrainerCallback):
    """Tells the examples which epoch they are read in; after a restart, the one that it goes on with."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.examples.epoch = round(state.epoch or 0)


class _FreezeFirst(TrainerCallback):
    """Trains only the head for the first share of the steps: a fresh head's large gradients stay out of the encoder."""

    def __init__(self, model: nn.Module, share: float) -> None:
        inside = encoder_parameters(model)
        self.encoder = [parameter for name, parameter in model.named_parameters() if name in inside]
        self.share = share

    def _set(self, state: Any) -> None:
        learns = state.global_step >= frozen_steps(self.share, state.max_steps)
        for parameter in self.encoder:
            parameter.requires_grad_(learns)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._set(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._set(state)

"""What a person sees of a training run."""

import math
import sys
import time
from typing import Any

from transformers import TrainerCallback


class ProgressLine(TrainerCallback):
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
        found = {name.removeprefix("eval_"): value for name, value in (metrics or {}).items()}
        print(f"{self.stage} epoch {state.epoch or 0:.0f}: {in_words(found)}", file=sys.stderr, flush=True)


def in_words(metrics: dict[str, float]) -> str:
    """What an epoch's held-out data say, in percent where 100 is best; `score`, which only chooses, is left out.

    >>> in_words({"score": -2.5, "loss": 2.5, "perplexity": 12.18, "epoch": 1.0})
    'loss 2.5000 on hidden words of held-out text (lower is better), perplexity 12.2'
    >>> in_words({"score": 0.5, "f1": 0.5, "precision": 0.4, "recall": 2 / 3})
    'answers to held-out questions: F1 50.00, precision 40.00, recall 66.67'
    >>> in_words({"score": 0.75, "dev_f1": 0.75, "dev_precision": 0.75, "dev_recall": 0.75, "pseudo_f1": 0.8})
    'entities of held-out source sentences: F1 75.00, precision 75.00, recall 75.00; held-out pseudo-labels: F1 80.00'
    """

    def percent(prefix: str = "") -> str:
        names = ("f1", "precision", "recall")
        told = [
            f"{name.replace('f1', 'F1')} {100 * metrics[prefix + name]:.2f}"
            for name in names
            if prefix + name in metrics
        ]
        return ", ".join(told)

    if "perplexity" in metrics:
        loss, perplexity = metrics["loss"], metrics["perplexity"]
        return f"loss {loss:.4f} on hidden words of held-out text (lower is better), perplexity {perplexity:,.1f}"
    if "dev_f1" in metrics:
        more = f"; held-out pseudo-labels: {percent('pseudo_')}" if "pseudo_f1" in metrics else ""
        return f"entities of held-out source sentences: {percent('dev_')}{more}"
    if "f1" in metrics:
        return f"answers to held-out questions: {percent()}"
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name != "epoch")

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
        text = "  ".join(f"{name.removeprefix('eval_')} {value:.4f}" for name, value in (metrics or {}).items())
        print(f"{self.stage} epoch {state.epoch or 0:.0f}: {text}", file=sys.stderr, flush=True)

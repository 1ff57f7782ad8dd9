"""The mean of a run's last checkpoints instead of the best one: nothing has to choose (Schmidt et al., ACL 2023)."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback

PARTS = 10  # of a run; a checkpoint at the end of each
SUMS = "average.safetensors"  # beside the weights of a training state


def places(share: float, steps: int) -> set[int]:
    """Steps after which weights are taken: at the end of each tenth of the run that lies in its last `share`.

    >>> sorted(places(0.5, 20)), sorted(places(0.5, 3))
    ([12, 14, 16, 18, 20], [2, 3])
    """
    ends = {-(-steps * part // PARTS) for part in range(1, PARTS + 1)}
    return {end for end in ends if end > steps * (1 - share) + 1e-9} | {steps}


class Average(TrainerCallback):
    """Adds up weights as training goes, and keeps the sums in each training state, so that a restarted run has them."""

    def __init__(self, model: nn.Module, share: float, resume: str | None) -> None:
        self.model, self.share = model, share
        self.sums: dict[str, torch.Tensor] = {}
        self.taken = 0
        kept = Path(resume, SUMS) if resume else None
        if kept is not None and kept.is_file():
            self.sums = load_file(kept)
            self.taken = int(self.sums.pop("taken"))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in places(self.share, state.max_steps):
            for name, tensor in self._weights().items():
                self.sums[name] = self.sums[name] + tensor if self.taken else tensor.clone()
            self.taken += 1

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
        if self.taken and folder.is_dir():
            save_file(self.sums | {"taken": torch.tensor(self.taken)}, folder / SUMS)

    def load_mean(self) -> int:
        """Leave the model at the mean; returns of how many checkpoints."""
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                tensor.copy_(self.sums[name] / self.taken)
        return self.taken

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().float().cpu() for name, tensor in self.model.named_parameters()}

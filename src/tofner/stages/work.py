"""What a stage is given and what it hands back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tofner import storage
from tofner.errors import BadSettings, Problem
from tofner.model import hub
from tofner.model.encoder import check_checkpoint
from tofner.model.fetch import cache_folder, fetch

if TYPE_CHECKING:
    from tofner.training.state import Keep


@dataclass
class Report:
    """What a stage says of its work; becomes `report.json`.

    Attributes:
        metrics: numbers that tell how good (`f1`, `loss`); those of stage `report` are shown in the run page.
        counts: numbers that tell what happened (sentences, windows, repairs, dropped).
        confusion: `{"labels": [n], "matrix": [n][n]}`, rows gold, columns predicted.
        notes: sentences that a reader should not miss.
        details: tables, curves and examples by name; `lines` and the templates in `pages` know them.
        summary: one line that says what came of it.
        published: where the stage put something for the world, if it did; then that is its result's URI.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    confusion: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    published: str = ""
    summary: str = ""


def told_epochs(metrics: dict[str, float]) -> str:
    """Which epoch of a training run was kept, or what was averaged.

    >>> told_epochs({"best_epoch": 2.0, "epochs": 3.0})
    'best epoch 2 of 3'
    >>> told_epochs({"best_epoch": 3.0, "epochs": 3.0, "averaged": 5.0})
    'mean of 5 checkpoints of 3 epochs'
    """
    if "averaged" in metrics:
        return f"mean of {metrics['averaged']:g} checkpoints of {metrics['epochs']:g} epochs"
    return f"best epoch {metrics['best_epoch']:g} of {metrics['epochs']:g}"


@dataclass(frozen=True)
class Work:
    """The surroundings of one stage: its inputs, an empty `output` folder, and where training state may be kept.

    `run_id` is the orchestrator's name for the run, for people; no result depends on it.
    """

    stage: str
    store: str
    inputs: dict[str, str]
    output: Path
    scratch: Path
    state: str
    run_id: str = ""

    def given(self, name: str) -> bool:
        return bool(self.inputs.get(name))

    def uri(self, name: str) -> str:
        """An input as it was given.

        Raises:
            BadSettings: it was not.
        """
        if not self.given(name):
            raise BadSettings(Problem(f"stage {self.stage}", f"no input {name!r}", "its URI"))
        return self.inputs[name]

    def folder(self, name: str) -> Path:
        """An input as a local folder, fetched and verified when it lies in a bucket."""
        return self.fetch(self.uri(name))

    def model(self) -> Path:
        """The checkpoint to start from as a local folder: a stage's result, a folder, a prefix or a pinned Hub id."""
        uri = self.uri("model")
        folder = self.fetch(uri, require_index=False) if storage.is_place(uri) else hub.fetch(uri)
        check_checkpoint(str(folder))
        return folder

    @property
    def keep(self) -> "Keep":
        """Where a training run of this stage keeps its states."""
        from tofner.training.state import Keep

        return Keep(self.stage, self.scratch / "trainer", self.state)

    def fetch(self, uri: str, require_index: bool = True) -> Path:
        """A folder on this machine: of `$TOFNER_CACHE`, which stages may share, else of this one's scratch."""
        return fetch(uri, cache_folder(self.scratch / "inputs"), require_index=require_index)

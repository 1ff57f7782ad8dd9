"""The training state that a killed run leaves behind, and going on from it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tofner import storage


@dataclass(frozen=True)
class Keep:
    """Where a training run keeps its states, so that a restarted one goes on.

    Attributes:
        name: of the run, for people.
        folder: on this machine; the Trainer writes its states there.
        uri: where they are copied to; folder or `s3://`.
    """

    name: str
    folder: Path
    uri: str


class KeepState(TrainerCallback):
    """Copies each saved training state to the store, so that a restarted pod goes on from it.

    The state after the last step is not copied: the result itself follows at once.
    """

    def __init__(self, keep: Keep) -> None:
        self.uri, self.folder = keep.uri, keep.folder

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero or state.global_step >= state.max_steps:
            return
        for path in sorted(self.folder.glob("checkpoint-*")):  # the newest, and the best if it is another
            place = storage.join(self.uri, path.name)
            if storage.folder_index(place) is None:
                storage.store_folder(path, place)


def restore_state(keep: Keep) -> str | None:
    """Fetch the training states that a killed run left behind; the folder of the newest, or None."""
    uri, folder = keep.uri, keep.folder
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

"""Encoders from elsewhere: no pickle is opened, and a Hub out of reach is one line."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.tiny_encoder import make_encoder
from tofner.errors import BadModel
from tofner.model.encoder import check_checkpoint
from tofner.training import checkpoint


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (os.mkdir, (str(self.trace),))


def test_a_pickle_beside_other_safetensors_is_not_opened(tmp_path: Path) -> None:
    """Any safetensors file makes the folder one with safe weights; the library prefers what has the known name."""
    folder = make_encoder(tmp_path / "encoder")
    weights = folder / "model.safetensors"
    save_file(load_file(weights), folder / "other.safetensors")
    weights.unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump(Bomb(tmp_path / "opened"), file)
    check_checkpoint(str(folder))
    for load in (checkpoint.load_encoder, checkpoint.load_masked_lm):
        with pytest.raises((OSError, BadModel)):
            load(folder)
    assert not (tmp_path / "opened").exists()


def test_a_hub_out_of_reach_is_a_passing_fault(tmp_path: Path) -> None:
    """In a process of its own, since the client reads its settings once."""
    code = (
        "from tofner.errors import PassingFault\n"
        "from tofner.model import hub\n"
        "for ask in (hub.current_commit, hub.fetch):\n"
        "    try:\n"
        "        ask('owner/model')\n"
        "    except PassingFault as error:\n"
        "        print('\\n' not in str(error), error.exit_code, 'try again' in str(error))\n"
    )
    own = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["True 75 True"] * 2, done.stderr

"""`tofner retrain` on this machine, from the first model to the gate's word on the next one, as cron would call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset

pytestmark = pytest.mark.e2e


class Machine:
    """A folder with tiny data and preset, in which it is called again and again."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.store = root, root / "data", root / "store"
        make_data(self.data)
        make_preset(root / "tiny.yaml", make_encoder(root / "encoder"))

    def retrain(self, *more: str) -> tuple[int, str, dict[str, str]]:
        """Exit code, what was shown, and the lines for CI."""
        output = self.root / "output"
        output.unlink(missing_ok=True)
        given = {"preset": self.root / "tiny.yaml", "data": self.data, "store": self.store, "iterations": 0}
        words = [word for key, value in given.items() for word in ("--param", f"{key}={value}")]
        words += ["--param", "mlm_stage=off", "--param", "mrc_stage=off", "--param", "pseudo=off"]
        command = [sys.executable, "-m", "tofner.cli", "retrain", "--work", str(self.root / "work"), *words]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
        done = subprocess.run(
            [*command, "--output", str(output), *more], capture_output=True, text=True, check=False, env=environment
        )
        lines = output.read_text().splitlines() if output.is_file() else []
        return done.returncode, done.stdout + done.stderr, dict(line.split("=", 1) for line in lines)

    def state(self) -> dict[str, object]:
        (place,) = (self.store / "retraining").glob("*.json")
        content: dict[str, object] = json.loads(place.read_text())
        return content


def test_from_the_first_model_to_one_that_is_held_back(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    code, shown, told = machine.retrain()
    assert (code, told["outcome"]) == (0, "latest"), shown
    latest = json.loads((machine.store / "models" / "tofner-tiny" / "latest.json").read_text())["version"]
    assert told["version"] == latest
    assert 0 <= float(told["f1"]) <= 1
    assert Path(told["model"], "model.onnx").is_file()

    code, shown, told = machine.retrain()
    assert (code, told["outcome"], told["version"]) == (0, "unchanged", latest), shown

    broken = machine.data / "ner" / "src" / "dev.conll"
    whole = broken.read_text()
    broken.write_text("one two three\nfour\n")
    code, shown, told = machine.retrain()
    assert code == 1, shown  # files are read by the run, not by the plan
    assert told["outcome"] == "failed"
    assert "dev.conll" in shown
    broken.write_text(whole)
    code, shown, told = machine.retrain()
    assert (code, told["outcome"]) == (0, "unchanged"), "the data are those of the model that is there"

    code, shown, told = machine.retrain("--param", 'overrides=["stages.ner.epochs=1"]')
    assert (code, told["outcome"]) == (0, "held-back"), shown
    assert told["version"] != latest
    assert "settings changed" in shown
    assert json.loads((machine.store / "models" / "tofner-tiny" / "latest.json").read_text())["version"] == latest
    state = machine.state()
    assert state["claim"] is None
    assert [one["outcome"] for one in state["past"]] == ["latest", "failed", "held back"]  # type: ignore[attr-defined]

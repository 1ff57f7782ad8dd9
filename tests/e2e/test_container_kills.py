"""Training in containers, killed ten times: `docker kill` wherever training happens to be, the same command again, and
in the end the checkpoints of the run that nobody disturbed, byte for byte.

Needs what tests/e2e/test_containers.py needs. About five minutes; `make kills`.
"""

import random
import re
import time
from pathlib import Path

import pytest

from tests.container_run import ContainerRun, Process
from tests.images import docker

pytestmark = [pytest.mark.containers, pytest.mark.e2e]
SEED = 2019
KILLS = 10
EPOCHS = {"mlm": 4, "mrc": 4, "ner": 6, "pseudo_ner": 4}
# Epochs that a training gets on before it is killed: 13 in all, of 18, so that the tenth kill still meets one at work.
LIVES = [0, 0, 1, 1, 1, 1, 2, 2, 2, 3]
TRAINING = re.compile(r"\| (?P<stage>\w+) (epoch (?P<epoch>\d+):|.* step (?P<step>\d+)/)")
MORE = [word for stage, epochs in EPOCHS.items() for word in ("--set", f"stages.{stage}.epochs={epochs}")]


def until(process: Process, epochs: int) -> tuple[str, float]:
    """Reads on until that many epochs ended in this life, or with none until training takes its first step.

    Returns:
        The line that said so, and how long an epoch took, in seconds.
    """
    assert process.stdout
    ended, begun, took, stage = 0, time.monotonic(), 0.5, ""
    for line in process.stdout:
        found = TRAINING.search(line)
        if not found:
            continue
        if found["stage"] != stage:  # its first step
            stage, begun = found["stage"], time.monotonic()
        if found["epoch"]:
            ended, took, begun = ended + 1, time.monotonic() - begun, time.monotonic()
        if ended >= epochs:
            return line.strip(), took
    pytest.fail("training ended before it was to be killed")


def test_ten_kills_change_no_byte(trainer: str, tagger: str, tmp_path: Path) -> None:
    undisturbed = ContainerRun(tmp_path, tmp_path / "undisturbed", *MORE)
    undisturbed.finish()
    killed = ContainerRun(tmp_path, tmp_path / "killed", *MORE)
    draw = random.Random(SEED)
    lives = draw.sample(LIVES, len(LIVES))
    for number, epochs in enumerate(lives, 1):
        with killed.start() as process:
            line, took = until(process, epochs)
            share = draw.random()
            time.sleep(share * took)  # somewhere in the epoch that follows: a step, scoring, a state on its way
            while not any(docker("kill", one, check=False).returncode == 0 for one in killed.containers()):
                assert process.poll() is None  # between two tasks: the next one's, then
            assert process.stdout
            rest = process.stdout.read()
        print(f"kill {number}: {share:.2f} of an epoch of {took:.2f} s after {line!r}")
        assert process.returncode == 75, rest
        assert "its process was ended from outside" in rest
        assert killed.containers() == []
    said = killed.finish()
    print(said)
    assert killed.digests() == undisturbed.digests()
    assert len(undisturbed.digests()) > len(EPOCHS)

"""Training in containers, killed ten times: `docker kill` wherever training happens to be, the same command again, and
in the end the checkpoints of the run that nobody disturbed, byte for byte.

Needs what tests/e2e/test_containers.py needs. Twenty minutes on two busy cores; `make kills`.
"""

import contextlib
import random
import re
import time
from pathlib import Path

import pytest
from docker.client import DockerClient
from docker.errors import APIError

from tests.container_run import ContainerRun, Process

pytestmark = [pytest.mark.containers, pytest.mark.e2e]
SEED = 2019
KILLS = 10
EPOCHS = {"mlm": 5, "mrc": 5, "ner": 8, "pseudo_ner": 8}
TASKS = dict(zip(["line 2: mlm", "line 4: mrc", "line 6: ner", "line 9: ner"], EPOCHS.values(), strict=True))
SPARE = 3  # epochs left after the last kill: a kill takes its time, in which training goes on
TRAINING = re.compile(r"^  (?P<task>line \d: \w+) \| \w+ (epoch (?P<epoch>\d+):|.* step \d+/)")
MORE = [word for stage, epochs in EPOCHS.items() for word in ("--set", f"stages.{stage}.epochs={epochs}")]
Moment = tuple[int, int]  # a task by its place, and epochs that ended; 0 is its first step


def moments(draw: random.Random) -> list[Moment]:
    """Ten of a run's, in order."""
    every = [(place, epoch) for place, epochs in enumerate(TASKS.values()) for epoch in range(epochs + 1)]
    return sorted(draw.sample(every[: -1 - SPARE], KILLS))


def until(process: Process, moment: Moment) -> tuple[str, float]:
    """Reads on until training is at a moment, or is found beyond it.

    Returns:
        The line that said so, and how long an epoch took, in seconds.
    """
    assert process.stdout
    begun, took, task = time.monotonic(), 0.5, ""
    for line in process.stdout:
        found = TRAINING.match(line)
        if not found:
            continue
        if found["task"] != task:  # its first step
            task, begun = found["task"], time.monotonic()
        if found["epoch"]:
            took, begun = time.monotonic() - begun, time.monotonic()
        if (list(TASKS).index(task), int(found["epoch"] or 0)) >= moment:
            return line.strip(), took
    pytest.fail(f"training ended before {moment}")


def test_ten_kills_change_no_byte(trainer: str, tagger: str, tmp_path: Path) -> None:
    undisturbed = ContainerRun(tmp_path, tmp_path / "undisturbed", *MORE)
    undisturbed.finish()
    killed = ContainerRun(tmp_path, tmp_path / "killed", *MORE)
    draw = random.Random(SEED)
    with contextlib.closing(DockerClient.from_env()) as client:
        for number, moment in enumerate(moments(draw), 1):
            with killed.start() as process:
                line, took = until(process, moment)
                share = draw.random()
                time.sleep(share * took)  # somewhere in what follows: a step, scoring, a state on its way to the store
                while not kill(client, killed):
                    assert process.poll() is None  # between two tasks: the next one's, then
                assert process.stdout
                rest = process.stdout.read()
            print(f"kill {number}: {share:.2f} of an epoch of {took:.2f} s after {line!r}", flush=True)
            assert process.returncode == 75, rest
            assert "its process was ended from outside" in rest
            assert killed.containers() == []
    print(killed.finish())
    made = killed.digests()
    assert made == undisturbed.digests()
    assert len(made) > len(EPOCHS)
    print(f"the same after {KILLS} kills: {made}")


def kill(client: DockerClient, run: ContainerRun) -> bool:
    """SIGKILL what runs now; False where nothing does."""
    for one in client.containers.list(filters={"label": f"tofner.work={run.work}"}):
        with contextlib.suppress(APIError):
            one.kill()
            return True
    return False

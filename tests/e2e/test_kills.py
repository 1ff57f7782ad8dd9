"""kill -9 of the object store, and of a stage, in mid-run: the same command goes on and ends with the same model."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset

pytestmark = pytest.mark.e2e
LIMIT_S = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kills")
    make_data(root / "data")
    make_preset(root / "preset.yaml", make_encoder(root / "encoder"))
    return root


def command(home: Path, work: Path) -> list[str]:
    run = [sys.executable, "-m", "tofner.cli", "run", "--preset", str(home / "preset.yaml"), "--iterations", "0"]
    return [*run, "--data", str(home / "data"), "--work", str(work)]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
    return {**kept, "TOFNER_STORAGE_PATIENCE_S": "3", "COLUMNS": "120"}


def run(home: Path, work: Path) -> str:
    """Undisturbed, to the end; returns the model's digest."""
    done = subprocess.run(
        command(home, work), env=environment(), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    digest: str = json.loads((work / "out/report/run.json").read_text(encoding="utf-8"))["model"]["digest"]
    return digest


def run_and_kill(home: Path, work: Path, task: str, kill: Callable[[Path], None]) -> int:
    """Start the command, call `kill` as soon as `task` begins, and return the exit code."""
    with subprocess.Popen(
        command(home, work), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"> {task}"):
                kill(work)
                break
        process.stdout.read()
    return process.returncode


def kill_store(work: Path) -> None:
    os.kill(int((work / "store/weed.pid").read_text()), signal.SIGKILL)


def kill_stage(work: Path) -> None:
    """The process that runs the task's Python, once it is there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if b"kfp.dsl.executor_main" in words and str(work).encode() in words and b"sh\0-ec" not in words:
                os.kill(int(path.parent.name), signal.SIGKILL)
                return
        time.sleep(0.02)
    pytest.fail("no stage process was found")


@pytest.fixture(scope="module")
def undisturbed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(home, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(("task", "kill"), [("line 6: ner", kill_store), ("line 4: mrc", kill_stage)])
def test_the_same_command_goes_on(
    task: str, kill: Callable[[Path], None], home: Path, undisturbed: str, tmp_path: Path
) -> None:
    assert run_and_kill(home, tmp_path, task, kill) == 75
    assert not (tmp_path / "out").exists()
    assert run(home, tmp_path) == undisturbed


def left(work: Path, scratch: Path) -> list[str]:
    """Processes that name the run's folder, and what lies in its temporary one."""
    found = [path.name for path in scratch.iterdir()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        found += [words] if str(work) in words else []
    return found


@pytest.mark.parametrize(
    ("number", "code", "task"), [(signal.SIGTERM, 75, "line 4: mrc"), (signal.SIGINT, 130, "line 9: ner")]
)
def test_a_stopped_run_leaves_nothing_at_work_and_goes_on(
    number: signal.Signals, code: int, task: str, home: Path, undisturbed: str, tmp_path: Path
) -> None:
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    scratch.mkdir()
    told = environment() | {"TMPDIR": str(scratch)}
    with subprocess.Popen(
        command(home, work), env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f"> {task}"):
                process.send_signal(number)
                break
        said = process.stdout.read()
    assert process.returncode == code, said
    assert f"tofner: stopped at {task} by {number.name}; the same command goes on from here" in said
    assert left(work, scratch) == []
    assert run(home, work) == undisturbed

"""A run's task is a process that ends with the run: by a signal, by an error, and where the run is killed outright."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tofner_kubeflow.pipelines.processes import run_process, stoppable

# A task with a child of its own; it writes down both, and goes on for an hour. With an argument, deaf to SIGTERM.
TASK = """
import os, signal, subprocess, sys, time
if len(sys.argv) > 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
print("at work", flush=True)
time.sleep(3600)
"""
# A run: the task in our hands, a word when it is at work, and one when everything has been left in order.
RUN = """
import sys
from tofner_kubeflow.pipelines import processes
processes.STOP_WITHIN_S = 1.0
try:
    with processes.stoppable(lambda: "line 2: mlm"):
        processes.run_process([sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
finally:
    print("left in order", flush=True)
"""


def gone(pid: int) -> bool:
    """A process that has ended; one that nobody has waited for yet has too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def start(pids: Path, *more: str) -> "subprocess.Popen[str]":
    """A run whose task is at work."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, TASK, str(pids), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "at work\n"
    return run


@pytest.mark.parametrize("deaf", [(), ("deaf",)])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)], ids=str)
def test_a_signal_ends_the_task_and_its_children(
    tmp_path: Path, number: signal.Signals, code: int, deaf: tuple[str, ...]
) -> None:
    run = start(tmp_path / "pids", *deaf)
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == code
    assert err == f"tofner: stopped at line 2: mlm by {number.name}; the same command goes on from here\n"
    assert out.endswith("left in order\n")
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part is Linux's")
def test_a_run_that_is_killed_outright_leaves_no_task(tmp_path: Path) -> None:
    run = start(tmp_path / "pids")
    run.kill()
    run.communicate(timeout=60)
    task = int((tmp_path / "pids").read_text().split()[0])
    ends = time.monotonic() + 60
    while not gone(task) and time.monotonic() < ends:
        time.sleep(0.02)
    ended = gone(task)
    for pid in (tmp_path / "pids").read_text().split():
        if not gone(int(pid)):
            os.kill(int(pid), signal.SIGKILL)
    assert ended


def test_output_and_exit_code_are_the_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import os, sys; print('one'); print('two', file=sys.stderr); sys.exit(int(os.environ['CODE']))"
    assert run_process([sys.executable, "-c", code], {"CODE": "7"}) == 7
    assert sorted(capsys.readouterr().out.split()) == ["one", "two"]


def test_the_handlers_of_before_are_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stoppable(lambda: ""):
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


SWALLOWED = """
import signal, weakref
from tofner_kubeflow.pipelines.processes import stoppable

class Thing:
    pass

with stoppable(lambda: "line 2: mlm"):
    thing = Thing()
    held = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing  # the callback's exit is lost
    while True:
        pass
"""


def test_an_exit_that_a_callback_swallows_ends_the_run_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 75
    assert done.stderr == "tofner: stopped at line 2: mlm by SIGTERM; the same command goes on from here\n"

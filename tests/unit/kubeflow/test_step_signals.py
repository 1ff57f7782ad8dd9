"""SIGTERM and SIGINT to the program of a task: exit code and one line, and scratch is removed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXECUTOR = """
import time
from pathlib import Path
from tofner import storage
with storage.scratch_folder("tofner-work-", "ner-", Path("scratch")):
    print("at work", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_step_that_is_told_to_end_says_so_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    (tmp_path / "executor.py").write_text(EXECUTOR)
    begin = "from tofner_kubeflow.components.stage import start; start('executor')"
    command = [sys.executable, "-c", begin, "--function_to_execute", "ner"]
    told = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=told, stdout=-1, stderr=-1, text=True) as task:
        assert task.stdout is not None
        assert task.stdout.readline() == "at work\n"
        task.send_signal(number)
        said = task.communicate()[1]
    assert task.returncode == code
    assert said == f"tofner: ner: stopped by {number.name}; the same step goes on from here\n"
    assert list((tmp_path / "scratch").iterdir()) == []

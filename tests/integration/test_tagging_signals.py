"""SIGTERM and SIGINT to `tofner tag`, at any moment: one line, no process and no scratch left, and it goes on."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.tiny_tagger import publish_tiny

pytestmark = pytest.mark.integration
SAID = "tofner: stopped by {}; what is done is kept, and the same command goes on from there\n"


def children(pid: int) -> list[int]:
    """Processes that a process has begun."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_job_that_is_stopped_says_so_and_goes_on(
    tmp_path: Path, number: signal.Signals, code: int, processes: int
) -> None:
    model = publish_tiny(tmp_path / "model")
    rows = (json.dumps({"text": f"Obama met Merkel {i} in New York"}) for i in range(200_000))
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    command = [sys.executable, "-m", "tofner.cli", "tag", "--model", str(model), "--input", str(tmp_path / "in.jsonl")]
    command += ["--output", str(tmp_path / "out"), "--threads", "1", "--processes", str(processes), "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        try:
            plan = tmp_path / "out/_tofner/plan.json"
            while not plan.exists() or (processes > 1 and len(children(job.pid)) < processes):
                assert job.poll() is None
                threading.Event().wait(0.01)
            begun = children(job.pid)
            job.send_signal(number)
            out, said = job.communicate(timeout=120)
        finally:
            job.kill()
    assert (job.returncode, out, said) == (code, "", SAID.format(number.name))
    left = begun
    for _ in range(2000):  # multiprocessing's own helper ends when it sees that nobody is there
        left = [pid for pid in begun if Path(f"/proc/{pid}").exists()]
        if not left:
            break
        threading.Event().wait(0.01)
    assert left == []
    assert list((tmp_path / "out/_tofner").glob("tmp/*")) == []

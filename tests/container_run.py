"""`tofner run --runner docker` for tests: on a tiny preset, in a work folder, with what can be seen from outside."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.images import REVISION, docker
from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner import storage
from tofner.storage import BUCKET, LocalStore

Process = subprocess.Popen[str]


class ContainerRun:
    """One command, repeated in one work folder; the folder's bucket keeps what earlier ones did."""

    def __init__(self, home: Path, work: Path, *more: str) -> None:
        """`home` gets data and preset, once; `more` are further arguments."""
        if not (home / "preset.yaml").exists():
            make_data(home / "data")
            make_preset(home / "preset.yaml", make_encoder(home / "encoder"))
        self.home, self.work = home, work
        self.said = ""
        self.command = [sys.executable, "-m", "tofner.cli", "run", "--runner", "docker", "--work", str(work)]
        self.command += ["--image", f"tofner-trainer:{REVISION}", "--preset", str(home / "preset.yaml")]
        self.command += ["--data", str(home / "data"), "--iterations", "0", *more]

    def start(self, *more: str) -> Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
        return subprocess.Popen(
            [*self.command, *more],
            env={**kept, "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509  (no thread, no lock)
        )

    def finish(self, *more: str, code: int = 0) -> str:
        """Runs to the end, which must be `code`; what it printed."""
        with self.start(*more) as process:
            said, _ = process.communicate()
        self.said += said
        assert process.returncode == code, said[-4000:]
        return said

    def containers(self) -> list[str]:
        """Ids of this folder's containers, those that ended too."""
        return docker("ps", "-aq", "--no-trunc", "--filter", f"label=tofner.work={self.work}").stdout.split()

    def report(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.work / "out/report/run.json").read_text(encoding="utf-8"))
        return told

    @contextlib.contextmanager
    def bucket(self) -> Iterator[str]:
        """The run's bucket, served to this process."""
        before = dict(os.environ)
        with LocalStore(self.work / "store") as store:
            os.environ.update(store.environment())
            try:
                yield f"s3://{BUCKET}"
            finally:
                os.environ.clear()
                os.environ.update(before)

    def digests(self) -> dict[str, str]:
        """Of what each stage of the run made, by its address, and of the model."""
        with self.bucket():
            uris = [row["uri"] for row in self.report()["rows"]]
            made = {uri: json.loads(storage.read_bytes(storage.join(uri, "manifest.json"))) for uri in uris}
        return {uri: manifest["digest"] for uri, manifest in made.items()} | {"model": self.report()["model"]["digest"]}


def _heed_interrupts() -> None:
    """A test that was itself started in the background ignores them, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def lines_until(process: Process, part: str) -> Iterator[str]:
    """Lines that a command prints, up to the first one with `part` in it."""
    assert process.stdout
    for line in process.stdout:
        yield line
        if part in line:
            return
    raise AssertionError(f"it ended without {part!r}")

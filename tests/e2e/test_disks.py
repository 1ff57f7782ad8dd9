"""Local disks that are full or read-only under a step of a run, a run, tagging and the service, all as processes.

Each cell: the exit code, one line, nothing left on the disk or in the store, and the same command afterwards ends well,
with the bytes of one that nobody disturbed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_disk import can_mount, on_disk
from tests.tiny_encoder import make_data, make_encoder, make_preset
from tests.tiny_tagger import publish_tiny
from tofner import storage

pytestmark = pytest.mark.e2e
AGAIN, WRONG = 75, 2
TAKE = """
import sys
from tofner.stages import begin, take
preset, data, store, model, name = sys.argv[1:]
off = dict(mlm="off", mrc="off", pseudo="off")
run = begin("", off, preset, data, store, "", 0, 1, ["stages.ner.epochs=1"], "tiny")
take("prepare", run)
print(take(name, run, model=model).uri)
"""


@pytest.fixture(autouse=True)
def disk(tmp_path: Path) -> Path:
    if not can_mount(tmp_path / "disk"):
        pytest.skip("no tmpfs can be mounted here; tests/unit/storage holds what such disks mean")
    return tmp_path / "disk"


def ended(command: list[str], **more: str) -> tuple[int, list[str]]:
    """Exit code and what was said for the user."""
    told = {**os.environ, "TOFNER_STORAGE_PATIENCE_S": "5", **more}
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=240, check=False)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.returncode, [line for line in done.stderr.splitlines() if line.startswith("tofner:")]


def check(got: tuple[int, list[str]], code: int, place: Path) -> None:
    assert got[0] == code, got
    assert len(got[1]) == 1, got
    assert str(place) in got[1][0], got


@pytest.mark.parametrize("size", ["160k", "400k"])
def test_a_step_whose_scratch_is_full(tmp_path: Path, disk: Path, prefix: str, size: str) -> None:
    """The encoder is of 120 KB, its optimiser's state of twice as much."""
    encoder = make_encoder(tmp_path / "encoder")
    make_data(tmp_path / "data")
    make_preset(tmp_path / "preset.yaml", encoder)
    told = [str(tmp_path / "preset.yaml"), str(tmp_path / "data"), prefix, str(encoder), "line 6: ner"]
    command = [sys.executable, "-c", TAKE, *told]
    check(ended(on_disk(f"size={size}", disk, command), TMPDIR=str(disk)), AGAIN, disk)
    there = [info.path for info in storage.list_files(f"{prefix}/work/ner")]
    assert [path for path in there if path.endswith("_index.json")] == []
    if size == "400k":
        assert ended(command, TMPDIR=str(disk)) == (0, [])
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize(("options", "code"), [("size=100k", AGAIN), ("ro", WRONG)])
@pytest.mark.parametrize("what", ["tag", "serve", "tag to it"])
def test_tagging_and_the_service(tmp_path: Path, disk: Path, prefix: str, what: str, options: str, code: int) -> None:
    model = publish_tiny(tmp_path / "model")
    storage.store_folder(model, f"{prefix}/model")
    rows = (json.dumps({"id": i, "text": f"Obama met Merkel {i} in New York"}) for i in range(3000))
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    cache = disk if what != "tag to it" else tmp_path / "cache"
    out = tmp_path / "out" if what != "tag to it" else disk
    command = [
        sys.executable,
        "-m",
        "tofner.cli",
        what.partition(" ")[0],
        "--model",
        f"{prefix}/model",
        "--threads",
        "1",
    ]
    if what == "serve":
        assert ended(on_disk(options, disk, command), TOFNER_CACHE=str(disk))[0] == code
        return
    command += ["--input", str(tmp_path / "in.jsonl"), "--output", str(out), "-q"]
    check(ended(on_disk(options, disk, command), TOFNER_CACHE=str(cache)), code, disk)
    assert what == "tag to it" or not (tmp_path / "out").exists()
    assert ended(command, TOFNER_CACHE=str(cache)) == (0, [])
    calm = [*command[:-2], str(tmp_path / "calm"), "-q"]
    assert ended(calm, TOFNER_CACHE=str(cache)) == (0, [])
    assert (out / "in.jsonl").read_bytes() == (tmp_path / "calm" / "in.jsonl").read_bytes()
    assert list((out / "_tofner").glob("tmp/*")) == []


@pytest.mark.parametrize(("options", "code"), [("size=200k", AGAIN), ("ro", WRONG)])
def test_a_run(tmp_path: Path, disk: Path, options: str, code: int) -> None:
    make_data(tmp_path / "data")
    make_preset(tmp_path / "preset.yaml", make_encoder(tmp_path / "encoder"))
    command = [sys.executable, "-m", "tofner.cli", "run", "--preset", str(tmp_path / "preset.yaml")]
    command += ["--data", str(tmp_path / "data"), "--work", str(disk / "work"), "--iterations", "0"]
    told = {"S3_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": ""}
    check(ended(on_disk(options, disk, command), **told), code, disk)
    assert list(disk.iterdir()) == []

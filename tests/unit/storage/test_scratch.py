"""Temporary folders: gone with their user, and with the next one where that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tofner import storage
from tofner.errors import BadInput

HOLD = """
import sys
from pathlib import Path
from tofner import storage
with storage.scratch_folder("tofner-work-", "mlm-", Path(sys.argv[1])) as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_there_for_its_user_alone(tmp_path: Path) -> None:
    with storage.scratch_folder("tofner-work-", "mlm-", tmp_path / "new") as one:
        (one / "file").write_text("x")
        assert one.name.startswith("tofner-work-mlm-")
        with storage.scratch_folder("tofner-work-", "ner-", tmp_path / "new") as other:
            assert one.is_dir()
            assert other != one
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_has_left_goes_with_the_next_one(tmp_path: Path) -> None:
    own = ["tofner-work", "tofner-work-es", "other.scratch"]  # not of this kind
    for name in own:
        (tmp_path / name).mkdir()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=-1, stdout=-1, text=True)
    assert holder.stdout is not None
    left = Path(holder.stdout.readline().strip())
    with storage.scratch_folder("tofner-work-", parent=tmp_path):
        assert (left / "file").exists(), "it is held by a living process"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert (left / "file").exists()
    with storage.scratch_folder("tofner-work-", parent=tmp_path):
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(own)


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="file"), storage.scratch_folder("x-", parent=tmp_path / "file"):
        pass

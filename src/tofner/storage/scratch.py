"""Temporary folders that a kill leaves for no longer than until the next one is made. Public through `tofner.storage`.

Whoever uses one holds a lock on it, which goes with the process, however that dies. Whoever makes one removes those of
its kind beside it that nobody holds.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tofner.storage.local import local_faults

ENDING = ".scratch"  # without it a folder is somebody's own, whatever it begins with


@contextlib.contextmanager
def scratch_folder(kind: str, more: str = "", parent: Path | None = None) -> Iterator[Path]:
    """A folder `KIND….scratch` for as long as the context lasts, in `parent` or the system's place for such things.

    Args:
        kind: beginning of the name, by which it and its like are known.
        more: what its name goes on with, for people.

    Raises:
        BadInput, PassingFault: as `local_faults`.
    """
    with local_faults(str(parent or tempfile.gettempdir()), writing=True):
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        place = parent or Path(tempfile.gettempdir())
        _sweep(place, kind)
        path, lock = _make(place, kind + more)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(place: Path, prefix: str) -> tuple[Path, int]:
    """A new folder and the lock on it; again if somebody swept it away before it was locked."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, suffix=ENDING, dir=place))
        lock = _hold(path)
        if lock is not None and path.is_dir():
            return path, lock
        if lock is not None:
            os.close(lock)


def _hold(path: Path) -> int | None:
    """A lock on a folder; None if somebody else holds it, or it is gone or not ours."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _sweep(place: Path, kind: str) -> None:
    """Remove the folders that killed processes have left."""
    for path in place.glob(f"{kind}*{ENDING}"):
        lock = _hold(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

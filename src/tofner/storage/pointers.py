"""Pointers: small JSON objects that several writers move by conditional puts. Public through `tofner.storage`."""

import fcntl
import hashlib
import json
from pathlib import Path
from typing import Any

from tofner.errors import BadInput, PassingFault, Problem
from tofner.storage import s3
from tofner.storage.local import local_faults, write_local
from tofner.storage.objects import put, read_if_there
from tofner.storage.uri import is_s3


class PointerMoved(PassingFault):
    """Somebody else moved the pointer first: read it again and decide anew."""


def read_pointer(uri: str) -> tuple[dict[str, Any], str] | None:
    """The value of a pointer and its etag for `move_pointer`; None if there is no such pointer yet.

    Raises:
        BadInput: it is no JSON object, or storage refuses.
        PassingFault: storage did not answer in time.
    """
    found = read_if_there(uri)
    if found is None:
        return None
    try:
        value = json.loads(found[0])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput(Problem(uri, f"{found[0][:60]!r}", "a JSON object", "write the pointer again"))
    return value, found[1]


def move_pointer(uri: str, value: dict[str, Any], expected_etag: str | None) -> str:
    """Set a pointer if it still is as it was read; returns its new etag.

    Args:
        expected_etag: as `read_pointer` gave it; None: there must be no pointer yet.

    Raises:
        PointerMoved: somebody else was faster; the pointer keeps their value.
        BadInput, PassingFault: as `read_pointer`.
    """
    data = json.dumps(value, indent=1, sort_keys=True).encode()
    if not is_s3(uri):
        return _move_local(Path(uri), data, expected_etag)
    condition = {"IfNoneMatch": "*"} if expected_etag is None else {"IfMatch": expected_etag}
    tries = 0

    def count() -> None:
        nonlocal tries
        tries += 1

    try:
        return put(uri, data, before_each=count, **condition)
    except Exception as error:
        if not s3.is_refused(error):
            raise
        there = read_if_there(uri)
        if tries > 1 and there is not None and there[0] == data:
            return there[1]  # our own put had arrived; only its answer was lost
        raise _moved(uri) from error


def _moved(uri: str) -> PointerMoved:
    return PointerMoved(f"{uri}: moved by another writer meanwhile; read it again and decide anew")


def _move_local(path: Path, data: bytes, expected_etag: str | None) -> str:
    with local_faults(str(path), writing=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = read_if_there(str(path))
            if (found[1] if found else None) != expected_etag:
                raise _moved(str(path))
            write_local(path, data)
    return hashlib.sha256(data).hexdigest()

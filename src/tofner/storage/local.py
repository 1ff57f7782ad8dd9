"""Folders and files on this machine: writes that survive a crash, and what the operating system's refusals mean."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tofner.errors import BadInput, PassingFault, Problem
from tofner.storage.faults import NoSuchObject


def write_local(path: Path, data: bytes) -> None:
    """Write a local file through a temporary sibling: after a crash the old or the new contents are there, no half."""
    with local_faults(str(path), writing=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_NOT_HERE = (errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)


@contextlib.contextmanager
def local_faults(uri: str, writing: bool = False) -> Iterator[None]:
    """Turn the operating system's refusals into BadInput, and a full or failing disk into PassingFault.

    `writing`: `uri` is to be made, so that what is not there is a folder for it.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        if writing:
            found = f"{error.filename!r}, which is no folder"
            raise BadInput(Problem(uri, found, "a place that can be written", "choose another place")) from error
        raise NoSuchObject(Problem(uri, "no such file", "an existing file", "correct the path")) from error
    except IsADirectoryError as error:
        raise BadInput(Problem(uri, "a folder", "a file", "correct the path")) from error
    except FileExistsError as error:
        raise BadInput(Problem(uri, f"{error.filename!r} in the way", "a free path", "move it away")) from error
    except PermissionError as error:
        raise BadInput(Problem(uri, "no permission", "a path this user may use", "change its mode or owner")) from error
    except OSError as error:
        if error.errno in _NOT_HERE:
            fix = "choose another place"
            raise BadInput(Problem(uri, str(error.strerror), "a place that can be written", fix)) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE):
            raise PassingFault(f"{uri}: {error.strerror}") from error
        raise

"""Folders and files on this machine: writes that survive a crash, and what the operating system's refusals mean."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tofner.errors import BadInput, PassingFault, Problem, TofnerError
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
_FAILING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)
_FULL_BYTES = 64 * 2**10  # libraries that swallow the cause leave less than this of a disk that was full


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
        if error.errno in _FAILING:
            raise PassingFault(f"{uri}: {error.strerror}") from error
        raise


@contextlib.contextmanager
def disk_faults(scratch: str | Path = "") -> Iterator[None]:
    """Tells what escapes from the work inside as `disk_fault` sees it; other errors come out as they are."""
    try:
        yield
    except TofnerError:
        raise
    except Exception as error:
        fault = disk_fault(error, scratch)
        if fault is None:
            raise
        raise fault from error


def disk_fault(error: BaseException, scratch: str | Path = "") -> BadInput | PassingFault | None:
    """What an error that escaped from a library means, if it is a full, failing or read-only disk's; else None.

    Libraries raise types of their own and keep the system's words at best, so these are looked for along the causes,
    and whether the disk of `scratch`, where the work was done, is full.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, BadInput | PassingFault):
            return None  # it was told already, or is being told
        number = seen.errno if isinstance(seen, OSError) else None
        said = str(seen)
        place = str(getattr(seen, "filename", None) or scratch or "a local disk")
        for known in _FAILING:
            if number == known or (number is None and os.strerror(known) in said):
                return PassingFault(f"{place}: {os.strerror(known)}; make room, or choose another place, and try again")
        if number == errno.EROFS or (number is None and os.strerror(errno.EROFS) in said):
            fix = "choose another place"
            return BadInput(Problem(place, os.strerror(errno.EROFS), "a place that can be written", fix))
        if isinstance(seen, FileNotFoundError) and "No usable temporary directory" in said:
            return BadInput(Problem("TMPDIR", said, "a folder that can be written, with room", "set TMPDIR to one"))
        seen = seen.__cause__ or seen.__context__
    if scratch and Path(scratch).exists() and shutil.disk_usage(scratch).free < _FULL_BYTES:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return PassingFault(f"{scratch}: no space left, and so {said}; make room, or set TMPDIR, and try again")
    return None

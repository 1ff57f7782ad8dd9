"""Single objects and files: URIs, whole reads and writes, listings. Public through `tofner.storage`."""

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tofner import _s3
from tofner._faults import NoSuchObject, error_code, not_s3
from tofner._index import INDEX
from tofner._transfer import body_of, checksum
from tofner.errors import BadInput, PassingFault, Problem

PAGE_KEYS = 1000  # the most S3 lists at once


@dataclass(frozen=True)
class FileInfo:
    """A file as a listing shows it: `path` relative to the listed folder, `size` in bytes."""

    path: str
    size: int
    etag: str


def is_s3(uri: str) -> bool:
    """Whether `uri` names something in S3; anything else is a local path.

    Raises:
        BadInput: another scheme (`gs://`) or a slash too few, which would otherwise become an odd local folder.
    """
    if str(uri).startswith("s3:") and not str(uri).startswith("s3://"):
        raise BadInput(Problem(str(uri), "s3: without two slashes", "s3://BUCKET/KEY", "change the URI"))
    scheme, mark, _ = str(uri).partition("://")
    if mark and scheme != "s3" and scheme.isalnum():
        raise BadInput(Problem(str(uri), f"the scheme {scheme!r}", "s3://BUCKET/KEY or a local path", "change the URI"))
    return bool(mark) and scheme == "s3"


def join(uri: str, *parts: str) -> str:
    """The URI of something inside the folder `uri`.

    >>> join("s3://bucket/models/", "es", "v1"), join("/work/data", "ner/x.conll")
    ('s3://bucket/models/es/v1', '/work/data/ner/x.conll')
    """
    if not is_s3(uri):
        return str(Path(uri, *parts))
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts if part.strip("/"))])


def exists(uri: str) -> bool:
    """Whether an object or file is there (not a folder; for those see `folder_index`)."""
    if not is_s3(uri):
        with local_faults(uri):
            return Path(uri).is_file()
    try:
        object_info(uri)
    except NoSuchObject:
        return False
    return True


def read_bytes(uri: str) -> bytes:
    """The whole object or file.

    Raises:
        BadInput: it is not there or may not be read.
        PassingFault: storage did not answer in time.
    """
    return read_tagged(uri)[0]


def read_tagged(uri: str) -> tuple[bytes, str]:
    """The whole object or file, and its etag (a local file's is the sha256 of its contents). Raises as `read_bytes`."""
    if not is_s3(uri):
        with local_faults(uri):
            data = Path(uri).read_bytes()
        return data, hashlib.sha256(data).hexdigest()
    bucket, key = _s3.split_object(uri)

    def get() -> tuple[bytes, str]:
        answer = _s3.client().get_object(Bucket=bucket, Key=key)
        with body_of(answer) as body:
            return body.read(), etag_of(uri, answer)

    return _s3.call(uri, get)


def read_if_there(uri: str) -> tuple[bytes, str] | None:
    """As `read_tagged`, but None if there is no such object or file (a missing bucket is an error still)."""
    try:
        return read_tagged(uri)
    except NoSuchObject:
        return None


def write_bytes(uri: str, data: bytes) -> str:
    """Write an object or file, whole or not at all, over what was there; returns its etag.

    Raises:
        BadInput, PassingFault: as `read_bytes`.
    """
    if is_s3(uri):
        return put(uri, data)
    write_local(Path(uri), data)
    return hashlib.sha256(data).hexdigest()


def put(uri: str, data: bytes, before_each: Callable[[], None] = lambda: None, **condition: str) -> str:
    """Put an object, on a condition (`IfMatch`, `IfNoneMatch`) if given; returns its etag. `before_each` runs before
    every try.

    Raises:
        botocore ClientError: the condition does not hold (`_s3.is_refused`).
        BadInput, PassingFault: as `read_bytes`.
    """
    bucket, key = _s3.split_object(uri)
    name = {"Bucket": bucket, "Key": key, "ChecksumSHA256": checksum(data)}

    def once() -> str:
        before_each()
        return etag_of(uri, _s3.client().put_object(**name, Body=data, **condition))

    return _s3.call(uri, once, meant=_s3.is_refused)


def etag_of(uri: str, answer: dict[str, Any]) -> str:
    """The ETag of an answer. Raises BadInput if it has none: whatever answered is no S3 server."""
    if "ETag" not in answer:
        raise not_s3(uri, "no ETag")
    return str(answer["ETag"])


def write_local(path: Path, data: bytes) -> None:
    """Write a local file through a temporary sibling: after a crash the old or the new contents are there, no half."""
    with local_faults(str(path)):
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


@contextlib.contextmanager
def local_faults(uri: str) -> Iterator[None]:
    """Turn the operating system's refusals into BadInput, and a full or failing disk into PassingFault."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchObject(Problem(uri, "no such file", "an existing file", "correct the path")) from error
    except IsADirectoryError as error:
        raise BadInput(Problem(uri, "a folder", "a file", "correct the path")) from error
    except FileExistsError as error:
        raise BadInput(Problem(uri, f"{error.filename!r} in the way", "a free path", "move it away")) from error
    except PermissionError as error:
        raise BadInput(Problem(uri, "no permission", "a path this user may use", "change its mode or owner")) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE):
            raise PassingFault(f"{uri}: {error.strerror}") from error
        raise


def list_files(uri: str) -> list[FileInfo]:
    """All files below the folder `uri`, sorted by path; empty if nothing is there.

    The folder's own `_index.json` is left out. What an upload that died has left in S3 is shown.

    Raises:
        BadInput, PassingFault: as `read_bytes`.
    """
    if is_s3(uri):
        return _list_s3(uri)
    root = Path(uri)
    found = []
    with local_faults(uri):
        for path in root.rglob("*"):
            if path.is_file():
                state = path.stat()
                etag = f"{state.st_size:x}-{state.st_mtime_ns:x}"
                found.append(FileInfo(path.relative_to(root).as_posix(), state.st_size, etag))
    return sorted((f for f in found if f.path != INDEX), key=lambda f: f.path)


def object_info(uri: str) -> FileInfo:
    """Name, size and etag of one S3 object. Raises as `read_bytes`.

    By a GET of one byte, not a HEAD: only a GET's answer says whether key, bucket, credentials or permission are wrong.
    """
    bucket, key = _s3.split_object(uri)

    def look() -> FileInfo:
        name = key.rpartition("/")[2]
        try:
            answer = _s3.client().get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
        except Exception as error:
            if error_code(error) != "InvalidRange":  # an empty object has no first byte
                raise
            answer = _s3.client().get_object(Bucket=bucket, Key=key)
        with body_of(answer):
            size = answer.get("ContentRange", f"/{answer['ContentLength']}").rpartition("/")[2]
            return FileInfo(name, int(size), etag_of(uri, answer))

    return _s3.call(uri, look)


def _list_s3(uri: str) -> list[FileInfo]:
    bucket, key = _s3.split_uri(uri)
    prefix = f"{key}/" if key else ""
    found: list[FileInfo] = []
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE_KEYS}
    while True:
        page = _s3.call(uri, partial(_s3.client().list_objects_v2, **request))
        if "Name" not in page:  # botocore reads any document as an empty listing
            raise not_s3(uri, "no bucket name in a listing")
        for item in page.get("Contents", []):
            path = item["Key"][len(prefix) :]
            if path and not path.endswith("/") and path != INDEX:  # consoles make empty `folder/` objects
                found.append(FileInfo(path, int(item["Size"]), str(item["ETag"])))
        if not page.get("IsTruncated"):
            return sorted(found, key=lambda f: f.path)
        request["ContinuationToken"] = page["NextContinuationToken"]

"""Single objects and files: whole reads and writes, listings. Public through `tofner.storage`."""

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tofner.storage import s3
from tofner.storage.faults import NoSuchObject, error_code, not_s3
from tofner.storage.index import INDEX, FileEntry, file_sha256
from tofner.storage.local import local_faults, sync_folder, write_local
from tofner.storage.transfer import Transfer, body_of, checksum, upload
from tofner.storage.uri import is_s3, split_object, split_uri

PAGE_KEYS = 1000  # the most S3 lists at once


@dataclass(frozen=True)
class FileInfo:
    """A file as a listing shows it: `path` relative to the listed folder, `size` in bytes.

    `modified_s` is when it was written, in seconds since 1970; not compared, and 0 where no listing said it.
    """

    path: str
    size: int
    etag: str
    modified_s: float = field(default=0.0, compare=False)


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
    bucket, key = split_object(uri)

    def get() -> tuple[bytes, str]:
        answer = s3.client().get_object(Bucket=bucket, Key=key)
        with body_of(answer) as body:
            return body.read(), etag_of(uri, answer)

    return s3.call(uri, get)


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
        botocore ClientError: the condition does not hold (`s3.is_refused`).
        BadInput, PassingFault: as `read_bytes`.
    """
    bucket, key = split_object(uri)
    name = {"Bucket": bucket, "Key": key, "ChecksumSHA256": checksum(data)}

    def once() -> str:
        before_each()
        return etag_of(uri, s3.client().put_object(**name, Body=data, **condition))

    return s3.call(uri, once, meant=s3.is_refused)


def put_file(path: Path, uri: str) -> None:
    """Move a local file to where it belongs, whole or not at all. Local moves stay on one file system.

    Raises:
        BadInput: storage refuses, or the place cannot be written.
        PassingFault: storage failed.
    """
    if is_s3(uri):
        entry = FileEntry(path.stat().st_size, file_sha256(path))
        with Transfer(f"store {uri}", entry.size, _silent) as transfer:
            upload(transfer, path, uri, entry, lambda: None)
        path.unlink()
        return
    target = Path(uri)
    with local_faults(uri, writing=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o644)
        path.replace(target)
        sync_folder(target.parent)


def put_new_file(path: Path, uri: str) -> str | None:
    """Move a local file to where nothing is yet, whole or not at all; returns its etag (see `file_etag`).

    None, and the file stays, if something else is there. The same contents there are as good as one's own. A store that
    does not know conditional puts gets a plain one.

    Raises as `put_file`.
    """
    if not is_s3(uri):
        return _link_new(path, Path(uri))
    entry = FileEntry(path.stat().st_size, file_sha256(path))

    def send(**condition: str) -> dict[str, Any]:
        with Transfer(f"store {uri}", entry.size, _silent) as transfer:
            return upload(transfer, path, uri, entry, lambda: None, _is_no_plain_put, **condition)

    try:
        etag = etag_of(uri, send(IfNoneMatch="*"))
    except Exception as error:
        if error_code(error) in UNKNOWN_CONDITION:
            etag = etag_of(uri, send())
        elif not s3.is_refused(error):
            raise
        else:
            there = object_info(uri)
            if there.size != entry.size or content_sha256(uri) != entry.sha256:
                return None
            etag = there.etag
    path.unlink()
    return etag


UNKNOWN_CONDITION = ("NotImplemented", "501")


def _is_no_plain_put(error: BaseException) -> bool:
    return s3.is_refused(error) or error_code(error) in UNKNOWN_CONDITION


def content_sha256(uri: str) -> str:
    """sha256 of what is stored, hex; it is read for that. Raises as `read_bytes`."""
    if not is_s3(uri):
        with local_faults(uri):
            return file_sha256(Path(uri))
    bucket, key = split_object(uri)

    def get() -> str:
        total = hashlib.sha256()
        with body_of(s3.client().get_object(Bucket=bucket, Key=key)) as body:
            while data := body.read(2**20):
                total.update(data)
        return total.hexdigest()

    return s3.call(uri, get)


def _link_new(path: Path, target: Path) -> str | None:
    digest = file_sha256(path)
    with local_faults(str(target), writing=True):
        if target.exists():
            if not target.is_file() or file_sha256(target) != digest:
                return None
        else:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(path)
            except FileExistsError:  # another process, right now
                return _link_new(path, target) if target.is_file() else None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                put_file(path, str(target))
                return digest
            target.chmod(0o644)
            sync_folder(target.parent)
        path.unlink()
    return digest


_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)


def file_etag(uri: str) -> str | None:
    """What changes when a file or object does: the ETag in S3, the sha256 of a local file; None if nothing is there.

    Raises as `read_bytes`.
    """
    if not is_s3(uri):
        with local_faults(uri):
            return file_sha256(Path(uri)) if Path(uri).is_file() else None
    try:
        return object_info(uri).etag
    except NoSuchObject:
        return None


def _silent(done: int, total: int) -> None:
    """No progress of its own: who puts one file shows the progress of all."""


def etag_of(uri: str, answer: dict[str, Any]) -> str:
    """The ETag of an answer. Raises BadInput if it has none: whatever answered is no S3 server."""
    if "ETag" not in answer:
        raise not_s3(uri, "no ETag")
    return str(answer["ETag"])


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
                found.append(FileInfo(path.relative_to(root).as_posix(), state.st_size, etag, state.st_mtime))
    return sorted((f for f in found if f.path != INDEX), key=lambda f: f.path)


def object_info(uri: str) -> FileInfo:
    """Name, size and etag of one S3 object. Raises as `read_bytes`.

    By a GET of one byte, not a HEAD: only a GET's answer says whether key, bucket, credentials or permission are wrong.
    """
    bucket, key = split_object(uri)

    def look() -> FileInfo:
        name = key.rpartition("/")[2]
        try:
            answer = s3.client().get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
        except Exception as error:
            if error_code(error) != "InvalidRange":  # an empty object has no first byte
                raise
            answer = s3.client().get_object(Bucket=bucket, Key=key)
        with body_of(answer):
            size = answer.get("ContentRange", f"/{answer['ContentLength']}").rpartition("/")[2]
            return FileInfo(name, int(size), etag_of(uri, answer))

    return s3.call(uri, look)


def _list_s3(uri: str) -> list[FileInfo]:
    bucket, key = split_uri(uri)
    prefix = f"{key}/" if key else ""
    found: list[FileInfo] = []
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": PAGE_KEYS}

    def list_page() -> dict[str, Any]:
        page: dict[str, Any] = s3.client().list_objects_v2(**request)
        if "Name" not in page:  # botocore reads any document as an empty listing
            raise not_s3(uri, "no bucket name in a listing")
        return page

    while True:
        page = s3.call(uri, list_page)
        for item in page.get("Contents", []):
            path = item["Key"][len(prefix) :]
            if path and not path.endswith("/") and path != INDEX:  # consoles make empty `folder/` objects
                written = item["LastModified"].timestamp() if "LastModified" in item else 0.0
                found.append(FileInfo(path, int(item["Size"]), str(item["ETag"]), written))
        if not page.get("IsTruncated"):
            return sorted(found, key=lambda f: f.path)
        request["ContinuationToken"] = page["NextContinuationToken"]

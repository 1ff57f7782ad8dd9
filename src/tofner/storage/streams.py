"""Streams over byte ranges of objects and files. Public through `tofner.storage`."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from tofner.errors import BadInput, PassingFault, Problem
from tofner.storage import s3
from tofner.storage.local import local_faults
from tofner.storage.objects import object_info
from tofner.storage.uri import is_s3, split_object

STREAM_BYTES = 2**20


def open_read(uri: str, start: int = 0, end: int | None = None, etag: str = "") -> BinaryIO:
    """A buffered, seekable stream over bytes `start` to `end` (exclusive; None: to the end); position 0 is `start`.

    From S3 the bytes come as they are read; a connection that breaks is opened again where it broke, on the same
    version of the object: the one with `etag`, if given (of S3 only).

    Raises:
        BadInput, PassingFault: as `read_bytes`, at opening or later; BadInput also if it is no longer that version.
        ValueError: `start` is negative or `end` lies before it.
    """
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"bytes {start} to {end} are no range")
    if is_s3(uri):
        size, open_at = _s3_source(uri, etag)
    else:
        size, open_at = _local_source(uri)
    raw = _Range(uri, open_at, min(start, size), size if end is None else min(end, size))
    return cast(BinaryIO, io.BufferedReader(raw, STREAM_BYTES))


def _local_source(uri: str) -> tuple[int, Callable[[int, int], Any]]:
    def open_at(start: int, end: int) -> Any:
        file = Path(uri).open("rb")  # noqa: SIM115  (the range closes it)
        file.seek(start)
        return file

    with local_faults(uri):
        if Path(uri).is_dir():
            raise IsADirectoryError(uri)
        return Path(uri).stat().st_size, open_at


def _s3_source(uri: str, etag: str) -> tuple[int, Callable[[int, int], Any]]:
    bucket, key = split_object(uri)
    info = object_info(uri)
    if etag and info.etag != etag:
        fix = "run again when nothing writes to it"
        raise BadInput(Problem(uri, f"another version ({info.etag})", f"the one that was listed ({etag})", fix))

    def open_at(start: int, end: int) -> Any:
        span = f"bytes={start}-{end - 1}"
        return s3.client().get_object(Bucket=bucket, Key=key, Range=span, IfMatch=info.etag)["Body"]

    return info.size, open_at


class _Range(io.RawIOBase):
    """Bytes `start` to `end` of a source that `open_at(start, end)` opens."""

    def __init__(self, uri: str, open_at: Callable[[int, int], Any], start: int, end: int) -> None:
        super().__init__()
        self._uri, self._open_at, self._start, self._end = uri, open_at, start, max(start, end)
        self._at = start
        self._source: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        if base + offset < self._start:
            raise ValueError("a position before the beginning")
        if base + offset != self._at:
            self._drop()
        self._at = base + offset
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._end - self._at)
        if wanted <= 0:
            return 0
        data = s3.call(self._uri, lambda: self._some(wanted))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _some(self, wanted: int) -> bytes:
        try:
            if self._source is None:
                self._source = self._open_at(self._at, self._end)
            data: bytes = self._source.read(wanted)
        except Exception:
            self._drop()
            raise
        if not data:
            self._drop()
            raise PassingFault(f"{self._uri}: the stream ended {self._end - self._at} bytes early")
        return data

    def _drop(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    def close(self) -> None:
        self._drop()
        super().close()

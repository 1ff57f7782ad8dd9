"""Single files to S3 and back, in parallel parts, each part checked.

An upload sends the sha256 of every part, which the server compares; a download is compared with the index by the caller
(`storage.fetch_folder`). Files over `MULTIPART_BYTES` travel as parts of `PART_BYTES`.
"""

import base64
import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from tofner.errors import PassingFault, Problem
from tofner.storage import s3
from tofner.storage.faults import Doubtful, classify, error_code
from tofner.storage.index import FileEntry
from tofner.storage.uri import split_object, split_uri

PART_BYTES = 8 * 2**20
MULTIPART_BYTES = 16 * 2**20
MOST_PARTS = 10_000  # S3's limit
SHOWN_BYTES = 64 * 2**20  # smaller transfers print nothing
SHOWN_EVERY_S = 2.0
READ_BYTES = 2**20
FIX_DAMAGE = "the stored object was changed or damaged: store the folder again under another name"
WHOLE_TRIES = 3  # of a multipart upload that the server loses

Progress = Callable[[int, int], None]


class Transfer:
    """One batch of uploads or downloads: threads, progress, and the end of all when one fails.

    Files and parts have a pool each: a file waits for its parts, a part waits for nobody.
    """

    def __init__(self, title: str, total_bytes: int, progress: Progress | None) -> None:
        self.title, self.total, self.done = title, total_bytes, 0
        self.progress = progress
        self.files = ThreadPoolExecutor(s3.threads(), "tofner-file")
        self.parts = ThreadPoolExecutor(s3.threads(), "tofner-part")
        self.failed = threading.Event()
        self._lock = threading.Lock()
        self._start = self._shown = time.monotonic()

    def __enter__(self) -> "Transfer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed.set()
        self.files.shutdown(wait=True, cancel_futures=error is not None)
        self.parts.shutdown(wait=True, cancel_futures=error is not None)
        if error is None and self.total >= SHOWN_BYTES and self.progress is None:
            self._show("done in")

    def each_file(self, jobs: Iterable[Callable[[], None]]) -> None:
        """Run the jobs, one a file, in parallel; the first error ends them all."""
        self._finish([self.files.submit(job) for job in jobs])

    def each_part(self, jobs: Iterable[Callable[[], Any]]) -> list[Any]:
        """Run the jobs, one a part, in parallel; their results in order."""
        return self._finish([self.parts.submit(self._unless_failed, job) for job in jobs])

    def _unless_failed(self, job: Callable[[], Any]) -> Any:
        if self.failed.is_set():
            raise _GivenUp
        return job()

    def _finish(self, futures: list[Future[Any]]) -> list[Any]:
        """All results, or the first error once nothing of these runs any more."""
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            if any(future.done() and future.exception() is not None for future in futures):
                self.failed.set()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)
        errors = [e for f in futures if not f.cancelled() and (e := f.exception()) is not None]
        if errors:
            raise next((error for error in errors if not isinstance(error, _GivenUp)), errors[0])
        return [future.result() for future in futures]

    def moved(self, count: int) -> None:
        """Count `count` more bytes, and tell the callback or stderr."""
        with self._lock:
            self.done += count
            now = time.monotonic()
            if self.progress is not None:
                self.progress(self.done, self.total)
            elif self.total >= SHOWN_BYTES and now - self._shown >= SHOWN_EVERY_S:
                self._shown = now
                self._show("after")

    def _show(self, word: str) -> None:
        spent = time.monotonic() - self._start
        print(f"{self.title}: {self.done >> 20} of {self.total >> 20} MiB, {word} {spent:.0f} s", file=sys.stderr)


class _GivenUp(Exception):
    """A part that did not start, since something else in the transfer had failed; never the error to report."""


class _UploadGone(Exception):
    """The server no longer knows the upload, or a part of it: finished with its answer lost, or swept away."""


def part_ranges(size: int) -> list[tuple[int, int]]:
    """The parts (start, end exclusive) a file of `size` bytes travels in; one for small and empty files.

    >>> part_ranges(10)
    [(0, 10)]
    >>> len(part_ranges(MULTIPART_BYTES + 1))
    3
    """
    if size <= MULTIPART_BYTES:
        return [(0, size)]
    step = max(PART_BYTES, -(-size // MOST_PARTS))
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def upload(
    transfer: Transfer,
    path: Path,
    uri: str,
    entry: FileEntry,
    before_visible: Callable[[], None],
    meant: Callable[[BaseException], bool] = lambda _: False,
    **condition: str,
) -> dict[str, Any]:
    """Put one file, on a condition (`IfNoneMatch`) if given; returns the server's answer. `before_visible` runs right
    before the object appears and may raise to stop it.

    Raises:
        BadInput, PassingFault: as `s3.call`, which lets out errors that are `meant`.
    """
    bucket, key = split_uri(uri)
    ranges = part_ranges(entry.size)
    if len(ranges) > 1:
        return _upload_parts(transfer, path, uri, ranges, before_visible, meant, condition)
    data = _read(path, 0, entry.size)
    before_visible()
    name = {"Bucket": bucket, "Key": key, "ChecksumSHA256": checksum(data)}
    answer: dict[str, Any] = s3.call(uri, lambda: s3.client().put_object(**name, Body=data, **condition), meant)
    transfer.moved(entry.size)
    return answer


def _upload_parts(
    transfer: Transfer,
    path: Path,
    uri: str,
    ranges: list[tuple[int, int]],
    before_visible: Callable[[], None],
    meant: Callable[[BaseException], bool],
    condition: dict[str, str],
) -> dict[str, Any]:
    """A multipart upload, begun again if the server loses it."""
    for _ in range(WHOLE_TRIES):
        with contextlib.suppress(_UploadGone):
            return _try_parts(transfer, path, uri, ranges, before_visible, meant, condition)
    raise PassingFault(f"{uri}: the server lost the multipart upload {WHOLE_TRIES} times")


def _try_parts(
    transfer: Transfer,
    path: Path,
    uri: str,
    ranges: list[tuple[int, int]],
    before_visible: Callable[[], None],
    meant: Callable[[BaseException], bool],
    condition: dict[str, str],
) -> dict[str, Any]:
    bucket, key = split_uri(uri)
    begin = s3.call(
        uri, lambda: s3.client().create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256")
    )
    name = {"Bucket": bucket, "Key": key, "UploadId": begin["UploadId"]}

    sent, lock = 0, threading.Lock()

    def put(number: int, start: int, end: int) -> dict[str, Any]:
        data = _read(path, start, end)
        total = checksum(data)
        made = s3.call(
            uri, lambda: s3.client().upload_part(**name, PartNumber=number, Body=data, ChecksumSHA256=total), _is_gone
        )
        nonlocal sent
        with lock:
            sent += end - start
        transfer.moved(end - start)
        return {"PartNumber": number, "ETag": made["ETag"], "ChecksumSHA256": total}

    try:
        parts = transfer.each_part([partial(put, number, *span) for number, span in enumerate(ranges, start=1)])
        before_visible()
        whole = {**name, "MultipartUpload": {"Parts": parts}, **condition}
        done: dict[str, Any] = s3.call(
            uri, lambda: s3.client().complete_multipart_upload(**whole), lambda error: _is_gone(error) or meant(error)
        )
    except BaseException as error:
        _abort(name)
        if _is_gone(error):
            transfer.moved(-sent)
            raise _UploadGone from error
        raise
    return done


def _is_gone(error: BaseException) -> bool:
    return error_code(error) in ("NoSuchUpload", "InvalidPart")


def _abort(name: dict[str, str]) -> None:
    """Free the parts of a failed upload. The upload's own error matters more than one here; a bucket's lifecycle
    rule for incomplete uploads catches what is left."""
    try:
        s3.client().abort_multipart_upload(**name)
    except Exception as error:
        if classify(error, name["Key"]) is None:
            raise


def checksum(data: bytes) -> str:
    """sha256 in base64, as S3 wants it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _read(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def download(transfer: Transfer, uri: str, path: Path, size: int, etag: str | None) -> None:
    """Get one object of known size into `path`, in parallel ranges. With `etag`, of that version only.

    Raises:
        BadInput, PassingFault: as `s3.call` and `get_range`.
    """
    ranges = part_ranges(size)
    with path.open("wb") as file:
        file.truncate(size)

    def get(start: int, end: int) -> None:
        span = None if len(ranges) == 1 else (start, end)
        data = s3.call(uri, lambda: get_range(uri, span, size, etag))
        with path.open("r+b") as file:
            file.seek(start)
            file.write(data)  # all of it or an error; the system's own call writes a part where the disk gets full
        transfer.moved(end - start)

    if len(ranges) == 1:
        get(*ranges[0])
    else:
        transfer.each_part([partial(get, *span) for span in ranges])


def body_of(answer: dict[str, Any]) -> contextlib.closing[Any]:
    """The body of an answer, to be closed. botocore's own `with` gives the bare stream, without its checks."""
    return contextlib.closing(answer["Body"])


def get_range(uri: str, span: tuple[int, int] | None, size: int, etag: str | None) -> bytes:
    """One GET of an object of `size` bytes, whole or of the bytes `span` (end exclusive).

    Raises:
        Doubtful: the object has another size, so it is not the one that was stored.
        PassingFault: the answer broke off.
        botocore errors: as they come.
    """
    bucket, key = split_object(uri)
    more = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
    more |= {"IfMatch": etag} if etag else {}
    answer = s3.client().get_object(Bucket=bucket, Key=key, **more)
    with body_of(answer) as body:
        found = int(answer.get("ContentRange", f"/{answer['ContentLength']}").rpartition("/")[2])
        if found != size:
            raise Doubtful(Problem(uri, f"{found} bytes", f"{size} bytes", FIX_DAMAGE))
        data = b"".join(iter(partial(body.read, READ_BYTES), b""))
    expected = span[1] - span[0] if span else size
    if len(data) != expected:
        raise PassingFault(f"{uri}: {len(data)} bytes came instead of {expected}")
    return data

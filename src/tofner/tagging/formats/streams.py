"""Bytes in and out: decompression, lines of bounded length, compression whose bytes depend on the contents alone."""

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from tofner import storage
from tofner.errors import BadData, Problem
from tofner.tagging.formats.files import Compression, InputFile, Shard

MAX_RECORD_BYTES = 2 * 2**20  # a longer record is bad: memory must not depend on the input, and a pod has 2 GiB
_CHUNK_BYTES = 256 * 1024
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


class FileBytes:
    """A byte stream over a file (or a range of a plain one) that knows how far it has read of what is stored."""

    def __init__(self, file: InputFile, start: int = 0) -> None:
        self.file = file
        self.stored = storage.open_read(file.uri, start, etag=file.etag)
        self.start = start
        self.stream: BinaryIO = _decompressed(self.stored, file.compression)

    def position(self) -> int:
        """Bytes of the stored file read so far."""
        return self.start + self.stored.tell()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end.

        Raises:
            BadData: the compressed data is broken or cut short.
        """
        try:
            return self.stream.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _broken(self.file, error) from error
        except Exception as error:
            if type(error).__name__ == "ZstdError":
                raise _broken(self.file, error) from error
            raise

    def close(self) -> None:
        self.stream.close()
        self.stored.close()


def _broken(file: InputFile, error: Exception) -> BadData:
    found = f"broken or cut {file.compression} data ({error})"
    return BadData(Problem(file.uri, found, "a whole compressed file", "write the file again"))


class _WholeZstd(io.RawIOBase):
    """zstandard's reader, with an error where the last frame is cut short (the library ends in silence there)."""

    def __init__(self, stored: BinaryIO) -> None:
        import zstandard

        self.error = zstandard.ZstdError
        self.decompressor = zstandard.ZstdDecompressor()
        self.stored, self.left = stored, b""
        self.frame: Any = None
        self.ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self.ready:
            if not self.left:
                self.left = self.stored.read(_CHUNK_BYTES)
            if not self.left:
                if self.frame is not None:
                    raise self.error("the last frame is cut short")
                return 0
            if self.frame is None:
                self.frame = self.decompressor.decompressobj()
            self.ready = memoryview(self.frame.decompress(self.left))
            self.left = self.frame.unused_data
            if self.frame.eof:
                self.frame = None
        size = min(len(target), len(self.ready))
        target[:size] = self.ready[:size]
        self.ready = self.ready[size:]
        return size


def _decompressed(stored: BinaryIO, compression: Compression) -> BinaryIO:
    if compression == "gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stored, mode="rb"))
    if compression == "zst":
        return cast(BinaryIO, io.BufferedReader(_WholeZstd(stored), _CHUNK_BYTES))
    return stored


def lines(source: FileBytes, at: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """Lines with the offset of each (in decompressed bytes, counted from `at`), without `\\n` and a `\\r` before it.

    A line of more than MAX_RECORD_BYTES comes as None: it is skipped without being held. Only `\\n` ends a line.
    """
    left, start, skipping, dropped = b"", at, False, 0
    while chunk := source.read(_CHUNK_BYTES):
        left += chunk
        first = 0
        while (end := left.find(b"\n", first)) >= 0:
            line = left[first:end]
            yield start, None if skipping or len(line) > MAX_RECORD_BYTES else line.removesuffix(b"\r")
            start += dropped + end + 1 - first
            first, skipping, dropped = end + 1, False, 0
        left = left[first:]
        if len(left) > MAX_RECORD_BYTES:
            dropped, left, skipping = dropped + len(left), b"", True
    if left or skipping:
        yield start, None if skipping or len(left) > MAX_RECORD_BYTES else left.removesuffix(b"\r")


def count_lines(file: InputFile, end: int) -> int:
    """Line ends in the first `end` bytes of a plain file."""
    source, total, left = FileBytes(file), 0, end
    try:
        while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
            total += chunk.count(b"\n")
            left -= len(chunk)
    finally:
        source.close()
    return total


def compressed(target: BinaryIO, compression: Compression) -> BinaryIO:
    """A stream to write plain bytes into. Outputs made so may be joined end to end.

    gzip carries neither a time nor a name, zstd no size, so the bytes are a function of what is written.
    """
    if compression == "gz":
        return cast(BinaryIO, gzip.GzipFile("", "wb", _GZIP_LEVEL, target, mtime=0))
    if compression == "zst":
        import zstandard

        return cast(BinaryIO, zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(target, closefd=False))
    return cast(BinaryIO, _Open(target))


class _Open(io.RawIOBase):
    """Writes through; closing it leaves the target open, as the compressors do."""

    def __init__(self, target: BinaryIO) -> None:
        self.target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.target.write(data)


def seek_to(shard: Shard) -> int:
    """One byte early, so that a line that begins right at the start is seen to begin there."""
    return max(0, shard.start - 1)


def owned_lines(shard: Shard, source: FileBytes) -> Iterator[tuple[int, int, bytes | None]]:
    """(line number in the shard, offset, line) from the first line that begins in the range on, to the file's end."""
    at = seek_to(shard)
    stream = lines(source, at)
    if shard.start:
        next(stream, None)
    for number, (offset, line) in enumerate(stream):
        first = offset == 0 and line is not None
        yield number, offset, line.removeprefix(b"\xef\xbb\xbf") if first and line else line

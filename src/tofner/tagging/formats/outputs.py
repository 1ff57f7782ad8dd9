"""A shard's output: written to a scratch file, then made visible whole, once."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from tofner import storage
from tofner.errors import BadInput, Problem
from tofner.tagging.formats.conll import ConllOutput
from tofner.tagging.formats.files import Compression, Format, InputFile
from tofner.tagging.formats.jsonl import JsonlOutput
from tofner.tagging.formats.record import Output
from tofner.tagging.formats.streams import compressed


def written_format(file: InputFile, output_format: Format | None) -> Format:
    """The format of a file's output: the input's own (JSONL for plain text), unless another was asked for.

    Raises:
        BadInput: the two do not go together.
    """
    own: Format = "jsonl" if file.format == "text" else file.format
    if output_format in (None, own):
        return own
    if output_format == "jsonl" and file.format == "conll":
        return "jsonl"
    fix = "tag into a folder, or into a file with the input's suffix"
    raise BadInput(Problem(file.uri, f"{file.format} input", f"what can be written as {output_format}", fix))


class Segment:
    """A part of a shard's output in the making, in a scratch file: beside its place and on the same file system if that
    is local, in the system's scratch folder for S3. A kill leaves scratch only. The segments of a shard, joined, are
    its output.
    """

    def __init__(self, uri: str, scratch: str, file: InputFile, written: Format, compression: Compression) -> None:
        self.raw, self.path = _scratch_file(uri, scratch)
        self.output: Output
        self.stream: BinaryIO = self.raw
        if written == "parquet":
            from tofner.tagging.formats.parquet import ParquetOutput

            self.output = ParquetOutput(self.raw, file)
            return
        self.stream = compressed(self.raw, compression)
        buffered = io.BufferedWriter(self.stream, 1 << 20)
        self.stream = buffered
        self.output = ConllOutput(buffered) if written == "conll" else JsonlOutput(buffered, file.format == "conll")

    def close(self) -> tuple[int, str]:
        """End it; returns size and sha256 of the scratch file."""
        self.output.close()
        if self.stream is not self.raw:
            self.stream.close()
        self.raw.flush()
        os.fsync(self.raw.fileno())
        self.raw.close()
        return self.path.stat().st_size, storage.file_sha256(self.path)

    def drop(self) -> None:
        """Forget it."""
        self.output.drop()
        with contextlib.suppress(OSError, ValueError):
            self.raw.close()
        self.path.unlink(missing_ok=True)


def _scratch_file(uri: str, scratch: str) -> tuple[BinaryIO, Path]:
    """A new file to write what will be `uri`, in `scratch`; in the system's for an object whose scratch is none."""
    folder = None if storage.is_s3(scratch) else Path(scratch)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="making-", dir=folder)
    return os.fdopen(handle, "wb"), Path(name)


def join_outputs(parts: Sequence[str], uri: str, scratch: str, written: Format, compression: Compression) -> Path:
    """A scratch file for `uri` with the outputs of segments or shards, in order.

    Args:
        parts: addresses, each of a whole output.
        written: their format. Lines, and gzip and zstd streams too, may be put end to end.
    """
    raw, path = _scratch_file(uri, scratch)
    try:
        with raw as target:
            if written == "parquet":
                from tofner.tagging.formats.parquet import join_parquet

                join_parquet(_streams(parts), target)
            else:
                for stream in _streams(parts):
                    shutil.copyfileobj(stream, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _streams(parts: Sequence[str]) -> Iterator[BinaryIO]:
    for part in parts:
        with storage.open_read(part) as stream:
            yield stream

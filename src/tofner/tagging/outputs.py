"""A shard's output: written to a scratch file, then made visible whole, once."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tofner import _transfer, storage
from tofner._index import FileEntry, file_sha256
from tofner.data.spans import Span, spans_to_tags
from tofner.errors import BadInput, PassingFault, Problem
from tofner.tagging.inputs import Compression, Format, InputFile
from tofner.tagging.records import Group, Record, is_comment
from tofner.tagging.streams import compressed
from tofner.tagging.texts import Entity


class Output(Protocol):
    """Takes the groups of a shard in order."""

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        """`entities`: of the good rows of the group, in order."""

    def close(self) -> None: ...


class JsonlOutput:
    """The record's own bytes with `entities` put in before the last brace: other fields stay as they were written."""

    def __init__(self, target: BinaryIO, of_conll: bool = False) -> None:
        self.target = target
        self.of_conll = of_conll

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        good = (row for row in group.rows if isinstance(row, Record))
        rows: list[bytes] = []
        for row, found in zip(good, entities, strict=True):
            if self.of_conll and row.source is None:
                continue  # -DOCSTART- stands for no sentence
            line = _json({"tokens": row.source}) if self.of_conll else row.payload
            of_tokens = not isinstance(row.source, str)
            rows.append(with_entities(line, [entity.as_record(of_tokens) for entity in found]))
        self.target.write(b"".join(rows))

    def close(self) -> None:
        pass


def with_entities(line: bytes, entities: list[dict[str, Any]]) -> bytes:
    """A JSON object's line, with a field more.

    >>> with_entities(b'{"text": "x", "n": 1.50}', [])
    b'{"text": "x", "n": 1.50, "entities": []}\\n'
    """
    head = line.rstrip()[:-1].rstrip()
    return head + (b"" if head.endswith(b"{") else b", ") + b'"entities": ' + _json(entities) + b"}\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


class ConllOutput:
    """The input's lines, each with its BIO2 tag as one column more; a blank line after each sentence."""

    def __init__(self, target: BinaryIO) -> None:
        self.target = target

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        good = (row for row in group.rows if isinstance(row, Record))
        parts: list[str] = []
        for row, found in zip(good, entities, strict=True):
            lines: list[str] = row.payload
            tabbed = any("\t" in line for line in lines)
            words = [line for line in lines if not is_comment(line, tabbed)]
            spans = [Span(entity.start, entity.end, entity.label) for entity in found]
            tags = iter(spans_to_tags(spans, len(words)))
            for line in lines:
                if is_comment(line, tabbed):
                    parts.append(f"{line}\n")
                else:
                    parts.append(f"{line.rstrip()}{' ' if ' ' in line and not tabbed else chr(9)}{next(tags)}\n")
            parts.append("\n")
        self.target.write("".join(parts).encode())

    def close(self) -> None:
        pass


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


class ShardFile:
    """A shard's output in the making.

    A local one grows beside its place, on the same file system, and is renamed; one for S3 grows in the system's
    scratch folder and is uploaded. A kill leaves scratch only.
    """

    def __init__(self, uri: str, scratch: str, file: InputFile, written: Format, compression: Compression) -> None:
        self.uri = uri
        self.local = not storage.is_s3(uri)
        folder = Path(scratch) if self.local else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="shard-", dir=folder)
        self.path = Path(name)
        self.raw = os.fdopen(handle, "wb")
        self.output: Output
        self.stream: BinaryIO = self.raw
        if written == "parquet":
            from tofner.tagging.parquet import ParquetOutput

            self.output = ParquetOutput(self.raw, file)
            return
        self.stream = compressed(self.raw, compression)
        buffered = io.BufferedWriter(self.stream, 1 << 20)
        self.stream = buffered
        self.output = ConllOutput(buffered) if written == "conll" else JsonlOutput(buffered, file.format == "conll")

    def commit(self) -> tuple[int, str]:
        """Make it visible under its name; returns size and sha256."""
        self.output.close()
        if self.stream is not self.raw:
            self.stream.close()
        self.raw.flush()
        os.fsync(self.raw.fileno())
        self.raw.close()
        size, digest = self.path.stat().st_size, file_sha256(self.path)
        place_file(self.path, self.uri)
        return size, digest

    def drop(self) -> None:
        """Forget it."""
        with contextlib.suppress(OSError, ValueError):
            self.raw.close()
        self.path.unlink(missing_ok=True)


def place_file(path: Path, uri: str) -> None:
    """Move a local file to where it belongs, whole or not at all.

    Raises:
        PassingFault: storage failed.
        BadInput: storage refuses, or the place cannot be written.
    """
    if storage.is_s3(uri):
        entry = FileEntry(path.stat().st_size, file_sha256(path))
        with _transfer.Transfer(f"store {uri}", entry.size, _silent) as transfer:
            _transfer.upload(transfer, path, uri, entry, lambda: None)
        path.unlink()
        return
    target = Path(uri)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o644)
        path.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (NotADirectoryError, FileExistsError, PermissionError, IsADirectoryError) as error:
        raise BadInput(Problem(uri, str(error), "a place that can be written", "choose another output")) from error
    except OSError as error:
        raise PassingFault(f"{uri}: {error}") from error


def _silent(done: int, total: int) -> None:
    """No transfer progress of its own: the job shows its progress."""


def join_outputs(parts: Sequence[str], uri: str, scratch: str, written: Format, compression: Compression) -> None:
    """One file out of the shards' outputs, in order."""
    folder = None if storage.is_s3(uri) else Path(scratch)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="join-", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            if written == "parquet":
                from tofner.tagging.parquet import join_parquet

                join_parquet(_streams(parts), target)
            else:  # lines, and gzip and zstd streams too, may be put end to end
                for stream in _streams(parts):
                    shutil.copyfileobj(stream, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        place_file(path, uri)
    finally:
        path.unlink(missing_ok=True)


def _streams(parts: Sequence[str]) -> Iterator[BinaryIO]:
    for part in parts:
        with storage.open_read(part) as stream:
            yield stream

"""Files to tag, their formats, and the ranges of them that are worked on."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tofner.errors import BadData, Problem

Format = Literal["jsonl", "text", "conll", "parquet"]


Compression = Literal["", "gz", "zst"]


SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".txt": "text",
    ".text": "text",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".tsv": "conll",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class InputFile:
    """A file to tag.

    Attributes:
        uri: where it lies.
        name: relative to what the user named; the output takes this name.
        size: bytes as stored.
        etag: changes when the contents do: the object's ETag, the sha256 of a local file.
        state: of a local file while a job runs: time of change and such.
    """

    uri: str
    name: str
    size: int
    etag: str
    format: Format
    compression: Compression
    state: str = ""


def state_of(path: Path) -> str:
    """What the file system says that changes whenever a file is written, without reading it."""
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def check_unchanged(file: InputFile) -> None:
    """Raises BadData: a local file is no longer what it was when the job was planned. (Objects are read by version.)"""
    if not file.state:
        return
    try:
        now = state_of(Path(file.uri))
    except OSError as error:
        now = f"{error.strerror}"
    if now != file.state:
        fix = "run again when nothing writes to it, into another output if its contents are others"
        raise BadData(Problem(file.uri, "a file that changed while it was tagged", "a file at rest", fix))


def format_of(name: str) -> tuple[Format | None, Compression]:
    """Format and compression by the suffix.

    >>> format_of("a/b.jsonl.gz"), format_of("c.parquet"), format_of("d.doc")
    (('jsonl', 'gz'), ('parquet', ''), (None, ''))
    """
    path = PurePosixPath(name.lower())
    compression: Compression = ""
    if path.suffix in (".gz", ".zst"):
        compression = "gz" if path.suffix == ".gz" else "zst"
        path = path.with_suffix("")
    return SUFFIXES.get(path.suffix), compression


@dataclass(frozen=True)
class Shard:
    """A piece of work with an output of its own.

    Attributes:
        number: place in the plan.
        start, end: bytes of a plain file, row groups of Parquet; a compressed file is (0, size).
        output: name of its output, relative to the output folder.
    """

    number: int
    file: InputFile
    start: int
    end: int
    output: str

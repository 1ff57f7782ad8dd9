"""Files to tag, their formats, and the ranges of them that are worked on."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

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
        etag: changes when the contents do.
    """

    uri: str
    name: str
    size: int
    etag: str
    format: Format
    compression: Compression


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

"""The plan of a job: files cut into shards. It depends on the input alone, never on how many workers there are.

A worker `i/n` takes the shards whose number leaves `i` when divided by `n`. So one, two or eight workers cut, batch and
write the same, and a worker that comes back finds the same plan.

Plain files are cut by bytes: a shard holds the records that *begin* in its range, so no record is looked for
beforehand. Compressed files are one shard each, since they can only be read from the start. Parquet is cut between row
groups.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from tofner.errors import BadSettings, Problem
from tofner.tagging.formats.files import Format, InputFile, Shard

SHARD_BYTES = 32 * 2**20
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}


def parse_size(text: str) -> int:
    """Bytes of a size: a number, or one with K, M or G (of 1,024, also KiB, MB and so on).

    >>> parse_size("8M"), parse_size("1.5 GiB"), parse_size("4096")
    (8388608, 1610612736, 4096)

    Raises:
        BadSettings: none, or less than 1 byte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmg])(?:i?b)?|b?)", text.strip().lower(), re.ASCII)
    size = int(float(match[1]) * 2 ** _UNITS[match[2] or ""]) if match else 0
    if size < 1:
        raise BadSettings(Problem("--shard-size", repr(text), "a size such as 32M, 512K or a number of bytes"))
    return size


@dataclass(frozen=True)
class Worker:
    """Worker `index` of `count`."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> "Worker":
        """From `--worker i/n` (i from 0 to n - 1); without it from Kubernetes' `JOB_COMPLETION_INDEX` and
        `TOFNER_WORKERS`; without those, the only one.

        >>> Worker.parse("2/8")
        Worker(index=2, count=8)

        Raises:
            BadSettings: not two numbers, or out of range.
        """
        place = "--worker"
        if text is None and "JOB_COMPLETION_INDEX" in os.environ:
            place = "JOB_COMPLETION_INDEX/TOFNER_WORKERS"
            if "TOFNER_WORKERS" not in os.environ:
                fix = "set TOFNER_WORKERS to the Job's completions, or give --worker"
                raise BadSettings(Problem("TOFNER_WORKERS", "nothing", "the number of workers", fix))
            text = f"{os.environ['JOB_COMPLETION_INDEX']}/{os.environ['TOFNER_WORKERS']}"
        if text is None:
            return cls()
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip(), re.ASCII)
        if not match or int(match[1]) >= int(match[2]):
            raise BadSettings(Problem(place, repr(text), "i/n with i from 0 to n - 1, for example 0/8"))
        return cls(int(match[1]), int(match[2]))

    def takes(self, number: int) -> bool:
        """Whether shard `number` is this worker's."""
        return number % self.count == self.index

    def part(self, index: int, count: int) -> "Worker":
        """One of `count` processes that share this worker's shards.

        >>> Worker(1, 2).part(0, 2), Worker(1, 2).part(1, 2)
        (Worker(index=1, count=4), Worker(index=3, count=4))
        """
        return Worker(self.index + index * self.count, self.count * count)


def plan_shards(files: Sequence[InputFile], shard_bytes: int, output_format: Format | None) -> list[Shard]:
    """Cut files into shards of about `shard_bytes` stored bytes, in the order of `files`."""
    shards: list[Shard] = []
    for file in files:
        ranges = _ranges(file, shard_bytes)
        for part, (start, end) in enumerate(ranges):
            name = output_name(file, part, len(ranges), output_format)
            shards.append(Shard(len(shards), file, start, end, name))
    return shards


def _ranges(file: InputFile, shard_bytes: int) -> list[tuple[int, int]]:
    if file.format == "parquet":
        return _row_group_ranges(file, shard_bytes)
    if file.compression or file.size <= shard_bytes:
        return [(0, file.size)]
    count = -(-file.size // shard_bytes)
    edges = [file.size * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def _row_group_ranges(file: InputFile, shard_bytes: int) -> list[tuple[int, int]]:
    from tofner.tagging.formats.parquet import row_group_sizes

    ranges: list[tuple[int, int]] = []
    start = size = 0
    sizes = row_group_sizes(file)
    for group, group_size in enumerate(sizes):
        if size and size + group_size > shard_bytes:
            ranges.append((start, group))
            start, size = group, 0
        size += group_size
    return [*ranges, (start, len(sizes))]


def output_name(file: InputFile, part: int, parts: int, output_format: Format | None) -> str:
    """The output's name: the input's, with a part number where it is cut and a suffix that fits the format.

    >>> output_name(InputFile("", "a/b.txt.gz", 1, "", "text", "gz"), 0, 1, None)
    'a/b.jsonl.gz'
    >>> output_name(InputFile("", "b.jsonl", 1, "", "jsonl", ""), 3, 12, None)
    'b.part-00003-of-00012.jsonl'
    """
    path = PurePosixPath(file.name)
    if file.compression and path.suffix.lower() == f".{file.compression}":
        path = path.with_suffix("")
    written = output_format or ("jsonl" if file.format == "text" else file.format)
    suffix = path.suffix if written == file.format and path.suffix else f".{written}"
    stem = path.with_suffix("") if path.suffix else path
    cut = f".part-{part:05d}-of-{parts:05d}" if parts > 1 else ""
    return f"{stem}{cut}{suffix}" + (f".{file.compression}" if file.compression else "")


def fingerprint(shards: Sequence[Shard], settings: dict[str, object]) -> str:
    """sha256 over everything that the output depends on: inputs, cuts, model, settings."""
    rows = [[s.file.name, s.file.size, s.file.etag, s.file.format, s.start, s.end, s.output] for s in shards]
    text = json.dumps({"settings": settings, "shards": rows}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def inputs_digest(files: Sequence[InputFile]) -> str:
    """sha256 over names and contents of the inputs."""
    text = json.dumps([[file.name, file.size, file.etag] for file in files])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def same_names(shards: Sequence[Shard]) -> list[Problem]:
    """Outputs that would overwrite each other (`a.txt` beside `a.jsonl`)."""
    seen: dict[str, Shard] = {}
    problems: list[Problem] = []
    for shard in shards:
        other = seen.setdefault(shard.output, shard)
        if other is not shard:
            found = f"the output name {shard.output!r}, as {other.file.uri} has"
            problems.append(Problem(shard.file.uri, found, "one output name a file", "tag them into different folders"))
    return problems

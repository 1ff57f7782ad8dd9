"""What a job would do, without doing it: the plan, and estimates from a sample that is read and tagged in memory."""

import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from tofner.model.published import load_model
from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.formats.conll import ConllOutput
from tofner.tagging.formats.files import Shard
from tofner.tagging.formats.jsonl import JsonlOutput, with_entities
from tofner.tagging.formats.read import read_groups
from tofner.tagging.formats.record import Bad, Group, Record
from tofner.tagging.formats.streams import compressed
from tofner.tagging.job.plan import Job, JobSettings
from tofner.tagging.job.shards import Worker
from tofner.tagging.job.write import size_of

_SHARDS, _RECORDS = 8, 50  # that are looked into, and of each that are tagged


@dataclass(frozen=True)
class DryRun:
    """What a job would do.

    Attributes:
        model: the version, `types` what it finds.
        files: by format. `bytes`: as stored.
        records: good ones; `exact` if every file was read to its end, which small ones are.
        shards, shards_done: of the job, and how many of them have been done before.
        output_bytes, seconds: estimates, `seconds` for this machine and all that is not done. None without records.
    """

    model: str
    precision: str
    types: list[str]
    files: dict[str, int]
    bytes: int
    records: int
    exact: bool
    shards: int
    shards_done: int
    output: str
    output_bytes: int | None
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        files = ", ".join(f"{count:,} {format_}" for format_, count in self.files.items())
        about = "" if self.exact else "about "
        lines = [
            f"model: {self.model} ({self.precision}), finds {', '.join(self.types)}",
            f"input: {sum(self.files.values()):,} files ({files}), {size(self.bytes)}, {about}{self.records:,} records",
            f"shards: {self.shards:,}, of which {self.shards_done:,} are done",
        ]
        estimate = "" if self.output_bytes is None else f", about {size(self.output_bytes)}"
        lines.append(f"output: {self.output}{estimate}")
        if self.seconds is not None:
            lines.append(f"time: about {self.seconds:,.0f} s with one worker on this machine")
        return [*lines, "nothing was written"]


def size(count: int) -> str:
    """
    >>> size(512), size(3 * 2**20)
    ('512 bytes', '3.0 MiB')
    """
    if count < 1024:
        return f"{count} bytes"
    power = min(3, (count.bit_length() - 1) // 10)
    return f"{count / 1024**power:,.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"


def dry_run(
    model: str, input: str, output: str, settings: JobSettings, now: Callable[[], float] = time.perf_counter
) -> DryRun:
    """Plan a job as `tag_job` does, and write nothing but the model's files to their cache.

    Raises:
        BadInput, PassingFault: as `tag_job` would before its first shard.
    """
    Worker.parse(settings.worker)
    described = load_model(model, settings.precision, settings.cache)
    job = Job.plan(described, input, output, settings, dry=True)
    files = list({shard.file.uri: shard.file for shard in job.shards}.values())
    done = set(range(len(job.shards))) if job.ledger.is_complete() else set(job.ledger.valid(job.shards))
    sample = _Sample(job)
    with Tagger(described, settings.threads) as tagger:
        seconds = sample.take(tagger, now)
    stored = sum(file.size for file in files)
    records = round(sample.records_a_byte * stored)
    exact = sample.whole and sample.looked == len(job.shards)
    if sample.tagged and records:
        left = sum(size_of(shard) for shard in job.shards if shard.number not in done) / max(1, stored)
        out, spent = round(sample.written / sample.tagged * records), seconds / sample.tagged * records * left
    else:
        out, spent = None, None
    return DryRun(
        described.uri,
        described.precision,
        described.types,
        dict(sorted(Counter(file.format for file in files).items())),
        stored,
        records,
        exact,
        len(job.shards),
        len(done),
        output,
        out,
        None if spent is None else round(spent, 1),
    )


class _Sample:
    """The first records of some shards, evenly spread."""

    def __init__(self, job: Job) -> None:
        self.job = job
        step = max(1, -(-len(job.shards) // _SHARDS))
        self.shards = job.shards[::step]
        self.looked = self.tagged = self.written = 0
        self.records_a_byte = 0.0
        self.whole = True  # nothing of these shards was left unread

    def take(self, tagger: Tagger, now: Callable[[], float]) -> float:
        """Read and tag; returns seconds of tagging."""
        rows = stored = 0
        seconds = 0.0
        for shard in self.shards:
            groups = list(islice(read_groups(shard), 2))
            self.looked += 1
            if not groups:
                continue
            good = [row for row in groups[0].rows if isinstance(row, Record)]
            rows += _rows_of(shard) if shard.file.format == "parquet" else len(good)
            if shard.file.format == "parquet" or len(groups) == 1:
                stored += size_of(shard)
            else:
                self.whole = False
                stored += _stored(shard, groups[0])
            part = good[:_RECORDS]
            begun = now()
            found = tagger.tag_group([tagger.words(row.source or []) for row in part])
            seconds += now() - begun
            self.tagged += len(part)
            self.written += self._size(shard, part, found)
        self.records_a_byte = rows / max(1, stored)
        return seconds

    def _size(self, shard: Shard, rows: list[Record], found: list[Any]) -> int:
        """Bytes that these records would be in the output."""
        written = self.job.written[shard.number]
        if written == "parquet":
            texts = [row.source if isinstance(row.source, str) else " ".join(row.source or []) for row in rows]
            lists = (with_entities(b"{}", [e.as_record() for e in entities]) for entities in found)
            return sum(len(text.encode()) for text in texts) + sum(map(len, lists))
        target = io.BytesIO()
        stream = compressed(target, shard.file.compression if self.job.compression is None else self.job.compression)
        output = ConllOutput(stream) if written == "conll" else JsonlOutput(stream, shard.file.format == "conll")
        output.write(Group(list(rows), 0), found)
        output.close()
        stream.close()
        return len(target.getvalue())


def _stored(shard: Shard, group: Group) -> int:
    """About how many bytes of the stored file a group of lines is; its position would count what is read ahead."""
    plain: list[bytes] = []
    for row in group.rows:
        if isinstance(row, Bad):
            plain.append(b" " * row.size)
        elif shard.file.format == "text":
            plain.append(str(row.source).encode())
        elif shard.file.format == "conll":
            plain += [line.encode() for line, _ in row.payload] + [b""]
        else:
            plain.append(row.payload)
    target = io.BytesIO()
    with compressed(target, shard.file.compression) as stream:
        stream.write(b"\n".join([*plain, b""]))
    return len(target.getvalue())


def _rows_of(shard: Shard) -> int:
    from tofner.tagging.formats.parquet import open_parquet

    with open_parquet(shard.file) as parquet:
        return sum(parquet.metadata.row_group(number).num_rows for number in range(shard.start, shard.end))

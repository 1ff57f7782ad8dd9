"""The batch job: read, prepare, run, write, all at once; shard by shard, whole or not at all.

Tagger.load -> find_inputs -> plan_shards -> for each open shard of this worker: groups -> tags -> output, mark
-> the worker that sees all marks joins, sums up and writes `complete.json`
"""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.errors import BadData, BadSettings, PassingFault, Problem
from tofner.tagging import texts
from tofner.tagging.engine import BATCH_PIECES, Answer, Prepared, Tagged, Tagger
from tofner.tagging.finish import JobReport, finish_job
from tofner.tagging.inputs import Compression, Format, InputFile, find_inputs, format_of
from tofner.tagging.ledger import Ledger
from tofner.tagging.model import Model, Precision, load_model
from tofner.tagging.outputs import ShardFile, written_format
from tofner.tagging.pipeline import Clock, ahead
from tofner.tagging.progress import Progress
from tofner.tagging.records import GROUP_BYTES, GROUP_RECORDS, Bad, Group, Record, read_groups
from tofner.tagging.shards import SHARD_BYTES, Shard, Worker, fingerprint, plan_shards, same_names
from tofner.tagging.stats import Counts, Limit, bad_rows
from tofner.tagging.threads import usable_cores

_AHEAD = 1  # groups that wait between two stages


@dataclass(frozen=True)
class JobSettings:
    """How a job runs.

    Attributes:
        format: of the input; `auto` goes by suffixes.
        precision: which graph of the model.
        shard: `i/n`; None: from JOB_COMPLETION_INDEX, or the only worker.
        threads: CPU cores; None: affinity mask and cgroup limit.
        processes: that share this worker's shards and threads.
        max_bad: bad records that may be: a number, or a share such as `1%`.
        shard_bytes: about how much of a file is one shard. Part of the plan.
        quiet: no progress on stderr.
        cache: folder for fetched models.
    """

    format: str = "auto"
    precision: Precision = "fp32"
    shard: str | None = None
    threads: int | None = None
    processes: int = 1
    max_bad: str = "1%"
    shard_bytes: int = SHARD_BYTES
    quiet: bool = False
    cache: str | None = None


def tag_job(model: str, input: str, output: str, settings: JobSettings | None = None, **changes: Any) -> JobReport:
    """Tag files.

    Args:
        model: a published model, as for `Tagger.load`.
        input: a file, folder, glob or `s3://` prefix.
        output: a folder or prefix, which gets the input's names; or a file (a name with a suffix such as `.jsonl`).
        settings: how; `changes` are fields of it (`tag_job(..., threads=2)`).

    Raises:
        BadInput: model, input or settings cannot be used, or more bad records than `max_bad` (exit 2).
        PassingFault: storage or machine trouble; the same call goes on where it stopped (exit 75).
    """
    settings = replace(settings or JobSettings(), **changes)
    limit = Limit.parse(settings.max_bad)
    worker = Worker.parse(settings.shard)
    for name, value in (("threads", settings.threads), ("processes", settings.processes)):
        if value is not None and value < 1:
            raise BadSettings(Problem(f"--{name}", str(value), "1 or more"))
    if settings.shard_bytes < 1:
        raise BadSettings(Problem("--shard-bytes", str(settings.shard_bytes), "1 or more"))
    described = load_model(model, settings.precision, settings.cache)
    job = Job.plan(described, input, output, settings)
    if job.ledger.is_complete():
        return finish_job(job, worker, {}, 0.0)
    start = time.monotonic()
    if settings.processes > 1:
        seconds = _in_processes(job, described, settings, worker)
    else:
        seconds = job.run(described, settings, worker, limit)
    _check_limit(job, worker, limit)
    return finish_job(job, worker, seconds, time.monotonic() - start)


@dataclass
class Job:
    """A planned job: its shards and where it keeps its books."""

    shards: list[Shard]
    ledger: Ledger
    written: dict[int, Format]
    compression: Compression | None  # of an output file; None: each output has that of its input

    @classmethod
    def plan(cls, model: Model, input: str, output: str, settings: JobSettings) -> "Job":
        """Find the inputs, cut them, and agree with the other workers on the plan.

        Raises:
            BadInput: no input, names that clash, or an output that belongs to another job.
        """
        storage.is_s3(output)  # refuses unknown schemes
        output = output.rstrip("/") or output
        output_format, compression = format_of(output)
        is_file = output_format is not None and not (not storage.is_s3(output) and Path(output).is_dir())
        files = find_inputs(input, settings.format)
        _refuse_overlap(files, output)
        wanted = output_format if is_file else None
        written = {file.uri: written_format(file, wanted) for file in files}
        shards = plan_shards(files, settings.shard_bytes, wanted)
        if not is_file and (problems := same_names(shards)):
            raise BadData(problems)
        how: dict[str, object] = {
            "model": model.digest,
            "precision": settings.precision,
            "shard_bytes": settings.shard_bytes,
            "batch_pieces": BATCH_PIECES,
            "group": [GROUP_BYTES, GROUP_RECORDS],
            "score_digits": texts.SCORE_DIGITS,
            "output": [wanted, compression if is_file else None],
        }
        ledger = Ledger(output, is_file)
        plan = {
            **how,
            "format": 1,
            "files": len(files),
            "shards": len(shards),
            "bytes": sum(file.size for file in files),
            "fingerprint": fingerprint(shards, how),
        }
        ledger.begin(plan)
        formats = {shard.number: written[shard.file.uri] for shard in shards}
        return cls(shards, ledger, formats, compression if is_file else None)

    def open_shards(self, worker: Worker) -> list[Shard]:
        """The worker's shards that have no mark yet."""
        done = self.ledger.done()
        return [shard for shard in self.shards if worker.takes(shard.number) and shard.number not in done]

    def run(self, model: Model, settings: JobSettings, worker: Worker, limit: Limit) -> dict[str, float]:
        """Do this worker's open shards; returns seconds of each phase.

        Raises:
            BadData: more bad records than allowed.
        """
        shards = self.open_shards(worker)
        if not shards:
            return {}
        clock = Clock()
        start = time.perf_counter()
        done = [self.ledger.counts(n) for n in self.ledger.done() if worker.takes(n)]
        total = Counts.sum_of(done)
        with Tagger(model, settings.threads) as tagger:
            clock.add("load", time.perf_counter() - start)
            progress = Progress(sum(_size(s) for s in shards), quiet=settings.quiet)
            groups = ahead(clock.timed("read", _read(shards)), _AHEAD, "tofner-read")
            ready = ahead(clock.timed("prepare", _prepare(tagger, groups)), _AHEAD, "tofner-prepare")
            results = ahead(clock.timed("run", _run(tagger, ready)), _AHEAD, "tofner-collect")
            try:
                for shard, items in _by_shard(results):
                    self._write(shard, items, clock, progress, total, limit)
            finally:
                results.close()  # type: ignore[attr-defined]
            progress.end()
        return clock.seconds

    def _write(
        self,
        shard: Shard,
        items: Iterator[tuple[Group, Tagged]],
        clock: Clock,
        progress: Progress,
        total: Counts,
        limit: Limit,
    ) -> None:
        """Write a shard's output, then its mark."""
        counts = Counts(shard.number)
        bad: list[Bad] = []
        uri = self.ledger.output_of(shard)
        compression = shard.file.compression if self.compression is None else self.compression
        out = ShardFile(uri, self.ledger.scratch, shard.file, self.written[shard.number], compression)
        before = 0
        try:
            for group, tagged in items:
                start = time.perf_counter()
                entities = tagged.entities()
                out.output.write(group, entities)
                counts.add(group, tagged, entities)
                bad += [row for row in group.rows if isinstance(row, Bad)]
                limit.check_early(total, counts, partial(self._dead, shard, bad))
                now = min(_size(shard), max(0, group.position - (shard.start if _by_bytes(shard) else 0)))
                progress.add(len(group.rows), counts.last_words, now - before)
                before = now
                clock.add("write", time.perf_counter() - start)
            start = time.perf_counter()
            self._dead(shard, bad)
            counts.bytes, counts.sha256 = out.commit()
            self.ledger.mark(shard, counts.as_mark(shard))
            total.merge(counts)
            progress.add(0, 0, _size(shard) - before)
            clock.add("write", time.perf_counter() - start)
        except OSError as error:  # a full disk, say
            out.drop()
            raise PassingFault(f"{uri}: {error}") from error
        except BaseException:
            out.drop()
            raise

    def _dead(self, shard: Shard, bad: list[Bad]) -> list[dict[str, Any]]:
        rows = bad_rows(shard, bad)
        self.ledger.write_bad(shard, rows)
        return rows


def _check_limit(job: Job, worker: Worker, limit: Limit) -> None:
    """At the end: bad records of all the worker's shards against the limit."""
    marks = [job.ledger.counts(n) for n in sorted(job.ledger.done()) if worker.takes(n)]
    total = Counts.sum_of(marks)
    if limit.exceeded(total.bad, total.records + total.bad):
        first = next(mark for mark in marks if mark["bad"])
        raise limit.error(total.bad, total.records + total.bad, job.ledger.bad_of(first["shard"]))


def _by_bytes(shard: Shard) -> bool:
    return shard.file.format != "parquet" and not shard.file.compression


def _size(shard: Shard) -> int:
    """Stored bytes of a shard, for progress."""
    return shard.end - shard.start if _by_bytes(shard) else shard.file.size


def _read(shards: list[Shard]) -> Iterator[tuple[Shard, Group | None]]:
    """All groups of all shards; None ends a shard."""
    for shard in shards:
        for group in read_groups(shard):
            yield shard, group
        yield shard, None


Ready = tuple[Shard, Group | None, Prepared | None]


def _prepare(tagger: Tagger, groups: Iterator[tuple[Shard, Group | None]]) -> Iterator[Ready]:
    for shard, group in groups:
        if group is None:
            yield shard, None, None
            continue
        sources = [row.source or [] for row in group.rows if isinstance(row, Record)]
        yield shard, group, tagger.prepare([texts.to_words(source) for source in sources])


Result = tuple[Shard, Group | None, Tagged | None]


def _run(tagger: Tagger, ready: Iterator[Ready]) -> Iterator[Result]:
    """Two groups are with the network at a time, so that its threads never wait for the end of one."""
    waiting: list[tuple[Shard, Group | None, tuple[Prepared, list[Future[Answer]]] | None]] = []
    for shard, group, prepared in ready:
        waiting.append((shard, group, tagger.start(prepared) if prepared is not None else None))
        while sum(1 for row in waiting if row[2] is not None) > 1 or waiting[0][2] is None:
            yield _finish(tagger, *waiting.pop(0))
            if not waiting:
                break
    for row in waiting:
        yield _finish(tagger, *row)


def _finish(
    tagger: Tagger, shard: Shard, group: Group | None, started: tuple[Prepared, list[Future[Answer]]] | None
) -> Result:
    return shard, group, tagger.finish(*started) if started is not None else None


def _by_shard(results: Iterator[Result]) -> Iterator[tuple[Shard, Iterator[tuple[Group, Tagged]]]]:
    """Results shard by shard; each must be read to its end before the next."""
    for shard, group, tagged in results:
        yield shard, _one_shard(results, group, tagged)


def _one_shard(results: Iterator[Result], group: Group | None, tagged: Tagged | None) -> Iterator[tuple[Group, Tagged]]:
    while group is not None and tagged is not None:
        yield group, tagged
        _, group, tagged = next(results)


def _refuse_overlap(files: list[InputFile], output: str) -> None:
    """An output must not be an input: tagging would read what it writes."""
    inside = [file.uri for file in files if file.uri == output or _real(file.uri).startswith(_real(output) + "/")]
    if inside:
        found = f"the input {inside[0]}"
        raise BadData(Problem(output, found, "an output outside the input", "choose another output folder"))


def _real(uri: str) -> str:
    return uri if storage.is_s3(uri) else str(Path(uri).resolve())


def _in_processes(job: Job, model: Model, settings: JobSettings, worker: Worker) -> dict[str, float]:
    """Share the worker's shards among processes, each with its part of the threads."""
    count = settings.processes
    threads = max(1, (settings.threads or usable_cores()) // count)
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
        own = replace(settings, threads=threads, processes=1)
        rows = [(job, model, replace(own, quiet=own.quiet or i > 0), worker.part(i, count)) for i in range(count)]
        seconds: dict[str, float] = {}
        for part in pool.starmap(_process, rows, chunksize=1):
            for phase, value in part.items():
                seconds[phase] = seconds.get(phase, 0.0) + value
    return seconds


def _process(job: Job, model: Model, settings: JobSettings, worker: Worker) -> dict[str, float]:
    return job.run(model, settings, worker, Limit.parse(settings.max_bad))

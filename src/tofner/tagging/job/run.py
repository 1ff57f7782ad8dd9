"""The batch job: read, prepare, run, write, all at once; shard by shard, whole or not at all.

Tagger.load -> find_inputs -> plan_shards -> for each open shard of this worker: groups -> tags -> output, receipt
-> the worker that sees all receipts joins, sums up and writes `complete.json`
"""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from tofner.errors import BadSettings, PassingFault, Problem
from tofner.model.published import Model, load_model
from tofner.tagging.engine import texts
from tofner.tagging.engine.tagger import Answer, Prepared, Tagged, Tagger
from tofner.tagging.engine.threads import usable_cores
from tofner.tagging.formats.files import Shard
from tofner.tagging.formats.outputs import ShardFile
from tofner.tagging.formats.read import read_groups
from tofner.tagging.formats.record import Bad, Group, Record
from tofner.tagging.job.finish import JobReport, finish_job
from tofner.tagging.job.pipeline import Clock, ahead
from tofner.tagging.job.plan import Job, JobSettings
from tofner.tagging.job.progress import Progress
from tofner.tagging.job.shards import Worker
from tofner.tagging.job.stats import Counts, Limit, bad_rows

_AHEAD = 1  # groups that wait between two stages


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
    worker = Worker.parse(settings.worker)
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
        seconds = run_shards(job, described, settings, worker, limit)
    _check_limit(job, worker, limit)
    return finish_job(job, worker, seconds, time.monotonic() - start)


def run_shards(job: Job, model: Model, settings: JobSettings, worker: Worker, limit: Limit) -> dict[str, float]:
    """Do this worker's open shards; returns seconds of each phase.

    Raises:
        BadData: more bad records than allowed.
    """
    shards = job.open_shards(worker)
    if not shards:
        return {}
    clock = Clock()
    start = time.perf_counter()
    done = [job.ledger.counts(n) for n in job.ledger.done() if worker.takes(n)]
    total = Counts.sum_of(done)
    with Tagger(model, settings.threads) as tagger:
        clock.add("load", time.perf_counter() - start)
        progress = Progress(sum(_size(s) for s in shards), quiet=settings.quiet)
        groups = ahead(clock.timed("read", _read(shards)), _AHEAD, "tofner-read")
        ready = ahead(clock.timed("prepare", _prepare(tagger, groups)), _AHEAD, "tofner-prepare")
        results = ahead(clock.timed("run", _run(tagger, ready)), _AHEAD, "tofner-collect")
        try:
            for shard, items in _by_shard(results):
                _write(job, shard, items, clock, progress, total, limit)
        finally:
            results.close()  # type: ignore[attr-defined]
        progress.end()
    return clock.seconds


def _write(
    job: Job,
    shard: Shard,
    items: Iterator[tuple[Group, Tagged]],
    clock: Clock,
    progress: Progress,
    total: Counts,
    limit: Limit,
) -> None:
    """Write a shard's output, then its receipt."""
    counts = Counts(shard.number)
    bad: list[Bad] = []
    uri = job.ledger.output_of(shard)
    compression = shard.file.compression if job.compression is None else job.compression
    out = ShardFile(uri, job.ledger.scratch, shard.file, job.written[shard.number], compression)
    before = 0
    try:
        for group, tagged in items:
            start = time.perf_counter()
            entities = tagged.entities()
            out.output.write(group, entities)
            counts.add(group, tagged, entities)
            bad += [row for row in group.rows if isinstance(row, Bad)]
            limit.check_early(total, counts, partial(_dead, job, shard, bad))
            now = min(_size(shard), max(0, group.position - (shard.start if _by_bytes(shard) else 0)))
            progress.add(len(group.rows), counts.last_words, now - before)
            before = now
            clock.add("write", time.perf_counter() - start)
        start = time.perf_counter()
        _dead(job, shard, bad)
        counts.bytes, counts.sha256 = out.commit()
        job.ledger.write_receipt(shard, counts.as_receipt(shard))
        total.merge(counts)
        progress.add(0, 0, _size(shard) - before)
        clock.add("write", time.perf_counter() - start)
    except OSError as error:  # a full disk, say
        out.drop()
        raise PassingFault(f"{uri}: {error}") from error
    except BaseException:
        out.drop()
        raise


def _dead(job: Job, shard: Shard, bad: list[Bad]) -> list[dict[str, Any]]:
    rows = bad_rows(shard, bad)
    job.ledger.write_bad(shard, rows)
    return rows


def _check_limit(job: Job, worker: Worker, limit: Limit) -> None:
    """At the end: bad records of all the worker's shards against the limit."""
    receipts = [job.ledger.counts(n) for n in sorted(job.ledger.done()) if worker.takes(n)]
    total = Counts.sum_of(receipts)
    if limit.exceeded(total.bad, total.records + total.bad):
        first = next(receipt for receipt in receipts if receipt["bad"])
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
    return run_shards(job, model, settings, worker, Limit.parse(settings.max_bad))

"""The batch job: read, prepare, run, write, all at once; shard by shard, whole or not at all.

Tagger.load -> find_inputs -> plan_shards -> for each open shard of this worker: groups -> tags -> output, receipt
-> the worker that sees all receipts joins, sums up and writes `complete.json`
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from tofner.child import ending_with
from tofner.cores import usable_cores
from tofner.errors import BadSettings, PassingFault, Problem
from tofner.logs import follow
from tofner.model.published import Model, load_model
from tofner.tagging.engine.tagger import Answer, Prepared, Tagged, Tagger
from tofner.tagging.formats.files import Shard
from tofner.tagging.formats.read import read_groups
from tofner.tagging.formats.record import Group, Record
from tofner.tagging.job.finish import JobReport, finish_job
from tofner.tagging.job.pipeline import Clock, ahead
from tofner.tagging.job.plan import Job, JobSettings
from tofner.tagging.job.progress import Progress
from tofner.tagging.job.shards import Worker
from tofner.tagging.job.stats import Counts, Limit, first_reasons
from tofner.tagging.job.write import Begun, ShardWriter, size_of

_ROUNDS = 3  # in which outputs that were altered after their receipts are done again
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
    with job.ledger.scratched():
        return _do(job, described, settings, worker, limit)


def _do(job: Job, described: Model, settings: JobSettings, worker: Worker, limit: Limit) -> JobReport:
    if job.is_complete():
        return finish_job(job, worker, {}, 0.0)
    start = time.monotonic()
    seconds: dict[str, float] = {}
    for _ in range(_ROUNDS):
        if settings.processes > 1:
            spent = _in_processes(job, described, settings, worker)
        else:
            spent = run_shards(job, described, settings, worker, limit)
        for phase, took in spent.items():
            seconds[phase] = seconds.get(phase, 0.0) + took
        _check_limit(job, worker, limit)
        altered = job.altered()
        if not altered:
            return finish_job(job, worker, seconds, time.monotonic() - start)
    uri = job.ledger.output_of(altered[0])
    raise PassingFault(
        f"{uri}: changed after it was finished, {_ROUNDS} times; look who else writes there, and run again"
    )


def run_shards(job: Job, model: Model, settings: JobSettings, worker: Worker, limit: Limit) -> dict[str, float]:
    """Do this worker's open shards; returns seconds of each phase.

    Raises:
        BadData: more bad records than allowed.
    """
    shards, done = job.open_shards(worker)
    if not shards:
        return {}
    clock = Clock()
    start = time.perf_counter()
    total = Counts.sum_of(done)
    begun = {shard.number: Begun.look(job, shard) for shard in shards}
    with Tagger(model, settings.threads) as tagger:
        clock.add("load", time.perf_counter() - start)
        progress = Progress(sum(size_of(s) for s in shards), quiet=settings.quiet)
        skipped = {number: one.groups for number, one in begun.items()}
        groups = ahead(clock.timed("read", _read(shards, skipped)), _AHEAD, "tofner-read")
        ready = ahead(clock.timed("prepare", _prepare(tagger, groups)), _AHEAD, "tofner-prepare")
        results = ahead(clock.timed("run", _run(tagger, ready)), _AHEAD, "tofner-collect")
        try:
            for shard, items in _by_shard(results):
                ShardWriter(job, shard, begun[shard.number], total, limit).write(items, clock, progress)
        finally:
            results.close()  # type: ignore[attr-defined]
        progress.end()
    return clock.seconds


def _check_limit(job: Job, worker: Worker, limit: Limit) -> None:
    """At the end: bad records of all the worker's shards against the limit."""
    receipts = [receipt for number, receipt in sorted(job.ledger.receipts().items()) if worker.takes(number)]
    total = Counts.sum_of(receipts)
    if limit.exceeded(total.bad, total.records + total.bad):
        first = next(receipt for receipt in receipts if receipt["bad"])
        place = job.ledger.bad_of(first["shard"])
        raise limit.error(total.bad, total.records + total.bad, f"{first_reasons(job.ledger, receipts)}; {place}")


def _read(shards: list[Shard], skipped: dict[int, int]) -> Iterator[tuple[Shard, Group | None]]:
    """The groups of all shards, without the first ones that an earlier run has done; None ends a shard."""
    for shard in shards:
        for number, group in enumerate(read_groups(shard)):
            if number >= skipped[shard.number]:
                yield shard, group
        yield shard, None


Ready = tuple[Shard, Group | None, Prepared | None]


def _prepare(tagger: Tagger, groups: Iterator[tuple[Shard, Group | None]]) -> Iterator[Ready]:
    for shard, group in groups:
        if group is None:
            yield shard, None, None
            continue
        sources = [row.source or [] for row in group.rows if isinstance(row, Record)]
        yield shard, group, tagger.prepare([tagger.words(source) for source in sources])


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
    with context.Pool(count, _begin_process, (os.getpid(),)) as pool:
        own = replace(settings, threads=threads, processes=1)
        rows = [(job, model, replace(own, quiet=own.quiet or i > 0), worker.part(i, count)) for i in range(count)]
        seconds: dict[str, float] = {}
        for part in pool.starmap(_process, rows, chunksize=1):
            for phase, value in part.items():
                seconds[phase] = seconds.get(phase, 0.0) + value
    return seconds


def _begin_process(parent: int) -> None:
    """A terminal sends Ctrl-C to every process; the one that waits for the others ends them, or the kernel where that
    one was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent = ending_with(parent, signal.SIGKILL)
    if end_with_parent is not None:
        end_with_parent()
    follow()


def _process(job: Job, model: Model, settings: JobSettings, worker: Worker) -> dict[str, float]:
    return run_shards(job, model, settings, worker, Limit.parse(settings.max_bad))

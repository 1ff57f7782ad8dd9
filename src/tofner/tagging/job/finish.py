"""The end of a job: join parts, gather dead letters, sum up. Done by whichever worker finds every shard finished.

All of it is a function of the receipts, so two workers that finish together write the same.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.errors import PassingFault
from tofner.tagging import textfile
from tofner.tagging.formats.outputs import join_outputs
from tofner.tagging.job.ledger import Ledger, read_object, remove
from tofner.tagging.job.page import sample_page
from tofner.tagging.job.plan import Job
from tofner.tagging.job.shards import Worker
from tofner.tagging.job.stats import ADDED, Counts
from tofner.tagging.textfile import Figure

_PAGE_SAMPLES = 100


@dataclass(frozen=True)
class JobReport:
    """What a worker's run came to.

    Attributes:
        output: as the user named it.
        complete: every shard of the job is done, by whichever workers.
        counts: of this worker's shards; of the whole job when it is complete.
        statistics, page, dead_letters: URIs; only of what is there. A worker without shards has no statistics.
    """

    output: str
    complete: bool
    shards_done: int
    shards: int
    counts: Counts
    seconds: float
    statistics: str | None
    page: str | None
    dead_letters: str | None

    def to_prometheus(self) -> str:
        """Lines for the text-file collector of Prometheus' node exporter."""
        found = self.counts
        rows = [
            Figure("tag_complete", "whether every shard of the job is done", int(self.complete)),
            Figure("tag_shards", "shards of the job", self.shards),
            Figure("tag_shards_done", "finished shards of the job", self.shards_done),
            Figure("tag_seconds", "duration of this worker's last run", self.seconds),
            Figure("tag_records", "good records", found.records),
            Figure("tag_bad_records", "records in the dead-letter file", found.bad),
            Figure("tag_words", "words tagged", found.words),
            Figure("tag_bytes", "bytes of output", found.bytes),
        ]
        rows += [
            Figure("tag_entities", "entities found", count, {"type": type_})
            for type_, count in sorted(found.entities.items())
        ]
        return textfile.text(rows)


def finish_job(job: Job, worker: Worker, phases: dict[str, float], seconds: float) -> JobReport:
    """Write this worker's statistics; finish the job if all shards are done."""
    ledger = job.ledger
    done = {number: receipt for number, receipt in sorted(ledger.receipts().items()) if number < len(job.shards)}
    complete = len(done) == len(job.shards)
    receipts = [receipt for number, receipt in done.items() if complete or worker.takes(number)]
    total = Counts.sum_of(receipts)
    own = Counts.sum_of(receipt for receipt in receipts if worker.takes(receipt["shard"]))
    mine = ledger.path("workers", f"worker-{worker.index}-of-{worker.count}.json")
    if phases:
        about = {"worker": f"{worker.index}/{worker.count}", "seconds": round(seconds, 3), "phases": _rounded(phases)}
        storage.write_bytes(mine, _pretty({**about, **_summary(own, seconds)}))
    page = dead = None
    if complete:
        page, dead = ledger.path("sample.html"), _finish_whole(job, receipts, total)
    counts = total if complete else own
    where: str | None = None
    if complete or storage.exists(mine):
        where = ledger.path("statistics.json") if complete else mine
    return JobReport(ledger.output, complete, len(done), len(job.shards), counts, seconds, where, page, dead)


def _finish_whole(job: Job, receipts: list[dict[str, Any]], total: Counts) -> str | None:
    """Everything that needs all shards; returns where the dead letters are."""
    ledger = job.ledger
    dead = ledger.path("dead-letter.jsonl") if total.bad else None
    if ledger.is_complete():
        return dead
    if dead:
        parts = [ledger.bad_of(receipt["shard"]) for receipt in receipts if receipt["bad"]]
        storage.put_file(join_outputs(parts, dead, ledger.scratch, "jsonl", ""), dead)
    whole: dict[str, Any] = {}
    if ledger.parts != ledger.output:
        parts = [ledger.output_of(shard) for shard in job.shards]
        written = job.written[0]
        try:
            path = join_outputs(parts, ledger.output, ledger.scratch, written, job.compression or "")
            whole = {"bytes": path.stat().st_size, "sha256": storage.file_sha256(path)}
            if written != "parquet":
                _check_size(path, whole["bytes"], sum(receipt["bytes"] for receipt in receipts))
            storage.put_file(path, ledger.output)
        except Exception:
            if ledger.is_complete():  # another worker has joined the parts and removed them meanwhile
                return dead
            raise
        whole["etag"] = storage.file_etag(ledger.output)
    workers = [one for uri in _worker_files(ledger) if (one := read_object(uri, _is_worker))]
    samples = sorted((row for receipt in receipts for row in receipt["samples"]), key=lambda row: int(row["rank"]))
    title = Path(ledger.output).name
    page = sample_page(title, samples[:_PAGE_SAMPLES], total)
    storage.write_bytes(ledger.path("sample.html"), page.encode())
    spent: dict[str, float] = {}
    for row in workers:
        for phase, value in row["phases"].items():
            spent[phase] = spent.get(phase, 0.0) + value
    longest = max((row["seconds"] for row in workers), default=0.0)
    about = {"output": ledger.output, "shards": len(receipts), "workers": len(workers), "phases": _rounded(spent)}
    storage.write_bytes(ledger.path("statistics.json"), _pretty({**about, **_summary(total, longest)}))
    said = {"shards": len(receipts), "records": total.records, **whole}
    storage.write_bytes(ledger.path("complete.json"), _pretty(said))
    remove(ledger.scratch)
    if ledger.parts != ledger.output:
        remove(ledger.parts)
    return dead


def _check_size(path: Path, found: int, expected: int) -> None:
    """Raises PassingFault: parts were altered while they were joined."""
    if found != expected:
        path.unlink()
        raise PassingFault(f"{path}: parts of {found} bytes instead of {expected}; run again")


def _worker_files(ledger: Ledger) -> list[str]:
    folder = ledger.path("workers")
    return [storage.join(folder, info.path) for info in storage.list_files(folder) if info.path.endswith(".json")]


def _is_worker(value: dict[str, Any]) -> bool:
    times = [value["seconds"], *value["phases"].values()]
    return all(isinstance(one, float | int) for one in times)


def _summary(total: Counts, seconds: float) -> dict[str, Any]:
    rates = {"words_per_s": round(total.words / seconds, 1)} if seconds else {}
    return {**{name: getattr(total, name) for name in ADDED}, "entities": dict(sorted(total.entities.items())), **rates}


def _rounded(phases: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in sorted(phases.items())}


def _pretty(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"

"""How far a job is, from its books: while it runs, after it was killed, when it is done. Nothing is written."""

import contextlib
from dataclasses import asdict, dataclass
from typing import Any

from tofner import storage
from tofner.errors import BadData, PassingFault, Problem
from tofner.tagging.formats.files import format_of
from tofner.tagging.job.ledger import FOLDER, Ledger, is_segment, read_object
from tofner.tagging.job.stats import Counts

_TRIES = 20


@dataclass(frozen=True)
class Status:
    """A job as its books show it.

    Attributes:
        shards_done: with a receipt; `shards_begun` have segments, and no receipt yet.
        records, bad: of shards that are done and of segments that are kept.
        seconds: from the plan to the last thing that was kept; of a finished job its longest worker's.
        records_per_s: over these seconds; None where they are none.
    """

    output: str
    finished: bool
    shards: int
    shards_done: int
    shards_begun: int
    records: int
    bad: int
    entities: dict[str, int]
    seconds: float
    records_per_s: float | None
    dead_letters: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        how = "finished" if self.finished else "not finished"
        begun = f", {self.shards_begun} begun" if self.shards_begun else ""
        rate = "" if self.records_per_s is None else f", {self.records_per_s:,.0f} records/s over {self.seconds:.0f} s"
        found = ", ".join(f"{type_} {count:,}" for type_, count in self.entities.items())
        return [
            f"{self.output}: {how}, {self.shards_done} of {self.shards} shards done{begun}",
            f"{self.records:,} records{rate}",
            f"entities: {found or 'none'}",
            f"bad records: {self.bad:,}{f', {self.dead_letters}' if self.dead_letters else ''}",
        ]


def job_status(output: str) -> Status:
    """How far the job that writes to `output` is.

    Raises:
        BadData: no job's books lie there.
        PassingFault: storage could not be reached.
    """
    output = output.rstrip("/") or output
    ledger = _ledger(output)
    plan = read_object(ledger.path("plan.json"), lambda value: isinstance(value["shards"], int))
    if plan is None:
        fix = "give the output of a tofner tag, a folder with _tofner or a file beside FILE.tofner"
        raise BadData(Problem(output, "no plan of a tagging job", "the output of one", fix))
    receipts = {number: one for number, one in ledger.receipts().items() if number < plan["shards"]}
    kept, begun = list(receipts.values()), 0
    files = _listed(ledger.root)
    for number, place in sorted(_last_segments(files).items()):
        segment = None if number in receipts else read_object(ledger.path(place), is_segment)
        if segment is not None:
            begun += 1
            kept.append(segment["counts"])
    total = Counts.sum_of(kept)
    finished = ledger.is_complete()
    seconds = _longest(ledger) if finished else 0.0
    if not seconds:
        times = {file.path: file.modified_s for file in files}
        books = [time for path, time in times.items() if path.startswith(("shards/", "segments/"))]
        seconds = max(0.0, max(books, default=0.0) - times.get("plan.json", 0.0)) if books else 0.0
    dead = ledger.path("dead-letter.jsonl") if finished else ledger.path("bad")
    return Status(
        output,
        finished,
        plan["shards"],
        len(receipts),
        begun,
        total.records,
        total.bad,
        dict(sorted(total.entities.items())),
        round(seconds, 3),
        round(total.records / seconds, 1) if seconds else None,
        dead if total.bad else None,
    )


def _listed(root: str) -> list[storage.FileInfo]:
    """All books. A job that runs may take scratch away while a local folder is being listed; then once more."""
    for _ in range(_TRIES):
        with contextlib.suppress(storage.NoSuchObject):
            return storage.list_files(root)
    raise PassingFault(f"{root}: its files come and go faster than they can be listed; try again")


def _ledger(output: str) -> Ledger:
    """Books lie in the folder, or beside the file."""
    folder = storage.exists(storage.join(output, FOLDER, "plan.json"))
    return Ledger(
        output, not folder and (format_of(output)[0] is not None or storage.exists(f"{output}.tofner/plan.json"))
    )


def _last_segments(files: list[storage.FileInfo]) -> dict[int, str]:
    """Place of the last segment's receipt of each shard that has some."""
    found: dict[int, str] = {}
    for file in sorted(files, key=lambda file: file.path):
        parts = file.path.split("/")
        if len(parts) == 3 and parts[0] == "segments" and parts[1].isdecimal() and parts[2].endswith(".json"):
            found[int(parts[1])] = file.path
    return found


def _longest(ledger: Ledger) -> float:
    """Seconds of the worker that took longest, as far as workers have told."""
    names = [info.path for info in storage.list_files(ledger.path("workers")) if info.path.endswith(".json")]
    told = [read_object(ledger.path("workers", name), lambda row: isinstance(row["seconds"], float)) for name in names]
    return max((float(row["seconds"]) for row in told if row), default=0.0)

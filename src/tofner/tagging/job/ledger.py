"""What a job keeps beside its output: the plan it began with, a receipt for each finished shard, and bad records.

    _tofner/plan.json            written once, by whoever comes first; everybody else must have the same plan
    _tofner/shards/00003.json    shard 3 is done: its counts, written after its output
    _tofner/bad/00003.jsonl      its bad records, if any
    _tofner/tmp/                 scratch of local outputs
    _tofner/dead-letter.jsonl    all bad records; with statistics.json, sample.html and complete.json the last things
    written

A job that is started again reads the receipts and does the rest. Output is made visible before its receipt: a kill
between the two makes the shard be done again, with the same bytes.
"""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from tofner import storage
from tofner.errors import BadInput, Problem, TofnerError
from tofner.tagging.formats.files import Shard

FOLDER = "_tofner"


class Ledger:
    """The `_tofner` folder of an output; for an output file, `FILE.tofner` is that folder and holds the parts too."""

    def __init__(self, output: str, is_file: bool) -> None:
        self.output = output
        self.root = f"{output}.tofner" if is_file else storage.join(output, FOLDER)
        self.parts = storage.join(self.root, "parts") if is_file else output
        self.scratch = storage.join(self.root, "tmp")

    def path(self, *parts: str) -> str:
        return storage.join(self.root, *parts)

    def output_of(self, shard: Shard) -> str:
        """Where a shard's output goes; parts of an output file have numbers, since they will be joined in order."""
        name = shard.output if self.parts == self.output else f"{shard.number:05d}"
        return storage.join(self.parts, name)

    def begin(self, plan: dict[str, Any]) -> None:
        """Write the plan, or compare it with the one that is there.

        Raises:
            BadInput: the output belongs to a job with other inputs, model or settings.
        """
        place = self.path("plan.json")
        found = storage.read_pointer(place)
        if found is None:
            try:
                storage.move_pointer(place, plan, None)
            except storage.PointerMoved:
                found = storage.read_pointer(place)
            else:
                return
        there = found[0] if found else {}
        if there == plan:
            return
        differs = sorted(key for key in plan.keys() | there.keys() if plan.get(key) != there.get(key))
        fix = "take another output, delete this one, or run the job with what it began with"
        said = ", ".join(f"{key} {there.get(key)!r} before and {plan.get(key)!r} now" for key in differs)
        raise BadInput(Problem(place, f"the plan of another job ({said})", "the plan of this job", fix))

    def done(self) -> set[int]:
        """Numbers of the finished shards."""
        names = (info.path for info in storage.list_files(self.path("shards")))
        return {int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal()}

    def write_receipt(self, shard: Shard, counts: dict[str, Any]) -> None:
        storage.write_bytes(self._receipt_of(shard.number), json.dumps(counts, ensure_ascii=False).encode())

    def counts(self, number: int) -> dict[str, Any]:
        """What `write_receipt` wrote."""
        value: dict[str, Any] = json.loads(storage.read_bytes(self._receipt_of(number)))
        return value

    def _receipt_of(self, number: int) -> str:
        return self.path("shards", f"{number:05d}.json")

    def write_bad(self, shard: Shard, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            storage.write_bytes(self.path("bad", f"{shard.number:05d}.jsonl"), to_jsonl(rows))

    def bad_of(self, number: int) -> str:
        return self.path("bad", f"{number:05d}.jsonl")

    def is_complete(self) -> bool:
        return storage.exists(self.path("complete.json"))


def to_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def remove(folder: str) -> None:
    """Delete scratch or parts of a finished job; what cannot be deleted does no harm and stays."""
    with contextlib.suppress(TofnerError, OSError):
        storage.remove_folder(folder)

"""What a job keeps beside its output: the plan it began with, a receipt for each finished shard, and bad records.

    _tofner/plan.json            written once, by whoever comes first; everybody else must have the same plan
    _tofner/inputs.jsonl         name, size and digest of each input, to tell which one is another
    _tofner/shards/00003.json    shard 3 is done: its counts, size and digest, written after its output
    _tofner/segments/00003/      how far shard 3 is; removed when it is done
    _tofner/bad/00003.jsonl      its bad records, if any
    _tofner/tmp/                 scratch of local outputs
    _tofner/dead-letter.jsonl    all bad records; with statistics.json, sample.html and complete.json the last things
    written

A job that is started again reads the receipts and does the rest. Output is made visible before its receipt: a kill
between the two makes the shard be done again, with the same bytes. A receipt counts while the output is what it says.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.errors import BadInput, Problem, TofnerError
from tofner.tagging.formats.files import InputFile, Shard

FOLDER = "_tofner"
_NAMED = 3  # inputs that are named where they are others


class Ledger:
    """The `_tofner` folder of an output; for an output file, `FILE.tofner` is that folder and holds the parts too."""

    def __init__(self, output: str, is_file: bool) -> None:
        self.output = output
        self.root = f"{output}.tofner" if is_file else storage.join(output, FOLDER)
        self.parts = storage.join(self.root, "parts") if is_file else output
        self.scratch = storage.join(self.root, "tmp")

    @contextlib.contextmanager
    def scratched(self) -> Iterator[None]:
        """While a job is at work: scratch for objects is a folder of this machine; that of local outputs is the
        ledger's own."""
        if not storage.is_s3(self.output):
            yield
            return
        with storage.scratch_folder("tofner-work-", "tag-") as folder:
            self.scratch = str(folder)
            yield

    def path(self, *parts: str) -> str:
        return storage.join(self.root, *parts)

    def output_of(self, shard: Shard) -> str:
        """Where a shard's output goes; parts of an output file have numbers, since they will be joined in order."""
        name = shard.output if self.parts == self.output else f"{shard.number:05d}"
        return storage.join(self.parts, name)

    def begin(self, plan: dict[str, Any], inputs: Sequence[InputFile] = (), dry: bool = False) -> None:
        """Write the plan, or compare it with the one that is there; with `dry` nothing is written.

        Raises:
            BadInput: the output belongs to a job with other inputs, model or settings.
        """
        place = self.path("plan.json")
        found = storage.read_pointer(place)
        if found is None and dry:
            return
        if found is None:
            rows = [{"name": file.name, "size": file.size, "digest": file.etag} for file in inputs]
            storage.write_bytes(self.path("inputs.jsonl"), to_jsonl(rows))
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
        if "inputs" in differs and (others := self._other_inputs(inputs)):
            said = f"{others}; {said}"
        raise BadInput(Problem(place, f"the plan of another job ({said})", "the plan of this job", fix))

    def _other_inputs(self, inputs: Sequence[InputFile]) -> str:
        """The first inputs that are not those of the plan."""
        with contextlib.suppress(TofnerError, ValueError, KeyError, TypeError):
            lines = storage.read_bytes(self.path("inputs.jsonl")).splitlines()
            before = {row["name"]: row["digest"] for row in map(json.loads, lines)}
            now = {file.name: file.etag for file in inputs}
            names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
            what = (
                f"{name} is {'changed' if name in before and name in now else 'new' if name in now else 'gone'}"
                for name in names[:_NAMED]
            )
            return f"{len(names)} inputs are others: {', '.join(what)}" if names else ""
        return ""

    def receipts(self) -> dict[int, dict[str, Any]]:
        """The receipts by number of their shard; one that cannot be read counts as none."""
        names = (info.path for info in storage.list_files(self.path("shards")))
        numbers = [int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal()]
        found = {number: read_object(self._receipt_of(number), is_receipt) for number in numbers}
        return {number: receipt for number, receipt in found.items() if receipt and receipt["shard"] == number}

    def valid(self, shards: Sequence[Shard]) -> dict[int, dict[str, Any]]:
        """Receipts of these shards whose outputs are there, as the receipts say: by ETag in S3, else by contents."""
        receipts = self.receipts()
        wanted = [shard for shard in shards if shard.number in receipts]
        if not wanted:
            return {}
        there: dict[str, str] = {}
        if storage.is_s3(self.parts):
            there = {info.path: info.etag for info in storage.list_files(self.parts)}
        valid = {}
        for shard in wanted:
            receipt = receipts[shard.number]
            uri = self.output_of(shard)
            name = uri[len(self.parts) :].strip("/")
            etag = there.get(name) if storage.is_s3(uri) else storage.file_etag(uri)
            if etag is not None and (etag == receipt["etag"] or _has(uri, receipt)):
                valid[shard.number] = receipt
        return valid

    def write_receipt(self, shard: Shard, counts: dict[str, Any]) -> None:
        storage.write_bytes(self._receipt_of(shard.number), json.dumps(counts, ensure_ascii=False).encode())

    def _receipt_of(self, number: int) -> str:
        return self.path("shards", f"{number:05d}.json")

    def segments(self, shard: Shard) -> list[dict[str, Any]]:
        """Receipts of the segments of a shard that are there, from the first on."""
        found: list[dict[str, Any]] = []
        names = {info.path for info in storage.list_files(self._segments_of(shard.number))}
        while f"{len(found):05d}.json" in names and f"{len(found):05d}" in names:
            uri = self.segment_of(shard, len(found))
            receipt = read_object(f"{uri}.json", is_segment)
            if receipt is None or storage.file_etag(uri) != receipt["etag"]:
                break
            found.append(receipt)
        return found

    def segment_of(self, shard: Shard, index: int) -> str:
        return storage.join(self._segments_of(shard.number), f"{index:05d}")

    def _segments_of(self, number: int) -> str:
        return self.path("segments", f"{number:05d}")

    def write_segment(self, shard: Shard, index: int, path: Path, receipt: dict[str, Any]) -> None:
        """Move a segment's file to the ledger, then write its receipt."""
        uri = self.segment_of(shard, index)
        etag = storage.put_new_file(path, uri)
        if etag is None:  # left by an earlier run of another kind of CPU, say
            storage.put_file(path, uri)
            etag = storage.file_etag(uri)
        storage.write_bytes(f"{uri}.json", json.dumps({**receipt, "etag": etag}, ensure_ascii=False).encode())

    def drop_segments(self, shard: Shard) -> None:
        remove(self._segments_of(shard.number))

    def write_bad(self, shard: Shard, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            storage.write_bytes(self.path("bad", f"{shard.number:05d}.jsonl"), to_jsonl(rows))

    def bad_of(self, number: int) -> str:
        return self.path("bad", f"{number:05d}.jsonl")

    def is_complete(self) -> bool:
        """Whether the job said that it was complete."""
        return self.completed() is not None

    def completed(self) -> dict[str, Any] | None:
        """What `complete.json` says."""
        return read_object(self.path("complete.json"), lambda value: isinstance(value.get("shards"), int))

    def reopen(self) -> None:
        """The output of a complete job is no longer what it was: it is not complete."""
        storage.write_bytes(self.path("complete.json"), b"{}\n")


def _has(uri: str, receipt: dict[str, Any]) -> bool:
    """Whether a file has the contents of its receipt: one that was copied to another store has another ETag."""
    return storage.is_s3(uri) and storage.content_sha256(uri) == receipt["sha256"]


def read_object(uri: str, is_good: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """A JSON object of the ledger; None if it is not there, or damaged: what it stood for is then done again."""
    try:
        value = json.loads(storage.read_bytes(uri))
        return value if isinstance(value, dict) and is_good(value) else None
    except (storage.NoSuchObject, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def is_receipt(value: dict[str, Any]) -> bool:
    """Whether a receipt has all that sums, joins and pages need."""
    numbers = ("shard", "records", "words", "windows", "pieces", "cut_words", "bad", "replaced", "passed_on")
    return (
        all(_is_count(value[name]) for name in (*numbers, "comments", "bytes"))
        and all(isinstance(value[name], str) for name in ("sha256", "etag", "output"))
        and all(_is_count(count) for count in value["entities"].values())
        and isinstance(value["samples"], list)
        and all(_is_sample(row) for row in value["samples"])
    )


def _is_sample(row: Any) -> bool:
    return (
        isinstance(row["rank"], int)
        and isinstance(row["text"], str)
        and isinstance(row["cut"], bool)
        and all(
            _is_count(start) and _is_count(end) and isinstance(label, str) and isinstance(score, float | int)
            for start, end, label, score in row["entities"]
        )
    )


def is_segment(value: dict[str, Any]) -> bool:
    """Whether a segment's receipt has all that its shard needs to go on."""
    rows = value["bad"]
    return (
        is_receipt(value["counts"])
        and _is_count(value["groups"])
        and isinstance(value["etag"], str)
        and isinstance(rows, list)
        and all(
            _is_count(row[0]) and _is_count(row[3]) and isinstance(row[1], str) and isinstance(row[2], str)
            for row in rows
        )
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def to_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def remove(folder: str) -> None:
    """Delete scratch or parts of a finished job; what cannot be deleted does no harm and stays."""
    with contextlib.suppress(TofnerError, OSError):
        storage.remove_folder(folder)

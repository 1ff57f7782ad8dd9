"""Counts of a job, and the limit on its bad records. Counts add up over shards and workers."""

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tofner import storage
from tofner.errors import BadData, BadSettings, Problem, TofnerError
from tofner.tagging.engine.tagger import Tagged
from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.files import Shard
from tofner.tagging.formats.record import Bad, Group, Record
from tofner.tagging.formats.streams import count_lines
from tofner.tagging.job.ledger import Ledger

SAMPLES_A_SHARD = 20
_TOLD = 3  # bad records that an error names
_SAMPLE_CHARS = 2000
ADDED = ("records", "words", "windows", "pieces", "cut_words", "bad", "replaced", "passed_on", "comments", "bytes")
_EARLY_RECORDS = 10_000  # before so many a share of bad records says nothing


@dataclass
class Counts:
    """What was found in a shard, or in many.

    Attributes:
        records: good ones. passed_on: of these, such without anything to tag (-DOCSTART-).
        comments: comment lines of column files.
        windows: read by the network (equal ones in a group are computed once); pieces: computed.
        cut_words: words of more pieces than a window holds, tagged by their first pieces.
        replaced: records that came with `entities`.
        bytes, sha256, etag: of the output.
    """

    shard: int = -1
    records: int = 0
    words: int = 0
    windows: int = 0
    pieces: int = 0
    cut_words: int = 0
    bad: int = 0
    replaced: int = 0
    passed_on: int = 0
    comments: int = 0
    bytes: int = 0
    sha256: str = ""
    etag: str = ""
    entities: dict[str, int] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    last_words: int = 0

    def add(self, group: Group, tagged: Tagged, entities: list[list[Entity]]) -> None:
        """Add a group."""
        good = [row for row in group.rows if isinstance(row, Record)]
        self.last_words = sum(len(words.words) for words in tagged.inputs)
        self.bad += len(group.rows) - len(good)
        self.words += self.last_words
        self.windows += tagged.windows
        self.pieces += tagged.pieces
        self.cut_words += tagged.cut_words
        self.replaced += sum(row.replaced for row in good)
        self.passed_on += sum(row.source is None for row in good)
        self.comments += sum(row.comments for row in good)
        for row in entities:
            for entity in row:
                self.entities[entity.label] = self.entities.get(entity.label, 0) + 1
        self._sample(tagged, entities)
        self.records += len(good)

    def _sample(self, tagged: Tagged, entities: list[list[Entity]]) -> None:
        """Keep the records whose numbers have the smallest hashes: a fair choice that is the same in every run."""
        worst = self._worst()
        for i, words in enumerate(tagged.inputs):
            rank = zlib.crc32(f"{self.shard}:{self.records + i}".encode())
            if rank >= worst or not words.words:
                continue
            self.samples.append({"rank": rank, **_sample(words.text, words.words, entities[i])})
            self.samples.sort(key=lambda row: int(row["rank"]))
            del self.samples[SAMPLES_A_SHARD:]
            worst = self._worst()

    def _worst(self) -> int:
        """The rank that a record must be below to be kept."""
        return int(self.samples[-1]["rank"]) if len(self.samples) >= SAMPLES_A_SHARD else 1 << 32

    def as_receipt(self, shard: Shard) -> dict[str, Any]:
        """What the ledger keeps of a finished shard."""
        receipt = {name: getattr(self, name) for name in ADDED}
        entities = dict(sorted(self.entities.items()))
        about = {"shard": shard.number, "input": shard.file.name, "output": shard.output}
        told = {"sha256": self.sha256, "etag": self.etag, "entities": entities, "samples": self.samples}
        return {**about, **receipt, **told}

    @classmethod
    def of_receipt(cls, receipt: dict[str, Any]) -> "Counts":
        """The counts that `as_receipt` wrote, to go on with."""
        samples = [{**row, "entities": [tuple(one) for one in row["entities"]]} for row in receipt["samples"]]
        counts = cls(receipt["shard"], samples=samples, **{name: receipt[name] for name in ADDED})
        counts.entities = dict(receipt["entities"])
        return counts

    def merge(self, other: "Counts") -> None:
        """Add another's counts; samples and checksums stay with their shards."""
        for name in ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for label, count in other.entities.items():
            self.entities[label] = self.entities.get(label, 0) + count

    @classmethod
    def sum_of(cls, receipts: Iterable[dict[str, Any]]) -> "Counts":
        """Add up receipts."""
        total = cls()
        for receipt in receipts:
            total.merge(cls(entities=receipt["entities"], **{name: receipt[name] for name in ADDED}))
        return total


def _sample(text: str | None, words: Sequence[str], entities: Sequence[Entity]) -> dict[str, Any]:
    """A text as the page shows it, with entities as [start, end, label, score] in characters of that text."""
    rows: list[tuple[int, int, str, float]]
    if text is None:
        text, edges = "", []
        for word in words:
            edges.append((len(text), len(text) + len(word)))
            text += word + " "
        rows = [(edges[e.start][0], edges[e.end - 1][1], e.label, e.score) for e in entities]
    else:
        rows = [(e.start, e.end, e.label, e.score) for e in entities]
    shown = [row for row in rows if row[1] <= _SAMPLE_CHARS]
    return {"text": text[:_SAMPLE_CHARS], "cut": len(text) > _SAMPLE_CHARS, "entities": shown}


_FIX = "correct the records in the dead-letter file, or raise --max-bad and run again: finished shards stay"


@dataclass(frozen=True)
class Limit:
    """How many bad records a worker takes before it gives up: a number, or a share of all records."""

    count: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """
        >>> Limit.parse("10"), Limit.parse("0.5%")
        (Limit(count=10, share=None), Limit(count=None, share=0.005))

        Raises:
            BadSettings: neither.
        """
        match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", str(text).strip(), re.ASCII)
        if not match or (match[2] and float(match[2]) > 100):
            raise BadSettings(Problem("--max-bad", repr(text), "a number such as 100, or a share such as 1%"))
        return cls(int(match[1])) if match[1] else cls(None, float(match[2]) / 100)

    def exceeded(self, bad: int, records: int) -> bool:
        """Whether `bad` of `records` (good and bad) is too much."""
        return bad > (self.count if self.count is not None else (self.share or 0.0) * records)

    def check_early(self, before: Counts, now: Counts, keep: Callable[[], list[dict[str, Any]]]) -> None:
        """Give up in the middle: at once past a number; past a share only after enough records to judge by.

        Raises:
            BadData: too many; `keep` has written the dead letters by then.
        """
        if not now.bad:
            return
        bad = before.bad + now.bad
        records = before.records + now.records + bad
        judged = records if self.count is not None else max(records, _EARLY_RECORDS)
        if self.exceeded(bad, judged):
            rows = keep()
            raise self.error(bad, records, told(rows))

    def error(self, bad: int, records: int, where: str, fix: str = _FIX) -> BadData:
        """The error that ends the job."""
        allowed = str(self.count) if self.count is not None else f"{100 * (self.share or 0):g}%"
        return BadData(Problem("--max-bad", f"{bad} bad of {records} records ({where})", f"at most {allowed}", fix))


def told(rows: Sequence[dict[str, Any]]) -> str:
    """The first bad records, with place and reason."""
    return "; ".join(f"{row['file']}:{_place(row)}: {row['reason']}" for row in rows[:_TOLD])


def first_reasons(ledger: Ledger, receipts: Iterable[dict[str, Any]]) -> str:
    """The same of finished shards."""
    rows: list[dict[str, Any]] = []
    for receipt in receipts:
        if receipt["bad"] and len(rows) < _TOLD:
            with contextlib.suppress(TofnerError, ValueError):
                rows += map(json.loads, storage.read_bytes(ledger.bad_of(receipt["shard"])).splitlines()[:_TOLD])
    return told(rows)


def _place(row: dict[str, Any]) -> str:
    return str(row.get("line", row.get("row")))


def bad_rows(shard: Shard, bad: Sequence[Bad]) -> list[dict[str, Any]]:
    """Dead letters: file, line (from 1; of a sentence its first) or row (from 0), reason, the record's beginning, size.

    Lines before the shard are counted only now, when there is something bad to be found again.
    """
    if not bad:
        return []
    file = shard.file
    if file.format == "parquet":
        return [{"file": file.uri, "row": row.place, "reason": row.reason} for row in bad]
    before = 0
    if shard.start:
        # Lines that begin before the shard: line ends before its first byte, and the line that the cut lies in.
        before = count_lines(file, shard.start - 1) + 1
    rows = ((before + row.place + 1, row) for row in bad)
    return [
        {"file": file.uri, "line": line, "reason": row.reason, "record": row.excerpt, "bytes": row.size}
        for line, row in rows
    ]

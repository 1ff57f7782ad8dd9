"""The output of a shard: segments as they come, then the whole, then the receipt.

A segment is what `SEGMENT_GROUPS` groups give; it goes to the ledger with the counts so far, so that a worker that is
killed loses no more than one. Where segments begin depends on the input alone, and the output is all of them joined:
the same bytes whether or not somebody died in between. A shard of one segment has no other.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from functools import partial
from typing import Any

from tofner import storage
from tofner.errors import PassingFault
from tofner.tagging.engine.tagger import Tagged
from tofner.tagging.formats.files import Shard, check_unchanged
from tofner.tagging.formats.outputs import Segment, join_outputs
from tofner.tagging.formats.record import SEGMENT_GROUPS, Bad, Group
from tofner.tagging.job.pipeline import Clock
from tofner.tagging.job.plan import Job
from tofner.tagging.job.progress import Progress
from tofner.tagging.job.stats import Counts, Limit, bad_rows


@dataclass
class Begun:
    """How far a shard is: what its segments in the ledger came to."""

    counts: Counts
    segments: int = 0
    groups: int = 0
    bad: list[Bad] = field(default_factory=list)

    @classmethod
    def look(cls, job: Job, shard: Shard) -> "Begun":
        """What an earlier run has left of a shard."""
        kept = job.ledger.segments(shard)
        if not kept:
            return cls(Counts(shard.number))
        bad = [Bad(*row) for one in kept for row in one["bad"]]
        return cls(Counts.of_receipt(kept[-1]["counts"]), len(kept), kept[-1]["groups"], bad)


class ShardWriter:
    """Writes the groups of one shard, in order."""

    def __init__(self, job: Job, shard: Shard, begun: Begun, total: Counts, limit: Limit) -> None:
        self.job, self.shard, self.begun, self.total, self.limit = job, shard, begun, total, limit
        self.counts, self.bad = begun.counts, list(begun.bad)
        self.segments, self.groups = begun.segments, begun.groups
        self.kept_bad = len(self.bad)  # of those, in segments that are in the ledger
        self.out: Segment | None = None
        self.held = 0  # groups in `out`

    def write(self, items: Iterator[tuple[Group, Tagged]], clock: Clock, progress: Progress) -> None:
        """All groups that are left, then the output and its receipt.

        Raises:
            BadData: more bad records than allowed, or the input changed meanwhile.
            PassingFault, BadInput: the output cannot be written.
        """
        uri = self.job.ledger.output_of(self.shard)
        before = 0
        try:
            with storage.local_faults(uri):
                for group, tagged in items:
                    with clock.time("write"):
                        self._add(group, tagged)
                    now = min(size_of(self.shard), max(0, group.position - first_byte(self.shard)))
                    progress.add(len(group.rows), self.counts.last_words, now - before)
                    before = now
                with clock.time("write"):
                    self._commit(uri)
            progress.add(0, 0, size_of(self.shard) - before)
        except OSError as error:  # of a kind that storage does not know
            raise PassingFault(f"{uri}: {error}") from error
        finally:
            if self.out is not None:
                self.out.drop()

    def _add(self, group: Group, tagged: Tagged) -> None:
        if self.held == SEGMENT_GROUPS:
            self._close_segment()
        out = self.out = self.out or self._segment()
        entities = tagged.entities()
        out.output.write(group, entities)
        self.counts.add(group, tagged, entities)
        self.bad += [row for row in group.rows if isinstance(row, Bad)]
        self.held += 1
        self.groups += 1
        self.limit.check_early(self.total, self.counts, partial(self._dead))

    def _segment(self) -> Segment:
        job, shard = self.job, self.shard
        compression = shard.file.compression if job.compression is None else job.compression
        uri = job.ledger.output_of(shard)
        return Segment(uri, job.ledger.scratch, shard.file, job.written[shard.number], compression)

    def _close_segment(self) -> None:
        """Move the segment to the ledger."""
        out = self.out
        if out is None:  # all is there, since an earlier run died right before the end
            return
        self.held = 0
        size, digest = out.close()
        check_unchanged(self.shard.file)
        receipt = {
            "groups": self.groups,
            "bytes": size,
            "sha256": digest,
            "counts": self.counts.as_receipt(self.shard),
            "bad": [list(astuple(row)) for row in self.bad[self.kept_bad :]],
        }
        self.job.ledger.write_segment(self.shard, self.segments, out.path, receipt)
        self.kept_bad = len(self.bad)
        self.segments += 1
        self.out = None

    def _commit(self, uri: str) -> None:
        """Bad records, output, receipt, in this order."""
        ledger = self.job.ledger
        self._dead()
        if self.segments:
            self._close_segment()
            parts = [ledger.segment_of(self.shard, index) for index in range(self.segments)]
            compression = self.shard.file.compression if self.job.compression is None else self.job.compression
            path = join_outputs(parts, uri, ledger.scratch, self.job.written[self.shard.number], compression)
            size, digest = path.stat().st_size, storage.file_sha256(path)
        else:
            out = self.out = self.out or self._segment()
            size, digest = out.close()
            path = out.path
            check_unchanged(self.shard.file)
        try:
            etag = storage.put_new_file(path, uri)
            if etag is None:
                if self.shard.number in ledger.valid([self.shard]):
                    return  # another worker was first; what it wrote fits its receipt
                storage.put_file(path, uri)
                etag = storage.file_etag(uri)
        finally:
            path.unlink(missing_ok=True)
        self.counts.bytes, self.counts.sha256, self.counts.etag = size, digest, etag or ""
        ledger.write_receipt(self.shard, self.counts.as_receipt(self.shard))
        self.total.merge(self.counts)
        if self.segments:
            ledger.drop_segments(self.shard)

    def _dead(self) -> list[dict[str, Any]]:
        rows = bad_rows(self.shard, self.bad)
        self.job.ledger.write_bad(self.shard, rows)
        return rows


def by_bytes(shard: Shard) -> bool:
    """Whether the shard is a range of bytes."""
    return shard.file.format != "parquet" and not shard.file.compression


def first_byte(shard: Shard) -> int:
    """Where it begins in the stored file, for progress."""
    return shard.start if by_bytes(shard) else 0


def size_of(shard: Shard) -> int:
    """Stored bytes of a shard, for progress."""
    return shard.end - shard.start if by_bytes(shard) else shard.file.size

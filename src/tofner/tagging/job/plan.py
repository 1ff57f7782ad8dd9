"""A planned job: its shards, and where it keeps its books."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.errors import BadData, Problem
from tofner.model.layout import Precision
from tofner.model.published import Model
from tofner.tagging.engine import texts
from tofner.tagging.engine.tagger import BATCH_PIECES
from tofner.tagging.formats.files import Compression, Format, InputFile, Shard, format_of
from tofner.tagging.formats.outputs import written_format
from tofner.tagging.formats.record import GROUP_BYTES, GROUP_RECORDS, SEGMENT_GROUPS
from tofner.tagging.job.inputs import find_inputs
from tofner.tagging.job.ledger import Ledger
from tofner.tagging.job.shards import SHARD_BYTES, Worker, fingerprint, inputs_digest, plan_shards, same_names


@dataclass(frozen=True)
class JobSettings:
    """How a job runs.

    Attributes:
        format: of the input; `auto` goes by suffixes.
        precision: which graph of the model.
        worker: `i/n`; None: from JOB_COMPLETION_INDEX, or the only worker.
        threads: CPU cores; None: affinity mask and cgroup limit.
        processes: that share this worker's shards and threads.
        max_bad: bad records that may be: a number, or a share such as `1%`.
        shard_bytes: about how much of a file is one shard. Part of the plan.
        quiet: no progress on stderr.
        cache: folder for fetched models.
    """

    format: str = "auto"
    precision: Precision = "fp32"
    worker: str | None = None
    threads: int | None = None
    processes: int = 1
    max_bad: str = "1%"
    shard_bytes: int = SHARD_BYTES
    quiet: bool = False
    cache: str | None = None


@dataclass
class Job:
    """A planned job: its shards and where it keeps its books."""

    shards: list[Shard]
    ledger: Ledger
    written: dict[int, Format]
    compression: Compression | None  # of an output file; None: each output has that of its input

    @classmethod
    def plan(cls, model: Model, input: str, output: str, settings: JobSettings, dry: bool = False) -> "Job":
        """Find the inputs, cut them, and agree with the other workers on the plan; with `dry` it is not written.

        Raises:
            BadInput: no input, names that clash, or an output that belongs to another job.
        """
        storage.is_s3(output)  # refuses unknown schemes
        output = output.rstrip("/") or output
        output_format, compression = format_of(output)
        is_file = output_format is not None and not Path(output).is_dir()
        ledger = Ledger(output, is_file)
        files = find_inputs(input, settings.format, [output, ledger.root] if _is_own(ledger, output) else [])
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
            "group": [GROUP_BYTES, GROUP_RECORDS, SEGMENT_GROUPS],
            "score_digits": texts.SCORE_DIGITS,
            "output": [wanted, compression if is_file else None],
        }
        plan = {
            **how,
            "format": 2,
            "files": len(files),
            "shards": len(shards),
            "bytes": sum(file.size for file in files),
            "inputs": inputs_digest(files),
            "fingerprint": fingerprint(shards, how),
        }
        ledger.begin(plan, files, dry)
        formats = {shard.number: written[shard.file.uri] for shard in shards}
        return cls(shards, ledger, formats, compression if is_file else None)

    def open_shards(self, worker: Worker) -> tuple[list[Shard], list[dict[str, Any]]]:
        """What is left for a worker, and the receipts of what it has done: its shards without a valid receipt; when all
        have receipts, also those of others whose outputs were altered since, for their workers may have ended."""
        own = [shard for shard in self.shards if worker.takes(shard.number)]
        done = self.ledger.valid(own)
        left = [shard for shard in own if shard.number not in done]
        others = [shard for shard in self.altered() if not worker.takes(shard.number)]
        return left + others, [done[number] for number in sorted(done)]

    def altered(self) -> list[Shard]:
        """When every shard has a receipt: those whose outputs are no longer what their receipts say."""
        if len(self.ledger.receipts()) < len(self.shards):
            return []
        valid = self.ledger.valid(self.shards)
        return [shard for shard in self.shards if shard.number not in valid]

    def is_complete(self) -> bool:
        """Whether the job is done and its output is there as it was written; else it is open again."""
        said = self.ledger.completed()
        if said is None:
            return False
        if self.ledger.parts == self.ledger.output:
            good = len(self.ledger.valid(self.shards)) == len(self.shards)
        else:
            output = self.ledger.output
            etag = storage.file_etag(output)
            good = etag is not None and (
                etag == said.get("etag") or storage.content_sha256(output) == said.get("sha256")
            )
        if not good:
            self.ledger.reopen()
        return good


def _is_own(ledger: Ledger, output: str) -> bool:
    """Whether what lies at the output was made by a job, so that it is no input though it may lie among them."""
    return storage.exists(ledger.path("plan.json"))


def _refuse_overlap(files: list[InputFile], output: str) -> None:
    """An output must not be an input: tagging would read what it writes."""
    place = storage.absolute(output)
    inside = [file.uri for file in files if file.uri == output or storage.absolute(file.uri).startswith(f"{place}/")]
    if inside:
        found = f"the input {inside[0]}"
        raise BadData(Problem(output, found, "an output outside the input", "choose another output folder"))

"""What two tagging jobs found, side by side: whether the texts of today are tagged as those of yesterday were.

Nobody has labels for today's texts. What can be seen without them is how often each type is found, how sure the tagger
is, and how many of the names are new. Each has a bound, above which `Comparison.drifted` names it:

- the rate of a type, entities per 1,000 words, by more than `factor` either way, and by more than chance: the logarithm
  of the ratio lies `_Z` standard errors from 0, both counts taken for Poisson (Rothman, Epidemiology, 2002, ch. 7);
- the scores of a type, by the population stability index over ten bins, sum (q - p) ln(q / p); above 0.25 it counts as
  a large shift (Siddiqi, Credit Risk Scorecards, 2006);
- the share of mentions whose form, type and lower-cased text, the old side does not have, by more than `new_forms`
  above what the old side shows against itself: in its odd records against its even ones.

Memory does not grow with the jobs: of the forms those with the smallest hashes are kept, as many as `_FORMS`.
"""

import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tofner import storage
from tofner.errors import BadData, Problem
from tofner.tagging import textfile
from tofner.tagging.engine.texts import to_words
from tofner.tagging.formats.files import InputFile
from tofner.tagging.formats.streams import MAX_RECORD_BYTES, FileBytes, lines
from tofner.tagging.job.inputs import find_inputs
from tofner.tagging.job.ledger import FOLDER
from tofner.tagging.job.status import job_status
from tofner.tagging.textfile import Figure

BINS = 10
_Z = 3.3  # one type in a thousand passes it by chance
_PSI = 0.25
_LEAST = 100  # entities of a type on both sides, before their scores say something
_FORMS = 1_000_000


class Forms:
    """Forms of entities with how often they came, in odd and in even records: those with the smallest hashes."""

    def __init__(self, most: int = _FORMS) -> None:
        self.most, self.bound = most, 1 << 64
        self.counts: dict[int, list[int]] = {}

    def add(self, form: str, record: int) -> None:
        data = form.encode("utf-8", "surrogatepass")
        key = zlib.crc32(data) << 32 | zlib.crc32(data[::-1], 1)
        if key >= self.bound:
            return
        self.counts.setdefault(key, [0, 0])[record % 2] += 1
        while len(self.counts) > self.most:
            self.bound //= 2
            self.counts = {key: count for key, count in self.counts.items() if key < self.bound}

    def new_share(self, old: "Forms") -> float | None:
        """Share of mentions whose form is not among the old ones."""
        bound = min(self.bound, old.bound)
        mentions = {key: sum(count) for key, count in self.counts.items() if key < bound}
        new = sum(count for key, count in mentions.items() if key not in old.counts)
        return new / sum(mentions.values()) if mentions else None

    def own_share(self) -> float | None:
        """The same of the odd records against the even ones."""
        odd = sum(count[1] for count in self.counts.values())
        return sum(count[1] for count in self.counts.values() if not count[0]) / odd if odd else None


@dataclass
class Side:
    """One job's output.

    Attributes:
        scores: of each type, entities in ten bins from 0 to 1.
    """

    records: int = 0
    words: int = 0
    scores: dict[str, list[int]] = field(default_factory=dict)
    forms: Forms = field(default_factory=Forms)

    def add(self, words: int, entities: list[dict[str, Any]]) -> None:
        """Add a record with its entities, as `tofner tag` writes them."""
        self.records += 1
        self.words += words
        for one in entities:
            bins = self.scores.setdefault(str(one["label"]), [0] * BINS)
            bins[min(BINS - 1, int(BINS * float(one["score"])))] += 1
            self.forms.add(f"{one['label']}\n{str(one['text']).lower()}", self.records)

    def count(self, type_: str) -> int:
        return sum(self.scores.get(type_, ()))

    def rate(self, type_: str) -> float:
        """Entities per 1,000 words."""
        return 1000 * self.count(type_) / self.words if self.words else 0.0

    def mean_score(self, type_: str) -> float | None:
        """By the middles of the bins."""
        bins = self.scores.get(type_, [0] * BINS)
        return sum(n * (i + 0.5) / BINS for i, n in enumerate(bins)) / sum(bins) if sum(bins) else None


@dataclass(frozen=True)
class TypeRow:
    """A type on both sides; rates are entities per 1,000 words. `psi` is None where one side has too few."""

    type: str
    old: int
    new: int
    old_rate: float
    new_rate: float
    old_score: float | None
    new_score: float | None
    psi: float | None


@dataclass(frozen=True)
class Comparison:
    """Two outputs side by side; `drifted` says in words what lies beyond its bound."""

    records: tuple[int, int]
    words: tuple[int, int]
    types: list[TypeRow]
    new_forms: float | None
    expected_new_forms: float | None
    drifted: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_prometheus(self) -> str:
        """Lines for the text-file collector of Prometheus' node exporter."""
        rows = [Figure("drifted", "things beyond their bound", len(self.drifted))]
        for side, words in zip(("old", "new"), self.words, strict=True):
            rows.append(Figure("words", "words of each side", words, {"side": side}))
        for row in self.types:
            for side, value in (("old", row.old_rate), ("new", row.new_rate)):
                about = {"side": side, "type": row.type}
                rows.append(Figure("entities_per_1000_words", "how often a type is found", value, about))
            if row.psi is not None:
                rows.append(Figure("score_psi", "shift of the scores of a type", row.psi, {"type": row.type}))
        if self.new_forms is not None:
            rows.append(Figure("new_forms_share", "share of mentions that the old side does not have", self.new_forms))
        return textfile.text(rows)


def compare(old: str, new: str, factor: float = 1.5, new_forms: float = 0.15) -> Comparison:
    """Compare two outputs of `tofner tag`, JSONL or Parquet: folders, `s3://` prefixes or files.

    Args:
        factor: how much more or less often a type may be found.
        new_forms: how far the share of new forms may lie above what is usual.

    Raises:
        BadData: an output is not finished, is no output, or has no word in it.
    """
    return compare_sides(read_side(old), read_side(new), factor, new_forms)


def compare_sides(a: Side, b: Side, factor: float, new_forms: float) -> Comparison:
    """`compare`, of what has been read."""
    rows, drifted = [], []
    for type_ in sorted(a.scores.keys() | b.scores.keys()):
        counts = (a.count(type_), b.count(type_))
        psi = stability(a.scores[type_], b.scores[type_]) if min(counts) >= _LEAST else None
        rates, scores = (a.rate(type_), b.rate(type_)), (a.mean_score(type_), b.mean_score(type_))
        rows.append(TypeRow(type_, *counts, *rates, *scores, psi))
        ratio, error = log_ratio(*counts, a.words, b.words)
        if abs(ratio) > math.log(factor) and abs(ratio) > _Z * error:
            drifted.append(f"{type_}: {rates[1]:.2f} entities per 1,000 words, {rates[0]:.2f} before")
        if psi is not None and psi > _PSI:
            drifted.append(f"{type_}: the scores have moved (stability index {psi:.2f}, above {_PSI})")
    share, usual = b.forms.new_share(a.forms), a.forms.own_share()
    if share is not None and usual is not None and share > usual + new_forms:
        drifted.append(f"{100 * share:.1f} % of the mentions are new, {100 * usual:.1f} % would be usual")
    return Comparison((a.records, b.records), (a.words, b.words), rows, share, usual, drifted)


def log_ratio(old: int, new: int, old_words: int, new_words: int) -> tuple[float, float]:
    """Logarithm of the ratio of two rates, and its standard error; half an entity is added to each count.

    >>> ratio, error = log_ratio(100, 200, 1000, 1000)
    >>> round(ratio, 2), round(error, 2)
    (0.69, 0.12)
    """
    ratio = math.log((new + 0.5) / new_words) - math.log((old + 0.5) / old_words)
    return ratio, math.sqrt(1 / (old + 0.5) + 1 / (new + 0.5))


def stability(old: list[int], new: list[int]) -> float:
    """Population stability index of two histograms; half a count is added to each bin.

    >>> stability([50, 50], [50, 50])
    0.0
    """
    p, q = ([(n + 0.5) / (sum(bins) + 0.5 * len(bins)) for n in bins] for bins in (old, new))
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def read_side(where: str) -> Side:
    """Raises: as `compare`."""
    if storage.list_files(storage.join(where, FOLDER)):
        state = job_status(where)
        if not state.finished:
            found = f"{state.shards_done} of {state.shards} shards"
            raise BadData(Problem(where, found, "a finished job", "run the same tofner tag again until it ends"))
    side = Side()
    for file in find_inputs(where):
        rows = _parquet_rows(file) if file.format == "parquet" else _json_rows(file)
        for words, entities in rows:
            side.add(words, entities)
    if not side.words:
        raise BadData(Problem(where, "no words", "an output of tofner tag"))
    return side


_Row = tuple[int, list[dict[str, Any]]]
_EXPECTED = "a record of tofner tag: text or tokens, and entities with label, score and text"


def _json_rows(file: InputFile) -> Iterator[_Row]:
    if file.format != "jsonl":
        fix = "tag into JSONL or Parquet, which have scores"
        raise BadData(Problem(file.uri, f"the format {file.format}", "jsonl or parquet", fix))
    source = FileBytes(file)
    try:
        for number, (_, line) in enumerate(lines(source), 1):
            place = f"{file.uri}:{number}"
            if line is None:
                raise BadData(Problem(place, f"more than {MAX_RECORD_BYTES} bytes", "a shorter record"))
            if line.strip():
                yield _row(line, place)
    finally:
        source.close()


def _parquet_rows(file: InputFile) -> Iterator[_Row]:
    from tofner.tagging.formats.parquet import damage_told, open_parquet

    with open_parquet(file) as parquet:
        if "entities" not in parquet.schema_arrow.names:
            raise BadData(Problem(file.uri, "no column `entities`", _EXPECTED))
        name = "text" if "text" in parquet.schema_arrow.names else "tokens"
        batches = parquet.iter_batches(batch_size=1000, columns=[name, "entities"])
        first = 0
        while True:
            with damage_told(file.uri):
                batch = next(batches, None)
                records = [] if batch is None else batch.to_pylist()
            if batch is None:
                return
            for number, record in enumerate(records, first):
                yield _row(record, f"{file.uri}: row {number}")
            first += len(records)


def _row(record: bytes | dict[str, Any], place: str) -> _Row:
    """Words and entities of a record, which JSON lines have as bytes."""
    try:
        value = json.loads(record) if isinstance(record, bytes) else record
        source = value["text"] if value.get("text") is not None else value["tokens"]
        entities = [{key: one[key] for key in ("label", "score", "text")} for one in value["entities"]]
        outside = [one["score"] for one in entities if not 0 <= one["score"] <= 1]
        words = len(to_words(source).words)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadData(Problem(place, f"{type(error).__name__} {error}", _EXPECTED)) from None
    if outside:
        raise BadData(Problem(place, f"score {outside[0]}", "0 to 1"))
    return words, entities

"""Reads every file of a run before anything is trained, and reports what is in them and what is wrong.

Problems stop a run; notes are what a person should know all the same: mended tags, sentences that also stand in another
split, a file read as latin-1. Target labels are counted for scoring files alone, never for target text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from tofner.corpora import conll, plain, squad
from tofner.corpora.data_root import Content
from tofner.corpora.labels import map_types, unknown_type
from tofner.corpora.read import scan_labelled, scan_questions, scan_text
from tofner.errors import BadInput, Problem
from tofner.words.spans import tags_to_spans

LENGTH_EDGES = (5, 10, 20, 40, 80, 160)  # words; the last bin is open
LONG = 5  # sentences of fewer words (datelines, results) repeat by nature; longer ones are counted apart
LISTED_REPAIRS = 5  # places of repaired tags that a note names


@dataclass(frozen=True)
class RoleFile:
    """A file and the part it plays.

    `role` is free text for the report, such as `source_ner.train`. `kind` `text` means that tags are not looked at even
    where the file has them. `types` and `label_map` are for labelled files; without `types`, any type is accepted.
    """

    role: str
    kind: Content
    set: str
    split: str
    uri: str
    label_map: Mapping[str, str | None] = field(default_factory=dict)
    types: Sequence[str] = ()

    @property
    def name(self) -> str:
        """`SET/SPLIT`."""
        return f"{self.set}/{self.split}"


@dataclass
class FileReport:
    """What one file holds. `sentences` counts questions in MRC files; `lengths` counts them by words.

    `entities` are by the tagger's types, after the label map; `mapped` and `dropped` by the file's own types.
    """

    role: str
    kind: Content
    name: str
    uri: str
    sentences: int = 0
    tokens: int = 0
    longest: int = 0
    lengths: dict[str, int] = field(default_factory=dict)
    encoding: str = ""
    scheme: str = ""
    entities: dict[str, int] = field(default_factory=dict)
    mapped: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    repaired_tags: int = 0
    docstarts: int = 0
    comments: int = 0
    blank_lines: int = 0
    repeated: int = 0
    repeated_long: int = 0
    contexts: int = 0
    answers: int = 0
    merged_answers: int = 0
    widened_answers: int = 0
    unanswerable: int = 0
    problems: int = 0


@dataclass(frozen=True)
class Overlap:
    """`shared` sentences (or MRC questions by their contexts) of `second` also stand in `first`; `shared_long` of them
    have at least `LONG` words."""

    first: str
    second: str
    shared: int
    shared_long: int


@dataclass
class CheckReport:
    """The whole check. A run may start when `problems` is empty."""

    files: list[FileReport] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts, for `json.dump`."""
        return asdict(self)


def run_check(files: Iterable[RoleFile]) -> CheckReport:
    """Read all files; bad ones become problems of the report, and the others are still checked.

    Raises:
        PassingFault: storage failed for now.
    """
    report = CheckReport()
    contents: list[tuple[RoleFile, Counter[tuple[str, ...]]]] = []
    for file in files:
        try:
            contents.append((file, _check_file(file, report)))
        except BadInput as error:
            report.problems += error.problems or [Problem(file.uri, str(error), "a file that can be read")]
            report.files.append(FileReport(file.role, file.kind, file.name, file.uri, problems=1))
    for (first, in_first), (second, in_second) in combinations(contents, 2):
        _check_pair(first, in_first, second, in_second, report)
    return report


def histogram(lengths: Iterable[int]) -> dict[str, int]:
    """Counts by length in words.

    >>> histogram([1, 5, 6, 1000])
    {'1-5': 2, '6-10': 1, '11-20': 0, '21-40': 0, '41-80': 0, '81-160': 0, '161+': 1}
    """
    lows = [1, *(edge + 1 for edge in LENGTH_EDGES)]
    counts = Counter(sum(length > edge for edge in LENGTH_EDGES) for length in lengths)
    names = [f"{low}-{high}" for low, high in zip(lows, LENGTH_EDGES, strict=False)] + [f"{lows[-1]}+"]
    return {name: counts[i] for i, name in enumerate(names)}


def _check_file(file: RoleFile, report: CheckReport) -> Counter[tuple[str, ...]]:
    """Adds the file to the report; returns how often each token sequence occurs."""
    row = FileReport(file.role, file.kind, file.name, file.uri)
    if file.kind == "mrc":
        tokens = _check_mrc(file, row, report)
    elif file.kind == "text":
        tokens = _check_text(file, row, report)
    else:
        tokens = _check_ner(file, row, report)
    row.sentences = len(tokens)
    row.tokens = sum(map(len, tokens))
    row.longest = max(map(len, tokens), default=0)
    row.lengths = histogram(map(len, tokens))
    sequences = Counter(map(tuple, tokens))
    if file.kind != "mrc":  # the questions of an MRC file share contexts by nature
        row.repeated = row.sentences - len(sequences)
        row.repeated_long = sum(count - 1 for words, count in sequences.items() if len(words) >= LONG)
        if row.repeated:
            long = f"{row.repeated_long} of them with {LONG} or more words"
            _note(report, file, f"{row.repeated} sentences repeat an earlier one, {long}")
    report.files.append(row)
    return sequences


def _check_ner(file: RoleFile, row: FileReport, report: CheckReport) -> list[list[str]]:
    read = scan_labelled(file.uri)
    row.scheme, row.docstarts, row.repaired_tags = read.scheme, read.docstarts, read.repaired_tags
    _common(file, row, report, read)
    sentences = read.sentences
    if file.types:
        result = map_types(sentences, file.label_map, file.types)
        row.mapped, row.dropped = dict(result.mapped), dict(result.dropped)
        row.unknown = {type_: count for type_, (count, _) in result.unknown.items()}
        for type_, (count, first) in sorted(result.unknown.items()):
            line = _line_of(read, first, type_)
            report.problems.append(unknown_type(type_, count, file.uri, line, file.types))
            row.problems += 1
        sentences = result.sentences
        if row.dropped:
            _note(report, file, f"the label map drops {_counts(row.dropped)}")
    found = Counter(span.type for s in sentences for span in tags_to_spans(s.tags or []))
    row.entities = {type_: found[type_] for type_ in (file.types or sorted(found))}
    for type_ in (type_ for type_, count in row.entities.items() if not count):
        _note(report, file, f"no entity of type {type_}")
    if read.repairs:
        places = ", ".join(str(line) for line, _ in read.repairs[:LISTED_REPAIRS])
        more = ", ..." if len(read.repairs) > LISTED_REPAIRS else ""
        _note(report, file, f"{row.repaired_tags} tags broke {read.scheme} and were mended (lines {places}{more})")
    if read.scheme != "BIO2":
        _note(report, file, f"{read.scheme} tags, converted to BIO2")
    if read.docstarts:
        _note(report, file, f"{read.docstarts} -DOCSTART- lines skipped")
    if read.widened:
        _note(report, file, f"{read.widened} entities begin or end inside a word and were widened to whole words")
    if read.blank:
        _note(report, file, f"{read.blank} records without a word skipped")
    if read.spaced:
        _note(report, file, f"{read.spaced} tokens have a space inside")
    return [sentence.tokens for sentence in sentences]


def _line_of(file: conll.ConllFile, sentence: int, type_: str) -> int:
    spans = tags_to_spans(file.sentences[sentence].tags or [])
    return file.line_of(sentence, next(span.start for span in spans if span.type == type_))


def _check_text(file: RoleFile, row: FileReport, report: CheckReport) -> list[list[str]]:
    read = scan_text(file.uri)
    row.blank_lines, row.docstarts = read.blank_lines, read.docstarts
    _common(file, row, report, read)
    if read.blank_lines:
        _note(report, file, f"{read.blank_lines} blank lines skipped")
    return [sentence.tokens for sentence in read.sentences]


def _check_mrc(file: RoleFile, row: FileReport, report: CheckReport) -> list[list[str]]:
    read = scan_questions(file.uri)
    row.contexts, row.answers, row.unanswerable = read.contexts, read.answers, read.unanswerable
    row.merged_answers, row.widened_answers = read.merged, read.widened
    _common(file, row, report, read)
    if read.widened:
        _note(report, file, f"{read.widened} answers begin or end inside a word and were widened to whole words")
    if read.merged:
        _note(report, file, f"{read.merged} answers repeat another one of their question and were merged")
    if read.unanswerable:
        _note(report, file, f"{read.unanswerable} questions have no answer")
    return [example.tokens for example in read.examples]


def _common(
    file: RoleFile, row: FileReport, report: CheckReport, read: conll.ConllFile | plain.TextFile | squad.SquadFile
) -> None:
    row.encoding = read.encoding
    row.problems = read.problems.count
    report.problems += read.problems.all()
    if read.encoding == "latin-1":
        _note(report, file, "not UTF-8, read as latin-1")
    if isinstance(read, squad.SquadFile):
        return
    row.comments = read.comments
    if read.comments:
        _note(report, file, f"{read.comments} comment lines skipped")
    if read.c1_controls:
        _note(report, file, f"control characters U+0080 to U+009F in {read.c1_controls} places (once windows-1252?)")


def _check_pair(
    first: RoleFile,
    in_first: Counter[tuple[str, ...]],
    second: RoleFile,
    in_second: Counter[tuple[str, ...]],
    report: CheckReport,
) -> None:
    """Sentences of the second file that the first has too."""
    if (first.kind == "mrc") != (second.kind == "mrc"):
        return
    if first.uri == second.uri:
        _note(report, second, f"the same file is {first.role}")
        return
    shared = {words: count for words, count in in_second.items() if words in in_first}
    if not shared:
        return
    long = sum(count for words, count in shared.items() if len(words) >= LONG)
    total = sum(shared.values())
    report.overlaps.append(Overlap(_label(first), _label(second), total, long))
    what = "questions have a context that is" if first.kind == "mrc" else "sentences are"
    _note(report, second, f"{total} {what} also in {_label(first)}, {long} of them with {LONG} or more words")


def _label(file: RoleFile) -> str:
    return f"{file.role} {file.name}"


def _note(report: CheckReport, file: RoleFile, text: str) -> None:
    report.notes.append(f"{_label(file)}: {text}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

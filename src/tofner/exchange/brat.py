"""brat's standoff: a text file and, beside it, its annotations (https://brat.nlplab.org/standoff.html).

    NAME.txt    the document; a line is a record, since brat's annotations do not cross lines
    NAME.ann    T1 TAB Type START END TAB text, offsets in characters from the beginning of the document

Spans in pieces (`0 5;16 23`) cannot be held by records, and are counted.
"""

import re
from collections.abc import Sequence

from tofner import storage
from tofner.corpora.jsonl import OFFSETS_FIX, Entity, Record, check_text
from tofner.corpora.textfile import Problems, read_file
from tofner.errors import BadInput, Problem
from tofner.exchange.columns import UNLABELLED, left_behind, one_line, plain_type
from tofner.exchange.told import Told

TEXT, ANNOTATIONS = ".txt", ".ann"
_BOUND = re.compile(r"(\S+) (\d+(?: \d+)(?:;\d+ \d+)*)")


def documents(uri: str) -> list[str]:
    """Addresses without ending of the documents of a folder, or of the one that a file belongs to.

    Raises:
        BadInput: there is none.
    """
    if uri.endswith((TEXT, ANNOTATIONS)):
        return [uri[: -len(TEXT)]]
    found = [storage.join(uri, file.path) for file in storage.list_files(uri) if file.path.endswith(ANNOTATIONS)]
    if not found:
        raise BadInput(Problem(uri, "no file .ann", "brat's documents, NAME.txt with NAME.ann", "name their folder"))
    return [name[: -len(ANNOTATIONS)] for name in found]


def read_brat(uri: str, told: Told) -> list[Record]:
    """The lines of a document, or of all in a folder. Raises BadData and BadInput."""
    return [record for name in documents(uri) for record in _document(name, told)]


def _document(name: str, told: Told) -> list[Record]:
    problems = Problems(name + TEXT)
    try:
        text = read_file(name + TEXT).decode()  # a byte order mark is a character: brat counts it
        marks = read_file(name + ANNOTATIONS).decode()
    except UnicodeDecodeError as error:
        problems.add(f"bytes that are no text ({error.reason})", "UTF-8", "convert the files")
        problems.raise_any()
        raise
    starts: list[int] = []
    records: list[Record] = []
    at = 0
    document = name.rpartition("/")[2]
    for number, line in enumerate(text.split("\n"), start=1):
        shown = line.removesuffix("\r")
        if shown.strip():
            starts.append(at)
            records.append(Record(check_text(shown), [], None, f"{document}:{number}", {}, number))
        elif at < len(text):
            told.leave("blank lines were skipped", name + TEXT, number)
        at += len(line) + 1
    problems = Problems(name + ANNOTATIONS)
    for number, line in enumerate(marks.split("\n"), start=1):
        if line.strip():
            _mark(line.removesuffix("\r"), number, text, starts, records, problems, told)
    problems.raise_any()
    return records


def _mark(
    line: str, number: int, text: str, starts: list[int], records: list[Record], problems: Problems, told: Told
) -> None:
    place = problems.place
    if not line.startswith("T"):
        told.lose("annotations are no entities (relations, events, attributes, notes) and were left out", place, number)
        return
    cells = line.split("\t", 2)
    match = _BOUND.fullmatch(cells[1]) if len(cells) > 2 else None
    if not match:
        problems.add(f"{line[:60]!r}", "T1, a tab, `Type START END`, a tab and the text", "mend the line", number)
        return
    if ";" in match[2]:
        told.lose("entities are in several pieces and were left out", place, number)
        return
    start, end = map(int, match[2].split())
    if not 0 <= start < end <= len(text) or text[start:end] != cells[2]:
        found = f"{text[start:end]!r} at {start} {end}"
        problems.add(found, f"{cells[2]!r}, as the line says", OFFSETS_FIX, number)
        return
    for first, record in zip(starts, records, strict=True):
        if first <= start and end <= first + len(record.text):
            record.entities = [*(record.entities or []), Entity(start - first, end - first, match[1])]
            return
    told.lose("entities go over the end of a line and were left out", place, number)


def write_brat(records: Sequence[Record], place: str, told: Told) -> tuple[bytes, bytes]:
    """The text and the annotations of one document, a record a line."""
    texts: list[str] = []
    marks: list[str] = []
    at = 0
    for record in records:
        text = one_line(record, told, place)
        if not text.strip():
            told.lose("records without text were left out", place, record.line)
            continue
        left_behind(record, told, place)
        if record.words is not None:
            told.leave("sentences have words of their own, and will be cut anew", place, record.line)
        if record.entities is None:
            told.leave(UNLABELLED, place, record.line)
        for one in record.entities or []:
            type_ = plain_type(one.type, told, place, record.line)
            shown = text[one.start : one.end]
            marks.append(f"T{len(marks) + 1}\t{type_} {at + one.start} {at + one.end}\t{shown}\n")
        texts.append(text + "\n")
        at += len(text) + 1
    return "".join(texts).encode(), "".join(marks).encode()

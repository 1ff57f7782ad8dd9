"""Column files: the first column is the token; tags come out as one column more."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from tofner.corpora.conll import NUMBERED, NUMBERED_FIX, is_numbered, read_line
from tofner.errors import BadData, Problem
from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.files import InputFile, Shard
from tofner.tagging.formats.record import Bad, Group, Record, Unusable, bad, decode
from tofner.tagging.formats.streams import MAX_RECORD_BYTES, FileBytes, owned_lines
from tofner.words.spans import Span, spans_to_tags

_DOCSTART = b"-DOCSTART-"


def parse_conll(first: int, rows: list[bytes]) -> Record:
    """A sentence of column lines: the first column is the token; the others, and lines without a token, are kept.

    Its payload is a list of (line, kind of `read_line`).
    """
    payload = []
    words: list[str] = []
    comments = 0
    for i, row in enumerate(rows):
        line = decode(row)
        kind, cells = read_line(line)
        payload.append((line, kind))
        comments += kind == "comment"
        if kind != "word":
            continue
        if not cells[0] or cells[0].isspace():
            raise Unusable(f"no token in the first column of line {i + 1} of the sentence")
        words.append(cells[0])
    return Record(first, words or None, payload, comments=comments)


def refuse_numbered(file: InputFile, rows: Sequence[Record | Bad]) -> None:
    """Raises BadData: the first column of these sentences holds running numbers, so that tags would be of numbers."""
    good = [row for row in rows if isinstance(row, Record) and row.source]
    some = next((read_line(line).cells for row in good[:1] for line, kind in row.payload if kind == "word"), None)
    if some and is_numbered(some, (row.source or [] for row in good)):
        raise BadData(Problem(file.uri, *NUMBERED, NUMBERED_FIX))


def sentences(shard: Shard, source: FileBytes) -> Iterator[tuple[Record | Bad, int]]:
    """Sentences between blank lines. One belongs to the range that holds the beginning of the last blank line before
    it; the first of the file, to the first range. So both neighbours of a cut agree without talking. A -DOCSTART- line
    begins a sentence of its range, with or without blank lines around it."""
    whole = bool(shard.file.compression)
    gap = -1 if shard.start == 0 else None  # where the last blank line begins; None: not seen one in this range
    held: list[bytes | None] = []
    first = size = 0
    for number, offset, line in owned_lines(shard, source):
        if line is not None and _is_blank(line):
            if held:
                yield _sentence(first, held), size
                held, size = [], 0
            gap = offset
            continue
        if gap is None:
            if offset >= shard.end and not whole:
                return  # the range lies within one sentence, which began before it
            continue
        if (
            held
            and line is not None
            and line.startswith(_DOCSTART)
            and read_line(line.decode(errors="replace")).kind == "docstart"
        ):
            yield _sentence(first, held), size
            held, size = [], 0
        if not held:
            if gap >= shard.end and not whole:
                return
            first = number
        size += len(line or b"")
        held.append(line if line is None or size <= MAX_RECORD_BYTES else None)
        if held[-1] is None:
            held = [None]
    if held:
        yield _sentence(first, held), size


def _is_blank(line: bytes) -> bool:
    """As `read_line` says; most lines need no decoding for it."""
    text = line.strip()
    if not text or 0x20 < text[0] < 0x7F:
        return not text
    return read_line(line.decode(errors="replace")).kind == "blank"


def _sentence(first: int, held: list[bytes | None]) -> Record | Bad:
    rows = [line for line in held if line is not None]
    if len(rows) < len(held):
        return Bad(first, f"a sentence of more than {MAX_RECORD_BYTES} bytes", "", MAX_RECORD_BYTES)
    try:
        return parse_conll(first, rows)
    except Unusable as error:
        return bad(first, str(error), b"\n".join(rows))


class ConllOutput:
    """The input's lines, each with its BIO2 tag as one column more; a blank line after each sentence."""

    def __init__(self, target: BinaryIO) -> None:
        self.target = target

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        good = (row for row in group.rows if isinstance(row, Record))
        parts: list[str] = []
        for row, found in zip(good, entities, strict=True):
            spans = [Span(entity.start, entity.end, entity.label) for entity in found]
            tags = iter(spans_to_tags(spans, len(row.source or ())))
            for line, kind in row.payload:
                if kind == "comment":
                    parts.append(f"{line}\n")
                    continue
                kept = line.rstrip(" \t")
                gap = " " if " " in kept and "\t" not in kept else "\t"
                parts.append(f"{kept}{gap}{next(tags) if kind == 'word' else 'O'}\n")
            parts.append("\n")
        self.target.write("".join(parts).encode())

    def close(self) -> None:
        pass

    def drop(self) -> None:
        pass

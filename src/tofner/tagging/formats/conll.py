"""Column files: the first column is the token; tags come out as one column more."""

from collections.abc import Iterator
from typing import BinaryIO

from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.files import Shard
from tofner.tagging.formats.record import Bad, Group, Record, Unusable, bad, decode
from tofner.tagging.formats.streams import MAX_RECORD_BYTES, Source, owned_lines
from tofner.words.spans import Span, spans_to_tags


def parse_conll(first: int, rows: list[bytes]) -> Record:
    """A sentence of column lines: the first column is the token; the others, and comment lines, are kept."""
    text = [decode(row) for row in rows]
    tabbed = any("\t" in line for line in text)
    words: list[str] = []
    for i, line in enumerate(text):
        if is_comment(line, tabbed):
            continue
        word = line.split("\t", 1)[0] if "\t" in line else line.split(maxsplit=1)[0]
        if not word.strip():
            raise Unusable(f"no token in the first column of line {i + 1} of the sentence")
        words.append(word)
    return Record(first, None if words[:1] == ["-DOCSTART-"] else words, text)


def is_comment(line: str, tabbed: bool) -> bool:
    """A line that begins with # and has no tab, in a sentence that has tabs."""
    return tabbed and line.startswith("#") and "\t" not in line


def sentences(shard: Shard, source: Source) -> Iterator[tuple[Record | Bad, int]]:
    """Sentences between blank lines. One belongs to the range that holds the beginning of the last blank line before
    it; the first of the file, to the first range. So both neighbours of a cut agree without talking."""
    whole = bool(shard.file.compression)
    gap = -1 if shard.start == 0 else None  # where the last blank line begins; None: not seen one in this range
    held: list[bytes | None] = []
    first = size = 0
    for number, offset, line in owned_lines(shard, source):
        if line is not None and not line.strip():
            if held:
                yield _sentence(first, held), size
                held, size = [], 0
            gap = offset
            continue
        if gap is None:
            if offset >= shard.end and not whole:
                return  # the range lies within one sentence, which began before it
            continue
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
            lines: list[str] = row.payload
            tabbed = any("\t" in line for line in lines)
            words = [line for line in lines if not is_comment(line, tabbed)]
            spans = [Span(entity.start, entity.end, entity.label) for entity in found]
            tags = iter(spans_to_tags(spans, len(words)))
            for line in lines:
                if is_comment(line, tabbed):
                    parts.append(f"{line}\n")
                else:
                    parts.append(f"{line.rstrip()}{' ' if ' ' in line and not tabbed else chr(9)}{next(tags)}\n")
            parts.append("\n")
        self.target.write("".join(parts).encode())

    def close(self) -> None:
        pass

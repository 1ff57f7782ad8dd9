"""`tofner tag MODEL TEXT` and `tofner tag MODEL -`: one text, or lines as they come, without a job's books."""

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol, TextIO

from tofner.logs import tell
from tofner.tagging.engine.result import bracketed, coloured
from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.jsonl import parse_jsonl, with_entities
from tofner.tagging.formats.record import Record, Unusable
from tofner.tagging.formats.streams import MAX_RECORD_BYTES
from tofner.tagging.formats.text import parse_text
from tofner.tagging.job.stats import Limit

_READ_BYTES = 256 * 1024
_BOM = b"\xef\xbb\xbf"


class Raw(Protocol):
    """An unbuffered stream: `read` gives what is there, up to `size` bytes, and nothing at the end."""

    def read(self, size: int, /) -> bytes | None: ...


def tag_text(tagger: Tagger, text: str, as_json: bool, colours: bool) -> str:
    """A text with its entities, for a terminal (`colours`) or in brackets; or the record that a job would write."""
    result = tagger(text)
    if as_json:
        line = json.dumps({"text": text}, ensure_ascii=False).encode()
        return with_entities(line, [entity.as_record() for entity in result.entities]).decode().rstrip("\n")
    return coloured(result) if colours else bracketed(result)


def wants_colours(screen: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody asked for none (no-color.org)."""
    return screen.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tag_lines(tagger: Tagger, source: Raw, target: BinaryIO, max_bad: str = "1%", jsonl: bool = False) -> int:
    """Tag lines as they come, and write each as a JSON line, in order; returns how many records were written.

    What has arrived is tagged together and written before more is waited for, so that a slow source gets its answers at
    once. A line is a text; with `jsonl` it is a record. Bad ones are told on stderr, with their line numbers.

    Raises:
        BadData: at the end, if more were bad than `max_bad` allows.
    """
    limit = Limit.parse(max_bad)
    parse = parse_jsonl if jsonl else parse_text
    good = bad = 0
    first = ""
    for lines in arriving(source):
        records: list[Record] = []
        for number, line in lines:
            if jsonl and line is not None and not line.strip():
                continue  # an empty line is no record
            wrong = f"a line of more than {MAX_RECORD_BYTES} bytes" if line is None else ""
            try:
                records += [] if line is None else [parse(number, line)]
            except Unusable as error:
                wrong = str(error)
            if wrong:
                bad += 1
                place = f"stdin:{number + 1}: {wrong}"
                first = first or place
                tell(f"tofner: {place}")
        tagged = tagger.tag_group([tagger.words(record.source or []) for record in records])
        target.writelines(_line(record, found) for record, found in zip(records, tagged, strict=True))
        target.flush()
        good += len(records)
    if limit.exceeded(bad, good + bad):
        raise limit.error(bad, good + bad, first, "correct them, or raise --max-bad")
    return good


def _line(record: Record, found: list[Entity]) -> bytes:
    payload: Any = record.payload
    return with_entities(payload, [entity.as_record(not isinstance(record.source, str)) for entity in found])


def arriving(source: Raw) -> Iterator[list[tuple[int, bytes | None]]]:
    """The lines that have arrived, together, each with its number from 0; None for one that is too long to hold.

    Lines end with LF; a CR before it is no part of them, and a byte order mark at the beginning is none.
    """
    number, rest, lost = 0, b"", False  # `lost`: the line that has begun is too long
    start = True
    while chunk := source.read(_READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        if start and (whole or len(rest) >= len(_BOM)):
            if whole:
                whole[0] = whole[0].removeprefix(_BOM)
            else:
                rest = rest.removeprefix(_BOM)
            start = False
        lines: list[tuple[int, bytes | None]] = []
        for line in whole:
            too_long = lost or len(line) > MAX_RECORD_BYTES
            lines.append((number, None if too_long else line.removesuffix(b"\r")))
            number, lost = number + 1, False
        if len(rest) > MAX_RECORD_BYTES:
            rest, lost = b"", True
        if lines:
            yield lines
    if rest or lost:
        yield [(number, None if lost else rest.removesuffix(b"\r"))]

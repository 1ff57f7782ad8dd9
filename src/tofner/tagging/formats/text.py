"""Plain text, a text a line; it is written as JSON lines."""

import json

from tofner.tagging.formats.record import Record, decode


def parse_text(number: int, line: bytes) -> Record:
    """A line of plain text is a record, also an empty one: line `n` of the output belongs to line `n` of the input."""
    text = decode(line)
    return Record(number, text, json.dumps({"text": text}, ensure_ascii=False).encode())

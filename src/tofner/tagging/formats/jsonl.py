"""JSON lines: `{"text": ...}` or `{"tokens": [...]}` with any other fields, passed on as they were written."""

import json
from typing import Any, BinaryIO

from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.record import Group, Record, Unusable, decode, record_source


def parse_jsonl(number: int, line: bytes) -> Record:
    """`{"text": ...}` or `{"tokens": [...]}` with any other fields."""
    try:
        value = json.loads(decode(line))
    except ValueError as error:
        raise Unusable(f"broken JSON: {error}") from None
    except RecursionError:
        raise Unusable("JSON nested too deeply") from None
    source = record_source(value)
    if "entities" in value:
        rest = {key: item for key, item in value.items() if key != "entities"}
        return Record(number, source, json.dumps(rest, ensure_ascii=False).encode(), replaced=True)
    return Record(number, source, line)


class JsonlOutput:
    """The record's own bytes with `entities` put in before the last brace: other fields stay as they were written."""

    def __init__(self, target: BinaryIO, of_conll: bool = False) -> None:
        self.target = target
        self.of_conll = of_conll

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        good = (row for row in group.rows if isinstance(row, Record))
        rows: list[bytes] = []
        for row, found in zip(good, entities, strict=True):
            if self.of_conll and row.source is None:
                continue  # -DOCSTART- stands for no sentence
            line = _json({"tokens": row.source}) if self.of_conll else row.payload
            of_tokens = not isinstance(row.source, str)
            rows.append(with_entities(line, [entity.as_record(of_tokens) for entity in found]))
        self.target.write(b"".join(rows))

    def close(self) -> None:
        pass


def with_entities(line: bytes, entities: list[dict[str, Any]]) -> bytes:
    """A JSON object's line, with a field more.

    >>> with_entities(b'{"text": "x", "n": 1.50}', [])
    b'{"text": "x", "n": 1.50, "entities": []}\\n'
    """
    head = line.rstrip()[:-1].rstrip()
    return head + (b"" if head.endswith(b"{") else b", ") + b'"entities": ' + _json(entities) + b"}\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

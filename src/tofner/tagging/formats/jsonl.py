"""JSON lines: `{"text": ...}` or `{"tokens": [...]}` with any other fields, passed on as they were written.

Nothing is encoded anew: numbers, escapes and spaces of a record stay as they are, whatever Python would make of them.
"""

import json
import re
from typing import Any, BinaryIO

from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.record import Group, Record, Unusable, decode, record_source

_SPACE = re.compile(r"[ \t\n\r]*")


def _constant(name: str) -> Any:
    raise Unusable(f"{name}, which is no JSON")


# Numbers are passed on and never computed with; Python would refuse long ones.
_DECODER = json.JSONDecoder(parse_int=lambda _: 0, parse_float=lambda _: 0.0, parse_constant=_constant)


def parse_json(text: str) -> Any:
    """The value, its numbers as 0.

    Raises:
        Unusable: it is no JSON (RFC 8259), or nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except ValueError as error:
        raise Unusable(f"broken JSON: {error}") from None
    except RecursionError:
        raise Unusable("JSON nested too deeply") from None


def elements(text: str) -> list[str]:
    """The elements of a JSON list, each as it is written.

    >>> elements(' [1e400, {"a": "b"}] ')
    ['1e400', '{"a": "b"}']
    """
    found: list[str] = []
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "]":
        end = _DECODER.raw_decode(text, at)[1]
        found.append(text[at:end])
        at = _after_space(text, end)
        at = _after_space(text, at + 1) if text[at] == "," else at
    return found


def without(text: str, name: str) -> str:
    """A JSON object without its fields of this name, everything else as it is written.

    >>> without('{"a" : 1.50,  "b": [2], "c":3 }', "b")
    '{"a" : 1.50, "c":3 }'
    """
    first = at = _after_space(text, text.index("{") + 1)
    out, before = "", None
    while text[at] != "}":
        start = at
        key, at = _DECODER.raw_decode(text, at)
        end = _DECODER.raw_decode(text, _after_space(text, _after_space(text, at) + 1))[1]
        if key != name:
            out += text[start if before is None or not out else before : end]
        before = end
        at = _after_space(text, end)
        at = _after_space(text, at + 1) if text[at] == "," else at
    return text[:first] + out + text[first if before is None else before :]


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def parse_jsonl(number: int, line: bytes) -> Record:
    """`{"text": ...}` or `{"tokens": [...]}` with any other fields."""
    text = decode(line)
    value = parse_json(text)
    source = record_source(value)
    if "entities" in value:
        return Record(number, source, without(text, "entities").encode(), replaced=True)
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

    def drop(self) -> None:
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

"""Records of a shard, read in groups: JSONL, plain text, CoNLL columns. Parquet is in `parquet.py`.

What cannot be tagged becomes a `Bad` with its place and reason; it is never guessed at, and never stops its neighbours.
A group is a function of the shard's contents alone, since what is grouped together is batched together.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tofner.tagging import texts
from tofner.tagging.shards import Shard
from tofner.tagging.streams import MAX_RECORD_BYTES, Source, lines

GROUP_BYTES = 256 * 1024
GROUP_RECORDS = 8192


class Unusable(Exception):
    """A record that cannot be tagged; the message is the reason."""


@dataclass(slots=True)
class Record:
    """A good record.

    Attributes:
        place: line in the shard (0: the first) or row in the file.
        source: the text or tokens to tag; None: nothing in it to tag, it is passed on.
        payload: what its writer needs: the line, the lines of a sentence.
        replaced: it came with `entities`, which are replaced.
    """

    place: int
    source: "texts.Source | None"
    payload: Any
    replaced: bool = False


@dataclass(slots=True)
class Bad:
    """A record that cannot be tagged."""

    place: int
    reason: str
    excerpt: str
    size: int


@dataclass(slots=True)
class Group:
    """Records that are prepared and batched together, in order; `position` is how far the stored file was read."""

    rows: list[Record | Bad]
    position: int
    payload: Any = None


def read_groups(shard: Shard) -> Iterator[Group]:
    """The records that begin in the shard's range, in groups.

    Raises:
        BadInput: the file is gone, changed its name, or its compressed data is broken.
        PassingFault: storage failed.
    """
    if shard.file.format == "parquet":
        from tofner.tagging.parquet import read_parquet_groups

        yield from read_parquet_groups(shard)
        return
    source = Source(shard.file, _seek_to(shard))
    try:
        rows: list[Record | Bad] = []
        size = 0
        for row, row_size in _rows(shard, source):
            rows.append(row)
            size += row_size
            if size >= GROUP_BYTES or len(rows) >= GROUP_RECORDS:
                yield Group(rows, source.position())
                rows, size = [], 0
        yield Group(rows, source.position())
    finally:
        source.close()


def _seek_to(shard: Shard) -> int:
    """One byte early, so that a line that begins right at the start is seen to begin there."""
    return max(0, shard.start - 1)


def _owned_lines(shard: Shard, source: Source) -> Iterator[tuple[int, int, bytes | None]]:
    """(line number in the shard, offset, line) from the first line that begins in the range on, to the file's end."""
    at = _seek_to(shard)
    stream = lines(source, at)
    if shard.start:
        next(stream, None)
    for number, (offset, line) in enumerate(stream):
        first = offset == 0 and line is not None
        yield number, offset, line.removeprefix(b"\xef\xbb\xbf") if first and line else line


def _rows(shard: Shard, source: Source) -> Iterator[tuple[Record | Bad, int]]:
    if shard.file.format == "conll":
        yield from _sentences(shard, source)
        return
    parse: Callable[[int, bytes], Record] = parse_jsonl if shard.file.format == "jsonl" else parse_text
    whole = bool(shard.file.compression)
    for number, offset, line in _owned_lines(shard, source):
        if offset >= shard.end and not whole:
            return
        if line is None:
            yield Bad(number, f"a line of more than {MAX_RECORD_BYTES} bytes", "", MAX_RECORD_BYTES), 0
            continue
        if not line.strip() and shard.file.format == "jsonl":
            continue  # an empty line is no record
        try:
            yield parse(number, line), len(line)
        except Unusable as error:
            yield bad(number, str(error), line), len(line)


def bad(place: int, reason: str, raw: bytes) -> Bad:
    """A `Bad` with the beginning of the record; bytes that are no UTF-8 are shown as `\\xNN`."""
    return Bad(place, reason, raw[:1000].decode("utf-8", "backslashreplace"), len(raw))


def decode(raw: bytes) -> str:
    """Raises Unusable: not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8") from None


def parse_text(number: int, line: bytes) -> Record:
    """A line of plain text is a record, also an empty one: line `n` of the output belongs to line `n` of the input."""
    text = decode(line)
    return Record(number, text, json.dumps({"text": text}, ensure_ascii=False).encode())


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


def record_source(value: Any) -> "texts.Source":
    """What to tag of a JSON record; Unusable if that is not clear."""
    if not isinstance(value, dict):
        raise Unusable(f"JSON {_kind(value)}, not an object")
    return check_source(value.get("text"), value.get("tokens"), "text" in value, "tokens" in value)


def check_source(text: Any, tokens: Any, has_text: bool, has_tokens: bool) -> "texts.Source":
    """Exactly one of `text` (a string) and `tokens` (a list of strings) that is valid Unicode; else Unusable."""
    if has_text == has_tokens:
        raise Unusable("both `text` and `tokens`" if has_text else "neither `text` nor `tokens`")
    if has_text:
        if not isinstance(text, str):
            raise Unusable(f"`text` is {_kind(text)}, not a string")
        _check_unicode("text", text)
        return text
    if not isinstance(tokens, list):
        raise Unusable(f"`tokens` is {_kind(tokens)}, not a list")
    for i, token in enumerate(tokens):
        if not isinstance(token, str):
            raise Unusable(f"token {i} is {_kind(token)}, not a string")
        _check_unicode(f"token {i}", token)
    return tokens


def _check_unicode(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unusable(f"{name} has half a surrogate pair at character {error.start}, which is no character") from None


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _sentences(shard: Shard, source: Source) -> Iterator[tuple[Record | Bad, int]]:
    """Sentences between blank lines. One belongs to the range that holds the beginning of the last blank line before
    it; the first of the file, to the first range. So both neighbours of a cut agree without talking."""
    whole = bool(shard.file.compression)
    gap = -1 if shard.start == 0 else None  # where the last blank line begins; None: not seen one in this range
    held: list[bytes | None] = []
    first = size = 0
    for number, offset, line in _owned_lines(shard, source):
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

"""Records of a shard, read in groups: JSONL, plain text, CoNLL columns. Parquet is in `parquet.py`.

What cannot be tagged becomes a `Bad` with its place and reason; it is never guessed at, and never stops its neighbours.
A group is a function of the shard's contents alone, since what is grouped together is batched together.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from tofner.tagging.engine import texts
from tofner.tagging.engine.texts import Entity

GROUP_BYTES = 256 * 1024
GROUP_RECORDS = 8192
SEGMENT_GROUPS = 8  # groups after which a worker keeps what it has done of a shard: a minute or a few


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
        comments: comment lines in it.
    """

    place: int
    source: "texts.Source | None"
    payload: Any
    replaced: bool = False
    comments: int = 0


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


def bad(place: int, reason: str, raw: bytes) -> Bad:
    """A `Bad` with the beginning of the record; bytes that are no UTF-8 are shown as `\\xNN`."""
    return Bad(place, reason, raw[:1000].decode("utf-8", "backslashreplace"), len(raw))


def decode(raw: bytes) -> str:
    """Raises Unusable: not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8") from None


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


class Output(Protocol):
    """Takes the groups of a shard in order."""

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        """`entities`: of the good rows of the group, in order."""

    def close(self) -> None: ...

    def drop(self) -> None:
        """Instead of `close`: what was written is not wanted."""

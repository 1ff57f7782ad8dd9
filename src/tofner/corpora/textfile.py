"""Bytes of a corpus file to its lines of text: gzip, encoding, line ends, control characters.

Every reader of corpora starts here, so that a broken archive or a wrong encoding is told the same way everywhere.
"""

import gzip
import unicodedata
import zlib
from dataclasses import dataclass, field
from typing import Literal

from tofner import storage
from tofner.errors import BadData, Problem

Encoding = Literal["auto", "utf-8", "latin-1"]
GZIP_MAGIC = b"\x1f\x8b"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LISTED_PROBLEMS = 50  # problems of one file that are listed one by one; the others are counted


@dataclass
class Problems:
    """The problems of one file: the first `limit` in full, all of them counted."""

    place: str
    limit: int = LISTED_PROBLEMS
    listed: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, found: str, expected: str, fix: str = "", line: int | None = None) -> None:
        """One more problem of this file."""
        self.count += 1
        if len(self.listed) < self.limit:
            self.listed.append(Problem(self.place, found, expected, fix, line))

    def all(self) -> list[Problem]:
        """The listed problems, and one more that counts the rest."""
        if self.count == len(self.listed):
            return list(self.listed)
        rest = f"{self.count - len(self.listed)} more problems of this file"
        return [*self.listed, Problem(self.place, rest, "none", "mend the first ones and check again")]

    def raise_any(self) -> None:
        """Raises `BadData` when there are problems."""
        if self.count:
            raise BadData(self.all())


def read_file(uri: str) -> bytes:
    """The content of a local file or S3 object, unpacked when it is gzip (told by its first bytes).

    Raises:
        BadInput: there is no such file, or it may not be read.
        BadData: it is called .gz but is no gzip file, or the archive is damaged or cut short.
    """
    data: bytes = storage.read_bytes(uri)
    if data.startswith(GZIP_MAGIC):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BadData(Problem(uri, f"a broken gzip file ({error})", "a whole one", "copy it again")) from error
    if uri.endswith(".gz"):
        found = "an empty file" if not data else f"bytes that begin {data[:4].hex(' ')}"
        raise BadData(Problem(uri, found, "gzip, as its name says", "pack it again or take .gz from its name"))
    return data


def decode(data: bytes, problems: Problems, encoding: Encoding = "auto") -> tuple[str, str]:
    """The text of `data` without a byte order mark, and the encoding it was read in.

    `auto` is UTF-8, or latin-1 when a byte breaks UTF-8 (latin-1 reads any bytes; callers report it as a note).
    Undecodable bytes are added to `problems`, one a line, and replaced so that the rest can still be checked.
    """
    if data.startswith(UTF16_MARKS):
        problems.add("UTF-16", "UTF-8 or latin-1", "convert it, for instance with iconv -f utf-16 -t utf-8", 1)
        return "", "utf-16"
    if encoding == "latin-1":
        return data.decode("latin-1"), "latin-1"
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        if encoding == "auto":
            return data.decode("latin-1"), "latin-1"
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x} at column {error.start + 1} of the line"
            problems.add(found, "UTF-8", "convert the file or name its encoding", number)
    return data.decode("utf-8-sig", errors="replace"), "utf-8"


def lines(text: str) -> list[str]:
    r"""The lines of `text` without their ends (`\n` or `\r\n`); only these end a line, unlike `str.splitlines`."""
    result = [line.removesuffix("\r") for line in text.split("\n")]
    return result[:-1] if result[-1] == "" else result


def control_character(text: str, spaces_too: bool = True) -> str:
    r"""The first control character of `text` as `U+XXXX`, or "" when it has none; one of U+0000 to U+001F first.

    Without `spaces_too`, those that Python counts as white space (tab, form feed, ...) pass.

    >>> control_character("a\x07b"), control_character("ab"), control_character("a\tb", spaces_too=False)
    ('U+0007', '', '')
    """
    if text.isprintable():
        return ""
    found = [c for c in text if unicodedata.category(c) == "Cc" and (spaces_too or not c.isspace())]
    return f"U+{ord(min(found)):04X}" if found else ""


def is_c1(control: str) -> bool:
    """Whether `U+XXXX` is a control character of the second block, U+0080 to U+009F."""
    return "U+0080" <= control <= "U+009F"

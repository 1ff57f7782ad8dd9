"""Writes src/tofner/words/characters.py from Python's own Unicode tables.

    python tools/make_characters.py

Committed rather than computed, so that every Python cuts text the same way, whatever its version of Unicode; a newer
one is for a segmentation of another name.
"""

import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

PLACE = Path(__file__).resolve().parents[1] / "src" / "tofner" / "words" / "characters.py"
# Format characters that stand before what they belong to (Unicode: Prepended_Concatenation_Mark), and the space of no
# width, which divides words.
NOT_JOINED = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, 0x200B}
# Scripts that put no spaces between words, by how the names of their letters begin.
UNSPACED = (
    "CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "VERTICAL KANA",
    "HALFWIDTH KATAKANA", "MASU MARK", "VERTICAL IDEOGRAPHIC", "BOPOMOFO ", "YI SYLLABLE", "THAI ", "LAO ", "KHMER ",
    "MYANMAR ", "TAI LE ", "NEW TAI LUE ", "TAI THAM ", "TAI VIET ", "JAVANESE ", "BALINESE ", "HENTAIGANA ", "TANGUT ",
)  # fmt: skip


def joined(code: int) -> bool:
    """Belongs to the character before it: marks and format characters (UAX 29: Extend, Format, ZWJ)."""
    kind = unicodedata.category(chr(code))
    return (kind[0] == "M" or kind == "Cf") and code not in NOT_JOINED


def unspaced(code: int) -> bool:
    """A letter of a script without spaces."""
    char = chr(code)
    return char.isalpha() | (unicodedata.category(char) == "Nl") and unicodedata.name(char, "").startswith(UNSPACED)


def ranges(belongs: Callable[[int], bool]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        if belongs(code):
            if found and found[-1][1] == code - 1:
                found[-1] = (found[-1][0], code)
            else:
                found.append((code, code))
    return found


def as_class(found: list[tuple[int, int]]) -> list[str]:
    """Lines of the inside of a character class."""
    lines, line = [], ""
    for low, high in found:
        part = _escaped(low) + ("" if high == low else ("-" if high > low + 1 else "") + _escaped(high))
        if len(line) + len(part) > 108:
            lines.append(line)
            line = ""
        line += part
    return [*lines, line]


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def text() -> str:
    parts = [
        '"""Sets of characters for regular expressions, written by tools/make_characters.py."""\n\n'
        f'UNICODE = "{unicodedata.unidata_version}"\n'
    ]
    for name, belongs in (("JOINED", joined), ("UNSPACED", unspaced)):
        doc = " ".join(str(belongs.__doc__).split())
        lines = "\n".join(f'    r"{line}"' for line in as_class(ranges(belongs)))
        parts.append(f"\n# {doc}\n{name} = (\n{lines}\n)\n")
    return "".join(parts)


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")

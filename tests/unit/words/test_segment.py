"""The segmentations, rule by rule."""

import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tofner.words import characters
from tofner.words.segment import SEGMENTATION, SEGMENTATIONS, segment

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n\u00a0\u2003", []),
        ("EU rejects German call.", ["EU", "rejects", "German", "call", "."]),
        ("see http://t.co/x, (www.a.org/b).", ["see", "http://t.co/x", ",", "(", "www.a.org/b", ")", "."]),
        ("@jo_11 #fail!", ["@jo_11", "#fail", "!"]),
        ("1,000.5 at 10:30, 3/4", ["1,000.5", "at", "10:30", ",", "3/4"]),
        ("U.S. z.B. Ph.D.", ["U.S.", "z.B.", "Ph.D", "."]),
        ("German-born AT&T O'Neil snake_case", ["German-born", "AT&T", "O'Neil", "snake_case"]),
        ("Iraq's Iraq’s it's 90's", ["Iraq", "'s", "Iraq", "’s", "it", "'s", "90", "'s"]),
        ("wait... what!!! -- no", ["wait", "...", "what", "!!!", "--", "no"]),
        ("😂😂 👍🏽 ❤️ 👩‍🚀", ["😂😂", "👍🏽", "❤️", "👩‍🚀"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("Привет 한국어 문장", ["Привет", "한국어", "문장"]),
        ("हिन्दी", ["हिन्दी"]),
        ("a\x00b", ["a", "\x00", "b"]),
    ],
)
@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_rules_of_all(text: str, words: list[str], name: str) -> None:
    found = segment(text, name)
    assert [word.text for word in found] == words
    assert all(text[word.start : word.end] == word.text for word in found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("習近平, Obama", ["習", "近", "平", ",", "Obama"]),
        ("iPhone手机2020年", ["iPhone", "手", "机", "2020", "年"]),
        ("トランプ大統領", list("トランプ大統領")),
        (
            "#北京奥运 @小明x http://t.co/x看",
            ["#", "北", "京", "奥", "运", "@", "小", "明", "x", "http://t.co/x", "看"],
        ),
        ("ที่นี่ ຢູ່", ["ที่", "นี่", "ຢູ່"]),
        ("Mer\u00adkel’s U\u00ad.S. 10\u200e:30", ["Mer\u00adkel", "’s", "U\u00ad.S.", "10\u200e", ":", "30"]),
        ("#हिन्दी @நாடு", ["#हिन्दी", "@நாடு"]),
        ("a\u200bb", ["a", "\u200b", "b"]),
        ("\u200eAjax", ["\u200e", "Ajax"]),
        ("O\u0301'Neil co-\u00adop", ["O\u0301'Neil", "co-\u00adop"]),
    ],
)
def test_rules(text: str, words: list[str]) -> None:
    found = segment(text)
    assert [word.text for word in found] == words
    assert all(text[word.start : word.end] == word.text for word in found)


def test_models_of_the_first_segmentation_keep_it() -> None:
    texts = ["தமிழ்", "Mer\u00adkel", "日本語", "می\u200cروم"]
    assert [[word.text for word in segment(text, "tofner-words-1")] for text in texts] == [
        ["தம", "ி", "ழ", "\u0bcd"], ["Mer", "\u00ad", "kel"], ["日本語"], ["می", "\u200c", "روم"],
    ]  # fmt: skip
    assert (SEGMENTATION, len(SEGMENTATIONS)) == ("tofner-words-2", 2)


def rows() -> list[tuple[str, str, list[str]]]:
    """The table of scripts in docs/data-formats.md: name, text, words."""
    text = (ROOT / "docs/data-formats.md").read_text(encoding="utf-8")
    table = text[text.index("| script | text | words |") :].split("\n\n")[0].splitlines()[2:]
    cells = ([cell.strip() for cell in row.strip("|").split("|")] for row in table)
    return [(name, sentence, words.split(" · ")) for name, sentence, words in cells]


@pytest.mark.parametrize(("name", "text", "words"), rows())
def test_the_scripts_in_the_documents_are_cut_so(name: str, text: str, words: list[str]) -> None:
    assert [word.text for word in segment(text)] == words


def test_words_of_scripts_with_spaces_are_what_stands_between_spaces() -> None:
    """Of every letter and every mark that Unicode knows, outside the scripts without spaces."""
    unspaced = re.compile(f"[{characters.UNSPACED}]")
    joined = re.compile(f"[{characters.JOINED}]")
    for code in range(0x80, sys.maxunicode):
        char = chr(code)
        if char.isalpha() and not unspaced.match(char):
            assert [word.text for word in segment(f"a{char}a a")] == [f"a{char}a", "a"], hex(code)
        elif unicodedata.category(char).startswith("M") and (
            joined.match(char) or unicodedata.unidata_version == "14.0.0"
        ):
            assert [word.text for word in segment(f"a{char}a a{char}")] == [f"a{char}a", f"a{char}"], hex(code)


@pytest.mark.skipif(unicodedata.unidata_version != characters.UNICODE, reason="another version of Unicode")
def test_the_sets_are_those_of_unicode() -> None:
    command = [sys.executable, "-c", "import make_characters; print(make_characters.text(), end='')"]
    made = subprocess.run(
        command, cwd=ROOT / "tools", capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout
    assert made == (ROOT / "src/tofner/words/characters.py").read_text(encoding="utf-8")

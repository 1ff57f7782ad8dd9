"""The segmentation `tofner-words-1`, rule by rule."""

import pytest

from tofner.words.segment import segment


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
        ("日本語 Привет", ["日本語", "Привет"]),
        ("हिन्दी", ["हिन्दी"]),
        ("a\x00b", ["a", "\x00", "b"]),
    ],
)
def test_rules(text: str, words: list[str]) -> None:
    found = segment(text)
    assert [word.text for word in found] == words
    assert all(text[word.start : word.end] == word.text for word in found)

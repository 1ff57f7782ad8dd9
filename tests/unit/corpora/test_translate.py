"""Word-by-word translation, by dictionaries made by hand."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from tofner.corpora import translate
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.translate import Counts, Dictionary, Translator
from tofner.errors import BadData

LINES = "the el\nthe la\nfrom from\nfrom de\nhouse casa\nin en\niPhone teléfono\nspain españa\nParis París\n"


def translator(lines: str = LINES, choose: translate.Choose = "first") -> Translator:
    return Translator(parsed(lines), choose)


def parsed(lines: str) -> Dictionary:
    dictionary = translate.parse(lines.encode(), "dict/a-b.txt")
    dictionary.problems.raise_any()
    return dictionary


def test_a_dictionary_is_read_with_all_translations_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "en-es.txt.gz"
    path.write_bytes(gzip.compress("\ufeffthe el\r\nhouse\tcasa\n\n  \nthe  la\n".encode()))
    found = translate.read(str(path))
    assert found.words == {"the": ["el", "la"], "house": ["casa"]}
    assert (found.pairs, found.phrases, found.told()) == (3, [], [])


def test_entries_of_several_words_are_left_out_and_told_with_their_lines() -> None:
    lines = "the el\n" + "New York\tNueva York\n" * 4 + "bus\tel autobús\nU S\tUSA\n"
    found = parsed(lines)
    assert found.words == {"the": ["el"]}
    assert found.phrases == [2, 3, 4, 5, 6, 7]
    assert found.told() == ["dict/a-b.txt: 6 entries of several words are left out (lines 2, 3, 4, 5, 6, ...)"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("house", "1 word"),
        ("New York Nueva York", "4 words"),
        ("a\tb\tc", "3 words"),
        ("hou\x07se casa", "control character U+0007"),
    ],
)
def test_a_line_that_is_no_pair_is_a_problem_at_its_place(line: str, found: str) -> None:
    problems = translate.parse(f"the el\n{line}\nin en\n{line}\n".encode(), "dict/a-b.txt").problems
    assert [(one.place, one.line, one.found) for one in problems.listed] == [
        ("dict/a-b.txt", 2, found),
        ("dict/a-b.txt", 4, found),
    ]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"New York\tNueva York\n"])
def test_a_dictionary_without_a_pair_is_a_problem(data: bytes) -> None:
    with pytest.raises(BadData, match="no pair of words"):
        translate.parse(data, "x.txt").problems.raise_any()


def test_bytes_that_are_not_utf8_are_placed() -> None:
    with pytest.raises(BadData, match=r"x\.txt:2: found byte 0xf1 at column 7"):
        translate.parse(b"the el\nsir se\xf1or\n", "x.txt").problems.raise_any()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("house", "casa"),
        ("House", "Casa"),
        ("HOUSE", "CASA"),
        ("hOuse", "casa"),
        ("Spain", "España"),
        ("SPAIN", "ESPAÑA"),
        ("iPhone", "teléfono"),  # as it is written, before small letters
        ("IPHONE", "IPHONE"),
        ("Paris", "París"),
        ("PARIS", "PARIS"),  # the dictionary has neither PARIS nor paris
        ("the", "el"),  # the first of two
        ("from", "from"),
        ("unknown", "unknown"),
        ("House-", "House-"),
        ("1,000.5", "1,000.5"),
        (".", "."),
    ],
)
def test_a_word_by_the_first_translation_in_its_own_case(word: str, expected: str) -> None:
    assert translator().word(word) == expected


def test_the_first_other_word_where_that_is_asked_for() -> None:
    other = translator(LINES + "Same same\nutc utc\n", "other")
    tokens = ["from", "From", "the", "Same", "utc"]
    assert other.words(tokens) == ["de", "De", "el", "Same", "utc"]


def test_a_single_capital_begins_a_word() -> None:
    assert translator("i yo\na un\n").words(["I", "A", "a"]) == ["Yo", "Un", "un"]


def test_every_word_is_counted_once_as_one_of_three() -> None:
    one = translator()
    one.words(["The", "house", "from", "Kerkrade", "19", ",", "the"])
    assert one.counts == Counts(translated=4, unknown=1, marks=2)
    assert one.counts.total == 7


def by_slices(text: str, words: Sequence[str], translation: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Each word replaced at its place, from the left, by plain slicing; and where the new ones are."""
    places, at = [], 0
    for old, new in zip(words, translation, strict=True):
        at = text.index(old, at)
        text = text[:at] + new + text[at + len(old) :]
        places.append((at, at + len(new)))
        at += len(new)
    return text, places


def test_a_text_keeps_what_stands_between_its_words() -> None:
    text = "  The house,\tin  Spain: “from\nParis”!  "
    words = ["The", "house", ",", "in", "Spain", ":", "“", "from", "Paris", "”", "!"]
    expected, places = by_slices(text, words, ["El", "casa", ",", "en", "España", ":", "“", "from", "París", "”", "!"])
    found, before, after = translator().text(text)
    assert found == expected == "  El casa,\ten  España: “from\nParís”!  "
    assert [text[start:end] for start, end in before] == words
    assert after == places
    assert translator().text("house-in", [(0, 5), (6, 8)]) == ("casa-en", [(0, 5), (6, 8)], [(0, 4), (5, 7)])


def test_tags_stay_with_their_words() -> None:
    given = Sentence("a:1", ["The", "House", "in", "Spain"], ["O", "B-ORG", "O", "B-LOC"])
    assert translator().sentences([given], "es") == [
        Sentence("a:1~es", ["El", "Casa", "en", "España"], ["O", "B-ORG", "O", "B-LOC"])
    ]
    assert given.tokens[0] == "The"


def test_answers_are_the_same_words_and_a_shared_context_is_counted_once() -> None:
    context = ["The", "House", "in", "Spain"]
    asked = [
        MrcExample("q1", "Where is  the house?", context, [3], [4]),
        MrcExample("q2", "Which?", context, [], []),
        MrcExample("q3", "Which?", list(context), [0, 3], [2, 4]),
    ]
    one = translator()
    found = one.questions(asked, "es")
    assert [example.id for example in found] == ["q1~es", "q2~es", "q3~es"]
    assert found[0].query == "Where is  el casa?"
    assert [(example.starts, example.ends) for example in found] == [([3], [4]), ([], []), ([0, 3], [2, 4])]
    assert all(example.tokens == ["El", "Casa", "en", "España"] for example in found)
    assert found[0].tokens is found[1].tokens
    assert one.counts.total == 2 * len(context) + 5 + 2 + 2

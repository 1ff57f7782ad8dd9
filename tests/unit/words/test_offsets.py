"""Places of characters and words, by hand."""

from tofner.words.offsets import covered, fit_to_words, join_words, utf16_to_characters
from tofner.words.spans import Span

WORDS = [(0, 4), (4, 6), (7, 9)]  # Iraq's UN


def test_a_word_is_covered_where_a_character_is_shared() -> None:
    assert covered(WORDS, 0, 4) == (0, 1)  # the next word begins where this ends
    assert covered(WORDS, 3, 5) == (0, 2)
    assert covered(WORDS, 6, 7) == (2, 2)  # white space alone
    assert covered(WORDS, 4, 9) == (1, 3)


def test_the_longest_stays_and_of_equal_ones_the_first() -> None:
    entities = [Span(0, 4, "LOC"), Span(0, 6, "ORG"), Span(7, 9, "ORG"), Span(7, 9, "LOC"), Span(7, 9, "ORG")]
    result = fit_to_words(entities, WORDS)
    assert result.spans == [Span(0, 2, "ORG"), Span(2, 3, "ORG")]
    assert (result.chosen, result.overlapping, result.repeated) == ([1, 2], [0, 3], [4])


def test_joined_words_stand_where_it_says() -> None:
    text, offsets = join_words(["a", "b c"])
    assert [text[a:b] for a, b in offsets] == ["a", "b c"]


def test_utf16_pairs() -> None:
    assert [utf16_to_characters("a💩b", i) for i in range(6)] == [0, 1, None, 2, 3, None]

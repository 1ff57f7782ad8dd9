"""Words and their offsets, in any Unicode text."""

from hypothesis import given
from hypothesis import strategies as st

from tofner.words.segment import SEGMENTATIONS, segment

TEXT = st.one_of(
    st.text(),
    st.text(alphabet="aZé1 .,:/-'’@#_&!?\n\t😂👍\u200d\ufe0f\u0301🏽\u00a0ا\u064b漢字ที่हि् www.http://"),
    st.text(alphabet=st.characters(categories=["M", "Cf", "So", "Sk", "Zs", "Lo"])),
)


@given(TEXT, st.sampled_from(list(SEGMENTATIONS)))
def test_offsets_cover_everything_but_white_space_once(text: str, name: str) -> None:
    words = segment(text, name)
    position = 0
    for word in words:
        assert word.start < word.end
        assert text[word.start : word.end] == word.text
        assert text[position : word.start].strip() == ""
        assert not any(character.isspace() for character in word.text)
        position = word.end
    assert text[position:].strip() == ""


@given(TEXT, TEXT)
def test_white_space_keeps_texts_apart(left: str, right: str) -> None:
    whole = [word.text for word in segment(f"{left} {right}")]
    assert whole == [word.text for part in (left, right) for word in segment(part)]

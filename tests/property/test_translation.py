"""Translating keeps the number of words, what stands between them, tags and answers; the identity changes nothing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.translate import Counts, Dictionary, Translator
from tofner.exchange.told import Told
from tofner.exchange.translation import _translate_questions
from tofner.words.segment import segment

words = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=6)
pairs = st.lists(st.tuples(words, words), min_size=1, max_size=8)


def translator(known: list[tuple[str, str]]) -> Translator:
    found = Dictionary("x.txt")
    for word, translation in known:
        found.words.setdefault(word, []).append(translation)
    return Translator(found)


@given(st.text(max_size=60), st.lists(words, max_size=6))
def test_the_identity_changes_nothing(text: str, tokens: list[str]) -> None:
    every = [*tokens, *(word.text for word in segment(text))]
    identity = translator([(word, word) for word in every])
    assert identity.text(text)[0] == text
    tags = ["B-PER"] * len(tokens)
    (sentence,) = identity.sentences([Sentence("a", tokens, tags)], "es")
    assert (sentence.tokens, sentence.tags) == (tokens, tags)
    (question,) = identity.questions([MrcExample("q", text, tokens, [0], [len(tokens)])], "es")
    assert question == MrcExample("q~es", text, tokens, [0], [len(tokens)])
    assert identity.counts.unknown == 0


@given(st.text(max_size=60), pairs)
def test_words_are_translated_in_their_places(text: str, known: list[tuple[str, str]]) -> None:
    text = f"{text} {known[0][0]} {known[-1][0]}"
    one = translator(known)
    found, before, after = one.text(text)
    assert [text[a:b] for a, b in before] == [word.text for word in segment(text)]
    assert [found[a:b] for a, b in after] == one.words([text[a:b] for a, b in before])
    ends = [(0, 0), *before, (len(text), 0)], [(0, 0), *after, (len(found), 0)]
    gaps = [
        [whole[left[1] : right[0]] for left, right in pairwise(places)]
        for whole, places in zip((text, found), ends, strict=True)
    ]
    assert gaps[0] == gaps[1]
    assert one.counts == Counts(
        *(2 * n for n in (one.counts.translated // 2, one.counts.unknown // 2, one.counts.marks // 2))
    )
    assert one.counts.total == 2 * len(before)


@given(st.text(max_size=40), pairs, st.data())
def test_an_answer_is_what_stands_at_its_place_and_of_the_same_words(
    text: str, known: list[tuple[str, str]], data: st.DataObject
) -> None:
    context = f"{text} {known[0][0]}"
    found = segment(context)
    first = data.draw(st.integers(0, len(found) - 1))
    last = data.draw(st.integers(first, len(found) - 1))
    start, end = found[first].start, found[last].end
    asked = {"id": "q", "question": "?", "answers": [{"answer_start": start, "text": context[start:end]}]}
    content = {"data": [{"paragraphs": [{"context": context, "qas": [asked]}]}]}
    one = translator(known)
    _translate_questions(content, one, told := Told(), "x.json")
    (paragraph,) = content["data"][0]["paragraphs"]
    (answer,) = paragraph["qas"][0]["answers"]
    at = answer["answer_start"]
    assert paragraph["context"][at : at + len(answer["text"])] == answer["text"]
    assert (
        answer["text"]
        == one.text(context[start:end], [(w.start - start, w.end - start) for w in found[first : last + 1]])[0]
    )
    assert not told.lines()

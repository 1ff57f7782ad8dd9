"""Answers of MRC files become the smallest run of whole words around them."""

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from tofner.corpora import squad
from tofner.words.segment import segment


@given(st.text(min_size=1, max_size=40), st.data())
def test_answers_are_widened_to_whole_words(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    answer = context[start:end]
    assume(answer.strip())
    asked = {"id": "q", "question": "?", "answers": [{"answer_start": start, "text": answer}]}
    content = json.dumps({"data": [{"paragraphs": [{"context": context, "qas": [asked]}]}]})
    file = squad.parse(content.encode(), "x.json")
    assert not file.problems.count
    (example,) = file.examples
    touched = [i for i, word in enumerate(segment(context)) if word.start < end and word.end > start]
    assert (example.starts, example.ends) == ([touched[0]], [touched[-1] + 1])

"""NER as MRC."""

import pytest

from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.ner_as_mrc import by_sentence, mrc_to_ner, ner_to_mrc
from tofner.errors import BadData

QUERIES = {"PER": "Which people?", "LOC": "Which places?"}
SENTENCE = Sentence("s:1", ["Rolf", "Ekeus", "left", "Iraq", "Iran"], ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"])


def test_one_example_a_type_and_back() -> None:
    person, place = ner_to_mrc(SENTENCE, QUERIES)
    assert person == MrcExample("s:1#PER", "Which people?", SENTENCE.tokens, [0], [2], "s:1", "PER")
    assert (place.starts, place.ends) == ([3, 4], [4, 5])
    assert mrc_to_ner([person, place]) == SENTENCE


def test_types_without_entities_give_negatives() -> None:
    examples = ner_to_mrc(Sentence("s", ["no", "name"], ["O", "O"]), QUERIES)
    assert [(e.type, e.starts) for e in examples] == [("PER", []), ("LOC", [])]


def test_unknown_type() -> None:
    with pytest.raises(BadData, match="sentence s: found an entity of type ORG; expected one of PER, LOC"):
        ner_to_mrc(Sentence("s", ["U.N."], ["B-ORG"]), QUERIES)
    with pytest.raises(ValueError, match="no tags"):
        ner_to_mrc(Sentence("s", ["U.N."]), QUERIES)


def test_examples_that_do_not_belong_together() -> None:
    person, place = ner_to_mrc(SENTENCE, QUERIES)
    other = ner_to_mrc(Sentence("s:9", ["x"], ["O"]), QUERIES)[0]
    for bad, message in (([], "no examples"), ([person, other], "different"), ([person, person], "twice")):
        with pytest.raises(ValueError, match=message):
            mrc_to_ner(bad)
    with pytest.raises(ValueError, match="overlaps"):
        mrc_to_ner([person, MrcExample(place.id, "", place.tokens, [1], [3], "s:1", "LOC")])
    assert [len(group) for group in by_sentence([person, place, other])] == [2, 1]

"""Label maps."""

from tofner.corpora.examples import Sentence
from tofner.corpora.labels import map_types, unknown_type

SENTENCE = Sentence("s", ["Rolf", "Iraq", "Oz", "Nike"], ["B-person", "B-geo-loc", "B-movie", "I-company"])


def test_ten_types_become_one_and_boundaries_stay() -> None:
    result = map_types([SENTENCE], {"*": "ENTITY"}, ["ENTITY"])
    assert result.sentences[0].tags == ["B-ENTITY"] * 4
    assert result.mapped == {"person": 1, "geo-loc": 1, "movie": 1, "company": 1}
    assert SENTENCE.tags == ["B-person", "B-geo-loc", "B-movie", "I-company"]  # the input is left alone


def test_null_drops_and_counts_and_names_go_before_the_star() -> None:
    result = map_types([SENTENCE], {"person": "PER", "geo-loc": "LOC", "*": None}, ["PER", "LOC"])
    assert result.sentences[0].tags == ["B-PER", "B-LOC", "O", "O"]
    assert result.dropped == {"movie": 1, "company": 1}
    assert not result.unknown


def test_unknown_types_are_counted_with_their_first_sentence() -> None:
    other = Sentence("t", ["a"], ["B-PER"])
    result = map_types([other, SENTENCE, SENTENCE], {"movie": None, "company": "ORG"}, ["PER", "ORG", "location"])
    assert result.unknown == {"person": (2, 1), "geo-loc": (2, 1)}
    assert result.sentences[1].tags == ["O", "O", "O", "B-ORG"]


def test_the_nearest_known_type_is_named() -> None:
    problem = unknown_type("Per", 3, "x.conll", 7, ["PER", "LOC"])
    assert str(problem).startswith(
        "x.conll:7: found type Per (3 entities); expected one of PER, LOC; did you mean PER?"
    )
    assert "label_map.Per" in problem.fix

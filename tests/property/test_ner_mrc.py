"""NER -> MRC -> NER."""

from hypothesis import given
from hypothesis import strategies as st

from tofner.corpora.examples import Sentence
from tofner.corpora.labels import map_types
from tofner.corpora.ner_as_mrc import by_sentence, mrc_to_ner, ner_to_mrc
from tofner.words.spans import Span, spans_to_tags, tags_to_spans, to_bio2

QUERIES = {"PER": "Which people?", "LOC": "Which places?", "ORG": "Which organizations?"}
TAG = st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from("BI"), st.sampled_from(list(QUERIES))))
PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=4), TAG), min_size=1, max_size=12)


def sentence_of(pairs: list[tuple[str, str]], id_: str = "s") -> Sentence:
    return Sentence(id_, [word for word, _ in pairs], to_bio2([tag for _, tag in pairs], "BIO2")[0])


@given(PAIRS)
def test_round_trip(pairs: list[tuple[str, str]]) -> None:
    sentence = sentence_of(pairs)
    examples = ner_to_mrc(sentence, QUERIES)
    assert [e.type for e in examples] == list(QUERIES)
    assert mrc_to_ner(examples) == sentence
    spans = sorted(Span(a, b, e.type) for e in examples for a, b in zip(e.starts, e.ends, strict=True))
    assert spans == tags_to_spans(sentence.tags or [])


@given(st.lists(PAIRS, max_size=5))
def test_a_corpus_comes_back_in_order(corpus: list[list[tuple[str, str]]]) -> None:
    sentences = [sentence_of(pairs, str(i)) for i, pairs in enumerate(corpus)]
    examples = [example for sentence in sentences for example in ner_to_mrc(sentence, QUERIES)]
    assert [mrc_to_ner(group) for group in by_sentence(examples)] == sentences


@given(PAIRS)
def test_one_type_for_all_keeps_every_boundary(pairs: list[tuple[str, str]]) -> None:
    sentence = sentence_of(pairs)
    result = map_types([sentence], {"*": "ENTITY"}, ["ENTITY"]).sentences[0]
    before = tags_to_spans(sentence.tags or [])
    assert tags_to_spans(result.tags or []) == [span._replace(type="ENTITY") for span in before]
    assert result.tags == spans_to_tags([span._replace(type="ENTITY") for span in before], len(pairs))

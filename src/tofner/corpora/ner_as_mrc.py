"""NER sentences as machine reading comprehension, and back (paper, section 3.3.1 and 4.2; Li et al., 2020).

One query a type, the sentence as context, the entities of that type as answers. A type without entities gives an
example without answers: the model has to learn to stay silent too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.lazy import Lazy
from tofner.errors import BadData, Problem
from tofner.words.spans import Span, spans_to_tags, tags_to_spans


def ner_to_mrc(sentence: Sentence, queries: Mapping[str, str]) -> list[MrcExample]:
    """One example for each query, in the order of `queries`.

    Raises:
        BadData: an entity has a type without a query.
        ValueError: the sentence has no tags.
    """
    if sentence.tags is None:
        raise ValueError(f"sentence {sentence.id} has no tags")
    spans = tags_to_spans(sentence.tags)
    for span in spans:
        if span.type not in queries:
            found = f"an entity of type {span.type}"
            fix = "add a query for it, or map or drop the type in label_map"
            raise BadData(Problem(f"sentence {sentence.id}", found, f"one of {', '.join(queries)}", fix))
    examples = []
    for type_, query in queries.items():
        answers = [span for span in spans if span.type == type_]
        examples.append(
            MrcExample(
                id=f"{sentence.id}#{type_}",
                query=query,
                tokens=sentence.tokens,
                starts=[span.start for span in answers],
                ends=[span.end for span in answers],
                ner_id=sentence.id,
                type=type_,
                trusted=sentence.trusted,
            )
        )
    return examples


def all_as_mrc(sentences: Sequence[Sentence], queries: Mapping[str, str]) -> Lazy[MrcExample]:
    """`ner_to_mrc` of every sentence, sentence after sentence; made when they are looked at."""
    types = len(queries)

    def every() -> Iterator[MrcExample]:
        for sentence in sentences:
            yield from ner_to_mrc(sentence, queries)

    return Lazy(len(sentences) * types, lambda i: ner_to_mrc(sentences[i // types], queries)[i % types], every)


def mrc_to_ner(examples: Sequence[MrcExample]) -> Sentence:
    """The sentence that `ner_to_mrc` made these examples from.

    Raises:
        ValueError: no examples, examples of different sentences, a type twice, or answers that overlap.
    """
    if not examples:
        raise ValueError("no examples to make a sentence from")
    first = examples[0]
    if any((e.ner_id, e.tokens) != (first.ner_id, first.tokens) for e in examples):
        raise ValueError(f"the examples of {first.ner_id} come from different sentences")
    if len({e.type for e in examples}) < len(examples):
        raise ValueError(f"the examples of {first.ner_id} have a type twice")
    spans = [Span(a, b, e.type) for e in examples for a, b in zip(e.starts, e.ends, strict=True)]
    return Sentence(first.ner_id, list(first.tokens), spans_to_tags(spans, len(first.tokens)))


def by_sentence(examples: Iterable[MrcExample]) -> Iterator[list[MrcExample]]:
    """The examples that were made from one sentence, sentence by sentence; they must stand together."""
    for _, group in groupby(examples, key=lambda example: example.ner_id):
        yield list(group)

"""Entity types of the files to types of the tagger: label maps (paper, section 4.2: WNUT16 as span detection)."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tofner.corpora.examples import Sentence
from tofner.errors import Problem
from tofner.words.spans import Span, spans_to_tags, tags_to_spans

EVERY_OTHER = "*"


@dataclass
class MappedTypes:
    """`mapped` and `dropped` count entities by their old type; `unknown` maps a type that the tagger does not know to
    the number of its entities and the first sentence (its index) with one."""

    sentences: list[Sentence]
    mapped: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unknown: dict[str, tuple[int, int]] = field(default_factory=dict)


def map_types(sentences: Sequence[Sentence], label_map: Mapping[str, str | None], types: Sequence[str]) -> MappedTypes:
    """The sentences with the types of the tagger.

    Args:
        sentences: with BIO2 tags. They are not changed.
        label_map: old type -> new type; None makes the entity O; `"*"` is for every type that is not named. A type
            that neither names nor `"*"` covers keeps its name.
        types: what the tagger knows. Entities of any other type are counted as unknown and left out of the result.

    Two adjacent entities that become one type stay two: the boundary survives as a B- tag.

    >>> map_types([Sentence("1", ["a", "b"], ["B-person", "B-tvshow"])], {"*": "ENTITY"}, ["ENTITY"]).sentences[0].tags
    ['B-ENTITY', 'B-ENTITY']
    """
    result = MappedTypes([])
    known = set(types)
    for index, sentence in enumerate(sentences):
        if sentence.tags is None:
            raise ValueError(f"sentence {sentence.id} has no tags")
        spans: list[Span] = []
        for span in tags_to_spans(sentence.tags):
            new = label_map.get(span.type, label_map.get(EVERY_OTHER, span.type))
            if new is None:
                result.dropped[span.type] += 1
            elif new in known:
                result.mapped[span.type] += 1
                spans.append(span._replace(type=new))
            else:
                count, first = result.unknown.get(span.type, (0, index))
                result.unknown[span.type] = (count + 1, first)
        tags = spans_to_tags(spans, len(sentence.tokens))
        result.sentences.append(Sentence(sentence.id, sentence.tokens, tags, sentence.scores))
    return result


def unknown_type(type_: str, count: int, place: str, line: int | None, types: Sequence[str]) -> Problem:
    """The problem of a type that the tagger does not know."""
    folded = {name.lower(): name for name in types}
    close = difflib.get_close_matches(type_.lower(), folded, n=1, cutoff=0.6)
    nearest = f"did you mean {folded[close[0]]}? " if close else ""
    fix = f"{nearest}add it to types, or map it with label_map.{type_} (null makes it no entity)"
    return Problem(place, f"type {type_} ({count} entities)", f"one of {', '.join(types)}", fix, line)

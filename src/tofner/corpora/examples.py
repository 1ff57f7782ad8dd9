"""A labelled or unlabelled sentence, and a question on one."""

from dataclasses import dataclass


@dataclass(slots=True)
class Sentence:
    """A sentence of words. `tags` are BIO2 strings, None in unlabelled text; `scores` are those of pseudo-labels, one
    probability a word; `trusted` says which of these words to learn from, None for all. All as long as `tokens`."""

    id: str
    tokens: list[str]
    tags: list[str] | None = None
    scores: list[float] | None = None
    trusted: list[bool] | None = None


@dataclass(slots=True)
class MrcExample:
    """A query and a context of words, with the answers `tokens[starts[i]:ends[i]]`, none or several.

    `ner_id` and `type` say which sentence and entity type the example was made from (paper, section 4.2); they are
    empty for questions of an MRC data set. `trusted` are the words of the context to learn from, None for all.
    """

    id: str
    query: str
    tokens: list[str]
    starts: list[int]
    ends: list[int]
    ner_id: str = ""
    type: str = ""
    trusted: list[bool] | None = None

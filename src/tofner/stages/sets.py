"""What was read, a row a set, and which sets share sentences: for the reports of `prepare` and `gold`.

A row is `part` (of the run), `set`, `sentences`, `words`, `entities` by type, `questions`, `answers`, and
`mended`: what had to be repaired, widened, merged, skipped, dropped or translated, by name, where it is not 0.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tofner.corpora.conll import ConllFile
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.plain import TextFile
from tofner.corpora.squad import SquadFile
from tofner.words.spans import tags_to_spans

Row = dict[str, Any]


def labelled_row(part: str, split: str, file: ConllFile, sentences: Sequence[Sentence], dropped: int) -> Row:
    """`sentences` are the file's after the label map, which dropped so many entities."""
    mended = {"repaired_tags": file.repaired_tags, "dropped_entities": dropped, "docstarts": file.docstarts}
    mended |= {"widened_entities": file.widened, "blank_records": file.blank}
    return sentences_row(part, split, sentences, mended)


def sentences_row(part: str, name: str, sentences: Sequence[Sentence], mended: dict[str, int]) -> Row:
    """Labelled sentences, of a file or not."""
    found = Counter(span.type for one in sentences for span in tags_to_spans(one.tags or []))
    return _row(part, name, [one.tokens for one in sentences], mended, entities=dict(sorted(found.items())))


def text_row(part: str, split: str, file: TextFile) -> Row:
    mended = {"blank_lines": file.blank_lines, "docstarts": file.docstarts}
    return _row(part, split, [one.tokens for one in file.sentences], mended)


def questions_row(part: str, split: str, file: SquadFile) -> Row:
    """Its sentences are the contexts, each counted once."""
    return examples_row(part, split, file.examples, {"widened_answers": file.widened, "merged_answers": file.merged})


def examples_row(part: str, name: str, examples: Sequence[MrcExample], mended: dict[str, int]) -> Row:
    """Questions, of a file or not."""
    contexts = list(dict.fromkeys(tuple(one.tokens) for one in examples))
    answers = sum(len(one.starts) for one in examples)
    return _row(part, name, contexts, mended, questions=len(examples), answers=answers)


def _row(part: str, split: str, tokens: Sequence[Sequence[str]], mended: dict[str, int], **more: Any) -> Row:
    sizes = {"sentences": len(tokens), "words": sum(map(len, tokens))}
    kept = {name: number for name, number in mended.items() if number}
    return {"part": part, "set": split, **sizes, "entities": {}, "questions": 0, "answers": 0, **more, "mended": kept}


def overlap(
    first: str, in_first: Iterable[Sentence | MrcExample], second: str, in_second: Sequence[Sentence | MrcExample]
) -> Row:
    """How many sentences (of questions: contexts, as often as asked) of the second part stand in the first too."""
    known = {tuple(one.tokens) for one in in_first}
    shared = sum(tuple(one.tokens) in known for one in in_second)
    return {"first": first, "second": second, "shared": shared, "of": len(in_second)}

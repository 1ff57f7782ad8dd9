"""spaCy's DocBin (`.spacy`), read and written by spaCy itself: the extra `spacy`.

A Doc is a record: `doc.ents`, which cannot overlap, are its entities, its tokens the words, and `user_data` keeps id
and other fields. White space other than one space is a token of its own in spaCy, and no word here.
"""

import json
from collections.abc import Sequence
from typing import Any

from tofner.corpora.jsonl import Entity, Record, cut_at_white_space
from tofner.corpora.textfile import Problems
from tofner.exchange.columns import SCORES, fitted
from tofner.exchange.told import Told
from tofner.words.offsets import Offsets

KEPT = "tofner"  # key in Doc.user_data


def read_docbin(data: bytes, uri: str, told: Told) -> list[Record]:
    """Raises BadData: it is no DocBin."""
    import spacy
    from spacy.tokens import DocBin

    try:
        docs = list(DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab))
    except Exception as error:  # of zlib, msgpack and spaCy, on bytes that are something else
        problems = Problems(uri)
        said = (str(error).splitlines() or [type(error).__name__])[0]
        problems.add(f"no readable DocBin ({said})", "a file that spaCy 3 wrote", "write it again")
        problems.raise_any()
        raise
    records = []
    for number, doc in enumerate(docs, start=1):
        kept = _kept(doc.user_data.get(KEPT))
        words = cut_at_white_space(doc.text, [(token.idx, token.idx + len(token)) for token in doc])
        entities = [Entity(one.start_char, one.end_char, one.label_) for one in doc.ents]
        labelled = doc.has_annotation("ENT_IOB") or not len(doc)
        told.lose("span groups were left out", uri, number, len(doc.spans))
        fields = kept.get("fields", {})
        records.append(Record(doc.text, entities if labelled else None, words, kept.get("id"), fields, number))
    return records


def _kept(text: Any) -> dict[str, Any]:
    """What `write_docbin` kept, as JSON, since spaCy would give lists back as tuples."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):  # nothing, or another program's
        return {}
    return value if isinstance(value, dict) else {}


def write_docbin(records: Sequence[Record], place: str, told: Told) -> bytes:
    """One Doc a record."""
    import spacy
    from spacy.tokens import Doc, DocBin, Span

    vocab = spacy.blank("xx").vocab
    file = DocBin(store_user_data=True)
    for record in records:
        words = record.offsets()
        tokens, spaces, number = tokens_of(record.text, words)
        doc = Doc(vocab, words=tokens, spaces=spaces)
        if record.entities is not None:
            found = fitted(record, words, told, place)
            told.leave(SCORES, place, record.line,
                       sum(one.score is not None for _, one in found))  # fmt: skip
            spans = [Span(doc, number[s.start], number[s.end - 1] + 1, label=s.type) for s, _ in found]
            doc.set_ents(spans, default="outside")
        if record.id is not None or record.fields:
            doc.user_data[KEPT] = json.dumps({"id": record.id, "fields": record.fields})
        file.add(doc)
    result: bytes = file.to_bytes()
    return result


def tokens_of(text: str, words: Sequence[Offsets]) -> tuple[list[str], list[bool], list[int]]:
    """Tokens that make up the text, whether a space follows each, and the token of each word.

    >>> tokens_of("a  b\\n", [(0, 1), (3, 4)])
    (['a', ' ', 'b', '\\n'], [True, False, False, False], [0, 2])
    """
    tokens: list[str] = []
    spaces: list[bool] = []
    number: list[int] = []
    at = 0

    def fill(gap: str) -> None:
        if gap and tokens and gap[0] == " ":
            spaces[-1] = True
            gap = gap[1:]
        if gap:
            tokens.append(gap)
            spaces.append(False)

    for start, end in words:
        fill(text[at:start])
        number.append(len(tokens))
        tokens.append(text[start:end])
        spaces.append(False)
        at = end
    fill(text[at:])
    return tokens, spaces, number

"""spaCy's files, as spaCy itself sees them. Slow: spaCy's import takes seconds, and loads torch where it is there."""

from pathlib import Path

import pytest

from tofner.corpora.jsonl import Entity, Record
from tofner.errors import BadData
from tofner.exchange import docbin
from tofner.exchange.convert import convert
from tofner.exchange.told import Told

pytestmark = pytest.mark.slow


def test_spacy_sees_the_same_entities() -> None:
    import spacy
    from spacy.tokens import DocBin

    text = "  Angela  Merkel\nmet U.N. envoys"
    record = Record(text, [Entity(2, 16, "PER"), Entity(21, 25, "ORG", 0.5)], id=7, fields={"a": [1]})
    told = Told()
    data = docbin.write_docbin([record], "x", told)
    (doc,) = DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab)
    assert doc.text == text
    assert [(one.text, one.label_, one.start_char) for one in doc.ents] == [
        ("Angela  Merkel", "PER", 2),
        ("U.N.", "ORG", 21),
    ]
    (back,) = docbin.read_docbin(data, "x.spacy", told)
    surfaces = [(one.type, back.text[one.start : one.end]) for one in back.entities or []]
    assert (back.id, back.fields, surfaces) == (7, {"a": [1]}, [("PER", "Angela  Merkel"), ("ORG", "U.N.")])
    assert {kind: one.count for kind, one in told.left.items()} == {"scores have no place in this format": 1}
    with pytest.raises(BadData, match="no readable DocBin"):
        docbin.read_docbin(b"nonsense", "x.spacy", told)


def test_spacy_texts_without_labels_stay_without(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Jim won\n", encoding="utf-8")
    convert(str(tmp_path / "a.txt"), str(tmp_path / "a.spacy"))
    (record,) = docbin.read_docbin((tmp_path / "a.spacy").read_bytes(), "a", Told())
    assert record.entities is None


def test_the_words_and_fields_of_a_column_file_survive(tmp_path: Path) -> None:
    text = "doesn\tO\n't\tO\nlike\tO\nNew York\tB-LOC\n''\tO\n\n"
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    convert(str(tmp_path / "a.conll"), str(tmp_path / "a.spacy"))
    convert(str(tmp_path / "a.spacy"), str(tmp_path / "b.conll"))
    assert (tmp_path / "b.conll").read_text(encoding="utf-8") == text

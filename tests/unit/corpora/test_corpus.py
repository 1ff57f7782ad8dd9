"""Parquet corpora."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tofner.corpora import corpus
from tofner.corpora.examples import MrcExample, Sentence
from tofner.errors import BadData

NER = [Sentence("s:1", ["Ekeus", "met"], ["B-PER", "O"]), Sentence("s:4", ["Iraq"], ["B-LOC"])]
MRC = [MrcExample("q1", "Who?", ["Ekeus", "met"], [0], [1]), MrcExample("s:4#PER", "?", ["Iraq"], [], [], "s:4", "PER")]


def test_round_trips(tmp_path: Path) -> None:
    corpus.write_ner(tmp_path / "deep" / "ner.parquet", NER)
    assert list(corpus.read_ner(tmp_path / "deep" / "ner.parquet")) == NER
    corpus.write_mrc(tmp_path / "mrc.parquet", MRC)
    assert list(corpus.read_mrc(tmp_path / "mrc.parquet")) == MRC
    scored = [Sentence(s.id, s.tokens, s.tags, [0.5] * len(s.tokens)) for s in NER]
    corpus.write_ner(tmp_path / "scored.parquet", scored)
    assert list(corpus.read_ner(tmp_path / "scored.parquet")) == scored
    corpus.write_text(tmp_path / "none.parquet", [])
    assert list(corpus.read_text(tmp_path / "none.parquet")) == []


def test_text_has_no_tags(tmp_path: Path) -> None:
    corpus.write_text(tmp_path / "text.parquet", NER)
    assert pq.read_table(tmp_path / "text.parquet").column_names == ["id", "tokens"]
    assert list(corpus.read_text(tmp_path / "text.parquet")) == [Sentence(s.id, s.tokens) for s in NER]
    with pytest.raises(BadData, match=r"columns \(id, tokens\); expected columns \(id, tokens, tags\)"):
        corpus.read_ner(tmp_path / "text.parquet")


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        corpus.write_mrc(tmp_path / f"{name}.parquet", MRC)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]  # no temporary file


def test_types_are_those_of_datasets(tmp_path: Path) -> None:
    from datasets import Dataset

    corpus.write_mrc(tmp_path / "mrc.parquet", MRC)
    loaded = Dataset.from_parquet(str(tmp_path / "mrc.parquet"), cache_dir=str(tmp_path / "cache"))
    assert loaded.features == corpus.features(corpus.MRC_COLUMNS)
    assert corpus.load(tmp_path / "mrc.parquet", corpus.MRC_COLUMNS).features == loaded.features


@pytest.mark.parametrize(
    "bad",
    [
        [Sentence("1", ["a"])],
        [Sentence("1", ["a", "b"], ["O"])],
        [Sentence("1", ["a"], ["O"], [0.5, 0.5])],
        [Sentence("1", ["a"], ["O"], [0.5]), Sentence("2", ["a"], ["O"])],
    ],
)
def test_unequal_lists_are_refused(tmp_path: Path, bad: list[Sentence]) -> None:
    with pytest.raises(ValueError, match="sentence"):
        corpus.write_ner(tmp_path / "x.parquet", bad)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [(0, 3), (1, 1), (-1, 1)])
def test_answers_outside_the_context_are_refused(tmp_path: Path, answer: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="leaves its context"):
        corpus.write_mrc(tmp_path / "x.parquet", [MrcExample("q", "?", ["a", "b"], [answer[0]], [answer[1]])])


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no such file"):
        corpus.read_ner(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(BadData, match="no readable Parquet"):
        corpus.read_ner(tmp_path / "x.parquet")
    pq.write_table(pa.table({"id": ["1"], "words": [["a"]]}), tmp_path / "x.parquet")
    with pytest.raises(BadData, match=r"columns \(id, words\)"):
        corpus.read_ner(tmp_path / "x.parquet")

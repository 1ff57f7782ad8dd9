"""Features lie on disk and corpora are read as they are looked at: what is alive at a time does not grow with them."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_encoder import make_encoder
from tofner.corpora import corpus
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.lazy import Lazy
from tofner.corpora.ner_as_mrc import all_as_mrc, ner_to_mrc
from tofner.errors import BadData
from tofner.settings import Mlm, Mrc
from tofner.training import checkpoint
from tofner.training.batches import ENCODED_TOGETHER, FeatureFile
from tofner.training.mlm import mask_examples
from tofner.training.mrc import span_examples
from tofner.training.ner import tag_examples
from tofner.words.features import IGNORED

MANY = 5 * ENCODED_TOGETHER
MOST = 2 * ENCODED_TOGETHER + 10  # a chunk at work and one that is just being let go
LABELS = ["O", "B-PER", "I-PER"]


class Words(list[str]):
    """A list that can be watched."""


class Watched:
    """Makes sentences and counts how many of them are alive."""

    def __init__(self) -> None:
        self.alive = self.most = 0

    def __call__(self, i: int) -> Words:
        words = Words(["Anna", "Berg", "in", f"{i % 7}"])
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(words, self._gone)
        return words

    def _gone(self) -> None:
        self.alive -= 1

    def sentences(self, size: int) -> Lazy[Any]:
        return Lazy(size, self, lambda: map(self, range(size)))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return checkpoint.piece_encoder(make_encoder(tmp_path_factory.mktemp("encoder")))


def test_ner_holds_no_more_sentences_than_are_encoded_together(encoder: Any) -> None:
    watched = Watched()
    tags = Lazy(MANY, lambda i: ["B-PER", "I-PER", "O", "O"], lambda: ([*LABELS[1:], "O", "O"] for _ in range(MANY)))
    examples, counts = tag_examples(encoder, watched.sentences(MANY), tags, LABELS, 32, 8)
    assert counts["windows"] == len(examples) == MANY
    assert watched.most <= MOST
    assert examples.lengths == [example["input_ids"].size for example in (examples[i] for i in range(MANY))]


def test_mlm_holds_no_more_sentences_than_are_encoded_together(encoder: Any) -> None:
    watched = Watched()
    examples, _ = mask_examples(encoder, watched.sentences(MANY), Mlm(max_pieces=32), 100, 1, 3)
    assert len(examples) == 3 * MANY
    assert watched.most <= MOST
    assert examples.lengths is not None
    assert [examples[i]["input_ids"].size for i in (0, 1, 2, 3, 3 * MANY - 1)] == [
        examples.lengths[i] for i in (0, 1, 2, 3, 3 * MANY - 1)
    ]


def test_mrc_holds_no_more_questions_than_are_encoded_together(encoder: Any) -> None:
    watched = Watched()

    def questions() -> Iterator[MrcExample]:
        for i in range(MANY):
            yield MrcExample(str(i), "Who is it ?", watched(i), [0], [2])

    examples, counts = span_examples(encoder, questions(), Mrc(learning_rate=1e-3, max_pieces=40, overlap_pieces=8))
    assert counts["windows"] == len(examples) == MANY
    assert watched.most <= MOST
    assert sum(int((examples[i]["starts"] == 1).sum()) for i in range(0, MANY, 97)) == len(range(0, MANY, 97))


def test_features_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        {"input_ids": np.arange(n, dtype=np.int32), "labels": np.full(n, IGNORED, np.int32)}
        for n in (3, 1, 40, 7) * 700
    ]
    table = FeatureFile(iter(rows), ("input_ids", "labels"))
    assert len(table) == len(rows)
    for i, row in enumerate(rows):
        found = table[i]
        assert found.keys() == row.keys()
        assert all(found[name].dtype == np.int32 and (found[name] == row[name]).all() for name in row)


def test_two_files_of_features_do_not_meet() -> None:
    first, second = (FeatureFile(iter([{"input_ids": np.full(5, n, np.int32)}]), ("input_ids",)) for n in (1, 2))
    assert (first[0]["input_ids"].tolist(), second[0]["input_ids"].tolist()) == ([1] * 5, [2] * 5)


def test_no_feature_is_no_row() -> None:
    assert len(FeatureFile(iter([]), ("input_ids",))) == 0


def test_what_is_wrong_with_the_data_comes_out_as_it_is() -> None:
    def rows() -> Iterator[dict[str, np.ndarray]]:
        yield {"input_ids": np.zeros(1, np.int32)}
        raise BadData("a sentence that cannot be used")

    with pytest.raises(BadData, match="a sentence that cannot be used"):
        FeatureFile(rows(), ("input_ids",))


def test_a_corpus_is_mapped_and_read_in_order(tmp_path: Path) -> None:
    sentences = [Sentence(str(i), ["word", str(i)], ["O", "B-PER"]) for i in range(2 * corpus.READ_ROWS + 5)]
    corpus.write_ner(tmp_path / "a.parquet", iter(sentences))
    found = corpus.read_ner(tmp_path / "a.parquet")
    assert list(found) == sentences
    assert [found[i] for i in (0, corpus.READ_ROWS, -1)] == [sentences[i] for i in (0, corpus.READ_ROWS, -1)]
    assert corpus.load(tmp_path / "a.parquet", corpus.NER_COLUMNS).cache_files  # on disk, not in memory
    corpus.write_ner(tmp_path / "a.parquet", sentences[:3])
    assert list(corpus.read_ner(tmp_path / "a.parquet")) == sentences[:3]


def test_entities_become_questions_sentence_by_sentence() -> None:
    queries = {"PER": "Who?", "LOC": "Where?"}
    sentences = [Sentence(str(i), ["Anna", "in", "Oslo"], ["B-PER", "O", "B-LOC"]) for i in range(4)]
    found = all_as_mrc(sentences, queries)
    expected = [example for sentence in sentences for example in ner_to_mrc(sentence, queries)]
    assert list(found) == expected
    assert [found[i] for i in range(len(found))] == expected

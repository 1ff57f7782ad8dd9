"""Pseudo-labels (lines 7, 10 and 17) and scores on the target test (line 20)."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests import tiny_stages as tiny
from tests.tiny_stages import TYPES, Chain, Done, corpora, words_of_target
from tofner import storage
from tofner.corpora import conll
from tofner.corpora.corpus import read_ner, write_ner
from tofner.corpora.examples import Sentence
from tofner.training import checkpoint
from tofner.training.ner import predict_tags


def pseudo(done: Done) -> list[Sentence]:
    return read_ner(done.folder / "pseudo_ner.parquet")


def entities(rows: list[list[str]]) -> Counter[str]:
    return Counter(tag[2:] for tags in rows for tag in tags if tag.startswith("B-"))


def test_all_target_text_is_labelled_by_the_tagger(chain: Chain) -> None:
    model, labels, _ = checkpoint.load_trained_tagger(chain.ner.folder)
    words = words_of_target()
    expected = predict_tags(model, checkpoint.piece_encoder(chain.ner.folder), words, labels, 48, 8)
    found = pseudo(chain.labels)
    assert [s.tokens for s in found] == words
    assert [s.tags for s in found] == [t.tags for t in expected]
    for sentence, tagging in zip(found, expected, strict=True):
        np.testing.assert_allclose(sentence.scores, tagging.scores, atol=1e-5)  # type: ignore[arg-type]


def test_labels_are_counted_by_type(chain: Chain) -> None:
    counts, found = chain.labels.counts, pseudo(chain.labels)
    types = entities([s.tags or [] for s in found])
    assert set(types) == set(TYPES)
    assert {name: n for name, n in counts.items() if name.startswith("entities_")} == {
        f"entities_{type_}": n for type_, n in types.items()
    }
    assert counts["entities"] == types.total()
    assert (counts["sentences"], counts["dropped_sentences"]) == (tiny.TARGET, 0)
    scores = [score for s in found for score in s.scores or []]
    assert chain.labels.report["metrics"]["mean_score"] == pytest.approx(np.mean(scores), rel=1e-5)


def test_a_threshold_drops_sentences_by_their_least_certain_word(chain: Chain) -> None:
    whole = pseudo(chain.labels)
    lowest = {s.id: min(s.scores or []) for s in whole}
    threshold = float(np.quantile(list(lowest.values()), 0.7))
    kept = [s.id for s in whole if lowest[s.id] >= threshold]
    assert kept != [s.id for s in whole if np.mean(s.scores or []) >= threshold]
    overrides = (f"stages.pseudo_label.threshold={threshold!r}",)
    done = chain.do("pseudo_label", overrides, corpora=chain.prepare.uri, model=chain.ner.uri)
    assert [s.id for s in pseudo(done)] == kept
    assert (done.counts["sentences"], done.counts["dropped_sentences"]) == (len(kept), tiny.TARGET - len(kept))
    assert done.counts["entities"] == entities([s.tags or [] for s in pseudo(done)]).total()


def test_a_threshold_above_all_is_an_error(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chain.do(
            "pseudo_label",
            ("stages.pseudo_label.threshold=0.999999",),
            corpora=chain.prepare.uri,
            model=chain.ner.uri,
        )
    assert "lower stages.pseudo_label.threshold" in capsys.readouterr().err


@pytest.fixture(scope="module")
def judged(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, list[list[str]], list[list[str]]]:
    """An evaluation whose gold is the tagger's own output with known mistakes: the report, gold and predicted tags."""
    model, labels, _ = checkpoint.load_trained_tagger(chain.ner.folder)
    words = words_of_target()[:20]
    found = predict_tags(model, checkpoint.piece_encoder(chain.ner.folder), words, labels, 48, 8)
    predicted = [t.tags for t in found]
    gold = [list(tags) for tags in predicted]
    changed = 0
    for tags in gold[:8]:  # another type, the same ends
        if any(tag.endswith("PER") for tag in tags):
            tags[:] = [tag.replace("PER", "ORG") for tag in tags]
            changed += 1
    assert changed
    for tags in gold[8:12]:  # an entity that the tagger misses
        at = next(i for i, tag in enumerate(tags) if tag == "O" and not [*tags, "O"][i + 1].startswith("I"))
        tags[at] = "B-LOC"
    root = tmp_path_factory.mktemp("gold")
    (root / "made").mkdir()
    write_ner(
        root / "made" / "target_test.parquet",
        [Sentence(str(i), w, t) for i, (w, t) in enumerate(zip(words, gold, strict=True))],
    )
    storage.store_folder(root / "made", str(root / "stored"))
    return chain.do("evaluate", gold=str(root / "stored"), model=chain.ner.uri), gold, predicted


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    found = set()
    for i, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = next((k for k in range(i + 1, len(tags)) if not tags[k].startswith("I-")), len(tags))
            found.add((i, end, tag[2:]))
    return found


def test_scores_are_those_of_sets_of_spans(judged: tuple[Done, list[list[str]], list[list[str]]]) -> None:
    done, gold_tags, predicted_tags = judged
    gold = [(i, *span) for i, tags in enumerate(gold_tags) for span in spans(tags)]
    predicted = [(i, *span) for i, tags in enumerate(predicted_tags) for span in spans(tags)]
    metrics = done.report["metrics"]
    right = len(set(gold) & set(predicted))
    assert metrics["precision"] == pytest.approx(right / len(predicted))
    assert metrics["recall"] == pytest.approx(right / len(gold))
    assert metrics["f1"] == pytest.approx(2 * right / (len(gold) + len(predicted)))
    untyped = len({row[:3] for row in gold} & {row[:3] for row in predicted})
    assert metrics["span_f1"] == pytest.approx(2 * untyped / (len(gold) + len(predicted)))
    assert metrics["span_f1"] > metrics["f1"] + 0.05
    by_type = []
    for type_ in TYPES:
        sides = [{row for row in side if row[3] == type_} for side in (gold, predicted)]
        by_type.append(2 * len(sides[0] & sides[1]) / (len(sides[0]) + len(sides[1])))
        assert metrics[f"f1_{type_}"] == pytest.approx(by_type[-1])
    assert metrics["macro_f1"] == pytest.approx(np.mean(by_type))
    assert done.counts["entities"] == len(gold)
    matrix = np.array(done.report["confusion"]["matrix"])
    assert done.report["confusion"]["labels"] == [*TYPES, "none"]
    assert np.trace(matrix) == right
    assert matrix[:-1].sum() == len(gold)
    assert matrix[:, :-1].sum() == len(predicted)
    assert len(done.report["details"]["errors"]) == sum(a != b for a, b in zip(gold_tags, predicted_tags, strict=True))


def test_the_test_set_is_tagged_and_written(chain: Chain) -> None:
    model, labels, _ = checkpoint.load_trained_tagger(chain.ner.folder)
    words = [tokens for tokens, _ in corpora()["tgt/test"]]
    expected = predict_tags(model, checkpoint.piece_encoder(chain.ner.folder), words, labels, 48, 8)
    written = conll.read(str(Path(chain.scores.uri) / "predicted.conll"), raw=True)
    assert [s.tokens for s in written.sentences] == words
    assert [s.tags for s in written.sentences] == [t.tags for t in expected]
    assert chain.scores.counts["sentences"] == tiny.TEST
    assert chain.scores.counts["orphan_tags"] == sum(t.orphans for t in expected)

"""Class priors corrected: what is exported, scored and judged is one tagger."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from tests.tiny_stages import Chain, Done, corpora, words_of_target
from tofner.corpora import conll
from tofner.corpora.corpus import read_ner
from tofner.words.priors import estimate

EM = ("stages.export.priors=em", "stages.export.int8=false")


def logits_of(folder: Path, words: list[str]) -> np.ndarray:
    """Of each word's first piece, by transformers: float64 [words, labels]."""
    read = AutoTokenizer.from_pretrained(folder)(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        logits = AutoModelForTokenClassification.from_pretrained(folder).eval()(**read).logits[0].double().numpy()
    places = read.word_ids()
    return logits[[places.index(w) for w in range(len(words))]]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def added(chain: Chain) -> np.ndarray:
    """The bias by hand: labels of the source counted, soft outputs on the target, EM."""
    labels = chain.ner.labels
    tags = Counter(tag for one in read_ner(chain.prepare.folder / "source_ner.parquet") for tag in one.tags or [])
    counts = np.array([tags[label] + 1 for label in labels])
    logits = np.concatenate([logits_of(chain.ner.folder, words) for words in words_of_target()])
    soft = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    source = counts / counts.sum()
    return np.log(estimate(soft, source).target / source)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def exported(chain: Chain) -> Done:
    return chain.do("export", EM, corpora=chain.prepare.uri, model=chain.ner.uri)


def test_checkpoint_and_graph_have_the_bias_and_nothing_else(chain: Chain, exported: Done, added: np.ndarray) -> None:
    assert np.abs(added).max() > 0.3
    before = AutoModelForTokenClassification.from_pretrained(chain.ner.folder).state_dict()
    after = AutoModelForTokenClassification.from_pretrained(exported.folder / "checkpoint").state_dict()
    assert before.keys() == after.keys()
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    assert changed == ["classifier.bias"]
    np.testing.assert_allclose((after["classifier.bias"] - before["classifier.bias"]).numpy(), added, atol=2e-4)
    words = words_of_target()[0]
    told = {"is_split_into_words": True, "return_tensors": "np", "return_token_type_ids": True}
    read = AutoTokenizer.from_pretrained(chain.ner.folder)(words, **told)
    session = onnxruntime.InferenceSession(str(exported.folder / "model.onnx"))
    (logits,) = session.run(None, {one.name: read[one.name].astype(np.int64) for one in session.get_inputs()})
    first = [read.word_ids().index(w) for w in range(len(words))]
    np.testing.assert_allclose(logits[0][first], logits_of(chain.ner.folder, words) + added, atol=1e-3)


def test_what_was_estimated_is_told(chain: Chain, exported: Done, added: np.ndarray) -> None:
    rows = exported.report["details"]["priors"]
    assert [row["label"] for row in rows] == chain.ner.labels
    np.testing.assert_allclose([row["bias"] for row in rows], added, atol=2e-4)
    assert sum(row["target"] for row in rows) == pytest.approx(1)
    assert exported.counts["priors_words"] == sum(map(len, words_of_target()))


def test_priors_are_left_alone_unless_asked_for(chain: Chain) -> None:
    plain = chain.do("export", EM[1:], corpora=chain.prepare.uri, model=chain.ner.uri)
    weights = [folder / "model.safetensors" for folder in (plain.folder / "checkpoint", chain.ner.folder)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert "priors" not in plain.report["details"]
    assert "raw_f1" not in chain.scores.report["metrics"]


def test_scores_are_of_the_tagger_that_is_exported(chain: Chain, exported: Done, added: np.ndarray) -> None:
    given = {"gold": chain.gold.uri, "model": chain.ner.uri, "corpora": chain.prepare.uri}
    scored = chain.do("evaluate", EM, **given)
    labels = chain.ner.labels
    expected = []
    for words, _ in corpora()["tgt/test"]:
        tags = [labels[i] for i in (logits_of(chain.ner.folder, words) + added).argmax(1)]
        for i, tag in enumerate(tags):
            orphan = tag.startswith("I-") and (tags[i - 1] if i else "O")[2:] != tag[2:]
            tags[i] = f"B-{tag[2:]}" if orphan else tag
        expected.append(tags)
    found, plain = (conll.read(f"{one.uri}/predicted.conll", raw=True).sentences for one in (scored, chain.scores))
    assert [one.tags for one in found] == expected
    assert expected != [one.tags for one in plain]
    assert scored.report["metrics"]["raw_f1"] == chain.scores.report["metrics"]["f1"]
    assert f"without it F1 {100 * chain.scores.report['metrics']['f1']:.2f}" in scored.report["summary"]


def test_the_gate_judges_a_tagger_as_it_is_exported_and_a_published_one_as_it_is(chain: Chain, exported: Done) -> None:
    given = {"corpora": chain.prepare.uri, "gold": chain.gold.uri}
    before = chain.do("judge", (), model=chain.ner.uri, **given)
    candidate = chain.do("judge", EM, model=chain.ner.uri, **given)
    champion = chain.do("judge", EM, model=f"{exported.uri}/checkpoint", **given)
    names = ("source_ner_dev.parquet", "target_text.parquet")
    assert all((candidate.folder / n).read_bytes() == (champion.folder / n).read_bytes() for n in names)
    assert (candidate.folder / names[1]).read_bytes() != (before.folder / names[1]).read_bytes()


def test_fewer_sentences_are_drawn_where_told_so(chain: Chain) -> None:
    few = chain.do("export", (*EM, "stages.export.priors_sentences=9"), corpora=chain.prepare.uri, model=chain.ner.uri)
    words = [len(words) for words in words_of_target()]
    assert 0 < few.counts["priors_words"] <= sum(sorted(words)[-9:])

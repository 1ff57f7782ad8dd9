"""Words that two teachers label differently: found when the target is labelled, left out when it is learned from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from tests.tiny_stages import QUERIES, TYPES, Chain, Done, words_of_target
from tofner.corpora.corpus import read_ner, write_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadData, BadSettings
from tofner.stages.believed import read_believed
from tofner.stages.pseudo_label import _alarm
from tofner.stages.work import Report
from tofner.training import checkpoint
from tofner.training.mrc import load_extractor
from tofner.words.features import IGNORED

AGREE = ("stages.pseudo_ner.trust=agree", "stages.loop_mrc.trust=agree")


@pytest.fixture(scope="module")
def labels(chain: Chain) -> Done:
    """Labels of a tagger that is not sure of everything, and what the MRC model says."""
    return chain.do("pseudo_label", AGREE, corpora=chain.prepare.uri, model=chain.ner.uri, mrc=chain.mrc.uri)


def entity(tag: str) -> str:
    return tag.partition("-")[2]


def doubted(labels: Done) -> list[list[bool]]:
    """By the two files alone: words of which one says another type than the other, or O."""
    files = [read_ner(labels.folder / f"{name}.parquet") for name in ("pseudo_ner", "second_opinion")]
    pairs = [(a.tags or [], b.tags or []) for a, b in zip(*files, strict=True)]
    return [[entity(x) != entity(y) for x, y in zip(a, b, strict=True)] for a, b in pairs]


def test_the_second_opinion_is_the_answers_of_the_mrc_model(chain: Chain, labels: Done) -> None:
    """A question and a sentence at a time, encoded by transformers, decoded here: from each start to the next end."""
    model, _ = load_extractor(chain.mrc.folder, 1)
    tokenizer = AutoTokenizer.from_pretrained(chain.mrc.folder)
    found = 0
    opinion = read_ner(labels.folder / "second_opinion.parquet")
    assert [one.tokens for one in opinion] == words_of_target()
    for one in opinion:
        expected = ["O"] * len(one.tokens)
        for type_ in TYPES:
            both = (QUERIES["es"][type_].split(), one.tokens)
            read = tokenizer(*both, is_split_into_words=True, return_tensors="pt", return_token_type_ids=True)
            with torch.no_grad():
                output = model(**{name: read[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
            place = [w if s == 1 else None for w, s in zip(read.word_ids(), read.sequence_ids(), strict=True)]
            first = [place.index(w) for w in range(len(one.tokens))]
            last = [len(place) - 1 - place[::-1].index(w) for w in range(len(one.tokens))]
            begins = [w for w, at in enumerate(first) if output["start"][0, at].softmax(-1)[1] > 0.5]
            ends = [w for w, at in enumerate(last) if output["end"][0, at].softmax(-1)[1] > 0.5]
            for start, following in zip(begins, [*begins[1:], len(one.tokens)], strict=True):
                end = next((e for e in ends if start <= e < following), None)
                if end is not None and set(expected[start : end + 1]) == {"O"}:
                    expected[start : end + 1] = [f"B-{type_}"] + [f"I-{type_}"] * (end - start)
        assert one.tags == expected
        found += sum(tag.startswith("B-") for tag in expected)
    assert labels.counts["mrc_entities"] == found > 0


def test_the_tagger_s_labels_stay_as_they_are(chain: Chain, labels: Done) -> None:
    mine, plain = (one.folder / "pseudo_ner.parquet" for one in (labels, chain.labels))
    assert mine.read_bytes() == plain.read_bytes()
    assert not (chain.labels.folder / "second_opinion.parquet").exists()


def test_the_share_that_is_doubted_is_told(labels: Done) -> None:
    words = [word for row in doubted(labels) for word in row]
    assert 0 < sum(words) < len(words)
    assert (labels.counts["words"], labels.counts["doubted_words"]) == (len(words), sum(words))
    assert labels.report["metrics"]["doubted"] == pytest.approx(np.mean(words))
    assert f"{100 * np.mean(words):.2f} % of the words have another label" in labels.report["summary"]


def test_the_tagger_learns_from_words_that_both_believe(chain: Chain, labels: Done) -> None:
    inputs = {"corpora": chain.prepare.uri, "model": chain.ner.uri, "pseudo": labels.uri, "head": chain.ner.uri}
    trusting, every = chain.do("pseudo_ner", AGREE, **inputs), chain.pseudo_ner
    words, out = sum(map(len, doubted(labels))), sum(map(sum, doubted(labels)))
    counted = [sum(int((row["labels"] != IGNORED).sum()) for row in one.began.examples) for one in (every, trusting)]
    assert counted == [words, words - out]
    assert (trusting.counts["words"], trusting.counts["left_out_words"]) == (words, out)
    assert trusting.report["metrics"]["left_out"] == pytest.approx(out / words)
    assert f"{100 * out / words:.2f} % of the words were not trusted" in trusting.report["summary"]
    assert "left_out" not in every.report["metrics"]
    tokenizer = AutoTokenizer.from_pretrained(chain.ner.folder)
    ids = {name: i for i, name in enumerate(chain.ner.labels)}
    at = {tuple(tokenizer(one, is_split_into_words=True)["input_ids"]): i for i, one in enumerate(words_of_target())}
    tags = [one.tags or [] for one in read_ner(labels.folder / "pseudo_ner.parquet")]
    for row in trusting.began.examples:
        i = at[tuple(row["input_ids"].tolist())]
        expected = [IGNORED if out else ids[tag] for tag, out in zip(tags[i], doubted(labels)[i], strict=True)]
        places = tokenizer(words_of_target()[i], is_split_into_words=True).word_ids()
        assert [row["labels"][places.index(w)] for w in range(len(expected))] == expected


def test_the_mrc_model_learns_from_words_that_both_believe(chain: Chain, labels: Done) -> None:
    inputs = {"corpora": chain.prepare.uri, "model": chain.pseudo_ner.uri, "pseudo": labels.uri, "head": chain.mrc.uri}
    trusting, every = chain.do("loop_mrc", AGREE, **inputs), chain.loop_mrc
    tokenizer = AutoTokenizer.from_pretrained(chain.mrc.folder)
    plain = {tuple(row["input_ids"].tolist()): row for row in every.began.examples}
    rows = {tuple(row["input_ids"].tolist()): row for row in trusting.began.examples}
    seen = 0
    for sentence, out in zip(words_of_target(), doubted(labels), strict=True):
        for query in QUERIES["es"].values():
            read = tokenizer(query.split(), sentence, is_split_into_words=True)
            key = tuple(read["input_ids"])
            words = [w if s == 1 else None for w, s in zip(read.word_ids(), read.sequence_ids(), strict=True)]
            for name in ("starts", "ends"):
                expected = [
                    IGNORED if w is None or out[w] else label for w, label in zip(words, plain[key][name], strict=True)
                ]
                assert key in rows or set(expected) == {IGNORED}
                if key in rows:
                    assert rows[key][name].tolist() == expected
                    seen += any(out)
    assert seen


def test_labels_without_an_opinion_are_an_error(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        chain.do(
            "pseudo_ner", AGREE, corpora=chain.prepare.uri, model=chain.ner.uri, pseudo=chain.labels.uri,
            head=chain.ner.uri,
        )  # fmt: skip
    assert "second_opinion.parquet" in capsys.readouterr().err


def test_an_mrc_model_that_is_silent_stops_the_run(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but O would be learned."""

    def silent(model: object, encoder: object, sentences: list[Sentence], *rest: object) -> list[list[str]]:
        return [["O"] * len(one.tokens) for one in sentences]

    monkeypatch.setattr("tofner.stages.pseudo_label.predict_by_questions", silent)
    given = {"corpora": chain.prepare.uri, "model": chain.ner.uri, "mrc": chain.mrc.uri}
    with pytest.raises(SystemExit, match="2"):
        chain.do("pseudo_label", (*AGREE, "stages.pseudo_label.batch_size=9"), **given)
    named = sum(tag != "O" for one in read_ner(chain.labels.folder / "pseudo_ner.parquet") for tag in one.tags or [])
    assert f"found no word of the {named} that the tagger calls entities; expected some" in capsys.readouterr().err


def test_an_mrc_model_that_says_little_is_told_of(labels: Done) -> None:
    rows = read_ner(labels.folder / "pseudo_ner.parquet"), doubted(labels)
    pairs = [(tag, out) for one, row in zip(*rows, strict=True) for tag, out in zip(one.tags or [], row, strict=True)]
    named, believed = (sum(tag != "O" for tag, out in pairs if not out or every) for every in (True, False))
    assert (labels.counts["entity_words"], labels.counts["believed_entity_words"]) == (named, believed)
    report = Report()
    _alarm(20, 100, report)
    assert report.notes == []
    _alarm(19, 100, report)
    assert report.notes[0].startswith("the MRC model agrees on 19 of 100 words that the tagger calls entities")


def test_without_an_mrc_model_nobody_can_agree(chain: Chain) -> None:
    with pytest.raises(BadSettings) as refused:
        chain.planned("use.mrc=false", *AGREE)
    assert [one.place for one in refused.value.problems] == ["stages.pseudo_ner.trust", "stages.loop_mrc.trust"]
    assert "found agree with use.mrc=false" in str(refused.value)
    chain.planned("use.mrc=false", "use.pseudo=false", *AGREE[:1], iterations=0)
    chain.planned("use.mrc=false")


TOKENS = ["a", "b", "c"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_ner(tmp_path / "pseudo_ner.parquet", [Sentence("1", TOKENS, ["O", "B-PER", "O"], [0.9, 0.6, 0.95])])
    write_ner(tmp_path / "second_opinion.parquet", [Sentence("1", TOKENS, ["O", "B-PER", "B-PER"])])
    return tmp_path


@pytest.mark.parametrize(
    ("trust", "least", "expected"),
    [
        ("all", None, None),
        ("all", 0.7, [True, False, True]),
        ("agree", None, [True, True, False]),
        ("agree", 0.7, [True, False, False]),
    ],
)
def test_agreement_and_scores_are_two_reasons(
    folder: Path, trust: str, least: float | None, expected: list[bool] | None
) -> None:
    (one,) = read_believed(folder, trust, least)
    assert one.trusted == expected
    assert (one.tags, one.tokens) == (["O", "B-PER", "O"], TOKENS)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([], "0 sentences"),
        ([Sentence("2", TOKENS, ["O"] * 3)], "sentence 2"),
        ([Sentence("1", ["a", "x", "c"], ["O"] * 3)], "sentence 1"),
    ],
)
def test_an_opinion_on_other_sentences_is_an_error(folder: Path, others: list[Sentence], found: str) -> None:
    write_ner(folder / "second_opinion.parquet", others)
    with pytest.raises(BadData, match=found):
        list(read_believed(folder, "agree"))


def test_the_score_of_a_word_is_asked_of_the_tagger_alone(chain: Chain) -> None:
    bound = float(
        np.median([s for one in read_ner(chain.labels.folder / "pseudo_ner.parquet") for s in one.scores or []])
    )
    scores = [s for one in read_ner(chain.labels.folder / "pseudo_ner.parquet") for s in one.scores or []]
    done = chain.do(
        "pseudo_ner", (f"stages.pseudo_ner.least_score={bound!r}",), corpora=chain.prepare.uri, model=chain.ner.uri,
        pseudo=chain.labels.uri, head=chain.ner.uri,
    )  # fmt: skip
    assert done.counts["left_out_words"] == sum(score < bound for score in scores) > 0
    assert checkpoint.load_trained_tagger(done.folder)[1] == chain.ner.labels

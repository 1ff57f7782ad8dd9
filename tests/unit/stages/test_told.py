"""What stages say of their work: what was read, sentences to look at, lines for the log; and that it is true."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny_stages as tiny
from tests.tiny_stages import Chain, corpora
from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadInput
from tofner.stages import runtime, sentences, sets
from tofner.stages.pages.lines import lines
from tofner.training import checkpoint
from tofner.training.ner import predict_tags

# What was read


def rows(done: tiny.Done) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["part"], row["set"]): row for row in done.report["details"]["sets"]}


def entities(name: str) -> dict[str, int]:
    """By the label map of the preset: GPE is LOC, MISC is dropped; the one orphan I-ORG is an entity too."""
    tags = [tag for _, tags in corpora()[name] for tag in tags]
    found = Counter(tag[2:].replace("GPE", "LOC") for tag in tags if tag.startswith("B-") and tag != "B-MISC")
    if name == "src/train":
        found["ORG"] += 1
    return dict(found)


@pytest.mark.parametrize(
    ("part", "name"),
    [("source_ner", "src/train"), ("source_ner_dev", "src/dev"), ("translated_ner", "trans/train")],
)
def test_labelled_sets_are_told_by_type(chain: Chain, part: str, name: str) -> None:
    row, items = rows(chain.prepare)[part, name], corpora()[name]
    assert (row["sentences"], row["words"]) == (len(items), sum(len(words) for words, _ in items))
    assert row["entities"] == entities(name)
    mended = {"src/train": {"repaired_tags": 1, "dropped_entities": 1}, "trans/train": {"dropped_entities": 1}}
    assert row["mended"] == mended.get(name, {})


def test_the_test_set_is_told_by_gold_and_by_no_other(chain: Chain) -> None:
    (row,) = rows(chain.gold).values()
    assert (row["part"], row["set"], row["entities"]) == ("target_test", "tgt/test", entities("tgt/test"))
    total = sum(entities("tgt/test").values())
    assert chain.gold.report["summary"] == f"{tiny.TEST} test sentences with {total} entities"
    assert not any("tgt/test" in key for key in rows(chain.prepare))


def test_text_and_questions_are_told(chain: Chain) -> None:
    told = rows(chain.prepare)
    words = sum(len(words) for words, _ in corpora()["tgt/dev"])
    text = told["target_text", "tgt/dev"]
    assert (text["sentences"], text["words"], text["entities"]) == (tiny.TARGET_DEV, words, {})
    asked = told["target_mrc", "tgt-qa/train"]
    assert [asked[name] for name in ("sentences", "questions", "answers")] == [tiny.TARGET_QUESTIONS] * 3
    assert len(told) == 9


def test_sentences_that_two_sets_share_are_counted() -> None:
    first = [Sentence("1", ["a", "b"]), Sentence("2", ["c"])]
    second = [Sentence("3", ["c"]), Sentence("4", ["a"]), Sentence("5", ["c"]), Sentence("6", ["b", "a"])]
    assert sets.overlap("x", first, "y", second) == {"first": "x", "second": "y", "shared": 2, "of": 4}


def test_target_text_is_compared_with_source_text(chain: Chain) -> None:
    told = {(row["first"], row["second"]): row for row in chain.prepare.report["details"]["overlaps"]}
    text = told["source_text", "target_text"]
    assert (text["shared"], text["of"]) == (0, tiny.TARGET)
    assert ("source_ner", "source_ner_dev") in told
    assert ("target_mrc", "target_mrc_dev") in told


# Sentences to look at


def labelled(count: int) -> list[Sentence]:
    """The i-th has an entity of two words, and its least certain word has probability (i + 1) / 1000."""
    tags = ["O", "B-PER", "I-PER"]
    return [Sentence(str(i), ["w", f"a{i}", "b"], tags, [(i + 1) / 1000, 0.5, 0.7]) for i in range(count)]


def test_sentences_are_drawn_from_every_degree_of_certainty() -> None:
    shuffled = [*labelled(400)[::-1], Sentence("none", ["x"], ["O"], [0.0001])]
    found = sentences.drawn(shuffled, 20, 7)
    assert [round(one["certainty"] * 1000 - 1) // 20 for one in found] == list(range(20))
    assert found == sentences.drawn(shuffled, 20, 7)
    assert found != sentences.drawn(shuffled, 20, 8)
    assert found[3]["spans"] == [[1, 3, "PER"]]
    assert found[3]["scores"] == [0.6]


def test_fewer_sentences_are_all_shown_and_without_entities_any() -> None:
    assert [one["tokens"][1] for one in sentences.drawn(labelled(3), 20, 7)] == ["a0", "a1", "a2"]
    plain = [Sentence("1", ["x"], ["O"], [0.5])]
    assert sentences.drawn(plain, 20, 7) == [{"tokens": ["x"], "spans": [], "scores": [], "certainty": 0.5}]


def test_changed_words_are_counted_over_sentences_of_both_rounds() -> None:
    before = [Sentence("1", ["a", "b"], ["O", "B-PER"]), Sentence("gone", ["z"], ["O"])]
    now = [Sentence("new", ["q"], ["B-LOC"]), Sentence("1", ["a", "b"], ["O", "B-ORG"])]
    assert sentences.changed_words(before, now) == 0.5
    assert sentences.changed_words(before, now[:1]) is None


def test_labels_are_compared_with_those_before_and_stay_what_they_are(chain: Chain, tmp_path: Path) -> None:
    earlier = read_ner(chain.labels.folder / "pseudo_ner.parquet")
    again = chain.do("pseudo_label", corpora=chain.prepare.uri, model=chain.ner.uri, earlier=chain.labels.uri)
    assert again.digest == chain.labels.digest
    assert again.report["metrics"]["changed_words"] == 0.0
    assert "changed_words" not in chain.labels.report["metrics"]
    assert len(again.report["details"]["examples"]) == 20
    other = chain.do("ner", corpora=chain.prepare.uri, model=chain.mlm.uri)
    last = chain.do("pseudo_label", corpora=chain.prepare.uri, model=other.uri, earlier=chain.labels.uri)
    now = read_ner(last.folder / "pseudo_ner.parquet")
    pairs = [(a, b) for x, y in zip(earlier, now, strict=True) for a, b in zip(x.tags or [], y.tags or [], strict=True)]
    share = np.mean([a != b for a, b in pairs])
    assert 0 < share < 1
    assert last.report["metrics"]["changed_words"] == pytest.approx(share)
    assert f"{100 * share:.2f} % of the words" in last.report["summary"]


def test_wrong_sentences_carry_the_probability_of_what_was_found(chain: Chain) -> None:
    model, labels, _ = checkpoint.load_trained_tagger(chain.ner.folder)
    words = [tokens for tokens, _ in corpora()["tgt/test"]]
    expected = predict_tags(model, checkpoint.piece_encoder(chain.ner.folder), words, labels, 48, 8)
    scores = {tuple(tokens): tagging.scores for tokens, tagging in zip(words, expected, strict=True)}
    shown = chain.scores.report["details"]["errors"]
    assert any(one["predicted"] for one in shown)
    for one in shown:
        means = [np.mean(scores[tuple(one["tokens"])][start:end]) for start, end, _ in one["predicted"]]
        assert one["scores"] == pytest.approx(means, abs=1e-4)
        assert one["gold"] != one["predicted"]


def test_so_many_wrong_sentences_are_shown_and_no_right_one() -> None:
    gold = [Sentence(str(i), ["a"], ["B-PER"]) for i in range(5)]
    found = [["O"], ["B-PER"], ["B-ORG"], ["O"], ["O"]]
    shown = sentences.wrong(gold, found, [[0.5]] * 5, 3)
    assert [one["predicted"] for one in shown] == [[], [[0, 1, "ORG"]], []]
    assert [one["scores"] for one in shown] == [[], [0.5], []]


# Training


@pytest.mark.parametrize("task", ["mlm", "mrc", "ner"])
def test_training_tells_its_curves(chain: Chain, task: str) -> None:
    report = getattr(chain, task).report
    history, metrics = report["details"]["training"], report["metrics"]
    assert len(history["score"]) == metrics["epochs"]
    assert dict(map(tuple, history["score"]))[metrics["best_epoch"]] == metrics["score"]
    assert history["loss"][-1][0] <= history["steps"]
    assert f"best epoch {metrics['best_epoch']:g} of {metrics['epochs']:g}" in report["summary"]


# Lines


def test_a_report_is_told_in_plain_lines() -> None:
    report = {
        "stage": "ner",
        "metrics": {"f1": 0.5, "score": 0.5},
        "counts": {"dropped_sentences": 3},
        "confusion": {"labels": ["PER", "none"], "matrix": [[7, 1], [12, 0]]},
        "notes": ["a note"],
        "details": {
            "sets": [
                {"part": "source_ner", "set": "a/train", "sentences": 20, "words": 1234, "questions": 0, "answers": 0,
                 "entities": {"PER": 4}, "mended": {"repaired_tags": 1}},
                {"part": "target_mrc", "set": "b/train", "sentences": 3, "words": 40, "questions": 5, "answers": 6,
                 "entities": {}, "mended": {}},
            ],
            "overlaps": [{"first": "x", "second": "y", "shared": 2, "of": 4},
                         {"first": "v", "second": "w", "shared": 0, "of": 0}],
            "training": {"loss": [[i, 1 / i] for i in range(1, 30)], "score": [[1.0, 0.25], [2.0, 0.5]], "steps": 29,
                         "seconds": 2.0, "examples_per_second": 10.0},
            "scores": {"types": {"PER": {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 8}},
                       **{name: {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 8}
                          for name in ("micro", "macro", "spans")}},
            "sizes": {"model.onnx": 1000, "a": 5},
            "int8": "int8 is not published",
            "errors": [{"tokens": ["secret", "words"]}],
        },
        "summary": "it went well",
    }  # fmt: skip
    assert lines(report) == [
        "part        set      sentences  words  questions  holds",
        "source_ner  a/train         20   1234          0  PER 4, repaired tags 1",
        "target_mrc  b/train          3     40          5  answers 6",
        "2 of 4 in y stand in x too",
        "loss by step: 1 1.0000, 5 0.2000, 9 0.1111, 13 0.0769, 17 0.0588, 21 0.0476, 25 0.0400, 29 0.0345",
        "F1 on held-out sentences by epoch: 1 0.2500, 2 0.5000",
        "29 steps, 2.0 s, 10.0 examples a second",
        "type      precision     recall         f1  entities",
        "PER          100.00      50.00      66.67         8",
        "micro          0.00       0.00       0.00         8",
        "macro          0.00       0.00       0.00         8",
        "any type       0.00       0.00       0.00         8",
        "file        bytes",
        "a               5",
        "model.onnx   1000",
        "int8 is not published",
        "found      PER  none",
        "gold PER     7     1",
        "gold none   12     0",
        "dropped sentences 3",
        "f1 0.5",
        "note: a note",
        "it went well",
    ]


@pytest.mark.parametrize("task", ["prepare", "gold", "mlm", "mrc", "ner", "labels", "scores", "pseudo_ner", "loop_mrc"])
def test_every_stage_ends_its_log_with_a_summary(chain: Chain, task: str) -> None:
    """And no line looks like one of an error, since run pages colour those."""
    report = getattr(chain, task).report
    told = lines(report)
    assert len(told) > 2
    assert told[-1] == report["summary"] != ""
    assert not [line for line in told if "error" in line.lower() or "fail" in line.lower()]
    assert not any("@x" in line or "hate" in line for line in told), "a log holds no sentence"


def test_a_reused_result_is_told_too(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    first = chain.gold
    capsys.readouterr()
    runtime.execute("gold", str(chain.root / "store"), chain.plan.settings["gold"], {"data": str(chain.data)})
    told = capsys.readouterr().err.splitlines()
    *before, summary = lines(first.report)
    assert told == [*(f"  {line}" for line in before), f"gold: already done: {summary}, {first.uri}"]


# Numbers


@pytest.mark.parametrize(
    ("report", "place"),
    [
        ({"metrics": {"f1": float("nan")}, "counts": {"a": 1}}, "metrics.f1 nan"),
        ({"metrics": {"f1": 0.5}, "details": {"training": {"loss": [[1, 2.0], [2, float("inf")]]}}}, "loss.1.1 inf"),
    ],
)
def test_a_number_that_is_none_is_an_error_with_its_name(report: dict[str, Any], place: str) -> None:
    with pytest.raises(BadInput, match=place.replace(".", r"\.")):
        runtime.check_finite("ner", report)
    runtime.check_finite("ner", {"metrics": {"f1": 0.5, "loss": -1e30}, "details": {"x": [1, None, "nan"]}})


def test_a_diverged_stage_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tofner.stages.work import Report

    monkeypatch.setattr("tofner.stages.gold.run", lambda config, work: Report({"loss": float("nan")}))
    settings = {
        "code": "c",
        "target_test": ["t/t"],
        "target_dev": [],
        "types": [],
        "label_map": {},
        "data_digest": "r",
    }
    with pytest.raises(SystemExit) as stopped:
        runtime.execute("gold", str(tmp_path), json.dumps(settings), {"data": "d"})
    assert stopped.value.code == 2
    assert "stage gold: found metrics.loss nan" in capsys.readouterr().err
    assert not list(tmp_path.rglob("report.json"))

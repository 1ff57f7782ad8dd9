"""The work of a run's tasks, counted from settings and corpora."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tofner_kubeflow.pipelines.forecast import Corpus, Forecast, told, work


def planned(**changes: Any) -> Any:
    training = {"epochs": 2, "max_train_examples": None, "max_dev_examples": 10}
    tasks = {name: {"training": training} for name in ("mlm", "mrc", "ner", "pseudo_ner", "loop_mrc", "loop_ner")}
    tasks["mlm"] = {"training": {**training, "maskings": 3, "max_train_examples": 50}}
    tasks["ner"] = {"training": training, "labels": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}
    tasks |= {"pseudo_label": {"queries": []}, "loop_label": {"queries": [["PER", "who?"]]}}
    about = {"use_mlm": True, "use_mrc": True, "use_pseudo": True, "order": "mlm-mrc", "iterations": 1, "rounds": 1}
    return SimpleNamespace(settings={name: json.dumps(one) for name, one in tasks.items()}, **{**about, **changes})


def row(part: str, sentences: int, words: int, questions: int = 0) -> dict[str, Any]:
    return {"part": part, "sentences": sentences, "words": words, "questions": questions}


SETS = [
    row("target_text", 60, 600), row("target_text", 40, 400), row("source_ner", 20, 400),
    row("source_ner_dev", 20, 200),
    row("target_mrc", 5, 100, 8), row("source_mrc", 5, 150, 10),
]  # fmt: skip


def test_work_is_words_times_epochs() -> None:
    found = work(planned(), SETS)
    assert found["line 6: ner"] == 2 * (3 * 400 + 100)  # two epochs; ten dev sentences are read after each
    assert found["line 2: mlm"] == 2 * 3 * 3 * (500 + 400)  # three maskings of fifty target and twenty source sentences
    assert found["line 7: label"] == 1000
    assert found["round 1: label"] == 1000 + 2 * (1000 + 10 * 100)  # and two questions of each sentence
    assert found["round 1: ner"] == found["line 9: ner"] == 2 * (3 * 1000 + 100)
    # 8 questions on 20 words and 10 on 30, two on each of 20 sentences of 20 words, each of 10 words; dev likewise.
    assert found["line 4: mrc"] == 2 * (3 * (8 * 30 + 10 * 40 + 40 * 30) + 10 * 20)
    assert found["round 1: mrc"] == 2 * (3 * (8 * 30 + 200 * 20) + 10 * 20)


def test_what_is_off_is_no_work() -> None:
    found = work(planned(use_mrc=False, iterations=0), SETS)
    assert "line 4: mrc" not in found
    assert not [name for name in found if name.startswith("round")]


def test_corpora_add_up_and_are_capped() -> None:
    both = Corpus.of(SETS[:2])
    assert (both.sentences, both.words) == (100, 1000)
    assert both.capped(25).words == 250
    assert both.capped(None) == both.capped(100) == both


def test_without_work_tasks_are_counted() -> None:
    forecast = Forecast(["a", "b", "c", "d"])
    forecast.over("a", 10.0)
    assert (forecast.left_s("b", 0.0, 1.0), forecast.share("b", 0.0, 1.0)) == (None, 0.0)


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0:00"), (59.6, "1:00"), (3661, "1:01:01")])
def test_times(seconds: float, said: str) -> None:
    assert told(seconds) == said

"""`tofner choose`: the formula of its docstring by hand, and the command on a tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny_tagger import publish_tiny
from tofner.cli import app
from tofner.corpora.jsonl import Record
from tofner.errors import BadInput
from tofner.tagging import Tagger
from tofner.tagging.choose import choose, judge, pick, similarity, trigrams

TEXTS = [
    "Merkel met Obama in Berlin .",
    "Ajax said no to New York !",
    "ajax said NO to New York .",
    "the U.N. and Reuters of Madrid",
    "a of the in",
    "Obama is said to have said it to Merkel , in New York and in Berlin",
    "Merkel met Obama in Berlin .",
    "漢字 🙂 Madrid",
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("models")
    return [str(publish_tiny(root / str(seed), seed=seed)) for seed in (0, 5)]


@pytest.fixture(scope="module")
def taggers(models: list[str]) -> list[Tagger]:
    return [Tagger.load(model, threads=1) for model in models]


def plain_scores(taggers: list[Tagger]) -> dict[str, tuple[int, float]]:
    """d and u of each text, a sentence at a time."""
    scores = {}
    for text in TEXTS:
        first, second = (next(iter(tagger.tag_groups([[tagger.words(text)]]))) for tagger in taggers)
        differ = sum(a != b for a, b in zip(first.tags[0], second.tags[0], strict=True))
        scores[text] = (differ, round(1 - min(round(float(p), 4) for p in first.probabilities[0]), 4))
    return scores


def records() -> list[Record]:
    return [Record(text, line=i) for i, text in enumerate(TEXTS, start=1)]


def test_the_least_certain_word_decides(taggers: list[Tagger]) -> None:
    scores = plain_scores(taggers)
    chosen = choose(records(), taggers[0], 3, name="set/posts.txt")
    best = sorted(dict.fromkeys(TEXTS), key=lambda text: (-scores[text][1], TEXTS.index(text)))
    distinct = [text for text in best if text != TEXTS[2 if best.index(TEXTS[1]) < best.index(TEXTS[2]) else 1]]
    assert [one.text for one in chosen] == distinct[:3]
    assert chosen[0].id == f"posts:{TEXTS.index(chosen[0].text) + 1}"
    for one in chosen:
        assert one.fields["reason"].startswith("uncertain: ")
        assert one.fields["reason"].endswith(f" with {1 - scores[one.text][1]:.4g}")
    entities = [(e.start, e.end, e.label, e.score) for e in taggers[0].tag([chosen[0].text])[0]]
    assert [(e.start, e.end, e.type, e.score) for e in chosen[0].entities or []] == entities


def test_disputed_sentences_go_first(taggers: list[Tagger]) -> None:
    scores = plain_scores(taggers)
    chosen = choose(records(), taggers[0], 8, taggers[1])
    assert len({one.text for one in chosen}) == len(chosen) == 7  # the one said twice once
    disputed = [scores[one.text][0] for one in chosen[:6]]
    assert disputed == sorted(disputed, reverse=True)
    assert disputed[0] > 0
    assert chosen[0].fields["reason"].startswith(f"disputed: {disputed[0]} word")


def test_what_is_close_to_a_chosen_one_waits() -> None:
    words = [
        ["good", "morning", "Ajax"],
        ["Good", "MORNING", "Ajax"],
        ["rain"],
        ["good", "morning", "all", "of", "you"],
    ]
    assert pick([0, 1, 2, 3], words, 3) == [0, 2, 3]
    assert pick([1, 0, 2, 3], words, 4) == [1, 2, 3, 0]
    assert trigrams(["Ab", "c"]) == {" ab", "ab ", "b c", " c "}
    assert similarity(trigrams(["ab"]), trigrams(["ac"])) == 0
    assert similarity(frozenset("abc"), frozenset("bcd")) == 0.5


def test_a_sentence_of_certain_words_is_not_uncertain() -> None:
    assert judge(["a", "b"], ["O", "O"], np.array([1.0, 1.0]), ["O", "O"])[0] == 0
    assert judge(["a", "b"], ["O", "B-X"], np.array([0.9, 0.2]), ["B-X", "O"]) == (
        2.8,
        "disputed: 2 words, a is O or B-X",
    )


def test_words_of_their_own_are_kept(taggers: list[Tagger]) -> None:
    record = Record("New York of a", None, [(0, 8), (9, 13)])
    (chosen,) = choose([record], taggers[0], 1)
    assert chosen.words == [(0, 8), (9, 13)]
    (expected,) = taggers[0].tag([["New York", "of a"]])
    spans = [(9 * e.start, [8, 13][e.end - 1]) for e in expected]
    assert [(e.start, e.end) for e in chosen.entities or []] == spans


def test_the_command_leaves_out_what_is_done(models: list[str], tmp_path: Path) -> None:
    text = tmp_path / "posts.txt"
    text.write_text("".join(one + "\n" for one in TEXTS), encoding="utf-8")
    first, second, again = (str(tmp_path / name) for name in ("a.json", "b.jsonl", "c.json"))
    runner = CliRunner()
    done = runner.invoke(app, ["choose", models[0], str(text), first, "-n", "3", "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("3 of 8 texts")
    runner.invoke(app, ["choose", models[0], str(text), again, "-n", "3", "--threads", "2"])
    assert Path(again).read_bytes() == Path(first).read_bytes()
    tasks = json.loads(Path(first).read_text(encoding="utf-8"))
    assert all(task["data"]["reason"] and task["predictions"][0]["result"] is not None for task in tasks)
    more = ["-n", "9", "--without", first, "--against", models[1], "--threads", "1"]
    done = runner.invoke(app, ["choose", models[0], str(text), second, *more])
    assert done.exit_code == 0, done.output
    rest = [json.loads(line)["text"] for line in Path(second).read_text(encoding="utf-8").split("\n") if line]
    assert sorted(rest + [task["data"]["text"] for task in tasks]) == sorted(set(TEXTS))


def test_nothing_to_choose_from_is_wrong_input(taggers: list[Tagger]) -> None:
    with pytest.raises(BadInput, match="no sentence to choose"):
        choose([Record(" ")], taggers[0], 1)
    with pytest.raises(BadInput, match="no sentence to choose"):
        choose(records()[:1], taggers[0], 1, without=records())

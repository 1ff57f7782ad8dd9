"""`tofner threshold`: the formula by hand, its promise by drawing, and the command on a tiny model."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny_tagger import publish_tiny
from tofner.cli import app
from tofner.corpora.jsonl import Entity, Record
from tofner.errors import BadData, BadSettings
from tofner.tagging import Tagger
from tofner.tagging.choose import choose
from tofner.tagging.threshold import bound_of, calibrate, least, share_of

WORDS = "Angela Merkel met Obama in New York said Reuters Ajax of the Madrid Berlin".split()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(publish_tiny(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def tagger(model: str) -> Tagger:
    return Tagger.load(model, threads=1)


def texts(number: int, seed: int = 0) -> list[str]:
    chance = np.random.default_rng(seed)
    return [" ".join(chance.choice(WORDS, chance.integers(1, 9))) for _ in range(number)]


def reviewed(tagger: Tagger, number: int, every: int = 4) -> list[Record]:
    """Sentences as tagged, but that a person has found another entity in each `every`-th."""
    rows = []
    for i, (text, found) in enumerate(zip(texts(number), tagger.tag(texts(number)), strict=True)):
        entities = [Entity(one.start, one.end, one.label) for one in found]
        rows.append(Record(text, [Entity(0, len(text), "OTHER")] if i % every == 0 else entities, line=i + 1))
    return rows


def test_the_lowest_threshold_that_the_formula_allows() -> None:
    """(unseen + 1) / (n + 1) <= miss, tried at every threshold of four digits."""
    chance = np.random.default_rng(1)
    for _ in range(30):
        number = int(chance.integers(9, 30))
        certain = [
            round(0.5 + int(c) / 10_000, 4) for c in chance.integers(0, 20, number)
        ]  # neighbours, and equal ones
        wrong = [bool(w) for w in chance.random(number) < 0.4]
        miss = float(chance.choice([0.1, 0.15, 0.3]))
        allowed = [
            t / 10_000
            for t in range(10_001)
            if sum(w and c >= t / 10_000 for c, w in zip(certain, wrong, strict=True)) + 1 <= miss * (number + 1) + 1e-9
        ]
        assert bound_of(certain, wrong, miss) == min(allowed)


def test_sentences_to_come_are_wrong_and_unseen_as_seldom_as_promised() -> None:
    """The average over many reviews of 39 sentences is below the share, and near it: nothing is looked at in vain."""
    chance, miss, unseen = np.random.default_rng(2), 0.1, []

    def draw(number: int) -> tuple[list[float], list[bool]]:
        certain = chance.random(number).round(4)
        return certain.tolist(), (chance.random(number) < (1 - certain) ** 2 + 0.05).tolist()

    for _ in range(400):
        bound = bound_of(*draw(39), miss)
        certain, wrong = draw(500)
        unseen.append(np.mean([w and c >= bound for c, w in zip(certain, wrong, strict=True)]))
    assert 0.08 < np.mean(unseen) <= miss + 3 * np.std(unseen) / np.sqrt(len(unseen))


@pytest.mark.parametrize(("miss", "number"), [(0.05, 19), (0.1, 9), (0.5, 1), (0.9, 1), (0.3, 3)])
def test_fewer_sentences_promise_nothing(miss: float, number: int) -> None:
    assert least(miss) == number
    assert bound_of([0.5] * number, [True] * number, miss) == 0.5001
    with pytest.raises(ValueError, match="too few"):
        bound_of([0.5] * (number - 1), [True] * (number - 1), miss)


def test_what_is_counted_is_what_the_tagger_says(tagger: Tagger) -> None:
    records = reviewed(tagger, 60)
    found = calibrate(records, tagger, 0.1)
    assert (found.sentences, found.wrong, found.hard) == (60, 15, 0)
    certain = [min(round(float(p), 4) for p in tags.probabilities[0]) for tags in
               tagger.tag_groups([tagger.words(one.text)] for one in records)]  # fmt: skip
    wrong = [i % 4 == 0 for i in range(60)]
    assert found.below == bound_of(certain, wrong, 0.1)
    assert found.unseen == sum(w and c >= found.below for c, w in zip(certain, wrong, strict=True)) <= 5
    assert found.looked_at == sum(c < found.below for c in certain)
    gold = [{(e.start, e.end, e.type) for e in one.entities or []} for one in records]
    said = [{(e.start, e.end, e.label) for e in one} for one in tagger.tag([one.text for one in records])]
    right = sum(len(a & b) for a, b in zip(gold, said, strict=True))
    assert found.f1 == pytest.approx(2 * right / (sum(map(len, gold)) + sum(map(len, said))))
    assert found.low < found.f1 < found.high


def test_a_tagger_that_is_seldom_wrong_need_not_be_looked_at(tagger: Tagger) -> None:
    found = calibrate(reviewed(tagger, 60, every=59), tagger, 0.1)
    assert (found.below, found.looked_at, found.unseen) == (0.0, 0, 2)
    assert found.lines()[1] == "nothing need be looked at: at most 10 % of all sentences are wrong"


def test_too_few_or_unlabelled_sentences_are_wrong_input(tagger: Tagger) -> None:
    with pytest.raises(BadData, match=r"r\.jsonl: found 18 sentences; expected 19 at least for 5 %"):
        calibrate([*reviewed(tagger, 18), Record(" ", [])], tagger, 0.05, "r.jsonl")
    with pytest.raises(BadData, match=r"r\.jsonl:9: found a sentence without `entities`"):
        calibrate([*reviewed(tagger, 20), Record("Ajax", None, line=9)], tagger, 0.05, "r.jsonl")
    for text in ("0%", "100%", "1", "nan", "five", "-5%"):
        with pytest.raises(BadSettings, match="--miss"):
            share_of(text)


def test_from_a_random_sample_to_the_sentences_to_look_at(model: str, tagger: Tagger, tmp_path: Path) -> None:
    """choose --random, a person, threshold, choose --below."""
    pool = list(dict.fromkeys(texts(300)))
    (tmp_path / "posts.txt").write_text("".join(one + "\n" for one in pool), encoding="utf-8")
    drawn, again, task, rest = (str(tmp_path / name) for name in ("a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"))

    def call(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [*arguments, "--threads", "1"])
        assert done.exit_code == code, done.output
        return str(done.output)

    for out in (drawn, again):
        call("choose", model, str(tmp_path / "posts.txt"), out, "-n", "40", "--random", "7")
    assert Path(drawn).read_bytes() == Path(again).read_bytes()
    rows = [json.loads(line) for line in Path(drawn).read_text(encoding="utf-8").split("\n") if line]
    expected = [pool[i] for i in np.random.default_rng(7).permutation(len(pool))[:40]]
    assert [row["text"] for row in rows] == expected
    assert {row["reason"] for row in rows} == {"drawn at random, seed 7"}
    for row in rows[::3]:
        row["entities"] = [{"start": 0, "end": len(row["text"]), "label": "OTHER"}]
    Path(task).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    told = call("threshold", model, task, "--miss", "10%")
    assert told.startswith("40 sentences, 14 tagged wrong; F1 ")
    assert "WARNING" not in told
    below = float(told.rsplit("--below ", 1)[1])
    call("choose", model, str(tmp_path / "posts.txt"), rest, "--below", str(below))
    certain = {text: min(round(float(p), 4) for p in one.probabilities[0]) for text, one in
               zip(pool, tagger.tag_groups([tagger.words(text)] for text in pool), strict=True)}  # fmt: skip
    shown = [json.loads(line)["text"] for line in Path(rest).read_text(encoding="utf-8").split("\n") if line]
    assert shown == sorted((t for t in pool if certain[t] < below), key=lambda t: (certain[t], pool.index(t)))
    assert 0 < len(shown) < len(pool)
    assert bound_of([1.0] * 19, [True] * 19, 0.05) == 1.0001, "wrong and quite certain: all are to be looked at"
    call("choose", model, str(tmp_path / "posts.txt"), rest, "--below", "1.0001")
    assert len(Path(rest).read_text(encoding="utf-8").splitlines()) == len(pool)
    both = ["--below", "0.5", "--random", "1"]
    CliRunner().invoke(app, ["choose", model, str(tmp_path / "posts.txt"), rest, *both])
    with pytest.raises(BadSettings, match="one way to choose"):
        app(["choose", model, str(tmp_path / "posts.txt"), rest, *both], standalone_mode=False)


def test_sentences_chosen_as_hard_ones_are_no_sample(tagger: Tagger) -> None:
    records = reviewed(tagger, 60)
    hard = choose(records, tagger, 30)
    found = calibrate([Record(one.text, one.entities or [], fields=one.fields) for one in hard], tagger, 0.1)
    assert found.hard == found.sentences == 30
    assert found.lines()[-1].startswith("WARNING: 30 of the sentences were chosen as hard ones")

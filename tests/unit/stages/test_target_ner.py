"""Role `target_ner`: a few labelled target sentences that train, measure, or are divided."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_stages as tiny
from tests.tiny_encoder import conll
from tests.tiny_stages import Chain, Done, make_home, make_root, marked
from tofner.check.run import check_data
from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.halves import halves
from tofner.errors import BadSettings
from tofner.presets import load_preset
from tofner.stages.report import measured_on

OWN = 10  # labelled target sentences; the first two stand in the unlabelled text too
KNOWN = 2
ROLE = "roles.target_ner"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A data root with a set of corrected sentences, and the set with other labels."""
    root = tmp_path_factory.mktemp("target")
    data = make_root(root / "data")
    items = [*marked("posts", KNOWN, 0, "t"), *marked("posts", OWN - KNOWN, 130, "w")]
    for name, written in {
        "own/all": items,
        "own/wrong": [(words, ["B-ORG"] * len(words)) for words, _ in items],
    }.items():
        path = data / "ner" / f"{name}.conll"
        path.parent.mkdir(exist_ok=True)
        path.write_text(conll(written), encoding="utf-8")
    return Chain(make_home(root), data)


def told(*more: str, sets: str = "own/all") -> tuple[str, ...]:
    return (f"{ROLE}.sets=[{sets}]", *(f"{ROLE}.{one}" for one in more))


def prepared(own: Chain, *more: str, sets: str = "own/all") -> Done:
    return own.do("prepare", told(*more, sets=sets), data=str(own.data))


def gold(own: Chain, *more: str, sets: str = "own/all") -> Done:
    return own.do("gold", told(*more, sets=sets), data=str(own.data))


def ids(done: Done, name: str) -> list[str]:
    return [one.id for one in read_ner(done.folder / f"{name}.parquet")]


def test_without_the_role_nothing_is_said_of_it(own: Chain) -> None:
    for text in own.plan.settings.values():
        assert "target_ner" not in text
        assert "target_weight" not in text
    assert not (own.prepare.folder / "target_ner.parquet").exists()


def test_each_trained_sentence_stands_in_an_epoch_as_often_as_its_weight(own: Chain) -> None:
    corpora = prepared(own, "weight=3")
    quick = ("stages.ner.epochs=1",)
    done = own.do("ner", told("weight=3") + quick, corpora=corpora.uri, model=own.plan.encoder)
    assert done.counts["target_sentences"] == OWN
    assert done.counts["target_weight"] == 3
    before = own.do("ner", quick, corpora=own.prepare.uri, model=own.plan.encoder)
    rows = [Counter(tuple(row["input_ids"].tolist()) for row in one.began.examples) for one in (done, before)]
    assert sorted((rows[0] - rows[1]).values()) == [3] * OWN
    assert not rows[1] - rows[0]


def test_rounds_learn_from_them_and_not_from_their_pseudo_labels(own: Chain) -> None:
    corpora = prepared(own, "weight=2")
    model = own.do("ner", ("stages.ner.epochs=1",), corpora=own.prepare.uri, model=own.plan.encoder).uri
    labels = own.do("pseudo_label", corpora=own.prepare.uri, model=model)
    done = own.do("pseudo_ner", told("weight=2"), corpora=corpora.uri, model=model, pseudo=labels.uri, head=model)
    assert done.counts["pseudo_sentences"] == tiny.TARGET - KNOWN
    assert len(done.began.examples) == tiny.TARGET - KNOWN + 2 * OWN


def test_half_trains_and_half_measures(own: Chain) -> None:
    train, test = prepared(own, "train_share=0.5"), gold(own, "train_share=0.5")
    trained, measured = ids(train, "target_ner"), ids(test, "target_test")
    assert (len(trained), len(measured)) == (OWN // 2, tiny.TEST + OWN // 2)
    assert not set(trained) & set(measured)
    assert len({*trained, *measured}) == tiny.TEST + OWN
    assert trained == sorted(trained, key=lambda one: int(one.split(":")[1]))
    other = prepared(own, "train_share=0.5", "split_seed=1")
    assert ids(other, "target_ner") != trained
    notes = train.report["notes"]
    assert notes[0] == "5 labelled target sentences are trained on (roles.target_ner): this is no zero-resource run"
    assert notes[1].endswith("50 % train, the others measure (seed 0); 5 sentences measure")
    assert own.do("gold", data=str(own.data)).counts["target_test"] == tiny.TEST
    assert test.report["summary"].startswith(f"{tiny.TEST + OWN // 2} test sentences with ")


def test_measured_sentences_of_the_unlabelled_text_are_told_by_content(own: Chain) -> None:
    done = prepared(own, "train_share=0")
    assert not (done.folder / "target_ner.parquet").exists()
    (note,) = done.report["notes"]
    assert note.startswith(f"transductive: {KNOWN} of the {OWN} sentences of roles.target_ner that measure also stand")
    (row,) = [row for row in done.report["details"]["overlaps"] if row["second"] == "target_ner, measured on"]
    assert (row["first"], row["shared"], row["of"]) == ("target_text", KNOWN, OWN)
    assert len(ids(gold(own, "train_share=0"), "target_test")) == tiny.TEST + OWN
    whole = prepared(own)
    assert [note for note in whole.report["notes"] if "transductive" in note] == []
    assert len(ids(whole, "target_ner")) == OWN


def test_labels_of_those_that_measure_reach_nothing_that_is_trained(own: Chain) -> None:
    """Every label of the set is another, and those of the trained half are put back: the same bytes."""
    right = prepared(own, "train_share=0.5")
    source, path = (own.data / "ner" / "own" / f"{name}.conll" for name in ("all", "half"))
    wrong = (own.data / "ner" / "own" / "wrong.conll").read_text(encoding="utf-8").split("\n\n")
    trained = {tuple(one.tokens) for one in read_ner(right.folder / "target_ner.parquet")}
    blocks = source.read_text(encoding="utf-8").split("\n\n")
    mixed = [
        good if tuple(line.split()[0] for line in good.split("\n") if line) in trained else bad
        for good, bad in zip(blocks, wrong, strict=True)
    ]
    path.write_text("\n\n".join(mixed), encoding="utf-8")
    done = prepared(own, "train_share=0.5", sets="own/half")
    tags = [[(one.tokens, one.tags) for one in read_ner(d.folder / "target_ner.parquet")] for d in (right, done)]
    assert tags[0] == tags[1]
    names = {name: digest for name, digest in right.manifest["files"].items() if name != "target_ner.parquet"}
    assert {name: done.manifest["files"][name] for name in names} == names


def test_equal_sentences_are_on_one_side() -> None:
    words = ["a", "b", "a", "c", "d", "a"]
    sentences = [Sentence(str(i), [word], ["O"]) for i, word in enumerate(words)]
    for seed in range(6):
        train, test = halves(sentences, 0.5, seed)
        assert len({one.tokens[0] for one in train}) == len({one.tokens[0] for one in test}) == 2
        assert not {one.tokens[0] for one in train} & {one.tokens[0] for one in test}
        assert sorted(one.id for one in [*train, *test]) == [str(i) for i in range(6)]
    assert [len(part) for part in halves(sentences[:2], 0.01, 0)] == [1, 1]
    assert [len(part) for part in halves(sentences, 1.0, 0)] == [6, 0]
    assert [len(part) for part in halves(sentences, 0.0, 0)] == [0, 6]


@pytest.mark.parametrize("role", ["target_test", "target_dev"])
def test_a_set_is_not_trained_and_measured_under_two_names(own: Chain, role: str) -> None:
    with pytest.raises(BadSettings, match=f"own/all is roles.{role} too"):
        load_preset(str(own.root / "preset.yaml"), [*told(), f"roles.{role}=[own/all]"])


def test_the_report_says_what_scores_are_of() -> None:
    roles: dict[str, Any] = {"target_test": ["a/test"], "target_ner": {"sets": ["b/own"], "train_share": 0.5}}
    assert measured_on(roles) == ["a/test", "b/own (the 50 % that is not trained on)"]
    assert measured_on(roles | {"target_ner": {"sets": ["b/own"], "train_share": 0.0}}) == ["a/test", "b/own"]
    assert measured_on(roles | {"target_ner": {"sets": ["b/own"], "train_share": 1.0}}) == ["a/test"]
    assert measured_on({"target_test": ["a/test"]}) == ["a/test"]


def test_check_looks_at_them(own: Chain) -> None:
    report = check_data(load_preset(str(own.root / "preset.yaml"), told("train_share=0.5")), str(own.data))
    assert report.problems == []
    (row,) = [file for file in report.files if file.role == "target_ner"]
    assert (row.sentences, row.entities["PER"]) == (OWN, 10)
    assert any("target_ner own/all: 2 sentences are also in target_text tgt/train" in note for note in report.notes)


def test_the_preset_may_hold_it(own: Chain, tmp_path: Path) -> None:
    text = (own.root / "preset.yaml").read_text(encoding="utf-8")
    role = "  target_ner: {sets: [own/all], train_share: 0.5, split_seed: 3, weight: 4}\n  target_mrc:"
    (tmp_path / "p.yaml").write_text(text.replace("  target_mrc:", role), encoding="utf-8")
    given = load_preset(str(tmp_path / "p.yaml")).roles.target_ner
    assert (given.sets, given.train_share, given.split_seed, given.weight) == (["own/all"], 0.5, 3, 4)
    planned = own.planned(*told("train_share=0.5", "weight=4"))
    for task in ("ner", "pseudo_ner", "loop_ner"):
        assert json.loads(planned.settings[task])["target_weight"] == 4
    assert json.loads(planned.settings["gold"])["target_ner"]["train_share"] == 0.5

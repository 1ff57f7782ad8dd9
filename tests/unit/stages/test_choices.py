"""Choices of the method that are settings: what each changes, apart from what Algorithm 1 says (test_lines)."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from tests import tiny_stages as tiny
from tests.tiny_stages import QUERIES, TYPES, Chain, Done, corpora
from tofner.corpora.corpus import read_ner
from tofner.errors import BadSettings
from tofner.stages.believed import held_back, read_believed
from tofner.stages.ner import _agreement
from tofner.training.ner import Tagging


def round_of(chain: Chain, task: str, *overrides: str) -> Done:
    """Line 9, or the MRC of a round, with these settings."""
    told = tuple(f"stages.{task}.{one}" for one in overrides)
    model, head = (chain.ner, chain.ner) if task == "pseudo_ner" else (chain.pseudo_ner, chain.mrc)
    return chain.do(task, told, corpora=chain.prepare.uri, model=model.uri, pseudo=chain.labels.uri, head=head.uri)


def asked(chain: Chain, done: Done) -> Counter[str]:
    """Examples by the language of their question; `qa` for those of question sets."""
    tokenizer = AutoTokenizer.from_pretrained(chain.plan.encoder)
    known = {
        tuple(tokenizer(query.split(), is_split_into_words=True)["input_ids"]): language
        for language, queries in QUERIES.items()
        for query in queries.values()
    }
    found: Counter[str] = Counter()
    for row in done.began.examples:
        query = tuple(row["input_ids"][: int(np.argmax(row["token_type_ids"]))].tolist())
        found[known.get(query, "qa")] += 1
    return found


# What is mixed.


def test_a_round_may_learn_from_all_questions(chain: Chain) -> None:
    done = round_of(chain, "loop_mrc", "mix=all")
    assert asked(chain, done) == {
        "qa": tiny.TARGET_QUESTIONS + tiny.SOURCE_QUESTIONS,
        "en": tiny.SOURCE * len(TYPES),
        "es": (tiny.TARGET + tiny.TRANSLATED) * len(TYPES),
    }
    capped = round_of(chain, "loop_mrc", "mix=all", "max_train_examples=6")
    assert [n for name, n in capped.counts.items() if name.endswith("mrc_examples")] == [6] * 5


@pytest.mark.parametrize(
    ("mix", "cap", "expected"),
    [
        ("source+pseudo", None, (tiny.TARGET, tiny.SOURCE, tiny.TRANSLATED)),
        ("source+pseudo", 20, (20, 20, tiny.TRANSLATED)),
        ("pseudo+source", 20, (20, 20, tiny.TRANSLATED)),
    ],
)
def test_what_is_whole_and_what_is_as_much(chain: Chain, mix: str, cap: int | None, expected: tuple[int, ...]) -> None:
    """All source and as much of the rest, or all pseudo-labels and as much of the rest: TARGET < SOURCE here."""
    done = round_of(chain, "pseudo_ner", f"mix={mix}", *([f"max_train_examples={cap}"] if cap else []))
    counts = [done.counts[f"{name}_sentences"] for name in ("pseudo", "source", "translated")]
    assert tiny.TARGET < tiny.SOURCE
    assert tuple(counts) == expected


# What an epoch is chosen by.


def test_an_epoch_may_be_chosen_by_pseudo_labels_that_are_held_back(chain: Chain) -> None:
    done = round_of(chain, "pseudo_ner", "choose_by=pseudo")
    held = tiny.TARGET // 10
    assert (done.counts["held_back"], done.counts["pseudo_sentences"]) == (held, tiny.TARGET - held)
    assert len(done.began.examples) == tiny.TARGET - held
    metrics = done.report["metrics"]
    assert metrics["score"] == metrics["pseudo_f1"] != metrics["dev_f1"]
    # The tagger that made the labels has changed by nothing: it agrees with them.
    assert metrics["pseudo_f1"] == 1.0


def test_the_sentences_that_are_held_back_are_no_others(chain: Chain) -> None:
    labelled = list(read_ner(chain.labels.folder / "pseudo_ner.parquet"))
    kept, held = held_back(labelled, 2019)
    assert {one.id for one in kept} | {one.id for one in held} == {one.id for one in labelled}
    assert (len(kept), len(held)) == (tiny.TARGET - 5, 5)
    assert [one.id for one in held] == [one.id for one in held_back(labelled, 2019)[1]]
    assert [one.id for one in held] != [one.id for one in held_back(labelled, 7)[1]]
    assert [len(part) for part in held_back(labelled[:3], 1)] == [2, 1]


def test_a_word_that_is_not_trusted_decides_on_no_epoch(chain: Chain) -> None:
    (one, *_) = read_believed(chain.labels.folder, "all")
    one.tokens, one.tags = ["a", "b", "c"], ["B-PER", "O", "B-LOC"]
    found = Tagging(["B-PER", "O", "O"], [1.0] * 3, 0)
    assert _agreement([one], [found]) == pytest.approx(2 / 3)
    one.trusted = [True, True, False]
    assert _agreement([one], [found]) == 1.0


@pytest.mark.parametrize("task", ["pseudo_ner", "loop_mrc"])
def test_the_last_epoch_may_be_kept(chain: Chain, task: str) -> None:
    """At a rate that destroys what was learned, a later epoch is worse."""
    wild = ("epochs=3", "learning_rate=0.5", "warmup=0", "schedule=linear")
    last = round_of(chain, task, "choose_by=last", *wild)
    best = round_of(chain, task, *wild)
    assert last.report["metrics"]["best_epoch"] == 3.0
    scores = [value for _, value in last.report["details"]["training"]["score"]]
    assert scores == [value for _, value in best.report["details"]["training"]["score"]]
    assert best.report["metrics"]["score"] == max(scores)


def test_a_round_of_mrc_may_be_chosen_by_pseudo_mrc_that_is_held_back(chain: Chain) -> None:
    done = round_of(chain, "loop_mrc", "choose_by=pseudo")
    held = tiny.TARGET // 10
    assert done.counts["dev_examples"] == held * len(TYPES)
    assert done.counts["pseudo_mrc_examples"] == (tiny.TARGET - held) * len(TYPES)
    assert "pseudo-MRC that was held back" in done.report["summary"]


def test_target_questions_may_choose_too(chain: Chain) -> None:
    done = chain.do(
        "mrc", ("stages.mrc.choose_by=source+target", "stages.mrc.epochs=1"), corpora=chain.prepare.uri,
        model=chain.mlm.uri,
    )  # fmt: skip
    assert done.counts["dev_examples"] == 2 * tiny.DEV_QUESTIONS + tiny.DEV * len(TYPES)


def test_each_kind_of_question_that_chooses_is_capped_by_itself(chain: Chain) -> None:
    done = chain.do(
        "mrc", ("stages.mrc.max_dev_examples=4", "stages.mrc.epochs=1"), corpora=chain.prepare.uri, model=chain.mlm.uri
    )
    assert done.counts["dev_examples"] == 4 + 4


# Types of questions.

OWN = {"PER": "q 1", "ORG": "q 2", "GPE": "q 3"}


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A tagger of one type, and questions for those of the files."""
    root = tmp_path_factory.mktemp("typed")
    (root / "span.yaml").write_text("types: {ENTITY: what}", encoding="utf-8")
    (root / "own.yaml").write_text(json.dumps({"types": OWN}), encoding="utf-8")
    return (
        "types=[ENTITY]", 'label_map={"*": ENTITY, MISC: null}', f"queries={root / 'span.yaml'}",
        "ner_as_mrc.types=[PER, ORG, GPE]", "ner_as_mrc.label_map={MISC: null}",
        f"ner_as_mrc.queries={root / 'own.yaml'}",
    )  # fmt: skip


def types_in(path: Path) -> Counter[str]:
    return Counter(tag[2:] for one in read_ner(path) for tag in one.tags or [] if tag.startswith("B-"))


def test_questions_keep_the_types_of_the_source_where_the_tagger_has_one(chain: Chain, typed: tuple[str, ...]) -> None:
    prepare = chain.do("prepare", typed, data=str(chain.data))
    for name, file in (("source_ner", "src/train"), ("source_ner_dev", "src/dev"), ("translated_ner", "trans/train")):
        own = types_in(prepare.folder / f"{name}_typed.parquet")
        assert set(own) <= set(OWN)
        assert own["GPE"] == sum(tag == "B-GPE" for _, tags in corpora()[file] for tag in tags) > 0
        assert types_in(prepare.folder / f"{name}.parquet") == {"ENTITY": own.total()}
    assert prepare.counts["dropped_entities_of_questions"] == prepare.counts["dropped_entities"] == tiny.DROPPED
    done = chain.do("mrc", (*typed, "stages.mrc.epochs=1"), corpora=prepare.uri, model=chain.mlm.uri)
    assert done.counts["ner_mrc_examples"] == tiny.SOURCE * 3
    tokenizer = AutoTokenizer.from_pretrained(chain.plan.encoder)
    for type_, query in OWN.items():
        begins = tokenizer(query.split(), is_split_into_words=True)["input_ids"]
        rows = [e for e in done.began.examples if e["input_ids"][: len(begins)].tolist() == begins]
        files = [prepare.folder / f"{name}_typed.parquet" for name in ("source_ner", "translated_ner")]
        assert sum(int((e["starts"] == 1).sum()) for e in rows) == sum(types_in(file)[type_] for file in files)
    assert not list(chain.prepare.folder.glob("*_typed*"))


def test_answers_have_the_type_that_they_are_for_the_tagger(chain: Chain, typed: tuple[str, ...]) -> None:
    planned = chain.planned(*typed, "stages.pseudo_ner.trust=agree")
    asked = json.loads(planned.settings["pseudo_label"])["queries"]
    assert asked == [["ENTITY", query] for query in OWN.values()]
    assert json.loads(planned.settings["loop_label"])["queries"] == []
    rounds = json.loads(planned.settings["loop_mrc"])
    assert (rounds["target_queries"], rounds["source_queries"]) == ({"ENTITY": "what"}, OWN)


def test_an_answer_must_be_something_for_the_tagger(chain: Chain) -> None:
    with pytest.raises(BadSettings, match="an answer of type GPX is none of the tagger's"):
        chain.planned("ner_as_mrc.types=[PER, GPX]")
    with pytest.raises(BadSettings, match="leads to types without a question: LOC"):
        chain.planned("ner_as_mrc.types=[PER]", "ner_as_mrc.label_map={GPE: LOC}")


# Windows.


def test_a_round_of_mrc_may_leave_out_windows_without_the_answer(chain: Chain) -> None:
    """Here each context is one window, so there are none: of which the count tells."""
    assert round_of(chain, "loop_mrc", "empty_windows=0.5").counts["skipped_windows"] == 0
    assert "skipped_windows" not in chain.loop_mrc.counts

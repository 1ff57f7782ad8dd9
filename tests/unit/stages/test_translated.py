"""The source translated word by word: what `prepare` makes of a dictionary, and which stages learn from it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_stages as tiny
from tests.tiny_stages import QUERIES, TYPES, Chain, corpora
from tofner.corpora.corpus import read_mrc, read_ner, read_text, write_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadData, BadSettings
from tofner.stages.config import config_type
from tofner.stages.mrc import _training_parts
from tofner.stages.ner import _dev, _training_sentences
from tofner.stages.runtime import run_stage
from tofner.stages.work import Work

PAIRS = {"flew": "voló", "to": "a", "on": "el", "monday": "lunes", "said": "dijo", "firm": "empresa", "which": "qué",
         "of": "de", "shares": "acciones", "why": "por"}  # fmt: skip
DICTIONARY, NOT_READY = "translate.dictionary=en-es", "roles.translated_ner.train=[]"
ON = (DICTIONARY, NOT_READY)
PSEUDO = ("pseudo",)


@pytest.fixture(scope="module", autouse=True)
def dictionary(chain: Chain) -> Iterator[Path]:
    path = chain.data / "dict" / "en-es.txt"
    path.parent.mkdir()
    path.write_text("".join(f"{word} {other}\n{word} not-this\n" for word, other in PAIRS.items()), encoding="utf-8")
    yield path
    path.unlink()
    path.parent.rmdir()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pseudo_label` makes, of as many sentences as the target has, and more than the source has."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = [Sentence(str(i), [f"w{i}"], ["B-PER"], [0.9]) for i in range(tiny.SOURCE + 5)]
    write_ner(folder / "pseudo_ner.parquet", rows)
    return folder


def told(chain: Chain, task: str, overrides: tuple[str, ...], **inputs: str) -> tuple[Any, Work]:
    """What a stage is given, without its work."""
    stage = tiny.TASKS.get(task, task)
    config = config_type(stage, inputs).model_validate_json(chain.planned(*overrides).settings[task])
    scratch = chain.root / "scratch"
    return config, Work(stage, str(chain.root / "store"), inputs, scratch, scratch, str(scratch), "")


def by_hand(words: list[str]) -> list[str]:
    """With a plain look-up; of the tiny corpora only `Monday` has a capital and a translation."""
    return ["Lunes" if word == "Monday" else PAIRS.get(word, word) for word in words]


def prepared(chain: Chain, *overrides: str) -> tiny.Done:
    return chain.do("prepare", (*ON, *overrides), data=str(chain.data))


def test_every_source_sentence_is_translated_and_source_text_too(chain: Chain) -> None:
    folder = prepared(chain).folder
    source, found = (list(read_ner(folder / f"{name}.parquet")) for name in ("source_ner", "translated_ner"))
    assert [one.tokens for one in found] == [by_hand(one.tokens) for one in source]
    assert found[0].tokens != source[0].tokens
    assert [one.tags for one in found] == [one.tags for one in source]
    assert [one.id for one in found] == [f"{one.id}~es" for one in source]
    text = [one.tokens for one in read_text(folder / "source_text.parquet")]
    assert text == [one.tokens for one in [*source, *found]]


def test_sentences_that_came_translated_go_before(chain: Chain) -> None:
    done = chain.do("prepare", (DICTIONARY,), data=str(chain.data))
    found = [one.tokens for one in read_ner(done.folder / "translated_ner.parquet")]
    assert found == [words for words, _ in corpora()["trans/train"]]
    assert done.counts["translated_mrc"] == tiny.SOURCE_QUESTIONS
    assert "source sentences come translated: trans/train, not word by word" in done.report["notes"]


def test_translated_questions_have_the_answers_of_the_source(chain: Chain) -> None:
    folder = prepared(chain).folder
    source, found = (list(read_mrc(folder / f"{name}.parquet")) for name in ("source_mrc", "translated_mrc"))
    assert len(found) == tiny.SOURCE_QUESTIONS
    assert [one.tokens for one in found] == [by_hand(one.tokens) for one in source]
    assert [(one.starts, one.ends) for one in found] == [(one.starts, one.ends) for one in source]
    assert {one.query for one in source} == {"why hate ?"}
    assert {one.query for one in found} == {"por hate ?"}


def test_what_became_of_the_words_is_told(chain: Chain) -> None:
    done = prepared(chain)
    words = [word for one in read_ner(done.folder / "source_ner.parquet") for word in one.tokens]
    words += [
        word for one in read_mrc(done.folder / "source_mrc.parquet") for word in [*one.tokens, *one.query.split()]
    ]
    marks = sum(not any(map(str.isalpha, word)) for word in words)
    translated = sum(word.lower() in PAIRS for word in words)
    unknown = len(words) - marks - translated
    counts = {name: done.counts[name] for name in ("translated_words", "unknown_words", "words_without_letters")}
    assert counts == {"translated_words": translated, "unknown_words": unknown, "words_without_letters": marks}
    rows = {(row["part"], row["set"]): row for row in done.report["details"]["sets"]}
    ner, mrc = rows["translated_ner", "source_ner by en-es"], rows["translated_mrc", "source_mrc by en-es"]
    assert {name: ner["mended"][name] + mrc["mended"][name] for name in counts} == counts
    assert ner["entities"] == rows["source_ner", "src/train"]["entities"]
    assert (mrc["questions"], mrc["answers"], mrc["sentences"]) == (tiny.SOURCE_QUESTIONS,) * 3
    share = f"{100 * translated / (translated + unknown):.1f} % of {translated + unknown} words"
    assert (
        f"translated word by word with dictionary en-es: {share} are in it, the others stay as they are"
        in (done.report["notes"])
    )


def test_questions_of_other_types_are_asked_of_translations_too(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(json.dumps({"types": {"GPE": "q", "PER": "r", "ORG": "s"}}), encoding="utf-8")
    types = ("ner_as_mrc.types=[PER, ORG, GPE]", "ner_as_mrc.label_map={MISC: null}")
    done = prepared(chain, *types, f"ner_as_mrc.queries={tmp_path / 'own.yaml'}")
    found = list(read_ner(done.folder / "translated_ner_typed.parquet"))
    source = list(read_ner(done.folder / "source_ner_typed.parquet"))
    assert [one.tokens for one in found] == [by_hand(one.tokens) for one in source]
    assert [one.tags for one in found] == [one.tags for one in source]
    assert done.counts["unknown_words"] == prepared(chain).counts["unknown_words"]


@pytest.mark.parametrize(
    ("data", "files", "text"),
    [
        ("[ner]", {"translated_ner"}, True),
        ("[ner_as_mrc]", {"translated_ner"}, False),
        ("[mrc]", {"translated_mrc"}, False),
        ("[]", set(), False),
    ],
)
def test_only_what_is_asked_for_is_translated(chain: Chain, data: str, files: set[str], text: bool) -> None:
    done = prepared(chain, f"translate.data={data}")
    assert {path.stem for path in done.folder.glob("translated_*.parquet")} == files
    assert done.counts["source_text"] == (2 if text else 1) * tiny.SOURCE


@pytest.mark.parametrize(
    ("data", "mrc", "ner"),
    [
        ("[ner, mrc, ner_as_mrc]", {"translated_mrc", "translated_ner_mrc"}, True),
        ("[ner, mrc]", {"translated_mrc"}, True),
        ("[ner, ner_as_mrc]", {"translated_ner_mrc"}, True),
        ("[mrc, ner_as_mrc]", {"translated_mrc", "translated_ner_mrc"}, False),
    ],
)
def test_stages_learn_from_translations_where_they_shall(
    chain: Chain, labelled: Path, data: str, mrc: set[str], ner: bool
) -> None:
    """Table 2, rows 3 and 5, and what is left of them."""
    given = (*ON, f"translate.data={data}", "stages.mrc.sources=false", "stages.pseudo_ner.mix=source+pseudo")
    corpora_ = chain.do("prepare", given, data=str(chain.data)).uri
    config, work = told(chain, "mrc", given, corpora=corpora_)
    parts, _ = _training_parts(config, work, work.folder("corpora"))
    sizes = {
        "translated_mrc": tiny.SOURCE_QUESTIONS,
        "translated_ner_mrc": tiny.SOURCE * len(TYPES),
    }
    found = {name: len(parts[name]) for name in sizes if name in parts}
    assert found == {name: size for name, size in sizes.items() if name in mrc}
    own = {"target_mrc", "ner_mrc", *mrc}
    assert set(parts) == own
    dev = {"source_mrc_dev", "target_mrc_dev", "source_ner_dev"}
    opened = {"translated_ner" if name == "translated_ner_mrc" else name for name in own - {"ner_mrc"}} | dev
    reads = {name.removesuffix(".parquet") for name in config.reads(())["corpora"]}
    assert reads == opened | {"source_ner", "translated_mrc"}
    for task, more in (("ner", ()), ("pseudo_ner", PSEUDO)):
        config, work = told(chain, task, given, corpora=corpora_, **dict.fromkeys(more, str(labelled)))
        _, _, counts = _training_sentences(config, work)
        assert counts.get("translated_sentences") == (tiny.SOURCE if ner else None)
        assert ("translated_ner.parquet" in config.reads(more)["corpora"]) == ner


@pytest.mark.parametrize(("mix", "expected"), [("all", tiny.SOURCE_QUESTIONS), ("pseudo", None)])
def test_a_round_learns_translated_questions_with_all_others_alone(
    chain: Chain, labelled: Path, mix: str, expected: int | None
) -> None:
    given = (*ON, f"stages.loop_mrc.mix={mix}")
    config, work = told(chain, "loop_mrc", given, corpora=prepared(chain).uri, pseudo=str(labelled))
    parts, _ = _training_parts(config, work, work.folder("corpora"))
    assert (len(parts["translated_mrc"]) if "translated_mrc" in parts else None) == expected
    assert ("translated_mrc.parquet" in config.reads(PSEUDO)["corpora"]) == (expected is not None)


@pytest.mark.parametrize(("choose_by", "both"), [("source+translated", True), ("source", False)])
def test_translations_of_the_source_dev_choose_an_epoch_where_they_shall(
    chain: Chain, labelled: Path, choose_by: str, both: bool
) -> None:
    given = (*ON, f"stages.pseudo_ner.choose_by={choose_by}", "stages.pseudo_ner.max_dev_examples=6")
    corpora_ = chain.do("prepare", given, data=str(chain.data))
    assert (corpora_.folder / "translated_ner_dev.parquet").is_file() == both
    assert corpora_.counts.get("translated_ner_dev") == (tiny.DEV if both else None)
    config, work = told(chain, "pseudo_ner", given, corpora=corpora_.uri, pseudo=str(labelled))
    found = _dev(config, work.folder("corpora"))
    source = [one for one in found if not one.id.endswith("~es")]
    translated = [one.tokens for one in found if one.id.endswith("~es")]
    assert len(source) == 6  # each is capped by itself, and alike
    assert translated == ([by_hand(one.tokens) for one in source] if both else [])
    assert ("translated_ner_dev.parquet" in config.reads(PSEUDO)["corpora"]) == both
    first, _ = told(chain, "ner", given, corpora=corpora_.uri)
    assert "translated_ner_dev.parquet" not in first.reads(())["corpora"]


def test_queries_are_those_of_the_target_or_of_the_source_word_by_word(chain: Chain) -> None:
    def asked(*overrides: str) -> dict[str, str]:
        told: dict[str, str] = json.loads(chain.planned(*overrides).settings["mrc"])["translated_queries"]
        return told

    assert asked(*ON) == QUERIES["es"]
    assert QUERIES["en"]["ORG"] == "Which firm ?"
    assert asked(*ON, "translate.queries=words")["ORG"] == "Qué empresa ?"
    assert asked(*ON, "translate.queries=words", "translate.data=[ner]") == {}
    assert asked("translate.data=[ner]") == {}
    assert asked(NOT_READY) == {}
    assert asked() == QUERIES["es"]  # of what came translated
    with pytest.raises(BadSettings, match=r"translate\.dictionary names none"):
        chain.planned("translate.queries=words")


def test_a_dictionary_that_is_not_there_is_told_before_anything_runs(chain: Chain, dictionary: Path) -> None:
    with pytest.raises(BadData) as told:
        chain.planned("translate.dictionary=en-nl")
    (problem,) = told.value.problems
    assert "dict/en-nl.txt or dict/en-nl.txt.gz" in str(problem)
    assert "the dictionaries here are en-es" in str(problem)
    assert "--set translate.dictionary=null" in str(problem)
    with pytest.raises(BadSettings, match="a name such as en-es"):
        chain.planned("translate.dictionary=s3://b/en-es.txt")


def test_a_dictionary_of_other_words_is_refused(chain: Chain, dictionary: Path) -> None:
    kept = dictionary.read_bytes()
    dictionary.write_text("voló flew\n", encoding="utf-8")
    try:
        settings = chain.planned(*ON).settings["prepare"]
        with pytest.raises(BadData, match=r"en-es.txt: found none of the source's \d+ words"):
            run_stage("prepare", str(chain.root / "store"), settings, {"data": str(chain.data)})
    finally:
        dictionary.write_bytes(kept)


def test_the_choice_of_a_translation_is_heeded(chain: Chain, dictionary: Path) -> None:
    kept = dictionary.read_bytes()
    dictionary.write_bytes(b"flew flew\n" + kept)
    try:
        found = [prepared(chain, f"translate.choose={choose}") for choose in ("first", "other")]
    finally:
        dictionary.write_bytes(kept)
    words = [{word for one in read_ner(d.folder / "translated_ner.parquet") for word in one.tokens} for d in found]
    assert "voló" not in words[0]
    assert "voló" in words[1]

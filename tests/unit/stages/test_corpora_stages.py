"""What prepare and gold make of a data root."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from tests import tiny_stages as tiny
from tests.tiny_stages import Chain, corpora
from tofner.corpora.corpus import read_ner, read_text


def test_target_text_is_words_without_tags(chain: Chain) -> None:
    made = corpora()
    path = chain.prepare.folder / "target_text.parquet"
    assert pq.read_schema(path).names == ["id", "tokens"]
    found = read_text(path)
    assert [s.tokens for s in found] == [words for name in ("tgt/train", "tgt/dev") for words, _ in made[name]]
    assert not list(chain.prepare.folder.glob("target_test*"))
    assert not list(chain.prepare.folder.glob("target_ner*"))


def test_source_text_is_that_of_source_and_translation(chain: Chain) -> None:
    made = corpora()
    found = read_text(chain.prepare.folder / "source_text.parquet")
    assert [s.tokens for s in found] == [words for name in ("src/train", "trans/train") for words, _ in made[name]]


def types_of(rows: list[list[str]]) -> Counter[str]:
    return Counter(tag[2:] for tags in rows for tag in tags if tag != "O")


@pytest.mark.parametrize(
    ("stage", "file", "name"),
    [
        ("prepare", "source_ner", "src/train"),
        ("prepare", "source_ner_dev", "src/dev"),
        ("prepare", "translated_ner", "trans/train"),
        ("gold", "target_test", "tgt/test"),
    ],
)
def test_types_are_mapped_and_tags_mended(chain: Chain, stage: str, file: str, name: str) -> None:
    written = [tags for _, tags in corpora()[name]]
    before = types_of(written)
    found = [s.tags or [] for s in read_ner(getattr(chain, stage).folder / f"{file}.parquet")]
    assert types_of(found) == Counter({"PER": before["PER"], "ORG": before["ORG"], "LOC": before["GPE"]})
    for tags, old in zip(found, written, strict=True):
        for i, tag in enumerate(tags):
            if old[i][:2] == "B-" and not old[i].endswith("MISC"):
                assert tag[:2] == "B-"
            if tag.startswith("I-"):
                assert tags[i - 1][1:] == tag[1:]


def test_what_was_mended_and_dropped_is_counted(chain: Chain) -> None:
    assert chain.prepare.counts["dropped_entities"] == tiny.DROPPED
    assert chain.prepare.counts["repaired_tags"] == tiny.REPAIRED
    assert chain.gold.counts == {"dropped_entities": 1, "target_test": tiny.TEST}
    sizes = {
        "source_ner": tiny.SOURCE, "source_ner_dev": tiny.DEV, "translated_ner": tiny.TRANSLATED,
        "source_text": tiny.SOURCE + tiny.TRANSLATED, "target_text": tiny.TARGET,
        "source_mrc": tiny.SOURCE_QUESTIONS, "target_mrc": tiny.TARGET_QUESTIONS,
        "source_mrc_dev": tiny.DEV_QUESTIONS, "target_mrc_dev": tiny.DEV_QUESTIONS,
    }  # fmt: skip
    assert {name: chain.prepare.counts[name] for name in sizes} == sizes


def test_an_absent_translation_is_told_and_left_out(chain: Chain) -> None:
    kept = chain.data / "ner/trans/train.conll"
    hidden = kept.with_suffix(".hidden")
    kept.rename(hidden)
    try:
        settings = chain.planned().settings["prepare"]
        done = chain.do_with(settings, "prepare", data=str(chain.data))
    finally:
        hidden.rename(kept)
    assert "optional set trans/train is not in the data root" in done.report["notes"]
    assert done.counts["source_text"] == tiny.SOURCE
    assert "translated_ner" not in done.counts

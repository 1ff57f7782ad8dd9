"""Algorithm 1 line by line: what each stage begins with, what it learns from, and what it leaves."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from tests import tiny_stages as tiny
from tests.tiny_stages import QUERIES, TYPES, Chain, Done, Labelled, corpora
from tofner.corpora import squad
from tofner.corpora.examples import MrcExample
from tofner.settings import Mrc
from tofner.training import checkpoint
from tofner.training.mrc import SpanExtractor, load_heads, predict_answers
from tofner.training.ner import predict_tags
from tofner.words.features import IGNORED

LABELS = ["O", *(f"{prefix}-{type_}" for type_ in TYPES for prefix in "BI")]
Tensors = dict[str, torch.Tensor]


def mapped(items: Labelled) -> Labelled:
    """As the preset's label map says, with orphans mended: GPE is LOC, MISC is no entity."""
    made = []
    for words, tags in items:
        row = [tag.replace("GPE", "LOC") if "MISC" not in tag else "O" for tag in tags]
        fixed = [
            f"B{tag[1:]}" if tag[0] == "I" and (i == 0 or row[i - 1][1:] != tag[1:]) else tag
            for i, tag in enumerate(row)
        ]
        made.append((words, fixed))
    return made


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Entities of a valid BIO2 sequence."""
    found = set()
    for i, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = i + 1
            while end < len(tags) and tags[end] == f"I-{tag[2:]}":
                end += 1
            found.add((i, end, tag[2:]))
    return found


def f1_of(gold: Sequence[set[Any]], predicted: Sequence[set[Any]]) -> float:
    right = sum(len(a & b) for a, b in zip(gold, predicted, strict=True))
    return 2 * right / (sum(map(len, gold)) + sum(map(len, predicted))) if right else 0.0


def encoder_of(done: Done) -> Tensors:
    """Weights below the head, by the names of the bare encoder; the pooler is nobody's."""
    model = AutoModel.from_pretrained(done.uri, add_pooling_layer=False)
    return dict(model.state_dict())


def below(prefix: str, weights: Tensors) -> Tensors:
    return {name.removeprefix(prefix): t for name, t in weights.items() if name.startswith(prefix)}


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.allclose(one[n], other[n], rtol=0, atol=1e-7) for n in one)


def rebuilt(examples: Iterable[dict[str, np.ndarray]]) -> Counter[tuple[int, ...]]:
    """Piece ids of masked examples before they were masked."""
    return Counter(tuple(np.where(e["labels"] != IGNORED, e["labels"], e["input_ids"]).tolist()) for e in examples)


def pieces(chain: Chain, *names: str) -> list[tuple[int, ...]]:
    tokenizer = AutoTokenizer.from_pretrained(chain.plan.encoder)
    made = corpora()
    return [tuple(tokenizer(words, is_split_into_words=True)["input_ids"]) for name in names for words, _ in made[name]]


# Lines 1 and 2.


def test_mlm_learns_from_all_target_text_and_as_much_source_text(chain: Chain) -> None:
    counts, began = chain.mlm.counts, chain.mlm.began
    assert counts["target_sentences"] == counts["source_sentences"] == tiny.TARGET
    assert counts["dev_sentences"] == 2  # one in 50
    learned, kept_back = rebuilt(began.examples), rebuilt(began.dev)
    assert set(learned.values()) == {2}  # maskings
    target, source = (set(pieces(chain, *names)) for names in (("tgt/train", "tgt/dev"), ("src/train", "trans/train")))
    assert len(target) == tiny.TARGET
    assert {row for row in learned if row in target} == target
    assert sum(row in source for row in learned) == tiny.TARGET - 2
    assert set(kept_back) <= source
    assert len(kept_back) == 2
    assert not set(learned) & set(kept_back)
    assert {row for row in learned if row in set(pieces(chain, "trans/train"))}  # translations are source text


def test_mlm_without_source_text_still_keeps_its_dev_sentences_back(chain: Chain) -> None:
    overrides = ("stages.mlm.source_text=false", "stages.mlm.epochs=1")
    done = chain.do("mlm", overrides, corpora=chain.prepare.uri, model=chain.plan.encoder)
    learned, kept_back = rebuilt(done.began.examples), rebuilt(done.began.dev)
    assert done.counts["source_sentences"] == 0
    assert len(kept_back) == 2
    assert set(learned) | set(kept_back) == set(pieces(chain, "tgt/train", "tgt/dev"))
    assert not set(learned) & set(kept_back)


def test_mlm_begins_with_the_encoder_and_warms_up_a_new_head_only(chain: Chain) -> None:
    bare = AutoModel.from_pretrained(chain.plan.encoder, add_pooling_layer=False)
    assert same(below("bert.", chain.mlm.began.start), dict(bare.state_dict()))
    assert not same(encoder_of(chain.mlm), dict(bare.state_dict()))
    assert chain.mlm.began.freeze_first == pytest.approx(0.1)
    assert any("warmed up" in note for note in chain.mlm.report["notes"])
    again = chain.do("mlm", ("stages.mlm.epochs=1",), corpora=chain.prepare.uri, model=chain.mlm.uri)
    assert again.began.freeze_first == 0.0
    assert not again.report["notes"]


# Lines 3 and 4, 13 and 14.


def by_query(chain: Chain, done: Done) -> dict[tuple[int, ...], list[dict[str, np.ndarray]]]:
    """Training examples by the pieces of their query, which are of type 0 between [CLS] and [SEP]."""
    groups: dict[tuple[int, ...], list[dict[str, np.ndarray]]] = {}
    for example in done.began.examples:
        query = tuple(example["input_ids"][example["token_type_ids"] == 0][1:-1].tolist())
        groups.setdefault(query, []).append(example)
    return groups


def query_ids(chain: Chain, query: str) -> tuple[int, ...]:
    tokenizer = AutoTokenizer.from_pretrained(chain.plan.encoder)
    return tuple(tokenizer(query.split(), is_split_into_words=True, add_special_tokens=False)["input_ids"])


def answers(examples: Iterable[dict[str, np.ndarray]]) -> int:
    return sum(int((example["starts"] == 1).sum()) for example in examples)


def entities(items: Labelled, type_: str) -> int:
    return sum(span[2] == type_ for _, tags in mapped(items) for span in spans(tags))


def test_mrc_learns_from_all_questions_and_the_source_entities(chain: Chain) -> None:
    counts = chain.mrc.counts
    expected = {
        "target_mrc_examples": tiny.TARGET_QUESTIONS,
        "source_mrc_examples": tiny.SOURCE_QUESTIONS,
        "ner_mrc_examples": tiny.SOURCE * len(TYPES),
        "translated_ner_mrc_examples": tiny.TRANSLATED * len(TYPES),
    }
    assert {name: n for name, n in counts.items() if name.endswith("_mrc_examples")} == expected
    assert counts["windows"] == len(chain.mrc.began.examples) == sum(expected.values())
    assert counts["dev_examples"] == tiny.DEV_QUESTIONS + tiny.DEV * len(TYPES)
    groups, made = by_query(chain, chain.mrc), corpora()
    for language, name in (("en", "src/train"), ("es", "trans/train")):
        for type_ in TYPES:
            examples = groups.pop(query_ids(chain, QUERIES[language][type_]))
            assert len(examples) == len(made[name])
            assert answers(examples) == entities(made[name], type_) > 0
    (asked,) = groups.values()
    assert len(asked) == answers(asked) == tiny.TARGET_QUESTIONS + tiny.SOURCE_QUESTIONS


def test_a_round_of_mrc_learns_from_target_questions_and_the_pseudo_labels(chain: Chain) -> None:
    counts = chain.loop_mrc.counts
    expected = {"target_mrc_examples": tiny.TARGET_QUESTIONS, "pseudo_mrc_examples": tiny.TARGET * len(TYPES)}
    assert {name: n for name, n in counts.items() if name.endswith("_mrc_examples")} == expected
    assert counts["windows"] == sum(expected.values())
    groups = by_query(chain, chain.loop_mrc)
    for type_ in TYPES:
        examples = groups.pop(query_ids(chain, QUERIES["es"][type_]))
        assert len(examples) == tiny.TARGET
        assert answers(examples) == chain.labels.counts[f"entities_{type_}"] > 0
    assert [len(asked) for asked in groups.values()] == [tiny.TARGET_QUESTIONS]


@pytest.mark.parametrize(
    ("off", "left"),
    [
        (("targets", "ner_as_mrc"), {"source_mrc_examples": tiny.SOURCE_QUESTIONS}),
        (("sources", "ner_as_mrc"), {"target_mrc_examples": tiny.TARGET_QUESTIONS}),
    ],
)
def test_parts_of_mrc_can_be_left_out(chain: Chain, off: tuple[str, ...], left: dict[str, int]) -> None:
    overrides = [f"stages.mrc.{name}=false" for name in off] + ["stages.mrc.epochs=1"]
    done = chain.do("mrc", overrides, corpora=chain.prepare.uri, model=chain.mlm.uri)
    assert {name: n for name, n in done.counts.items() if name.endswith("_mrc_examples")} == left


def test_mrc_begins_with_the_mlm_encoder_and_a_round_with_the_tagger_and_the_last_heads(chain: Chain) -> None:
    assert same(below("encoder.", chain.mrc.began.start), encoder_of(chain.mlm))
    assert not same(encoder_of(chain.mrc), encoder_of(chain.mlm))
    assert same(below("encoder.", chain.loop_mrc.began.start), encoder_of(chain.pseudo_ner))
    heads = {name: t for name, t in chain.loop_mrc.began.start.items() if not name.startswith("encoder.")}
    assert same(heads, load_file(chain.mrc.folder / "heads.safetensors"))
    fresh = chain.do(
        "loop_mrc",
        ("stages.loop_mrc.head=fresh",),
        corpora=chain.prepare.uri,
        model=chain.pseudo_ner.uri,
        pseudo=chain.labels.uri,
        head=chain.mrc.uri,
    )
    assert not torch.allclose(fresh.began.start["start.weight"], heads["start.weight"])


def source_dev(chain: Chain) -> list[MrcExample]:
    """Source questions and NER as MRC of the source dev set, made by hand."""
    examples = list(squad.read(str(chain.data / "mrc/src-qa/dev.json")).examples)
    for i, (words, tags) in enumerate(mapped(corpora()["src/dev"])):
        for type_ in TYPES:
            own = sorted(span for span in spans(tags) if span[2] == type_)
            starts, ends = [a for a, _, _ in own], [b for _, b, _ in own]
            examples.append(MrcExample(f"{i}{type_}", QUERIES["en"][type_], words, starts, ends))
    return examples


def test_the_published_mrc_model_has_the_score_that_is_told_and_that_is_of_source_questions(chain: Chain) -> None:
    model = SpanExtractor(checkpoint.load_encoder(chain.mrc.folder), span_match=False).eval()
    load_heads(model, chain.mrc.folder)
    encoder = checkpoint.piece_encoder(chain.mrc.folder)
    settings = Mrc(learning_rate=1.0, max_pieces=72, overlap_pieces=8)
    target = list(squad.read(str(chain.data / "mrc/tgt-qa/dev.json")).examples)
    for name, examples in (("score", source_dev(chain)), ("target_dev_f1", target)):
        gold = [set(zip(e.starts, e.ends, strict=True)) for e in examples]
        expected = f1_of(gold, predict_answers(model, encoder, examples, settings))
        assert chain.mrc.report["metrics"][name] == pytest.approx(expected), name
    assert chain.mrc.report["metrics"]["score"] > 0
    whole = source_dev(chain)
    questions = len(squad.read(str(chain.data / "mrc/src-qa/dev.json")).examples)
    for name, part in (("source_mrc_f1", whole[:questions]), ("ner_mrc_f1", whole[questions:])):
        gold = [set(zip(e.starts, e.ends, strict=True)) for e in part]
        expected = f1_of(gold, predict_answers(model, encoder, part, settings))
        assert chain.mrc.report["metrics"][name] == pytest.approx(expected), name


# Lines 5 and 6, 8 and 9, 15 and 16.


def classifier(weights: Tensors) -> Tensors:
    return below("classifier.", weights)


def weights_of(done: Done) -> Tensors:
    return load_file(done.folder / "model.safetensors")


def labels_learned(done: Done) -> Counter[str]:
    found = (label for e in done.began.examples for label in e["labels"].tolist() if label != IGNORED)
    return Counter(LABELS[label] for label in found)


def test_ner_learns_from_source_and_translation(chain: Chain) -> None:
    counts = {name: n for name, n in chain.ner.counts.items() if name.endswith("_sentences")}
    assert counts == {
        "source_sentences": tiny.SOURCE, "translated_sentences": tiny.TRANSLATED, "dev_sentences": tiny.DEV
    }  # fmt: skip
    made = corpora()
    tags = [tag for name in ("src/train", "trans/train") for _, row in mapped(made[name]) for tag in row]
    assert labels_learned(chain.ner) == Counter(tags)


def test_ner_begins_with_the_mrc_encoder_and_a_new_head(chain: Chain) -> None:
    start = chain.ner.began.start
    assert same(below("bert.", start), encoder_of(chain.mrc))
    head = classifier(start)
    assert float(head["weight"].std()) == pytest.approx(0.02, abs=0.006)
    assert not head["bias"].any()


def test_line_9_learns_from_pseudo_labels_alone(chain: Chain) -> None:
    counts = {name: n for name, n in chain.pseudo_ner.counts.items() if name.endswith("_sentences")}
    assert counts == {"pseudo_sentences": tiny.TARGET, "dev_sentences": tiny.DEV}
    learned = {tuple(example["input_ids"].tolist()) for example in chain.pseudo_ner.began.examples}
    assert learned == set(pieces(chain, "tgt/train", "tgt/dev"))
    beginnings = {
        type_: n for label, n in labels_learned(chain.pseudo_ner).items() for type_ in [label[2:]] if label[0] == "B"
    }
    assert beginnings == {type_: chain.labels.counts[f"entities_{type_}"] for type_ in beginnings}


def test_the_authors_mix_adds_as_many_source_sentences(chain: Chain) -> None:
    overrides = ("stages.pseudo_ner.mix=pseudo+source",)
    inputs = {"corpora": chain.prepare.uri, "model": chain.ner.uri, "pseudo": chain.labels.uri, "head": chain.ner.uri}
    done = chain.do("pseudo_ner", overrides, **inputs)
    counts = {name: n for name, n in done.counts.items() if name.endswith("_sentences")}
    assert counts == {
        "pseudo_sentences": tiny.TARGET, "source_sentences": tiny.TARGET,
        "translated_sentences": tiny.TRANSLATED, "dev_sentences": tiny.DEV,
    }  # fmt: skip


def test_caps_hold_for_each_corpus(chain: Chain) -> None:
    overrides = ("stages.ner.max_train_examples=7", "stages.ner.max_dev_examples=4", "stages.ner.epochs=1")
    done = chain.do("ner", overrides, corpora=chain.prepare.uri, model=chain.mrc.uri)
    assert done.counts["source_sentences"] == done.counts["translated_sentences"] == 7
    assert done.counts["dev_sentences"] == 4


def test_line_8_carries_the_whole_tagger(chain: Chain) -> None:
    """At a rate of 1e-12 line 9 leaves what it began with."""
    assert same(weights_of(chain.pseudo_ner), weights_of(chain.ner))
    assert same(classifier(chain.pseudo_ner.began.start), classifier(weights_of(chain.ner)))
    inputs = {"corpora": chain.prepare.uri, "model": chain.ner.uri, "pseudo": chain.labels.uri, "head": chain.ner.uri}
    fresh = weights_of(chain.do("pseudo_ner", ("stages.pseudo_ner.head=fresh",), **inputs))
    assert same(below("bert.", fresh), below("bert.", weights_of(chain.ner)))
    assert not same(classifier(fresh), classifier(weights_of(chain.ner)))
    assert float(fresh["classifier.weight"].std()) == pytest.approx(0.02, abs=0.006)


def test_line_15_takes_the_encoder_of_mrc_and_the_head_of_the_last_tagger(chain: Chain) -> None:
    assert same(encoder_of(chain.loop_ner), encoder_of(chain.loop_mrc))
    assert not same(encoder_of(chain.loop_ner), encoder_of(chain.pseudo_ner))
    assert same(classifier(weights_of(chain.loop_ner)), classifier(weights_of(chain.pseudo_ner)))


def test_the_published_tagger_has_the_score_that_is_told(chain: Chain) -> None:
    model, labels, about = checkpoint.load_trained_tagger(chain.ner.folder)
    assert labels == LABELS
    assert (about["max_pieces"], about["overlap_pieces"]) == (48, 8)
    items = mapped(corpora()["src/dev"])
    encoder = checkpoint.piece_encoder(chain.ner.folder)
    found = predict_tags(model, encoder, [words for words, _ in items], labels, 48, 8)
    gold, predicted = [spans(tags) for _, tags in items], [spans(t.tags) for t in found]
    metrics = chain.ner.report["metrics"]
    assert metrics["score"] == metrics["dev_f1"] == pytest.approx(f1_of(gold, predicted))
    assert metrics["score"] > 0.3


# What must not matter.


def test_target_labels_and_target_dev_answers_change_no_text_and_no_model(chain: Chain, scrambled: Chain) -> None:
    for name in ("ner/tgt/train.conll", "ner/tgt/dev.conll", "mrc/tgt-qa/dev.json"):
        assert (chain.data / name).read_bytes() != (scrambled.data / name).read_bytes()
    for name in ("target_text", "source_text", "source_ner", "source_ner_dev"):
        files = [one.prepare.manifest["files"][f"{name}.parquet"] for one in (chain, scrambled)]
        assert files[0] == files[1], name
    for stage in ("mlm", "mrc", "ner", "labels", "loop_mrc"):
        ours, theirs = getattr(chain, stage), getattr(scrambled, stage)
        assert ours.digest == theirs.digest, stage
        assert ours.uri != theirs.uri
        assert ours.counts == theirs.counts


def test_each_stage_leaves_what_the_next_one_loads(chain: Chain) -> None:
    for done in (chain.mlm, chain.mrc, chain.ner):
        assert (done.folder / "tokenizer.json").read_bytes() == Path(chain.plan.encoder, "tokenizer.json").read_bytes()
    assert json.loads((chain.ner.folder / "labels.json").read_text()) == {"labels": LABELS, "scheme": "BIO2"}

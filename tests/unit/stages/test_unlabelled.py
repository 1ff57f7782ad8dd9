"""What can be known of a tagger without labels, by cases whose answer is known by hand."""

import numpy as np
import pytest
from seqeval.metrics import f1_score

from tofner.corpora.examples import Sentence
from tofner.release.gate import decide
from tofner.settings import Gate
from tofner.stages.unlabelled import FACTOR, LEAST, SHOWN, agreements, of_target, rates, spans_of, warnings
from tofner.words.spans import Span, spans_to_tags, tags_to_spans


def sentence(id_: str, tags: str, scores: list[float]) -> Sentence:
    words = tags.split()
    return Sentence(id_, [f"w{i}" for i in range(len(words))], words, scores)


def test_what_a_tagger_found_is_counted() -> None:
    told = of_target(
        [
            sentence("a", "B-PER I-PER O B-LOC", [0.6, 0.8, 0.1, 1.0]),
            sentence("b", "O O", [0.9, 0.9]),
            sentence("c", "B-PER", [0.05]),
        ],
        seed=1,
    )
    assert (told["sentences"], told["words"], told["entities"]) == (3, 7, {"LOC": 1, "PER": 2})
    assert told["histogram"] == [1, 0, 0, 0, 0, 0, 0, 1, 0, 1]  # 0.05; the mean of 0.6 and 0.8; 1.0
    assert told["spans"] == {"a": [[0, 2, "PER"], [3, 4, "LOC"]], "c": [[0, 1, "PER"]]}
    assert told["lengths"] == {"a": 4, "b": 2, "c": 1}
    assert [one["certainty"] for one in told["examples"]] == [0.05, 0.1]


def test_as_many_sentences_are_shown_as_were_promised() -> None:
    many = [sentence(str(i), "B-PER O", [i / 200, 1.0]) for i in range(200)]
    shown = [one["certainty"] for one in of_target(many, seed=1)["examples"]]
    assert len(shown) == SHOWN == 50
    assert shown == sorted(shown)


def source(words: int, **entities: int) -> list[dict[str, object]]:
    other = {"part": "target_text", "words": 10**9, "entities": {}}
    halves = [{"part": "source_ner", "words": words // 2, "entities": {k: n // 2 for k, n in entities.items()}}] * 2
    return [*halves, other]


@pytest.mark.parametrize(
    ("given", "found", "words", "change"),
    [
        # of 10,000 words in the source; in the target as many words, or fewer
        (200, 200, 10_000, ""),
        (200, 20, 10_000, "vanished"),  # a tenth
        (200, 21, 10_000, ""),
        (200, 0, 1_000, "vanished"),  # 20 were to be expected
        (200, 0, 950, ""),  # 19: chance
        (20, 200, 10_000, "multiplied"),
        (20, 198, 10_000, ""),
        (0, 20, 10_000, "multiplied"),
        (0, 19, 10_000, ""),
        (0, 0, 10_000, ""),
    ],
)
def test_a_type_vanishes_or_multiplies_by_the_factor(given: int, found: int, words: int, change: str) -> None:
    assert (FACTOR, LEAST) == (10, 20)
    target = {"words": words, "entities": {"PER": found} if found else {}}
    (row,) = rates(source(10_000, PER=given), target, ["PER"])
    assert (row["source"], row["target"]) == (given / 10, 1000 * found / words)
    assert row["change"] == change
    told = warnings([row])
    assert bool(told) == bool(change)
    if change:
        rate = f"{1000 * found / words:.2f}"
        assert told[0].startswith(
            f"type PER has {change}: {rate} in 1,000 words of target text, {given / 10:.2f} in the"
        )


def test_taggers_agree_as_seqeval_has_it() -> None:
    random = np.random.default_rng(3)
    lengths = {str(i): 12 for i in range(60)}

    def tagger() -> dict[str, list[list[object]]]:
        starts = {id_: [s for s in (0, 4, 8) if random.random() < 0.7] for id_ in lengths}
        return {id_: [[s, s + 2, str(random.choice(["A", "B"]))] for s in row] for id_, row in starts.items() if row}

    taggers = {"ner": tagger(), "ner 1": tagger(), "ner 2": tagger()}
    rows = agreements(taggers, lengths)
    assert [(row["first"], row["second"]) for row in rows] == [("ner", "ner 1"), ("ner", "ner 2"), ("ner 1", "ner 2")]
    tags = {
        name: [spans_to_tags([Span(*one) for one in spans.get(id_, [])], 12) for id_ in lengths]  # type: ignore[misc]
        for name, spans in taggers.items()
    }
    for row in rows:
        first, second = tags[row["first"]], tags[row["second"]]
        assert row["share"] == pytest.approx(f1_score(first, second))
        assert row["changed"] == pytest.approx(float((np.array(first) != np.array(second)).mean()))


def test_spans_are_those_of_the_sentences_that_are_asked_for() -> None:
    labelled = [sentence("a", "B-PER I-PER", [1, 1]), sentence("b", "B-LOC O", [1, 1])]
    assert spans_of(labelled, ["b", "z"]) == {"b": [[0, 1, "LOC"]]}
    assert tags_to_spans(["B-LOC", "O"]) == [Span(0, 1, "LOC")]


LOST = ["type PER has vanished: 0.00 in 1,000 words of target text, 36.80 in the source"]


@pytest.mark.parametrize(
    ("gate", "promoted"),
    [
        ({}, True),
        ({"lost_types": "hold"}, False),
        ({"lost_types": "hold", "promote": "always"}, True),
        ({"promote": "never"}, False),
    ],
)
def test_the_first_model_can_be_held_back_for_a_type_that_it_has_lost(gate: dict[str, str], promoted: bool) -> None:
    verdict = decide(Gate.model_validate(gate), None, [], lost=LOST)
    assert verdict.promote is promoted
    assert ("PER has vanished" in verdict.reason) == (gate.get("lost_types") == "hold")
    assert decide(Gate(lost_types="hold"), None, []).promote


def test_a_model_that_is_not_worse_is_held_back_for_a_lost_type_too() -> None:
    from tofner.release.gate import Labelled

    gold = [["B-PER", "O"]] * 200
    one = Labelled("news/dev", "source", gold, gold, gold)
    assert decide(Gate(lost_types="tell"), "v1", [one], lost=LOST).promote
    held = decide(Gate(lost_types="hold"), "v1", [one], lost=LOST)
    assert not held.promote
    assert held.reason == f"lost: {LOST[0]}"

"""The MRC task against numpy expressions of Eq. 2 and against transformers' own encoding of pairs."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer, BertConfig

from tests.tiny_encoder import make_encoder, sentences
from tofner.corpora.examples import MrcExample
from tofner.errors import BadModel
from tofner.settings import Mrc
from tofner.training import checkpoint
from tofner.training.mrc import (
    Reading,
    SpanExtractor,
    collate,
    inside,
    load_extractor,
    load_heads,
    predict_answers,
    save_heads,
    score_answers,
    span_examples,
    windows_of,
)
from tofner.words.features import IGNORED, SpanWindow
from tofner.words.windows import Window

QUERY = ["Who", "is", "named", "?"]
WIDE = Mrc(learning_rate=1e-3, max_pieces=100, overlap_pieces=8)
NARROW = Mrc(learning_rate=1e-3, max_pieces=40, overlap_pieces=10)


def question(tokens: list[str], *answers: tuple[int, int]) -> MrcExample:
    return MrcExample("q", " ".join(QUERY), tokens, [a for a, _ in answers], [b for _, b in answers])


QUESTIONS = [
    question(["lol", "Anna", "Berg", "xq", "Tom", "rn"], (1, 4), (4, 5)),
    question(["shares", "of", "Acme", "Corp", "fell", "in", "Oslo", "."]),
    question(["@x", "hate", "Lee", "Wong", "??"], (2, 4)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("mrc") / "bert")


def extractor(folder: Path, span_match: bool, seed: int = 4) -> SpanExtractor:
    """Heads large enough to say something."""
    torch.manual_seed(seed)
    model = SpanExtractor(checkpoint.load_encoder(folder), span_match).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("encoder."):
                parameter.normal_(std=0.4)
        for head in (model.start, model.end):
            head.bias += torch.tensor([0.0, 0.5])
    return model


@pytest.mark.parametrize("item", QUESTIONS)
def test_pairs_are_encoded_as_transformers_does(folder: Path, item: MrcExample) -> None:
    features, counts = span_examples(checkpoint.piece_encoder(folder), [item], WIDE)
    theirs = AutoTokenizer.from_pretrained(folder)(
        QUERY, item.tokens, is_split_into_words=True, return_token_type_ids=True
    )
    ours = features[0]
    assert counts == {"windows": 1, "shortened_words": 0}
    assert ours["input_ids"].tolist() == theirs["input_ids"]
    assert ours["token_type_ids"].tolist() == theirs["token_type_ids"]
    assert max(theirs["token_type_ids"]) == 1
    words = [w if s == 1 else None for w, s in zip(theirs.word_ids(), theirs.sequence_ids(), strict=True)]
    for name, marked in (("starts", set(item.starts)), ("ends", {end - 1 for end in item.ends})):
        expected = [IGNORED if word is None else 0 for word in words]
        for word in marked:  # an answer starts with the first piece of its first word, ends with its last word's last
            at = [i for i, w in enumerate(words) if w == word]
            expected[at[0] if name == "starts" else at[-1]] = 1
        assert ours[name].tolist() == expected
    pairs = {
        (words.index(start), len(words) - 1 - words[::-1].index(end - 1))
        for start, end in zip(item.starts, item.ends, strict=True)
    }
    assert {(i, int(end)) for i, end in enumerate(ours["spans"]) if end != IGNORED} == pairs


def reference(model: SpanExtractor, folder: Path, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Hidden states of stock transformers, and the logits of Eq. 2 by numpy."""
    encoder = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        hidden = encoder(**inputs).last_hidden_state.numpy().astype(np.float64)
    heads = {name: tensor.numpy().astype(np.float64) for name, tensor in model.state_dict().items()}
    logits = {name: hidden @ heads[f"{name}.weight"].T + heads[f"{name}.bias"] for name in ("start", "end")}
    return {"hidden": hidden, "heads": heads, **logits}


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    counted = labels != IGNORED
    return float(-np.log(np.take_along_axis(p[counted], labels[counted][:, None], -1)).mean())


def erf(x: np.ndarray) -> np.ndarray:
    return torch.special.erf(torch.from_numpy(x)).numpy()


def match_logit(heads: dict[str, np.ndarray], first: np.ndarray, last: np.ndarray) -> float:
    """Two layers with GELU over both ends of a pair (Li et al., 2020)."""
    inner = heads["match.0.weight"] @ np.concatenate([first, last]) + heads["match.0.bias"]
    inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
    return float((heads["match.2.weight"] @ inner + heads["match.2.bias"])[0])


def batch_of(folder: Path) -> dict[str, torch.Tensor]:
    features, _ = span_examples(checkpoint.piece_encoder(folder), QUESTIONS, WIDE)
    return collate([features[i] for i in range(len(features))])


def test_padding_counts_in_no_loss(folder: Path) -> None:
    features, _ = span_examples(checkpoint.piece_encoder(folder), [QUESTIONS[0], question(["Tom"], (0, 1))], WIDE)
    batch = collate([features[0], features[1]])
    padded = batch["attention_mask"] == 0
    assert padded.any()
    for name in ("starts", "ends", "spans"):
        assert (batch[name][padded] == IGNORED).all(), name


def test_loss_is_cross_entropy_of_starts_and_ends_over_the_context(folder: Path) -> None:
    model, batch = extractor(folder, span_match=False), batch_of(folder)
    theirs = reference(model, folder, batch)
    with torch.no_grad():
        output = model(**batch)
    assert (batch["starts"] == IGNORED).any()
    np.testing.assert_allclose(output["start"].numpy(), theirs["start"], atol=1e-4)
    np.testing.assert_allclose(output["end"].numpy(), theirs["end"], atol=1e-4)
    expected = sum(cross_entropy(theirs[name], batch[f"{name}s"].numpy()) for name in ("start", "end"))
    assert float(output["loss"]) == pytest.approx(expected, rel=1e-4)


def test_third_head_adds_the_loss_of_proposed_pairs(folder: Path) -> None:
    model, batch = extractor(folder, span_match=True), batch_of(folder)
    theirs = reference(model, folder, batch)
    starts, ends, spans = (batch[name].numpy() for name in ("starts", "ends", "spans"))
    says = {name: theirs[name][..., 1] > theirs[name][..., 0] for name in ("start", "end")}
    losses, truths = [], []
    for row in range(starts.shape[0]):
        context = [i for i in range(starts.shape[1]) if starts[row, i] != IGNORED]
        for first in context:
            for last in context:
                proposed = (says["start"][row, first] or starts[row, first] == 1) and (
                    says["end"][row, last] or ends[row, last] == 1
                )
                if not proposed or first > last:
                    continue
                p = 1 / (
                    1 + np.exp(-match_logit(theirs["heads"], theirs["hidden"][row, first], theirs["hidden"][row, last]))
                )
                truths.append(bool(spans[row, first] == last))
                losses.append(-np.log(p if truths[-1] else 1 - p))
    assert 3 == sum(truths) < len(truths)
    heads = sum(cross_entropy(theirs[name], batch[f"{name}s"].numpy()) for name in ("start", "end"))
    with torch.no_grad():
        assert float(model(**batch)["loss"]) == pytest.approx(heads + np.mean(losses), rel=1e-4)


def candidates(model: SpanExtractor, folder: Path, one: SpanWindow) -> list[tuple[int, int, float]]:
    """(first word, last word, match probability) of one window by plain numpy; 1 where there is no third head."""
    inputs = {"input_ids": one.ids, "attention_mask": np.ones_like(one.ids), "token_type_ids": one.types}
    batch = {name: torch.from_numpy(np.asarray(ids, np.int64))[None] for name, ids in inputs.items()}
    theirs = reference(model, folder, batch)
    starts = [w for w, at in enumerate(one.first) if theirs["start"][0, at, 1] > theirs["start"][0, at, 0]]
    ends = [w for w, at in enumerate(one.last) if theirs["end"][0, at, 1] > theirs["end"][0, at, 0]]
    found = []
    for start in starts:
        later = [end for end in ends if end >= start]
        if model.match is None:
            if later and not any(start < other <= later[0] for other in starts):
                found.append((start, later[0], 1.0))
            continue
        for end in later:
            logit = match_logit(
                theirs["heads"], theirs["hidden"][0, one.first[start]], theirs["hidden"][0, one.last[end]]
            )
            found.append((start, end, float(1 / (1 + np.exp(-logit)))))
    return found


def middle(values: list[float]) -> float:
    """Of the middle half: the middle of the widest gap, so that no value stands on the edge, where rounding decides."""
    ordered = sorted(values)[len(values) // 4 : -len(values) // 4]
    gap, low = max((high - low, low) for low, high in itertools.pairwise(ordered))
    return low + gap / 2


@pytest.mark.parametrize("span_match", [False, True])
def test_answers_are_decoded_as_by_hand(folder: Path, span_match: bool) -> None:
    model, encoder = extractor(folder, span_match), checkpoint.piece_encoder(folder)
    items = [question(words) for words, _ in sentences("posts", 6)]
    windows, _ = windows_of(encoder, items, WIDE)
    found = [candidates(model, folder, one) for one in windows]
    threshold = middle([p for answers in found for *_, p in answers]) if span_match else 0.5
    expected = [{(a, b + 1) for a, b, p in answers if p > threshold} for answers in found]
    assert sum(map(len, expected)) > 4
    assert predict_answers(model, encoder, items, WIDE.model_copy(update={"match_threshold": threshold})) == expected


def test_long_contexts_are_answered_by_the_window_that_owns_the_word(folder: Path) -> None:
    model, encoder = extractor(folder, span_match=False), checkpoint.piece_encoder(folder)
    items = [question([word for words, _ in sentences("posts", 5) for word in words])]
    windows, _ = windows_of(encoder, items, NARROW)
    assert len(windows) > 2
    owned, everywhere = set(), set()
    for one in windows:
        for first, last, _ in candidates(model, folder, one):
            answer = (one.window.start + first, one.window.start + last + 1)
            everywhere.add(answer)
            if answer[0] in range(one.window.own_start, one.window.own_end):
                owned.add(answer)
    assert owned
    assert owned < everywhere
    assert predict_answers(model, encoder, items, NARROW) == [owned]


def test_windows_without_the_answer_may_be_fewer(folder: Path) -> None:
    """All that hold an answer stay, all of a question without one, and a share of the others."""
    encoder = checkpoint.piece_encoder(folder)
    long = [word for words, _ in sentences("posts", 8) for word in words]
    items = [question(long, (3, 5)), question(long), *[question(long, (at, at + 1)) for at in range(0, 40)]]
    windows, _ = windows_of(encoder, items, NARROW)
    answered = sum(bool(inside(items[one.example], one)) for one in windows)
    of_none = sum(one.example == 1 for one in windows)
    assert min(answered, of_none) > 1
    found = {}
    for share in (1.0, 0.5, 0.0):
        examples, counts = span_examples(encoder, items, NARROW, share, 3)
        rows = [examples[i] for i in range(len(examples))]
        assert sum(bool((row["starts"] == 1).any()) for row in rows) == answered
        found[share] = len(rows)
        assert counts.get("skipped_windows", 0) == len(windows) - len(rows)
    assert found[1.0] == len(windows)
    assert found[0.0] == answered + of_none
    assert found[0.5] - found[0.0] == pytest.approx((found[1.0] - found[0.0]) / 2, rel=0.15)
    same, other = (span_examples(encoder, items, NARROW, 0.5, seed)[0] for seed in (3, 4))
    lengths = [span_examples(encoder, items, NARROW, 0.5, 3)[0].lengths, same.lengths]
    assert lengths[0] == lengths[1] != other.lengths


def test_answers_may_end_with_the_piece_that_the_tagger_reads(folder: Path) -> None:
    """The first one of the last word: learned there, and read from there."""
    model, encoder = extractor(folder, span_match=False), checkpoint.piece_encoder(folder)
    first = WIDE.model_copy(update={"answer_end": "first"})
    ours = span_examples(encoder, [QUESTIONS[0]], first)[0][0]
    read = AutoTokenizer.from_pretrained(folder)(QUERY, QUESTIONS[0].tokens, is_split_into_words=True)
    words = [w if s == 1 else None for w, s in zip(read.word_ids(), read.sequence_ids(), strict=True)]
    assert np.flatnonzero(ours["ends"] == 1).tolist() == [words.index(3), words.index(4)]
    assert ours["spans"][words.index(1)] == words.index(3) != len(words) - 1 - words[::-1].index(3)
    items = [question([f"{word}xq" for word in words]) for words, _ in sentences("posts", 6)]  # of several pieces
    expected = []
    for item in items:
        with torch.no_grad():
            batch = collate([span_examples(encoder, [item], first)[0][0]])
            output = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
        read = AutoTokenizer.from_pretrained(folder)(QUERY, item.tokens, is_split_into_words=True)
        words = [w if s == 1 else None for w, s in zip(read.word_ids(), read.sequence_ids(), strict=True)]
        at = [words.index(w) for w in range(len(item.tokens))]
        begins, ends = (
            [w for w, place in enumerate(at) if output[name][0, place, 1] > output[name][0, place, 0]]
            for name in ("start", "end")
        )
        following = [*begins[1:], len(at)]
        pairs = ((a, next((e for e in ends if a <= e < b), None)) for a, b in zip(begins, following, strict=True))
        expected.append({(a, e + 1) for a, e in pairs if e is not None})
    assert sum(map(len, expected)) > 4
    assert predict_answers(model, encoder, items, first) == expected != predict_answers(model, encoder, items, WIDE)


def test_an_answer_with_a_word_that_is_not_trusted_is_not_scored() -> None:
    item = question(["w"] * 6, (0, 2), (3, 5))
    item.trusted = [True, True, True, True, False, True]
    assert score_answers([{(0, 2), (4, 6)}], [item])["f1"] == 1.0
    assert score_answers([{(0, 2), (5, 6)}], [item])["f1"] == pytest.approx(2 / 3)


def test_an_answer_belongs_to_windows_that_hold_all_of_it() -> None:
    places = np.arange(6)
    one = SpanWindow(0, Window(4, 10, 5, 9), places, places, places, places)
    item = question(["w"] * 20, (2, 4), (3, 5), (4, 6), (5, 10), (8, 11), (10, 11))
    assert inside(item, one) == [(0, 2), (1, 6)]


def test_heads_have_the_encoders_dropout(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "e")
    config = BertConfig.from_pretrained(folder)
    config.hidden_dropout_prob = 0.4
    config.save_pretrained(folder)
    model = SpanExtractor(checkpoint.load_encoder(folder), span_match=False)
    for module in model.encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    batch = batch_of(folder)
    whole = model.eval()(**batch)["hidden"]
    dropped = model.train()(**batch)["hidden"]
    gone = (dropped == 0).float().mean()
    assert float(gone) == pytest.approx(0.4, abs=0.03)
    torch.testing.assert_close(dropped[dropped != 0], (whole / 0.6)[dropped != 0], rtol=1e-4, atol=1e-5)


@pytest.fixture(params=[False, True], ids=["two heads", "three heads"])
def saved(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> tuple[SpanExtractor, Path]:
    model = extractor(folder, request.param)
    save_heads(model, tmp_path, WIDE)
    return model, tmp_path


def test_every_head_is_saved_and_loaded(folder: Path, saved: tuple[SpanExtractor, Path]) -> None:
    model, place = saved
    other = extractor(folder, model.match is not None, seed=8)
    assert not torch.equal(other.end.weight, model.end.weight)
    load_heads(other, place)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_scores_count_exact_spans() -> None:
    items = [question(["w"] * 9, (0, 1), (2, 4)), question(["w"] * 9, (5, 6)), question(["w"])]
    predicted = [{(0, 1), (2, 3)}, {(5, 6)}, {(0, 1)}]
    found = score_answers(predicted, items)
    assert found == {
        "score": pytest.approx(4 / 7),
        "f1": pytest.approx(4 / 7),
        "precision": 0.5,
        "recall": pytest.approx(2 / 3),
    }
    assert score_answers([set(), set(), set()], items)["f1"] == 0.0


def test_a_window_without_a_trusted_word_is_left_out(folder: Path) -> None:
    trusted = ([False] * 6, None, [True] + [False] * 4)
    items = [replace(item, trusted=words) for item, words in zip(QUESTIONS, trusted, strict=True)]
    examples, counts = span_examples(checkpoint.piece_encoder(folder), items, WIDE)
    assert (len(examples), counts["windows"]) == (2, 2)
    assert (examples[1]["starts"] != IGNORED).sum() == (examples[1]["ends"] != IGNORED).sum() == 2  # pieces of "@x"


@pytest.mark.parametrize("span_match", [False, True])
def test_a_finished_model_answers_as_it_did(folder: Path, tmp_path: Path, span_match: bool) -> None:
    """From its folder alone, with windows and threshold of its training."""
    model, encoder = extractor(folder, span_match), checkpoint.piece_encoder(folder)
    items = [question([word for words, _ in sentences("posts", 5) for word in words])]
    told = NARROW.model_copy(update={"match_threshold": 0.3, "answer_end": "first"})
    before = predict_answers(model, encoder, items, told)
    assert before != predict_answers(model, encoder, items, WIDE)
    checkpoint.save(model.encoder, folder, tmp_path)
    save_heads(model, tmp_path, told)
    again, reading = load_extractor(tmp_path, 3)
    assert reading == Reading(40, 10, 0.3, "first", 3)
    assert predict_answers(again, encoder, items, reading) == before
    (tmp_path / "mrc.json").unlink()
    with pytest.raises(BadModel, match=r"no mrc\.json"):
        load_extractor(tmp_path, 3)

"""Tags and scores against a softmax in numpy over the graph's own logits; offsets against `text[start:end]`."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.tiny_tagger import LABELS, make_tokenizer, publish_tiny
from tofner.model.published import load_model
from tofner.tagging import Entity, Tagger
from tofner.tagging.engine.batches import plan_batches
from tofner.tagging.engine.texts import to_entities, to_words
from tofner.words.scores import best_tags, label_names
from tofner.words.windows import plan_windows

WORDS = "Angela Merkel met Obama in New York , said Reuters . Ajax U.N. Madrid Größe".split()
MAX_PIECES, OVERLAP = 32, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_tiny(tmp_path_factory.mktemp("model"), MAX_PIECES, OVERLAP)


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Tagger:
    return Tagger.load(folder, threads=1)


@pytest.fixture(scope="module")
def session(folder: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def softmax_of_words(session: onnxruntime.InferenceSession, words: list[str]) -> np.ndarray:
    """[words, labels]: each word's first piece in the window that owns the word, one window a run."""
    tokenizer = make_tokenizer()
    ids = [tokenizer.encode(word, add_special_tokens=False).ids for word in words]
    begin, end = (tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))
    rows: list[Any] = [None] * len(words)
    for window in plan_windows([len(word) for word in ids], MAX_PIECES - 2, OVERLAP):
        inner = [piece for word in ids[window.start : window.end] for piece in word]
        given = np.array([[begin, *inner, end]], np.int64)
        (logits,) = session.run(None, {"input_ids": given, "attention_mask": np.ones_like(given)})
        for word in range(window.own_start, window.own_end):
            at = 1 + sum(len(ids[w]) for w in range(window.start, word))
            rows[word] = np.exp(logits[0, at]) / np.exp(logits[0, at]).sum()
    return np.array(rows)


def expected(session: onnxruntime.InferenceSession, words: list[str]) -> list[tuple[int, int, str, list[float]]]:
    """(first word, end, type, probability of each word's tag) of each entity, decoded by hand."""
    chances = softmax_of_words(session, words)
    found: list[tuple[int, int, str, list[float]]] = []
    for i, row in enumerate(chances):
        tag, chance = LABELS[int(row.argmax())], float(row.max())
        last = found[-1] if found else None
        if tag.startswith("I-") and last and last[1] == i and last[2] == tag[2:]:
            found[-1] = (last[0], i + 1, last[2], [*last[3], chance])
        elif tag != "O":
            found.append((i, i + 1, tag[2:], [chance]))
    return found


def sentences(count: int, longest: int) -> list[list[str]]:
    random = np.random.default_rng(7)
    return [random.choice(WORDS, random.integers(1, longest)).tolist() for _ in range(count)]


def test_a_score_is_the_mean_of_its_words_probabilities(tagger: Tagger, session: Any) -> None:
    """Many lengths in one call, so batches of several lengths; some sentences are longer than a window."""
    rows = sentences(40, 30)
    wide = 0
    for words, found in zip(rows, tagger.tag(rows), strict=True):
        wanted = expected(session, words)
        assert [(e.start, e.end, e.label) for e in found] == [row[:3] for row in wanted]
        np.testing.assert_allclose([e.score for e in found], [np.mean(row[3]) for row in wanted], atol=1e-4)
        wide += sum(max(row[3]) - float(np.mean(row[3])) > 0.01 for row in wanted)
    assert wide > 10, "where the largest, or the first, is not the mean"


def test_entities_of_texts_are_pieces_of_them(tagger: Tagger, session: Any) -> None:
    """Offsets count characters of the text as it came, double spaces and line ends and all."""
    for words in sentences(20, 12):
        text = "  " + "\n ".join(words)
        cut = to_words(text)
        found = tagger.tag([text])[0]
        assert [(e.start, e.text, e.label) for e in found] == [
            (start := int(cut.offsets[a, 0]), text[start : int(cut.offsets[b - 1, 1])], label)  # type: ignore[index]
            for a, b, label, _ in expected(session, cut.words)
        ]
        assert all(e.text == text[e.start : e.end] == e.text.strip() for e in found)


def test_entities_spelled_out() -> None:
    tags = ["O", "B-PER", "I-PER", "I-LOC", "B-LOC", "O"]
    chances = np.array([1.0, 0.5, 1.0, 0.25, 0.33338, 1.0])
    text = "The  New York , हिन्दी ran"
    words = to_words(text)
    assert words.words == ["The", "New", "York", ",", "हिन्दी", "ran"]
    of_text = to_entities(words, tags, chances)
    assert of_text == [
        Entity(5, 13, "PER", 0.75, "New York"),
        Entity(14, 15, "LOC", 0.25, ","),
        Entity(16, 22, "LOC", 0.3334, "हिन्दी"),
    ]
    of_tokens = to_entities(to_words(words.words), tags, chances)
    assert [(e.start, e.end, e.text) for e in of_tokens] == [(1, 3, "New York"), (3, 4, ","), (4, 5, "हिन्दी")]
    assert of_text[0].as_record() == {"start": 5, "end": 13, "label": "PER", "score": 0.75, "text": "New York"}
    assert of_tokens[0].as_record(of_tokens=True) == {
        "start_token": 1, "end_token": 3, "label": "PER", "score": 0.75, "text": "New York",
    }  # fmt: skip


def test_softmax_and_ties() -> None:
    logits = np.array([[0.0, 2.0, 2.0], [3.0, -1.0, 3.0], [1000.0, 999.0, 0.0]], np.float32)
    tags, chances = best_tags(logits)
    assert tags.tolist() == [1, 0, 0], "of equal logits the first label wins"
    e = np.exp
    plain = [e(2) / (1 + 2 * e(2)), e(3) / (2 * e(3) + e(-1)), 1 / (1 + e(-1))]
    np.testing.assert_allclose(chances, plain, rtol=1e-12)
    assert label_names(tags, ["O", "B-X", "I-X"]) == ["B-X", "O", "O"]


def test_repeated_windows_are_answered_for_each_that_has_them(tagger: Tagger) -> None:
    row = "New York Ajax Madrid Obama".split()
    (alone,) = tagger.tag([row])
    assert alone
    prepared = tagger.prepare([to_words(row), to_words(["Ajax"]), to_words(row), to_words(row)])
    assert [len(rows) for rows in prepared.owner] == [3, 1]
    assert [words.tolist() for words in prepared.owner[0]] == [[0, 1, 2, 3, 4], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]]
    assert tagger.tag([row, ["Ajax"], row, row]) == [alone, *tagger.tag([["Ajax"]]), alone, alone]


def test_equal_windows_that_own_other_words_stay_apart(tagger: Tagger, session: Any) -> None:
    """All inner windows of a text of one word look the same; the first one owns other places of it."""
    words = ["Ajax"] * 100
    prepared = tagger.prepare([to_words(words)])
    windows = plan_windows([1] * 100, MAX_PIECES - 2, OVERLAP)
    places = {(w.end - w.start, w.own_start - w.start, w.own_end - w.start) for w in windows}
    assert (prepared.window_count, len(prepared.windows)) == (len(windows), len(places))
    (found,) = tagger.tag([words])
    assert [(e.start, e.end, e.label) for e in found] == [row[:3] for row in expected(session, words)]


def test_the_first_pieces_are_wanted_and_no_others(tagger: Tagger) -> None:
    prepared = tagger.prepare([to_words(["Größe", "Ajax", "xyz", "U.N."])])
    tokenizer = make_tokenizer()
    sizes = [len(tokenizer.encode(word, add_special_tokens=False).ids) for word in ("Größe", "Ajax", "xyz")]
    assert min(sizes[0], sizes[2]) > 1
    assert [row.tolist() for row in prepared.owned] == [(1 + np.cumsum([0, *sizes])).tolist()]
    assert prepared.pieces == 2 + sum(sizes) + len(tokenizer.encode("U.N.", add_special_tokens=False).ids)


def test_a_group_counts_its_words_that_were_cut(tagger: Tagger) -> None:
    one = tagger.prepare([to_words(["x" * 200, "Ajax"]), to_words(["y" * 31, "z" * 30])])
    assert one.cut_words == 2  # 30 pieces fit


def test_batches_are_full_and_longest_first() -> None:
    lengths = np.array([5, 8, 5, 5, 8, 2, 5])
    assert [batch.tolist() for batch in plan_batches(lengths, 16)] == [[1, 4], [0, 2, 3], [6], [5]]


def test_the_network_is_given_windows_of_one_length(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, int]] = []
    run = tagger.runner.run

    def seen(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        shapes.append(ids.shape)
        assert wanted[:, 0].sum() == wanted[:, -1].sum() == 0, "special tokens are nobody's words"
        return run(ids, wanted)

    monkeypatch.setattr(tagger.runner, "run", seen)
    tagger.batch_pieces, before = 64, tagger.batch_pieces
    try:
        rows = [["Ajax"] * size + [str(i)] for i in range(12) for size in (1, 4)]
        tagger.tag(rows)
    finally:
        tagger.batch_pieces = before
    assert all(rows * length <= 64 for rows, length in shapes)
    assert sum(rows for rows, _ in shapes) == 24
    assert len(shapes) < 12


def changed(folder: Path, target: Path, name: str, text: str) -> str:
    """The digest of a copy in which one file has a few bytes more."""
    shutil.copytree(folder, target)
    (target / name).write_text(text)
    return load_model(target).digest


def test_the_digest_covers_everything_that_tags_depend_on(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    digest = load_model(folder).digest
    assert load_model(tmp_path / "copy").digest == digest
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["a"], tokenizer["model"]["vocab"]["b"] = 37, 36
    about = json.loads((folder / "tagger.json").read_text())
    others = [
        changed(folder, tmp_path / "t", "tokenizer.json", json.dumps(tokenizer)),
        changed(folder, tmp_path / "l", "labels.json", json.dumps({"labels": [*LABELS[1:], "O"]})),
        changed(folder, tmp_path / "d", "tagger.json", json.dumps({**about, "overlap_pieces": 4})),
        load_model(publish_tiny(tmp_path / "o", MAX_PIECES, OVERLAP, seed=1)).digest,
    ]
    assert len({digest, *others}) == 5


def test_the_digest_is_of_the_graph_that_runs(folder: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy", publish_tiny(tmp_path / "other", seed=1)
    shutil.copytree(folder, copy)
    shutil.copy(other / "model.onnx", copy / "model.int8.onnx")
    assert load_model(copy).digest == load_model(folder).digest
    assert load_model(copy, "int8").digest != load_model(folder).digest
    assert load_model(copy, "int8").onnx == copy / "model.int8.onnx"

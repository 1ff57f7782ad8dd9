"""The NER task against transformers' own tokenizer and model, and a softmax by numpy (Eq. 4)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from tests.tiny_encoder import make_encoder, sentences
from tofner.training import checkpoint
from tofner.training.batches import pad
from tofner.training.ner import predict_tags, tag_examples
from tofner.words.features import IGNORED, tag_windows

LABELS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
WORDS = ["Anna", "Berg", "xyz", "in", "New", "York", "qq"]
TAGS = ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "B-ORG"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger whose head says something."""
    root = tmp_path_factory.mktemp("ner")
    encoder = make_encoder(root / "bert")
    model = checkpoint.load_tagger(encoder, LABELS, "fresh")
    torch.manual_seed(1)
    with torch.no_grad():
        model.get_parameter("classifier.weight").normal_(std=0.5)
    checkpoint.save(model, encoder, root / "tagger")
    return root / "tagger"


def first_pieces(folder: Path, words: list[str]) -> tuple[list[int], list[int]]:
    theirs = AutoTokenizer.from_pretrained(folder)(words, is_split_into_words=True)
    word_ids = theirs.word_ids()
    return theirs["input_ids"], [word_ids.index(w) for w in range(len(words))]


def test_labels_stand_on_the_first_piece_of_each_word(folder: Path) -> None:
    examples, _ = tag_examples(checkpoint.piece_encoder(folder), [WORDS], [TAGS], LABELS, 64, 8)
    ids, first = first_pieces(folder, WORDS)
    assert len(ids) > len(WORDS) + 2  # some words have several pieces
    expected = [IGNORED] * len(ids)
    for at, tag in zip(first, TAGS, strict=True):
        expected[at] = LABELS.index(tag)
    assert examples[0]["input_ids"].tolist() == ids
    assert examples[0]["labels"].tolist() == expected


def probabilities(folder: Path, ids: list[int]) -> np.ndarray:
    """softmax(W h + b), float64 [pieces, labels]."""
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = model.base_model(torch.tensor([ids])).last_hidden_state[0].double().numpy()
    head = {name: tensor.double().numpy() for name, tensor in model.classifier.state_dict().items()}
    logits = hidden @ head["weight"].T + head["bias"]
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)  # type: ignore[no-any-return]


def mended(tags: list[str]) -> tuple[list[str], int]:
    """An I- that continues nothing begins an entity, and is counted."""
    result, count, previous = [], 0, "O"
    for tag in tags:
        orphan = tag.startswith("I-") and previous[2:] != tag[2:]
        result.append(f"B-{tag[2:]}" if orphan else tag)
        count += orphan
        previous = tag
    return result, count


def test_tags_are_the_likeliest_of_the_first_piece(folder: Path) -> None:
    model, encoder = AutoModelForTokenClassification.from_pretrained(folder).eval(), checkpoint.piece_encoder(folder)
    texts = [WORDS, *(words for words, _ in sentences("posts", 6))]
    found = predict_tags(model, encoder, texts, LABELS, 64, 8, batch_size=3)
    orphans = 0
    for words, tagging in zip(texts, found, strict=True):
        ids, first = first_pieces(folder, words)
        p = probabilities(folder, ids)[first]
        tags, count = mended([LABELS[i] for i in p.argmax(-1)])
        assert tagging.tags == tags
        assert tagging.orphans == count
        np.testing.assert_allclose(tagging.scores, p.max(-1), atol=1e-4)
        orphans += count
    assert orphans
    assert len({tag for tagging in found for tag in tagging.tags}) > 3


def test_loss_is_the_mean_over_words(folder: Path) -> None:
    model, encoder = AutoModelForTokenClassification.from_pretrained(folder).eval(), checkpoint.piece_encoder(folder)
    items = [(WORDS, TAGS), *sentences("news", 3)]
    tokens, tags = [words for words, _ in items], [row for _, row in items]
    examples, _ = tag_examples(encoder, tokens, tags, LABELS, 64, 8)
    batch = pad([examples[i] for i in range(len(examples))], {"labels": IGNORED})
    losses: list[float] = []
    for words, row in items:
        ids, first = first_pieces(folder, words)
        p = probabilities(folder, ids)
        losses += [-np.log(p[at, LABELS.index(tag)]) for at, tag in zip(first, row, strict=True)]
    with torch.no_grad():
        assert float(model(**batch).loss) == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_word_is_labelled_and_predicted_in_the_window_that_owns_it(folder: Path) -> None:
    model, encoder = AutoModelForTokenClassification.from_pretrained(folder).eval(), checkpoint.piece_encoder(folder)
    words = [word for words, _ in sentences("posts", 6) for word in words]
    tags = [tag for _, tags in sentences("posts", 6) for tag in tags]
    windows, _ = tag_windows(encoder, [words], 24, 10)
    examples, _ = tag_examples(encoder, [words], [tags], LABELS, 24, 10)
    assert len(windows) > 3
    best: list[str] = [""] * len(words)
    last: list[str] = [""] * len(words)
    for i, one in enumerate(windows):
        p = probabilities(folder, one.ids.tolist())
        labels = examples[i]["labels"]
        for word in range(one.window.start, one.window.end):
            at = one.first[word - one.window.start]
            own = one.window.own_start <= word < one.window.own_end
            assert labels[at] == (LABELS.index(tags[word]) if own else IGNORED)
            last[word] = LABELS[p[at].argmax()]
            if own:
                assert not best[word]
                best[word] = last[word]
    assert best != last  # windows disagree where they overlap
    assert predict_tags(model, encoder, [words], LABELS, 24, 10)[0].tags == mended(best)[0]


def test_a_window_without_a_trusted_word_is_left_out(folder: Path) -> None:
    """Its mean loss would be no number."""
    encoder, trusted = checkpoint.piece_encoder(folder), [[False] * 7, None, [True] + [False] * 6]
    examples, counts = tag_examples(encoder, [WORDS] * 3, [TAGS] * 3, LABELS, 64, 8, trusted)
    labels = [(examples[i]["labels"] != IGNORED).sum() for i in range(len(examples))]
    assert (labels, counts) == ([7, 1], {"windows": 2, "shortened_words": 0, "words": 21, "left_out_words": 13})

"""From logits to tags, and from tags to scores: strict BIO2 entities by seqeval, spans without types, confusion.

Strict means that an entity counts only with the right type and both ends, and that a tag sequence which is no BIO2 (an
orphan I-) is no entity (seqeval `mode="strict"`, scheme IOB2; Tjong Kim Sang & De Meulder, 2003).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tofner.words.spans import orphans, split_tag, tags_to_spans

Tags = Sequence[Sequence[str]]
NONE = "none"  # row or column of entities that the other side does not have


def score_tags(gold: Tags, predicted: Tags) -> dict[str, Any]:
    """Precision, recall, F1 and support: `micro`, `macro`, `types` (by name) and `spans` (types ignored); all 0 to 1.

    Raises:
        ValueError: the two sides are not equally long.
    """
    if [len(tags) for tags in gold] != [len(tags) for tags in predicted]:
        raise ValueError("gold and predicted tags are not equally long")
    typed = _report(gold, predicted)
    untyped = _report([untype(tags) for tags in gold], [untype(tags) for tags in predicted])
    return {
        "micro": typed.micro,
        "macro": typed.macro,
        "spans": untyped.micro,
        "types": typed.types,
        "sentences": len(gold),
        "invalid_tags": sum(len(orphans(tags)) for tags in predicted),
        "invalid_gold_tags": sum(len(orphans(tags)) for tags in gold),
    }


class _Report(NamedTuple):
    micro: dict[str, float]
    macro: dict[str, float]
    types: dict[str, dict[str, float]]


def _report(gold: Tags, predicted: Tags) -> _Report:
    """seqeval's table. It sees numbers in place of types: it strips `-` from their ends, and a type may be named as one
    of its rows (`micro avg`)."""
    from seqeval.metrics import classification_report  # scikit-learn comes with it: imported when used
    from seqeval.scheme import IOB2

    types = sorted({split_tag(tag)[1] for side in (gold, predicted) for tags in side for tag in tags if tag != "O"})
    if not any(tag.startswith("B") for side in (gold, predicted) for tags in side for tag in tags):
        return _Report(_nothing(), _nothing(), {})
    numbers = {type_: f"{i:06d}" for i, type_ in enumerate(types)}

    def numbered(tags: Sequence[str]) -> list[str]:
        parts = map(split_tag, tags)
        return [f"{prefix}-{numbers[type_]}" if prefix != "O" else "O" for prefix, type_ in parts]

    rows = classification_report(
        [numbered(tags) for tags in gold],
        [numbered(tags) for tags in predicted],
        mode="strict",
        scheme=IOB2,
        output_dict=True,
        zero_division=0,
    )
    table = {
        name: {
            "precision": float(row["precision"]),
            "recall": float(row["recall"]),
            "f1": float(row["f1-score"]),
            "support": int(row["support"]),
        }
        for name, row in rows.items()
    }
    found = {type_: table[number] for type_, number in numbers.items() if number in table}
    return _Report(table["micro avg"], table["macro avg"], found)


def _nothing() -> dict[str, float]:
    return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def untype(tags: Sequence[str]) -> list[str]:
    """One type for all. An entity that follows another directly keeps its own beginning."""
    result, previous = [], "O"
    for tag in tags:
        prefix, type_ = split_tag(tag)
        orphan = prefix == "I" and (previous == "O" or split_tag(previous)[1] != type_)
        # An orphan stays one: it may not melt into an entity of another type before it.
        result.append("O" if tag == "O" or orphan else f"{prefix}-ENTITY")
        previous = "O" if orphan else tag
    return result


def confusion(gold: Tags, predicted: Tags, types: Sequence[str]) -> dict[str, Any]:
    """Entities with equal ends by type: rows gold, columns predicted; `none` is for those without a counterpart.

    Returns:
        `{"labels": [n], "matrix": [n][n]}` with n = types + 1, the last one `none`.
    """
    sides = [*types, None]  # apart from a type that is called `none`
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        truth = {(span.start, span.end): span.type for span in tags_to_spans(gold_tags)}
        found = {(span.start, span.end): span.type for span in tags_to_spans(predicted_tags)}
        for ends in truth.keys() | found.keys():
            pairs[truth.get(ends), found.get(ends)] += 1
    return {"labels": [*types, NONE], "matrix": [[pairs[row, column] for column in sides] for row in sides]}


def error_examples(tokens: Sequence[Sequence[str]], gold: Tags, predicted: Tags, limit: int) -> list[dict[str, Any]]:
    """The first `limit` sentences with a wrong, missed or invented entity: tokens and both lists of spans."""
    found: list[dict[str, Any]] = []
    for words, gold_tags, predicted_tags in zip(tokens, gold, predicted, strict=True):
        truth, guess = tags_to_spans(gold_tags), tags_to_spans(predicted_tags)
        if truth != guess and len(found) < limit:
            found.append(
                {"tokens": list(words), "gold": [list(s) for s in truth], "predicted": [list(s) for s in guess]}
            )
    return found


def best_tags(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Softmax and argmax over labels: tag ids int16 [words] and their probabilities float64 [words], from [words, L].

    Of equal logits the first label wins.
    """
    wide = logits.astype(np.float64)
    best = wide.argmax(axis=1)
    shifted = np.exp(wide - wide.max(axis=1, keepdims=True))
    return best.astype(np.int16), 1.0 / shifted.sum(axis=1)


def label_names(tag_ids: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Tag ids to BIO2 tags."""
    return [labels[i] for i in tag_ids.tolist()]

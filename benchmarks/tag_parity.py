"""Entities of the published graphs beside those of the PyTorch checkpoint, and strict F1 of each.

    python benchmarks/tag_parity.py --model FOLDER --data DATA/ner/wnut16/test.conll.gz [--spans] [--limit N]

The checkpoint is decoded one window at a time, padded by nothing, with the same windows and rules, so every difference
is one of arithmetic. --spans scores spans without types (WNUT16).
"""

import argparse
import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tofner.words.spans import tags_to_spans
from tofner.words.windows import plan_windows

Span = tuple[int, int, str]


def read_conll(path: Path, limit: int) -> list[tuple[list[str], list[str]]]:
    """Sentences as (tokens, tags), from the first and last column."""
    data = path.read_bytes()
    blocks = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8").split("\n\n")
    rows = [[line.split() for line in block.split("\n") if line.strip()] for block in blocks]
    return [([row[0] for row in lines], [row[-1] for row in lines]) for lines in rows if lines][:limit]


def of_checkpoint(folder: Path, sentences: list[list[str]]) -> tuple[list[list[Span]], list[float]]:
    """Entities by PyTorch, and for each sentence the least margin between a word's two best logits."""
    import torch
    from transformers import AutoModelForTokenClassification

    from tofner.tagging import Tagger

    tagger = Tagger.load(folder)
    model: Any = AutoModelForTokenClassification.from_pretrained(folder / "checkpoint", dtype=torch.float32).eval()
    encoder, labels = tagger.encoder, tagger.labels
    found: list[list[Span]] = []
    margins: list[float] = []
    with torch.inference_mode():
        for words, pieces in zip(sentences, encoder.encode(sentences, tagger.window_pieces), strict=True):
            tags, margin = ["O"] * len(words), float("inf")
            for window in plan_windows(pieces.counts, tagger.window_pieces, tagger.model.overlap_pieces):
                inner = pieces.ids[pieces.starts[window.start] : pieces.starts[window.end]].tolist()
                ids = torch.tensor([[*encoder.prefix, *inner, *encoder.suffix]])
                logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].numpy()
                for word in range(window.own_start, window.own_end):
                    row = logits[len(encoder.prefix) + pieces.starts[word] - pieces.starts[window.start]]
                    tags[word] = labels[int(row.argmax())]
                    second, first = np.sort(row)[-2:]
                    margin = min(margin, float(first - second))
            found.append([tuple(span) for span in tags_to_spans(tags)])
            margins.append(margin)
    return found, margins


def f1(gold: list[list[Span]], found: list[list[Span]], spans: bool) -> float:
    """Strict micro F1 in percent."""
    keep = [[{(a, b, "" if spans else t) for a, b, t in row} for row in rows] for rows in (gold, found)]
    both = sum(len(g & p) for g, p in zip(*keep, strict=True))
    return 200 * both / max(1, sum(map(len, keep[0])) + sum(map(len, keep[1])))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--spans", action="store_true")
    parser.add_argument("--limit", type=int, default=None)
    given = parser.parse_args()
    from tofner.tagging import Tagger

    rows = read_conll(given.data, given.limit)
    sentences = [words for words, _ in rows]
    gold: list[list[Span]] = [[tuple(span) for span in tags_to_spans(tags)] for _, tags in rows]
    torch_found, margins = of_checkpoint(given.model, sentences)
    print(f"PyTorch  F1 {f1(gold, torch_found, given.spans):.2f}, {sum(map(len, torch_found))} entities")
    same = True
    for precision in ("fp32", "int8"):
        if precision == "int8" and not (given.model / "model.int8.onnx").is_file():
            continue
        with Tagger.load(given.model, precision) as tagger:  # type: ignore[arg-type]
            found = [[(e.start, e.end, e.label) for e in row] for row in tagger.tag(sentences)]
        differ = [i for i, (a, b) in enumerate(zip(found, torch_found, strict=True)) if a != b]
        print(f"{precision}     F1 {f1(gold, found, given.spans):.2f}, {sum(map(len, found))} entities, ", end="")
        print(f"{len(differ)} of {len(rows)} sentences differ")
        if precision == "fp32":
            same = not differ
            for i in differ:
                print(f"  {' '.join(sentences[i])!r}: least logit margin {margins[i]:.2e}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())

"""What was measured of a tagger, read back: the sentences, their labels, and the labels that `evaluate` found."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import cap

PREDICTED = "predicted.conll"


def gold_of(manifest: dict[str, Any], fetch: Callable[[str], Path]) -> Sequence[Sentence]:
    """The labelled sentences that a result of `evaluate` with this manifest was measured on, in its order."""
    told = manifest["settings"]
    test = read_ner(fetch(manifest["inputs"]["gold"]) / "target_test.parquet")
    return cap(test, told["evaluate"]["max_examples"], told["seed"])


def predicted(uri: str) -> list[list[str]]:
    """The tags of `evaluate`'s column file, as it wrote them, [sentences][words]."""
    blocks = storage.read_bytes(storage.join(uri, PREDICTED)).decode().split("\n\n")
    return [[line.rpartition("\t")[2] for line in block.split("\n") if line] for block in blocks[:-1]]

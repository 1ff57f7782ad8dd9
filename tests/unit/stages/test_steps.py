"""The chain of a run, read back from its results."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tofner import storage
from tofner.stages import steps


def result(folder: Path, stage: str, model: str) -> str:
    """A stage's result that says what it was trained from."""
    made = folder / f"{stage} made"
    made.mkdir(parents=True)
    (made / "manifest.json").write_text(json.dumps({"stage": stage, "inputs": {"model": model}}))
    storage.store_folder(made, str(folder / stage))
    return str(folder / stage)


@pytest.mark.parametrize("encoder", ["same", "moved", "published"])
def test_the_chain_ends_at_the_encoder_wherever_that_lies_now(tmp_path: Path, encoder: str) -> None:
    """A published model as encoder has a manifest too, of a run of its own."""
    others = result(tmp_path / "before", "ner", str(tmp_path / "nowhere"))
    first = result(tmp_path / "models", "export", others) if encoder == "published" else str(tmp_path / "old/encoder")
    tagger = result(tmp_path, "ner", result(tmp_path, "mrc", result(tmp_path, "mlm", first)))
    planned = cast(Any, SimpleNamespace(encoder=first if encoder == "same" else str(tmp_path / "new/encoder")))
    assert steps.taggers(planned, tagger) == [tagger]

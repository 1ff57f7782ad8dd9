"""Presets and query files of one's own: from folders and buckets, and one beside the other."""

from pathlib import Path

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner import storage
from tofner.errors import BadInput, BadSettings
from tofner.presets import load_preset, load_queries
from tofner.presets.load import beside
from tofner.stages import plan

PRESET = """
description: my news to my posts
encoder: none
types: [DRUG]
queries: questions/mine.en.yaml
ner_as_mrc: {types: [DRUG], queries: questions/}
roles: {source_ner: {train: [a/train], dev: [a/dev]}, target_text: [b/train]}
stages:
  mlm: {learning_rate: 1.0e-4, epochs: 1, batch_size: 8}
  mrc: {learning_rate: 1.0e-4, epochs: 1, batch_size: 8}
  ner: {learning_rate: 1.0e-4, epochs: 1, batch_size: 8}
  pseudo_ner: {learning_rate: 1.0e-4, epochs: 1, batch_size: 8}
  loop_mrc: {learning_rate: 1.0e-4, epochs: 1, batch_size: 8}
  loop_ner: {learning_rate: 1.0e-4, epochs: 1, batch_size: 8}
"""
QUERIES = "types:\n  DRUG: Which drugs are named?\n"


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A preset and a folder of its questions."""
    root = str(tmp_path / "mine") if request.param == "folder" else str(request.getfixturevalue("prefix"))
    storage.write_bytes(storage.join(root, "mine.yaml"), PRESET.encode())
    storage.write_bytes(storage.join(root, "questions/mine.en.yaml"), QUERIES.encode())
    return root


def test_questions_are_looked_for_beside_their_preset(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_preset(storage.join(place, "mine.yaml"))
    assert settings.queries == storage.join(place, "questions/mine.en.yaml")
    assert load_queries(settings.queries, "en", ["DRUG"]) == {"DRUG": "Which drugs are named?"}
    folder = settings.ner_as_mrc.queries
    assert folder.rstrip("/") == storage.join(place, "questions")
    assert load_queries(folder, "en") == {"DRUG": "Which drugs are named?"}
    with pytest.raises(BadSettings, match=r"found mine\.en\.yaml; expected one file de\.yaml"):
        load_queries(folder, "de")


def test_those_of_an_override_are_looked_for_from_here(place: str) -> None:
    settings = load_preset(storage.join(place, "mine.yaml"), ["queries=other/q.yaml", "ner_as_mrc.queries=more"])
    assert (settings.queries, settings.ner_as_mrc.queries) == ("other/q.yaml", "more")
    assert load_preset(storage.join(place, "mine.yaml"), ["queries=span"]).queries == "span"


def test_what_is_not_there_is_named(place: str) -> None:
    with pytest.raises(BadSettings, match=r"other\.yaml.*or a \.yaml file"):
        load_preset(storage.join(place, "other.yaml"))
    with pytest.raises(BadSettings, match=r"no file .*questions/none\.yaml"):
        load_queries(storage.join(place, "questions/none.yaml"), "en")


@pytest.mark.parametrize(
    ("preset", "queries", "found"),
    [
        ("a/p.yaml", "q.yaml", "a/q.yaml"),
        ("p.yaml", "q.yaml", "q.yaml"),
        ("s3://b/p.yaml", "/abs/q.yaml", "/abs/q.yaml"),
        ("a/p.yaml", "s3://b/q.yaml", "s3://b/q.yaml"),
        ("a/p.yaml", "span-guidelines", "span-guidelines"),
    ],
)
def test_where_is_beside(preset: str, queries: str, found: str) -> None:
    assert beside(preset, queries) == found


def test_no_question_is_asked_for_where_no_mrc_model_is_trained(tmp_path: Path) -> None:
    """Own types without a query: refused with an MRC stage or a round, and fine without."""
    preset = make_preset(tmp_path / "p.yaml", make_encoder(tmp_path / "encoder"))
    told = {"data": str(make_data(tmp_path / "data")), "store": str(tmp_path / "store")}
    own = ["types=[PER, ORG, LOC, DRUG]"]
    cases: list[tuple[int, list[str]]] = [(0, []), (1, ["use.mrc=false"])]
    for iterations, more in cases:
        with pytest.raises(BadInput, match="no query for DRUG"):
            plan(str(preset), **told, iterations=iterations, overrides=[*own, *more])
    assert plan(str(preset), **told, iterations=0, overrides=[*own, "use.mrc=false"])

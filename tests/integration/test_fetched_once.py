"""Stages and tagging fetch a folder of the bucket once, by one cache; a local run's cache goes with it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.errors import BadInput
from tofner.model.fetch import fetch
from tofner.stages.work import Work
from tofner.tagging import Tagger
from tofner_kubeflow.pipelines import local as local_run

pytestmark = pytest.mark.integration
COMPILED = Path(__file__).parents[1] / "golden/tof.yaml"
Fetches = list[tuple[str, tuple[str, ...]]]


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> Fetches:
    """Folders that were fetched since, with the names that were wanted."""
    real: Callable[..., Path] = storage.fetch_folder
    seen: Fetches = []

    def counted(uri: str, dest: Path, only: Sequence[str] = (), require_index: bool = True) -> Path:
        seen.append((uri, tuple(only)))
        return real(uri, dest, only, require_index)

    monkeypatch.setattr(storage, "fetch_folder", counted)
    return seen


@pytest.fixture
def model(prefix: str, tmp_path: Path) -> str:
    uri = storage.join(prefix, "models/v1")
    storage.store_folder(publish_tiny(tmp_path / "m"), uri)
    return uri


def work(uri: str, scratch: Path) -> Work:
    return Work("evaluate", "store", {"model": uri}, scratch / "output", scratch, "state")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_stages_of_one_cache_fetch_once(
    model: str, fetches: Fetches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_CACHE", str(tmp_path / "cache"))
    first = work(model, tmp_path / "a").folder("model")
    assert work(model, tmp_path / "b").folder("model") == first
    assert contents(first) == contents(tmp_path / "m")
    assert first.parent == tmp_path / "cache"
    assert fetches == [(model, ())]


def test_a_stage_without_a_cache_fetches_into_its_scratch(
    model: str, fetches: Fetches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOFNER_CACHE", raising=False)
    stages = [work(model, tmp_path / name) for name in ("a", "b")]
    for one in (*stages, *stages):
        assert one.folder("model").is_relative_to(one.scratch)
    assert len(fetches) == 2


def test_equal_folders_are_one_entry_and_other_names_another(
    model: str, prefix: str, fetches: Fetches, tmp_path: Path
) -> None:
    twin = storage.join(prefix, "models/v2")
    storage.store_folder(tmp_path / "m", twin)
    cache = tmp_path / "cache"
    whole = fetch(model, cache)
    assert fetch(twin, cache) == whole
    with Tagger.load(model, threads=1, cache=cache) as tagger, Tagger.load(twin, threads=1, cache=cache) as other:
        assert tagger.model.folder == other.model.folder != whole
    assert [only for _, only in fetches] == [(), ("model.onnx", "tokenizer.json", "labels.json", "tagger.json")]
    assert sorted(path.name for path in cache.iterdir()) == sorted([whole.name, tagger.model.folder.name])


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_fetched_anew(model: str, fetches: Fetches, tmp_path: Path, damage: str) -> None:
    folder = fetch(model, tmp_path / "cache")
    if damage == "cut":
        (folder / "labels.json").write_bytes(b"{")
    else:
        (folder / "labels.json").unlink()
    assert contents(fetch(model, tmp_path / "cache")) == contents(tmp_path / "m")
    assert len(fetches) == 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_a_fetch_that_dies_leaves_no_entry(
    model: str, fetches: Fetches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(uri: str, dest: Path, *_: Any) -> Path:
        dest.mkdir()
        (dest / "labels.json").write_bytes(b"{}")
        raise BadInput("the line went dead")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "fetch_folder", dies)
        with pytest.raises(BadInput):
            fetch(model, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert contents(fetch(model, tmp_path / "cache")) == contents(tmp_path / "m")


def test_of_two_that_fetch_at_once_the_later_takes_what_is_there(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = storage.fetch_folder
    cache = tmp_path / "cache"
    found: list[Path] = []

    def slow(*given: Any) -> Path:
        monkeypatch.setattr(storage, "fetch_folder", real)
        found.append(fetch(model, cache))  # another one is through before this one renames
        return real(*given)

    monkeypatch.setattr(storage, "fetch_folder", slow)
    assert fetch(model, cache) == found[0]
    assert [path.name for path in cache.iterdir()] == [found[0].name]


def test_a_plain_prefix_is_known_by_its_files(prefix: str, fetches: Fetches, tmp_path: Path) -> None:
    uri = storage.join(prefix, "encoder")
    storage.write_bytes(storage.join(uri, "config.json"), b"{}")
    first = fetch(uri, tmp_path / "cache", require_index=False)
    assert fetch(uri, tmp_path / "cache", require_index=False) == first
    assert len(fetches) == 1
    storage.write_bytes(storage.join(uri, "config.json"), b"[]")
    second = fetch(uri, tmp_path / "cache", require_index=False)
    assert contents(second) == {"config.json": b"[]"}
    with pytest.raises(BadInput, match=r"no _index\.json"):
        fetch(uri, tmp_path / "cache")


def test_a_local_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = publish_tiny(tmp_path / "m")
    assert fetch(str(folder), tmp_path / "cache") == folder
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_the_cache_of_a_local_run_goes_with_it(
    model: str, fetches: Fetches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Two tasks in place of the graph, which say where they fetched to."""
    monkeypatch.setenv("TOFNER_CACHE", "/nowhere")
    folders: list[Path] = []

    def graph() -> SimpleNamespace:
        for name in ("a", "b"):
            folders.append(work(model, tmp_path / name).folder("model"))
            assert contents(folders[-1]) == contents(tmp_path / "m")
        if fails:
            raise RuntimeError("a stage broke")
        return SimpleNamespace(outputs={"model": "there"})

    monkeypatch.setattr(local_run.local, "init", lambda *_, **__: None)
    monkeypatch.setattr(local_run.components, "load_component_from_file", lambda _: graph)
    run_folder = tmp_path / "run"
    if fails:
        with pytest.raises(local_run.StageBroke):
            local_run.run_graph(COMPILED, {}, run_folder)
    else:
        assert local_run.run_graph(COMPILED, {}, run_folder).outputs == {"model": "there"}
    assert folders[0] == folders[1]
    assert folders[0].is_relative_to(run_folder)
    assert len(fetches) == 1
    assert not folders[0].parent.exists()
    assert os.environ["TOFNER_CACHE"] == "/nowhere"

"""`execute`: what a key covers, when a result is found, and what its manifest says. With a double for the work."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tofner import storage
from tofner.errors import PassingFault
from tofner.stages import runtime
from tofner.stages.config import CONFIGS, GoldConfig
from tofner.stages.runtime import execute, stage_key
from tofner.stages.work import Report, Work

GOLD: dict[str, Any] = {
    "code": "c", "target_test": ["tgt/test"], "target_dev": [], "types": ["PER"], "label_map": {},
    "data_digest": "r",
}  # fmt: skip
FILES = {"target_test.parquet": b"rows", "checkpoint/model.bin": b"weights", "checkpoint/report.json": b"not ours"}


class Double:
    """Stands in for the stage `gold`: counts its runs and writes `files`."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.files = dict(FILES)
        self.meanwhile: Callable[[Work], object] = lambda work: None

    def run(self, config: GoldConfig, work: Work) -> Report:
        self.works.append(work)
        for path, data in self.files.items():
            (work.output / path).parent.mkdir(parents=True, exist_ok=True)
            (work.output / path).write_bytes(data)
        storage.write_bytes(storage.join(work.state, "checkpoint-1"), b"state")
        self.meanwhile(work)
        return Report({"f1": 0.5}, {"sentences": 3}, notes=["a note"])


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Double:
    made = Double()
    monkeypatch.setattr("tofner.stages.gold.run", made.run)
    return made


def do(store: Path, inputs: dict[str, str] | None = None, **changes: Any) -> runtime.StageResult:
    return execute("gold", str(store), json.dumps({**GOLD, **changes}), inputs or {"data": "d"})


def manifest(uri: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((Path(uri) / "manifest.json").read_text())
    return value


def test_a_finished_result_is_found_and_not_made_again(double: Double, tmp_path: Path) -> None:
    first, again = do(tmp_path), do(tmp_path)
    assert (first.reused, again.reused) == (False, True)
    assert len(double.works) == 1
    assert again.uri == first.uri == f"{tmp_path}/work/gold/{manifest(first.uri)['key']}"
    assert again.metrics == first.metrics == {"f1": 0.5}


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "other"},
        {"types": ["PER", "ORG"]},
        {"data_digest": "other"},
        {"label_map": {"x": None}},
        {"inputs": {"data": "d", "more": "m"}},
    ],
    ids=str,
)
def test_whatever_a_result_depends_on_is_in_its_key(double: Double, tmp_path: Path, changes: dict[str, Any]) -> None:
    first, other = do(tmp_path), do(tmp_path, **changes)
    assert first.uri != other.uri
    assert len(double.works) == 2


def test_nothing_else_is_in_its_key(double: Double, tmp_path: Path) -> None:
    """Not the order of keys, inputs that were not given, the store, the address of the data root or the time."""
    first = do(tmp_path / "a")
    turned = json.dumps(dict(reversed(GOLD.items())))
    again = execute("gold", str(tmp_path / "a"), turned, {"pseudo": "", "data": "d"})
    assert (again.uri, again.reused) == (first.uri, True)
    elsewhere = do(tmp_path / "b")
    assert Path(elsewhere.uri).name == Path(first.uri).name
    config = GoldConfig.model_validate(GOLD)
    digests = {"data": [None]}  # what the files hold is in the config, as `data_digest`
    assert stage_key("gold", config, digests) == Path(first.uri).name
    assert stage_key("evaluate", config, digests) != Path(first.uri).name
    assert do(tmp_path / "a", inputs={"data": "moved"}).reused


def test_every_stage_has_code_in_its_settings_and_those_that_draw_the_seed() -> None:
    """What asks its config for a seed has one in its key, and nothing else has."""
    sources = {name: Path(runtime.__file__).with_name(f"{name}.py").read_text("utf-8") for name in CONFIGS}
    assert all("code" in config.model_fields for config in CONFIGS.values())
    assert {name for name, config in CONFIGS.items() if "seed" in config.model_fields} == {
        name for name, source in sources.items() if "config.seed" in source
    }


def test_the_training_state_goes_when_the_result_is_there(double: Double, tmp_path: Path) -> None:
    do(tmp_path)
    (work,) = double.works
    assert storage.list_files(work.state) == []
    assert not Path(work.scratch).exists()


def test_the_training_state_stays_when_the_result_was_not_stored(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PassingFault("away")

    with monkeypatch.context() as patch:
        patch.setattr("tofner.storage.store_folder", fail)
        with pytest.raises(SystemExit) as stopped:
            do(tmp_path)
    assert stopped.value.code == 75
    assert [one.path for one in storage.list_files(double.works[0].state)] == ["checkpoint-1"]
    assert not do(tmp_path).reused


def test_the_digest_is_over_everything_but_report_and_manifest(double: Double, tmp_path: Path) -> None:
    """By the formula of the docs: sha256 of the JSON of {path: sha256 of contents}, sorted."""
    uri = do(tmp_path / "a").uri
    del double.files["checkpoint/report.json"]
    files = {path: hashlib.sha256(data).hexdigest() for path, data in double.files.items()}
    expected = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    assert (manifest(uri)["files"], manifest(uri)["digest"]) == (files, expected)
    for change in ({"checkpoint/model.bin": b"other"}, {"new": b""}, {"checkpoint/model.bin": b"weights\0"}):
        double.files = {**FILES, **change}
        other = do(tmp_path / f"{len(double.works)}").uri
        assert manifest(other)["digest"] != expected


def test_equal_work_at_another_time_has_the_same_digest(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = do(tmp_path / "a").uri
    now = runtime.time.time
    monkeypatch.setattr("tofner.stages.runtime.time.time", lambda: 2 * now())
    again = do(tmp_path / "b").uri
    reports = [json.loads((Path(uri) / "report.json").read_text())["seconds"] for uri in (first, again)]
    assert reports[0] != reports[1]
    assert manifest(first)["digest"] == manifest(again)["digest"]


def test_a_twin_that_was_faster_wins(double: Double, tmp_path: Path) -> None:
    """Two pods of one task: their reports differ in times, so the later folder is refused, and the first one counts."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    report = {"metrics": {"f1": 0.5}, "confusion": None, "published": "", "seconds": 1.0}
    (theirs / "report.json").write_text(json.dumps(report))

    def finish_first(work: Work) -> None:
        uri = storage.join(work.store, "work", "gold", work.state.rpartition("/")[2])
        storage.store_folder(theirs, uri)

    double.meanwhile = finish_first
    result = do(tmp_path / "store")
    assert json.loads(storage.read_bytes(storage.join(result.uri, "report.json"))) == report
    assert storage.list_files(double.works[0].state) == []


def test_a_result_that_cannot_be_stored_is_an_error(
    double: Double, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where the result should go: bad input, but no twin. Its training state stays for the next try."""
    blocked = tmp_path / "work" / "gold"
    double.meanwhile = lambda work: blocked.parent.mkdir() or blocked.write_text("in the way")
    with pytest.raises(SystemExit) as stopped:
        do(tmp_path)
    assert stopped.value.code == 2
    assert "work/gold" in capsys.readouterr().err
    assert [one.path for one in storage.list_files(double.works[0].state)] == ["checkpoint-1"]

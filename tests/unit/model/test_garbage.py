"""What in a store nobody needs: by a store made by hand."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tofner import cli, storage
from tofner.errors import BadInput
from tofner.model.garbage import Garbage, find


class Store:
    """Results with manifests, each a minute after the one before."""

    def __init__(self, root: Path) -> None:
        self.root, self.minute = root, 0

    def put(self, name: str, stage: str = "", **inputs: str) -> str:
        """A folder below the store, with a manifest if it is a stage's; its address."""
        self.minute += 1
        made = self.root / "made" / str(self.minute)
        made.mkdir(parents=True)
        (made / "data").write_bytes(b"x" * 100)
        if stage:
            about = {"stage": stage, "inputs": inputs, "finished_at": f"2026-01-01T00:{self.minute:02d}:00"}
            (made / "manifest.json").write_text(json.dumps(about))
        uri = str(self.root / "store" / name)
        storage.store_folder(made, uri)
        for path in Path(uri).rglob("*"):
            os.utime(path, (60.0 * self.minute,) * 2)
        return uri

    def run(self, number: int, data: str) -> dict[str, str]:
        """A run of two taggers, of which neither was made from the other."""
        made = {"prepare": self.put(f"work/prepare/{number}", "prepare", data=data)}
        made["gold"] = self.put(f"work/gold/{number}", "gold", data=data)
        made["ner"] = self.put(f"work/ner/{number}", "ner", corpora=made["prepare"], model="/elsewhere/encoder")
        first = self.put(f"work/ner/{number}-first", "ner", corpora=made["prepare"], model="/elsewhere/encoder")
        scores = [
            self.put(f"work/evaluate/{number}-{i}", "evaluate", gold=made["gold"], model=model)
            for i, model in enumerate((first, made["ner"]))
        ]
        made["export"] = self.put(f"work/export/{number}", "export", model=made["ner"])
        given = {"model": made["ner"], "export": made["export"], "scores": " ".join(scores)}
        made["report"] = self.put(f"work/report/{number}", "report", **given)
        self.put(f"work/publish/{number}", "publish", report=made["report"], export=made["export"])
        return made

    def garbage(self, runs: int) -> list[str]:
        found = find(str(self.root / "store"), runs)
        return [one.uri.removeprefix(str(self.root / "store") + "/") for one in found]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


PARTS = ("export/{}", "ner/{}", "ner/{}-first", "prepare/{}", "publish/{}")


def whole(number: int) -> list[str]:
    """All of a run but what tells of it: report, scores and gold."""
    return [f"work/{part.format(number)}" for part in PARTS]


def test_the_last_runs_are_kept_and_what_they_were_given(store: Store) -> None:
    old, new = store.put("data/a-1"), store.put("data/b-2")
    store.run(1, old)
    store.run(2, new)
    store.run(3, new)
    assert store.garbage(3) == []
    assert store.garbage(2) == sorted([*whole(1), "data/a-1"], key=lambda name: (name.startswith("data"), name))
    assert store.garbage(1) == [*sorted(whole(1) + whole(2)), "data/a-1"]
    assert find(str(store.root / "store"), 2)[0].bytes > 100


def test_a_published_version_keeps_what_it_was_made_of(store: Store) -> None:
    first = store.run(1, "/data")
    store.put("models/tofner-a/v1", "export", model=first["ner"])
    store.put("tags/v1")
    store.put("tags/v0")
    store.run(2, "/data")
    gone = ["export/1", "ner/1-first", "publish/1"]
    assert store.garbage(1) == [*(f"work/{name}" for name in gone), "tags/v0"]


def test_what_came_after_the_last_report_belongs_to_a_run_that_is_not_over(store: Store) -> None:
    store.put("state/ner/old")
    store.run(1, "/data")
    store.run(2, "/data")
    corpora = str(store.root / "store/work/prepare/1")  # of the first run, which nobody else needs by now
    store.put("work/mlm/half", "mlm", corpora=corpora)
    store.put("state/ner/now")
    gone = [name for name in whole(1) if name != "work/prepare/1"]
    assert store.garbage(1) == [*gone, "state/ner/old"]
    store.run(3, "/data")
    assert store.garbage(2) == [*sorted([*whole(1), "work/mlm/half"]), "state/ner/now", "state/ner/old"]


def test_a_store_without_a_report_has_no_garbage(store: Store) -> None:
    store.put("work/mlm/a", "mlm", corpora="/x")
    store.put("state/mlm/a")
    assert store.garbage(1) == []


@pytest.mark.integration
def test_the_command_lists_deletes_and_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "S3_")):
            monkeypatch.delenv(name)
    runner = CliRunner()
    assert isinstance(runner.invoke(cli.app, ["gc", str(tmp_path)]).exception, BadInput)
    made = tmp_path / "made"
    made.mkdir()
    (made / "data").write_bytes(b"x" * 2**20)
    with storage.LocalStore(tmp_path / "store") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        storage.store_folder(made, "s3://tofner/state/ner/old")
        about = {"stage": "report", "inputs": {}, "finished_at": "2026"}
        (made / "manifest.json").write_text(json.dumps(about))
        storage.store_folder(made, "s3://tofner/work/report/1")
        taken = runner.invoke(cli.app, ["gc", str(tmp_path)])
        assert "in use by another process" in str(taken.exception)
    for delete, said in (([], "1.0 MiB in 1 folders that nobody needs, not deleted"), (["--delete"], "deleted")):
        shown = runner.invoke(cli.app, ["gc", str(tmp_path), *delete])
        assert shown.exit_code == 0, shown.output
        assert "1.0 MiB  s3://tofner/state/ner/old" in shown.output
        assert said in shown.output
    assert "0.0 MiB in 0 folders" in runner.invoke(cli.app, ["gc", str(tmp_path)]).output
    assert Garbage("u", 1, 1).files == 1

"""Which version of a model readers get: moved, moved back, and never half."""

import io
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.errors import BadInput
from tofner.model import versions
from tofner.model.versions import Expected, Move, Overtaken, Pointer, find, promote, read, rollback, rolled_back
from tofner.model.view import show
from tofner.tagging import Tagger, tag_job

FILES = ("model.onnx", "tokenizer.json", "labels.json", "tagger.json")


def at(minute: int) -> Callable[[], datetime]:
    return lambda: datetime(2026, 1, 1, 0, minute, tzinfo=UTC)


def publish(root: str, name: str, scratch: Path, **more: str) -> str:
    """A version that is whole, with files that hold its name; returns the name."""
    folder = scratch / "made" / name
    for path, content in {**dict.fromkeys(FILES, name), **more}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    storage.store_folder(folder, storage.join(root, name))
    return name


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A model's root in a folder and in SeaweedFS, with versions a, b and c and no pointer."""
    place = str(tmp_path / "m") if request.param == "folder" else storage.join(request.getfixturevalue("prefix"), "m")
    for name in "abc":
        publish(place, name, tmp_path)
    return place


@pytest.fixture
def local(tmp_path: Path) -> str:
    for name in "abcd":
        publish(str(tmp_path / "m"), name, tmp_path)
    return str(tmp_path / "m")


def pointer_of(root: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(storage.read_bytes(storage.join(root, "latest.json")))
    return value


def latest(root: str) -> str:
    """As readers find it."""
    return str(pointer_of(root)["version"])


def test_promotions_and_rollbacks_and_what_is_written(root: str) -> None:
    assert read(root) == Pointer(None, (), None)
    assert promote(root, "a", why="first", by="ann", now=at(1)) == Move(
        "a", "2026-01-01T00:01:00+00:00", "first", "ann"
    )
    assert pointer_of(root) == {
        "version": "a",
        "history": [{"version": "a", "at": "2026-01-01T00:01:00+00:00", "why": "first", "by": "ann"}],
    }
    promote(root, "b", why="better", run="run-1", now=at(2))
    back = rollback(root, why="finds nothing in tweets", by="bob", now=at(3))
    assert back == Move("a", "2026-01-01T00:03:00+00:00", "finds nothing in tweets", "bob", back_from="b")
    assert str(back) == ("a, rolled back from b, at 2026-01-01T00:03:00+00:00, by bob, because finds nothing in tweets")
    assert pointer_of(root) == {
        "version": "a",
        "history": [
            {"version": "a", "at": "2026-01-01T00:01:00+00:00", "why": "first", "by": "ann"},
            {"version": "b", "at": "2026-01-01T00:02:00+00:00", "why": "better", "run": "run-1"},
            {
                "version": "a", "at": "2026-01-01T00:03:00+00:00", "why": "finds nothing in tweets", "by": "bob",
                "back_from": "b",
            },
        ],
    }  # fmt: skip
    assert read(root).history[-1] == back


def test_readers_get_what_was_promoted_and_what_was_rolled_back_to(root: str, tmp_path: Path) -> None:
    """The digest of the model that the engine loads from the root is that of the version."""
    digests = {}
    for seed in (1, 2):
        folder = publish_tiny(tmp_path / f"tiny {seed}", seed=seed)
        storage.store_folder(folder, storage.join(root, f"v{seed}"))
        with Tagger.load(folder) as tagger:
            digests[f"v{seed}"] = tagger.model.digest
    assert digests["v1"] != digests["v2"]

    def loaded() -> str:
        with Tagger.load(root) as tagger:
            assert len(tagger.tag(["Angela Merkel met Obama in New York."])) == 1
            return tagger.model.digest

    promote(root, "v1", why="")
    assert loaded() == digests["v1"]
    promote(root, "v2", why="")
    assert loaded() == digests["v2"]
    rollback(root, why="")
    assert loaded() == digests["v1"]


def test_a_job_does_not_mix_two_versions(local: str, tmp_path: Path) -> None:
    """It belongs to the version that was the latest when it began; by its name it goes on after a move."""
    for seed in (1, 2):
        storage.store_folder(publish_tiny(tmp_path / f"tiny {seed}", seed=seed), storage.join(local, f"v{seed}"))
    (tmp_path / "in.jsonl").write_text('{"text": "Angela Merkel met Obama in New York."}\n')

    def tag(model: str) -> None:
        tag_job(model, str(tmp_path / "in.jsonl"), str(tmp_path / "out"), quiet=True, threads=1)

    promote(local, "v1", why="")
    tag(local)
    promote(local, "v2", why="")
    with pytest.raises(BadInput, match="another job"):
        tag(local)
    tag(storage.join(local, "v1"))


def test_rollbacks_go_back_one_version_each(local: str) -> None:
    for version in "abc":
        promote(local, version, why="")
    assert [rollback(local, why="").version for _ in range(2)] == ["b", "a"]
    promote(local, "d", why="")
    assert rollback(local, why="").version == "a"
    with pytest.raises(BadInput, match="found a, and before it none; expected an earlier version"):
        rollback(local, why="")
    assert latest(local) == "a"


def test_a_version_that_came_twice_is_left_twice(local: str) -> None:
    for version in "abac":
        promote(local, version, why="")
    assert [rollback(local, why="").version for _ in range(3)] == ["a", "b", "a"]


def test_a_rollback_passes_over_versions_that_are_gone(local: str) -> None:
    for version in "abcd":
        promote(local, version, why="")
    storage.remove_folder(storage.join(local, "c"))
    Path(local, "b", "_index.json").unlink()
    assert rollback(local, why="").version == "a"
    assert read(local).history[-1].back_from == "d"
    with pytest.raises(BadInput):
        rollback(local, why="")


def test_a_rollback_says_which_versions_are_gone(local: str) -> None:
    promote(local, "a", why="")
    promote(local, "b", why="")
    storage.remove_folder(storage.join(local, "a"))
    with pytest.raises(BadInput, match="found b, and before it a; expected an earlier version that is still stored"):
        rollback(local, why="")


def test_nothing_to_roll_back(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="found nothing; expected the pointer of a published model"):
        rollback(str(tmp_path / "nowhere"), why="")


@pytest.mark.parametrize("was", [{"version": "a"}, {"version": "a", "history": []}, {"version": "a", "more": 1}])
def test_a_pointer_without_history_is_read_and_goes_on(root: str, was: dict[str, Any]) -> None:
    storage.write_bytes(storage.join(root, "latest.json"), json.dumps(was).encode())
    assert read(root).history == (Move("a"),)
    assert promote(root, "b", why="", now=at(0), expected="a") is not None
    assert pointer_of(root)["history"] == [
        {"version": "a"}, {"version": "b", "at": "2026-01-01T00:00:00+00:00"},
    ]  # fmt: skip
    assert rollback(root, why="").version == "a"


def test_a_pointer_moved_by_other_means_keeps_its_history(local: str) -> None:
    promote(local, "a", why="")
    value = {**pointer_of(local), "version": "c"}
    storage.write_bytes(storage.join(local, "latest.json"), json.dumps(value).encode())
    promote(local, "b", why="")
    assert [move.version for move in read(local).history] == ["a", "c", "b"]
    assert rollback(local, why="").version == "c"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"version": ""}', "version ''"),
        (b"{}", "version None"),
        (b"[]", "a JSON object"),
        (b'{"version": "a", "history": {}}', "a history that is none"),
        (b'{"version": "a", "history": ["a"]}', "a history that is none"),
        (b'{"version": "a", "history": [{"at": "x"}]}', "a history that is none"),
    ],
)
def test_a_broken_pointer_is_not_written_over(local: str, content: bytes, said: str) -> None:
    storage.write_bytes(storage.join(local, "latest.json"), content)
    for move in (lambda: promote(local, "b", why=""), lambda: rollback(local, why="")):
        with pytest.raises(BadInput, match=said):
            move()
    assert storage.read_bytes(storage.join(local, "latest.json")) == content


def test_the_history_is_bounded(local: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_MOVES", 3)
    for version in "abcd":
        promote(local, version, why="")
    assert [move["version"] for move in pointer_of(local)["history"]] == ["b", "c", "d"]
    assert rollback(local, why="").version == "c"
    assert [move["version"] for move in pointer_of(local)["history"]] == ["c", "d", "c"]
    with pytest.raises(BadInput, match="found c, and before it none"):  # b is forgotten
        rollback(local, why="")


def test_a_rollback_to_what_the_history_no_longer_promotes(local: str) -> None:
    """The oldest moves are cut off: of the one that promoted b, only the way back to it is left."""
    moves = [{"version": "b", "back_from": "c"}, {"version": "d"}, {"version": "a"}]
    value = {"version": "a", "history": moves}
    storage.write_bytes(storage.join(local, "latest.json"), json.dumps(value).encode())
    assert [rollback(local, why="").version for _ in range(2)] == ["d", "b"]


def test_a_reason_is_one_line_of_bounded_length(local: str) -> None:
    first, second = (promote(local, name, why=why) for name, why in (("a", "two\n lines "), ("b", "x" * 501)))
    assert first is not None
    assert second is not None
    assert first.why == "two lines"
    assert second.why == "x" * 499 + "…"
    third = promote(local, "c", why="x" * 500)
    assert third is not None
    assert third.why == "x" * 500


def test_what_is_not_whole_is_not_promoted(root: str, tmp_path: Path) -> None:
    promote(root, "a", why="")
    for name in FILES:
        storage.write_bytes(storage.join(root, "torn", name), b"x")
    whole = "expected a version that is whole: a, b, c; see tofner models list"
    for name, absent in (("torn", "_index.json"), ("nowhere", "_index.json"), ("half", "labels.json")):
        if name == "half":
            (tmp_path / "half").mkdir()
            for path in FILES:
                (tmp_path / "half" / path).write_text(path)
            (tmp_path / "half" / absent).unlink()
            storage.store_folder(tmp_path / "half", storage.join(root, name))
            whole = whole.replace("b, c", "b, c, half")
        with pytest.raises(BadInput) as refused:
            promote(root, name, why="")
        assert f"{storage.join(root, name)}: found no {absent}; {whole}" in str(refused.value)
    assert latest(root) == "a"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_a_version_is_a_folder_of_the_root(local: str, name: str) -> None:
    with pytest.raises(BadInput, match="the name of a folder below the model's root"):
        promote(local, name, why="")


def test_an_unknown_root_has_no_version(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is none below"):
        promote(str(tmp_path / "nowhere"), "a", why="")
    assert not (tmp_path / "nowhere").exists()


def test_what_is_the_latest_already_is_not_written_again(root: str) -> None:
    promote(root, "a", why="")
    promote(root, "b", why="", expected="a")
    before = storage.read_bytes(storage.join(root, "latest.json"))
    assert promote(root, "b", why="again") is None
    # a publisher that was killed after its move
    assert promote(root, "b", why="again", expected="a", run="r") is None
    assert storage.read_bytes(storage.join(root, "latest.json")) == before


def test_the_gate_compared_with_another_latest(root: str) -> None:
    promote(root, "a", why="", expected=None)
    with pytest.raises(Overtaken, match=r"found another latest: a.*expected none yet"):
        promote(root, "b", why="", expected=None)
    promote(root, "b", why="urgent", by="ann", expected="a", now=at(5))
    with pytest.raises(Overtaken) as refused:
        promote(root, "c", why="", expected="a")
    assert refused.value.exit_code == 2
    said = str(refused.value)
    assert "found another latest: b, at 2026-01-01T00:05:00+00:00, by ann, because urgent" in said
    assert "expected a, which this was decided against; nothing was changed" in said
    assert latest(root) == "b"


def test_the_latest_that_the_gate_compared_with_is_gone(local: str) -> None:
    with pytest.raises(Overtaken, match="found no latest version; expected a, which"):
        promote(local, "b", why="", expected="a")


def test_a_run_does_not_bring_back_what_was_rolled_back(local: str) -> None:
    promote(local, "a", why="")
    promote(local, "b", why="", run="r1")
    rollback(local, why="wrong on names", by="ann")
    undone = rolled_back(read(local), "b")
    assert undone is not None
    assert (undone.back_from, undone.why) == ("b", "wrong on names")
    for run in ("r1", "r2"):  # the same run once more, and the next one with the same result
        with pytest.raises(BadInput, match=r"rolled back from b.*wrong on names.*tofner models promote .*/m b"):
            promote(local, "b", why="", run=run, expected="a")
    assert latest(local) == "a"
    assert rolled_back(read(local), "a") is None
    assert promote(local, "c", why="", run="r3") is not None
    assert promote(local, "b", why="meant") is not None  # by hand
    assert rolled_back(read(local), "b") is None
    promote(local, "a", why="")
    assert promote(local, "b", why="", run="r4") is not None


class Together:
    """Makes racers wait at their first look at the pointer until all have looked."""

    def __init__(self, racers: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.barrier, self.seen = threading.Barrier(racers), threading.local()
        real = storage.read_pointer

        def wait(uri: str) -> Any:
            found = real(uri)
            if getattr(self.seen, "waits", False):
                self.seen.waits = False
                self.barrier.wait(60)
            return found

        monkeypatch.setattr("tofner.storage.read_pointer", wait)

    def race(self, *moves: Callable[[], Move | None]) -> list[Move | Overtaken | None]:
        """What each move returned or raised."""
        results: list[Move | Overtaken | None] = [None] * len(moves)

        def run(i: int) -> None:
            self.seen.waits = True
            try:
                results[i] = moves[i]()
            except Overtaken as error:
                results[i] = error

        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(moves))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


def races(root: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two promotions that have read the same pointer, again and again: each time one wins, the other is told who."""
    together = Together(2, monkeypatch)
    expected: str | None = None
    for number in range(times):
        ours, theirs = ("a", "b") if number % 2 else ("c", "d")
        given = Expected.ANY if number % 3 else expected
        results = together.race(
            lambda ours=ours, given=given: promote(root, ours, why="ours", expected=given),  # type: ignore[misc]
            lambda theirs=theirs, given=given: promote(root, theirs, why="theirs", expected=given),  # type: ignore[misc]
        )
        (won,) = [one for one in results if isinstance(one, Move)]
        (lost,) = [one for one in results if isinstance(one, Overtaken)]
        assert f"found another latest: {won}" in str(lost)
        assert latest(root) == won.version
        expected = won.version
        history = read(root).history
        assert history[-1] == won
        assert len(history) == number + 1, "the loser left no trace"


def test_of_two_promotions_one_wins_in_a_folder(local: str, monkeypatch: pytest.MonkeyPatch) -> None:
    races(local, 100, monkeypatch)


@pytest.fixture
def remote(prefix: str, tmp_path: Path) -> str:
    for name in "abcd":
        publish(storage.join(prefix, "m"), name, tmp_path)
    return storage.join(prefix, "m")


def test_of_two_promotions_one_wins_in_s3(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    races(remote, 10, monkeypatch)


@pytest.mark.slow
def test_of_two_promotions_one_wins_in_s3_every_time(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    races(remote, 100, monkeypatch)


def test_two_that_promote_the_same_version_both_succeed(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twins of one pod: one moves the pointer, the other finds it there."""
    together = Together(2, monkeypatch)
    results = together.race(
        lambda: promote(remote, "a", why="one", expected=None), lambda: promote(remote, "a", why="two", expected=None)
    )
    assert sorted(type(one).__name__ for one in results) == ["Move", "NoneType"]
    assert len(read(remote).history) == 1


def test_of_two_rollbacks_one_goes_back(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in "abc":
        promote(remote, version, why="")
    together = Together(2, monkeypatch)
    results = together.race(lambda: rollback(remote, why="one"), lambda: rollback(remote, why="two"))
    assert sorted(type(one).__name__ for one in results) == ["Move", "Overtaken"]
    assert latest(remote) == "b"


def run_json(f1: Any, encoder: Any = "some/encoder") -> str:
    return json.dumps({"final": {"metrics": {"f1": f1}}, "run": {"encoder": encoder}})


def described(root: str, scratch: Path) -> None:
    """Versions old and new, one without a manifest, one by somebody else, and one that is not whole."""
    publish(root, "old", scratch, **{"manifest.json": '{"finished_at": "2026-01-01T10:20:30+00:00"}'})
    more = {"manifest.json": '{"finished_at": "2026-02-01T10:20:30+00:00"}', "reports/run.json": run_json(0.51234)}
    publish(root, "new", scratch, **more)
    publish(root, "bare", scratch)
    publish(root, "odd", scratch, **{"manifest.json": "[1]", "reports/run.json": run_json("high", 7)})
    publish(root, "broken", scratch, **{"manifest.json": "{", "reports/run.json": '{"final": 1}'})
    publish(root, "nan", scratch, **{"reports/run.json": '{"final": {"metrics": {"f1": NaN}}}'})
    storage.write_bytes(storage.join(root, "torn", "model.onnx"), b"x")


def test_versions_of_a_model(root: str, tmp_path: Path) -> None:
    store = root
    root = storage.join(store, "models", "tiny")
    described(root, tmp_path)
    with pytest.raises(BadInput, match="found no published model"):
        find(storage.join(store, "models", "other"))
    (unpromoted,) = find(root)
    assert unpromoted.pointer == Pointer(None, (), None)
    promote(root, "old", why="", now=at(7))
    (model,) = find(root)
    assert (model.name, model.root, model.pointer) == ("tiny", root, read(root))
    assert [one.version for one in model.versions] == ["new", "old", "torn", "odd", "nan", "broken", "bare"]
    by_name = {one.version: one for one in model.versions}
    new = by_name["new"]
    assert (new.finished_at, new.f1, new.encoder) == ("2026-02-01T10:20:30+00:00", 0.51234, "some/encoder")
    assert new.uri == storage.join(root, "new")
    size = 4 * 3 + len('{"finished_at": "2026-02-01T10:20:30+00:00"}') + len(run_json(0.51234))
    assert (new.bytes, by_name["bare"].bytes, by_name["torn"].bytes) == (size, 16, None)
    assert [one.version for one in model.versions if one.latest] == ["old"]
    assert [one.version for one in model.versions if not one.whole] == ["torn"]
    for name in ("bare", "odd", "broken", "nan"):
        one = by_name[name]
        assert (one.finished_at, one.f1, one.encoder) == (None, None, None), name
    assert find(store) == [model]
    value = json.loads(json.dumps(model.to_json(), allow_nan=False))
    assert (value["name"], value["latest"], len(value["versions"])) == ("tiny", "old", 7)
    assert value["history"][0]["at"] == "2026-01-01T00:07:00+00:00"


def test_a_store_of_several_models(tmp_path: Path) -> None:
    for name in ("two", "one"):
        publish(str(tmp_path / "models" / name), "v", tmp_path)
    storage.write_bytes(str(tmp_path / "models" / "no model" / "file"), b"x")
    promote(str(tmp_path / "models" / "two"), "v", why="")
    assert [model.name for model in find(str(tmp_path))] == ["one", "two"]


def test_a_latest_version_that_is_gone_is_listed_as_not_whole(local: str) -> None:
    promote(local, "a", why="")
    storage.remove_folder(storage.join(local, "a"))
    (model,) = find(local)
    gone = next(one for one in model.versions if one.version == "a")
    assert (gone.latest, gone.whole) == (True, False)


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "folder" / "sub" / "file").write_text("x")
    for name in ("nowhere", "file", "folder"):
        with pytest.raises(BadInput, match="found no published model; expected a model's root or a store"):
            find(str(tmp_path / name))


def test_versions_for_people(tmp_path: Path) -> None:
    root = str(tmp_path / "[m]")
    described(root, tmp_path)
    promote(root, "old", why="[b]bold[/b]", now=at(7))
    console = Console(width=120, record=True, file=io.StringIO())
    show(find(root), console)
    lines = console.export_text().splitlines()
    assert lines[0].strip() == root
    (new,) = [line for line in lines if "│ new" in line]
    assert [cell.strip() for cell in new.split("│")[1:-1]] == [
        "new", "2026-02-01 10:20", "0.5123", "0.0", "some/encoder", "",
    ]  # fmt: skip
    (old,) = [line for line in lines if "│ old" in line]
    assert old.split("│")[-2].strip() == "latest"
    (torn,) = [line for line in lines if "│ torn" in line]
    assert [cell.strip() for cell in torn.split("│")[2:-1]] == ["", "", "", "", "not whole"]
    assert lines[-1] == "latest: old, at 2026-01-01T00:07:00+00:00, because [b]bold[/b]"
    Path(root, "latest.json").unlink()
    show(find(root), console)
    assert "no version is the latest" in console.export_text()


def test_times_are_in_utc(local: str) -> None:
    """As the default clock has them."""
    move = promote(local, "a", why="")
    assert move is not None
    assert datetime.fromisoformat(move.at).utcoffset() == timedelta(0)

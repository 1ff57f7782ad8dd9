"""`tofner.storage` on local folders, its URIs, and what each fault means. No S3 server needed."""

import errno
import fcntl
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from tests.loopback import ScriptedS3
from tofner import storage
from tofner.errors import BadInput, PassingFault
from tofner.storage import index, pointers, transfer
from tofner.storage import s3 as s3_module
from tofner.storage.index import FolderIndex


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "made here"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"alpha")
    (root / "empty").write_bytes(b"")
    (root / "sub" / "deep" / "ünï.bin").write_bytes(bytes(range(256)))
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


# URIs


def test_is_s3() -> None:
    assert storage.is_s3("s3://bucket/key")
    assert not storage.is_s3("/work/s3/key")
    assert not storage.is_s3("relative/path:with colon")


@pytest.mark.parametrize("uri", ["gs://bucket/key", "file:///tmp/x", "https://host/x", "s3:/bucket/key", "s3:bucket"])
def test_other_schemes_are_refused(uri: str) -> None:
    with pytest.raises(BadInput, match="s3://BUCKET/KEY"):
        storage.is_s3(uri)


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("s3://b", "k"), "s3://b/k"),
        (("s3://b/", "/k/", "l"), "s3://b/k/l"),
        (("s3://b/k/", ""), "s3://b/k"),
        (("/w/", "k", "l.txt"), "/w/k/l.txt"),
        (("w", "k"), "w/k"),
    ],
)
def test_join(parts: tuple[str, ...], joined: str) -> None:
    assert storage.join(*parts) == joined


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://b/../x", "s3://b/a//x", "s3://b/./x"])
def test_bad_s3_uris_are_refused_before_any_request(uri: str, scripted_s3: ScriptedS3) -> None:
    with pytest.raises(BadInput, match="s3://BUCKET/KEY"):
        storage.read_bytes(uri)
    with pytest.raises(BadInput):
        storage.list_files(uri)
    assert scripted_s3.seen == []


def test_importing_and_local_use_leave_boto3_alone(tmp_path: Path) -> None:
    code = (
        "import sys, tofner.storage as s; from pathlib import Path; "
        "s.write_bytes(sys.argv[1] + '/in/x', b'1'); s.store_folder(Path(sys.argv[1], 'in'), sys.argv[1] + '/out'); "
        "s.digest(sys.argv[1] + '/out'); s.open_read(sys.argv[1] + '/in/x').read(); "
        "print([m for m in sys.modules if m.startswith(('boto', 's3transfer', 'torch', 'pydantic', 'typer'))])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# Single local files


def test_write_and_read(tmp_path: Path) -> None:
    uri = str(tmp_path / "new folder" / "x")
    assert not storage.exists(uri)
    first = storage.write_bytes(uri, b"one")
    second = storage.write_bytes(uri, b"two")
    assert first != second
    assert storage.read_bytes(uri) == b"two"
    assert storage.exists(uri)
    assert not storage.exists(str(tmp_path))
    assert contents(tmp_path) == {"new folder/x": b"two"}


def test_a_write_that_fails_leaves_the_old_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(tmp_path / "x")
    storage.write_bytes(uri, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PassingFault, match="No space left"):
        storage.write_bytes(uri, b"new")
    assert contents(tmp_path) == {"x": b"old"}


def test_a_write_is_no_half_before_its_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash at the last moment: whoever looks finds the old contents whole, and the new ones in a file apart."""
    uri = str(tmp_path / "x")
    storage.write_bytes(uri, b"old")
    met: list[dict[str, bytes]] = []

    def crash(temporary: Path, target: Path) -> Path:
        met.append({"temporary": temporary.read_bytes(), "target": target.read_bytes()})
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(PassingFault, match="Input/output error"):
            storage.write_bytes(uri, b"new and longer")
    assert met == [{"temporary": b"new and longer", "target": b"old"}]
    assert contents(tmp_path) == {"x": b"old"}


def test_missing_file_and_folder_in_place_of_file(tmp_path: Path) -> None:
    with pytest.raises(storage.NoSuchObject, match=r"nothing\.bin: found no such file"):
        storage.read_bytes(str(tmp_path / "nothing.bin"))
    with pytest.raises(BadInput, match="found a folder"):
        storage.read_bytes(str(tmp_path))
    with pytest.raises(BadInput, match="found a folder"):
        storage.open_read(str(tmp_path))


@pytest.mark.parametrize("span", [(0, None), (3, None), (3, 7), (0, 0), (9, 99), (50, 60), (10, 10)])
def test_open_read_ranges(tmp_path: Path, span: tuple[int, int | None]) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with storage.open_read(str(tmp_path / "x"), *span) as stream:
        assert stream.read() == b"0123456789"[slice(*span)]


def test_open_read_seeks_within_its_range(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with storage.open_read(str(tmp_path / "x"), 2, 8) as stream:
        assert stream.seek(-2, os.SEEK_END) == 4
        assert stream.read() == b"67"
        assert stream.seek(1) == 1
        assert stream.read(2) == b"34"
        with pytest.raises(ValueError):
            stream.seek(-1)
    with pytest.raises(ValueError):
        storage.open_read(str(tmp_path / "x"), 5, 4)


def test_a_file_that_shrinks_while_it_is_read_does_not_just_end(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "x").write_bytes(b"x" * 3 * 2**20)
    with storage.open_read(str(tmp_path / "x")) as stream:
        assert stream.read(10) == b"x" * 10
        os.truncate(tmp_path / "x", 2 * 2**20)
        with pytest.raises(PassingFault, match="ended 1048576 bytes early"):
            stream.read()
    assert sum(clock.slept) > 50  # a file that somebody writes anew would have been met again


def test_list_files(folder: Path) -> None:
    (folder / "_index.json").write_text("{}")
    listed = storage.list_files(str(folder))
    assert [(f.path, f.size) for f in listed] == [("a.txt", 5), ("empty", 0), ("sub/deep/ünï.bin", 256)]
    assert storage.list_files(str(folder / "nowhere")) == []


# Local folders


def test_store_folder_locally(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "v1"
    assert storage.folder_index(str(target)) is None
    index = storage.store_folder(folder, str(target))
    stored = contents(target)
    assert storage.folder_index(str(target)) == index
    assert json.loads(stored.pop("_index.json"))["digest"] == index.digest
    assert stored == contents(folder)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["v1"]
    assert storage.store_folder(folder, str(target)) == index
    assert storage.store_folder(target, str(tmp_path / "copy")) == index  # its own index is no file of it


def test_other_contents_are_not_stored_over(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "v1"
    storage.store_folder(folder, str(target))
    before = contents(target)
    (folder / "a.txt").write_bytes(b"omega")
    with pytest.raises(BadInput, match=r"1 files differ, 'a\.txt' first"):
        storage.store_folder(folder, str(target))
    assert contents(target) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(BadInput, match="did not store"):
        storage.store_folder(folder, str(tmp_path / "mine"))
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years"}


def test_a_failed_local_store_shows_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "models").mkdir()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PassingFault):
        storage.store_folder(folder, str(tmp_path / "models" / "v1"))
    assert not list((tmp_path / "models").iterdir())


def test_a_local_folder_appears_whole(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to its last moment nothing stands at the target."""
    target, seen = tmp_path / "models" / "v1", []
    real = Path.rename

    def look(temporary: Path, to: Path) -> Path:
        seen.append((target.exists(), sorted(contents(temporary))))
        return real(temporary, to)

    monkeypatch.setattr(Path, "rename", look)
    storage.store_folder(folder, str(target))
    assert seen == [(False, ["_index.json", "a.txt", "empty", "sub/deep/ünï.bin"])]


def test_a_file_that_changes_meanwhile_is_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = index.index_of

    def slow(root: Path) -> FolderIndex:
        index = real(root)
        (root / "a.txt").write_bytes(b"ALPHA")
        return index

    monkeypatch.setattr("tofner.storage.folders.index_of", slow)
    with pytest.raises(BadInput, match=r"changed while they were stored, 'a\.txt' first"):
        storage.store_folder(folder, str(tmp_path / "v1"))
    assert not (tmp_path / "v1").exists()


def test_links_count_or_are_refused_but_never_skipped(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(folder / "a.txt")
    assert "link" in storage.store_folder(folder, str(tmp_path / "v1")).files
    (folder / "sub" / "to folder").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="to folder: found a link"):
        storage.store_folder(folder, str(tmp_path / "v2"))


def test_nothing_to_store(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for missing in ("empty", "nowhere"):
        with pytest.raises(BadInput, match=missing):
            storage.store_folder(tmp_path / missing, str(tmp_path / "v1"))


def test_fetch_of_a_local_folder_is_the_folder(folder: Path, tmp_path: Path) -> None:
    dest = tmp_path / "unused"
    assert storage.fetch_folder(str(folder), dest) == folder
    assert storage.fetch_folder(str(folder), dest, only=["a.txt", "sub/"]) == folder
    with pytest.raises(BadInput, match=r"b\.txt: found no such file"):
        storage.fetch_folder(str(folder), dest, only=["a.txt", "b.txt"])
    with pytest.raises(BadInput, match="nothing there"):
        storage.fetch_folder(str(tmp_path / "nowhere"), dest)
    assert not dest.exists()


def test_revision_follows_contents_and_names(folder: Path, tmp_path: Path) -> None:
    first = storage.digest(str(folder))
    os.utime(folder / "a.txt", (1, 1))
    assert storage.digest(str(folder)) == first == storage.store_folder(folder, str(tmp_path / "v1")).digest
    assert storage.digest(str(tmp_path / "v1")) == first
    (folder / "a.txt").rename(folder / "b.txt")
    second = storage.digest(str(folder))
    (folder / "b.txt").write_bytes(b"alphb")
    assert len({first, second, storage.digest(str(folder))}) == 3
    assert storage.digest(str(folder / "b.txt")) == hashlib.sha256(b"alphb").hexdigest()
    with pytest.raises(BadInput):
        storage.digest(str(tmp_path / "nowhere"))


def test_the_digest_is_over_sorted_paths_and_contents(tmp_path: Path) -> None:
    """By the formula of the docs: a line `path NUL sha256` a file, sorted by path."""
    for path, data in (("b", b"1"), ("a/c", b"2"), ("a-d", b"3")):
        storage.write_bytes(str(tmp_path / "in" / path), data)
    lines = [(path, hashlib.sha256(data).hexdigest()) for path, data in (("a-d", b"3"), ("a/c", b"2"), ("b", b"1"))]
    text = "".join(f"{path}\0{total}\n" for path, total in lines)
    assert storage.digest(str(tmp_path / "in")) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"digest": "0" * 64},
        {"files": {"a.txt": {"size": 5}}},
        {"files": []},
    ],
)
def test_a_damaged_index_is_refused(folder: Path, tmp_path: Path, change: dict[str, object]) -> None:
    storage.store_folder(folder, str(tmp_path / "v1"))
    path = tmp_path / "v1" / "_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=r"_index\.json"):
        storage.folder_index(str(tmp_path / "v1"))
    path.write_text("{")
    with pytest.raises(BadInput, match=r"_index\.json"):
        storage.folder_index(str(tmp_path / "v1"))


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a//b", "a/./b"])
def test_an_index_cannot_name_files_outside(path: str) -> None:
    good = FolderIndex({path: storage.FileEntry(1, "0" * 64)})
    with pytest.raises(BadInput, match="inside the folder"):
        FolderIndex.from_json(good.to_json(), "place")


# Local pointers


def test_pointers_move_only_from_where_they_were_read(tmp_path: Path) -> None:
    uri = str(tmp_path / "registry" / "latest.json")
    assert storage.read_pointer(uri) is None
    first = storage.move_pointer(uri, {"version": "1"}, None)
    assert storage.read_pointer(uri) == ({"version": "1"}, first)
    with pytest.raises(storage.PointerMoved):
        storage.move_pointer(uri, {"version": "2"}, None)
    storage.move_pointer(uri, {"version": "2"}, first)
    with pytest.raises(storage.PointerMoved):
        storage.move_pointer(uri, {"version": "3"}, first)
    assert json.loads(storage.read_bytes(uri)) == {"version": "2"}
    storage.write_bytes(uri, b"[1]")
    with pytest.raises(BadInput, match="a JSON object"):
        storage.read_pointer(uri)


def test_a_local_pointer_is_written_under_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, held = str(tmp_path / "latest.json"), []
    real = pointers.write_local

    def look(path: Path, data: bytes) -> None:
        with path.with_name(".latest.json.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
        real(path, data)

    monkeypatch.setattr("tofner.storage.pointers.write_local", look)
    storage.move_pointer(uri, {"version": "1"}, None)
    assert held == [True]


def test_no_local_pointer_update_is_lost(tmp_path: Path) -> None:
    uri = str(tmp_path / "count.json")

    def add() -> None:
        done = 0
        while done < 20:
            found = storage.read_pointer(uri)
            value, etag = found if found else ({"n": 0}, None)
            try:
                storage.move_pointer(uri, {"n": value["n"] + 1}, etag)
                done += 1
            except storage.PointerMoved:
                pass

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = storage.read_pointer(uri)
    assert found is not None
    assert found[0] == {"n": 80}


# What each fault means


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalError"),
        (502, "BadGateway"),
        (503, "SlowDown"),
        (503, "ServiceUnavailable"),
        (504, "GatewayTimeout"),
        (400, "RequestTimeout"),
        (400, "BadDigest"),
        (400, "Throttling"),
        (409, "OperationAborted"),
        (429, "TooManyRequests"),
    ],
)
def test_passing_faults_are_tried_again(scripted_s3: ScriptedS3, clock: FakeClock, status: int, code: str) -> None:
    scripted_s3.says((status, code), (status, code), (200, "there at last"))
    assert storage.read_bytes("s3://b/k") == b"there at last"
    assert len(scripted_s3.seen) == 3
    assert len(clock.slept) == 2


def test_patience_ends(scripted_s3: ScriptedS3, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", "3")
    scripted_s3.says((503, "SlowDown"))
    with pytest.raises(PassingFault, match=r"s3://b/k: .*SlowDown.*gave up after 5 tries in 1\.5 s") as caught:
        storage.read_bytes("s3://b/k")
    assert caught.value.exit_code == 75
    # 0.1 + 0.2 + 0.4 + 0.8 s are spent; 1.6 more would go beyond the 3
    assert clock.slept == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert len(scripted_s3.seen) == 5


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (403, "AccessDenied", "access denied"),
        (404, "NoSuchBucket", "no bucket 'b'"),
        (404, "NoSuchKey", "no such object"),
        (400, "AuthorizationHeaderMalformed", "AWS_REGION"),
        (403, "RequestTimeTooSkewed", "clock"),
        (501, "NotImplemented", "SeaweedFS"),
        (400, "InvalidArgument", "InvalidArgument"),
        (405, "MethodNotAllowed", "MethodNotAllowed"),
    ],
)
def test_lasting_faults_are_bad_input_at_once(
    scripted_s3: ScriptedS3, clock: FakeClock, status: int, code: str, says: str
) -> None:
    scripted_s3.says((status, code))
    with pytest.raises(BadInput, match=r"s3://b/k: found .*expected .*;.*") as caught:
        storage.read_bytes("s3://b/k")
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, storage.NoSuchObject) == (code == "NoSuchKey")
    assert len(scripted_s3.seen) == 1
    assert clock.slept == []


def test_a_missing_object_is_no_error_where_that_is_the_question(scripted_s3: ScriptedS3) -> None:
    scripted_s3.says((404, "NoSuchKey"))
    assert storage.exists("s3://b/k") is False
    assert storage.folder_index("s3://b/k") is None
    assert storage.read_pointer("s3://b/k") is None
    for code in ("NoSuchBucket", "AccessDenied"):
        scripted_s3.says((404 if code == "NoSuchBucket" else 403, code))
        for ask in (storage.exists, storage.folder_index, storage.read_pointer):
            with pytest.raises(BadInput):
                ask("s3://b/k")


def test_no_server_at_the_endpoint(monkeypatch: pytest.MonkeyPatch, scripted_s3: ScriptedS3, clock: FakeClock) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")  # "discard": nothing listens there
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", "0.5")
    with pytest.raises(PassingFault, match=r"s3://b/k: http://127\.0\.0\.1:9 cannot be used now.*after 3 tries"):
        storage.read_bytes("s3://b/k")
    assert clock.slept == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize("url", ["localhost:8333", "ftp://host", "http://", "http://host:port"])
def test_bad_endpoints(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", url)
    with pytest.raises(BadInput, match="S3_ENDPOINT_URL"):
        storage.read_bytes("s3://b/k")


@pytest.mark.parametrize("status", [200, 301, 302, 400, 403, 404])
@pytest.mark.parametrize("body", [b"<html><body><p>Welcome!</p></body></html>", b"<!doctype html><p>Hi", b""])
def test_a_server_that_is_not_s3(
    scripted_s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", "0")
    scripted_s3.script = [(status, body, {})]
    for ask in (storage.list_files, storage.exists):
        with pytest.raises(
            (BadInput, PassingFault), match=r"s3://b/k.*(not S3's.*S3_ENDPOINT_URL|Internal Server Error)"
        ):
            ask("s3://b/k")


def test_no_credentials(scripted_s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BadInput, match=r"no usable credentials.*set AWS_ACCESS_KEY_ID"):
        storage.read_bytes("s3://b/k")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(BadInput, match="nobody"):
        storage.read_bytes("s3://b/k")
    assert scripted_s3.seen == []


@pytest.mark.parametrize("name", ["TOFNER_STORAGE_PATIENCE_S", "TOFNER_STORAGE_THREADS"])
@pytest.mark.parametrize("value", ["long", "-1", "nan", "inf"])
def test_bad_settings(monkeypatch: pytest.MonkeyPatch, scripted_s3: ScriptedS3, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=name):
        storage.read_bytes("s3://b/k")


# Parts


@pytest.mark.parametrize("size", [0, 1, 2**24, 2**24 + 1, 5 * 2**30, 5 * 2**40])
def test_parts_cover_the_file_within_the_limits_of_s3(size: int) -> None:
    ranges = transfer.part_ranges(size)
    assert (ranges[0][0], ranges[-1][1]) == (0, size)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(ranges))
    assert len(ranges) <= 10_000
    assert all(end - start >= 5 * 2**20 for start, end in ranges[:-1])


def test_removed_folders_are_gone_and_missing_ones_are_fine(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a").write_text("1")
    target = str(tmp_path / "out")
    storage.store_folder(folder, target)
    storage.remove_folder(target)
    assert storage.folder_index(target) is None
    assert not Path(target).exists()
    storage.remove_folder(target)


def test_an_unwritable_place_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file"):
        storage.check_writable(str(tmp_path / "file" / "below"))
    storage.check_writable(str(tmp_path / "new"))
    assert (tmp_path / "new" / ".tofner").is_file()


def test_a_store_that_heeds_no_condition_is_refused(scripted_s3: ScriptedS3) -> None:
    scripted_s3.says((200, ""))
    with pytest.raises(BadInput, match=r"s3://b/p/\.tofner: found a store that puts a second .*If-None-Match"):
        storage.check_writable("s3://b/p")
    conditions = [one.headers.get("if-none-match") for one in scripted_s3.requests if one.method == "PUT"]
    assert conditions == ["*", "*"]
    scripted_s3.says((412, "PreconditionFailed"), (200, "somebody's"))
    storage.check_writable("s3://b/p")


def test_the_first_check_of_a_store_is_tried_again(scripted_s3: ScriptedS3, clock: FakeClock) -> None:
    """The second marker is refused at its second try: it was not put by the first, which the server never saw."""
    first = json.dumps({"tofner": "writes here"}, indent=1)
    scripted_s3.says((200, ""), (503, "SlowDown"), (412, "PreconditionFailed"), (200, first))
    storage.check_writable("s3://b/p")
    assert [method for method, _ in scripted_s3.seen] == ["PUT", "PUT", "PUT", "GET"]


def test_an_object_of_another_size_is_asked_for_again(scripted_s3: ScriptedS3, clock: FakeClock) -> None:
    def get() -> bytes:
        return s3_module.call("s3://b/x", lambda: transfer.get_range("s3://b/x", None, 5, None))

    scripted_s3.says((200, "who"), (200, "whole"))
    assert get() == b"whole"
    scripted_s3.says((200, "who"))
    with pytest.raises(BadInput, match="found 3 bytes; expected 5 bytes"):
        get()
    assert len(scripted_s3.seen) == 1 + s3_module.DOUBTS


def test_what_is_an_address_and_what_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    (tmp_path / "file").write_bytes(b"")
    assert all(storage.is_place(uri) for uri in ("s3://bucket/key", "org", str(tmp_path), "file"))
    assert not any(storage.is_place(uri) for uri in ("org/model@0123abc", "nowhere", str(tmp_path / "nowhere")))
    with pytest.raises(BadInput):
        storage.is_place("gs://bucket/key")


def test_a_new_file_takes_a_free_place_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(data: bytes) -> Path:
        (tmp_path / "made").write_bytes(data)
        return tmp_path / "made"

    target = tmp_path / "deep/out"
    etag = storage.put_new_file(made(b"one"), str(target))
    assert etag == storage.file_etag(str(target)) == hashlib.sha256(b"one").hexdigest()
    assert target.stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "made").exists()
    assert storage.put_new_file(made(b"one"), str(target)) == etag, "the same is as good"
    assert not (tmp_path / "made").exists()
    assert storage.put_new_file(made(b"two"), str(target)) is None
    assert (target.read_bytes(), (tmp_path / "made").read_bytes()) == (b"one", b"two")
    monkeypatch.setattr(Path, "hardlink_to", _no_links)
    assert storage.put_new_file(made(b"two"), str(tmp_path / "free")) is not None
    assert (tmp_path / "free").read_bytes() == b"two"
    assert storage.file_etag(str(tmp_path / "nothing")) is None


def _no_links(self: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EROFS, BadInput), (errno.ENAMETOOLONG, BadInput), (errno.ELOOP, BadInput), (errno.EACCES, BadInput),
        (errno.ENOSPC, PassingFault), (errno.EDQUOT, PassingFault), (errno.EIO, PassingFault),
    ],
)  # fmt: skip
def test_what_a_disk_refuses_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "made").write_bytes(b"x")
    for name, work in (
        ("replace", lambda: storage.put_file(tmp_path / "made", str(tmp_path / "out"))),
        ("hardlink_to", lambda: storage.put_new_file(tmp_path / "made", str(tmp_path / "out"))),
        ("replace", lambda: storage.write_bytes(str(tmp_path / "out"), b"x")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, refuse)
            with pytest.raises(kind, match=re.escape(str(tmp_path / "out"))):
                work()


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="File name too long"):
        storage.write_bytes(str(tmp_path / ("x" * 300)), b"x")


@pytest.mark.parametrize("code", ["ExpiredToken", "TokenRefreshRequired", "RequestExpired"])
def test_credentials_that_expire_in_the_middle_pass(scripted_s3: ScriptedS3, clock: FakeClock, code: str) -> None:
    scripted_s3.says((400, code), (200, "x"))
    assert storage.read_bytes("s3://bucket/x") == b"x"
    scripted_s3.says((400, code))
    with pytest.raises(
        PassingFault, match=r"s3://bucket/x: .* the credentials have expired .* renew AWS_SESSION_TOKEN"
    ):
        storage.read_bytes("s3://bucket/x")


@pytest.mark.parametrize("answer", [(404, ""), (412, "PreconditionFailed"), (403, "")])
def test_an_answer_that_may_be_an_accident_is_asked_for_again(
    scripted_s3: ScriptedS3, clock: FakeClock, answer: tuple[int, str]
) -> None:
    """A body that was cut on its way has no error code."""
    scripted_s3.says(answer, answer, (200, "x"))
    if not answer[1]:
        scripted_s3.script[:2] = [(answer[0], b"<?xml version", {})] * 2
    assert storage.read_bytes("s3://bucket/x") == b"x"
    scripted_s3.says(answer)
    if not answer[1]:
        scripted_s3.script = [(answer[0], b"<html>", {})]
    with pytest.raises(BadInput):
        storage.read_bytes("s3://bucket/x")
    assert len(scripted_s3.seen) == 1 + s3_module.DOUBTS


def test_a_try_is_a_part_of_the_patience(monkeypatch: pytest.MonkeyPatch, scripted_s3: ScriptedS3) -> None:
    for patience, read_s, connect_s in ((60, 20, 10), (30, 10, 5), (3, 2, 1), (600, 20, 10)):
        monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", str(patience))
        config = s3_module.client().meta.config
        assert (config.read_timeout, config.connect_timeout) == (read_s, connect_s)


@pytest.mark.parametrize(
    "answer", [(403, "AccessDenied"), (400, "SignatureDoesNotMatch"), (503, "SlowDown"), (404, "")]
)
def test_no_password_is_shown(
    scripted_s3: ScriptedS3, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str]
) -> None:
    url = scripted_s3.endpoint.replace("http://", "http://user:se/c@ret@")
    monkeypatch.setenv("S3_ENDPOINT_URL", url.replace("se/c@ret", "secret"))
    scripted_s3.says(answer)
    with pytest.raises((BadInput, PassingFault)) as error:
        storage.read_bytes("s3://bucket/x")
    assert "secret" not in str(error.value)
    assert "//***@127.0.0.1" in str(error.value)
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://user:secret@127.0.0.1:9")  # nobody listens
    with pytest.raises(PassingFault) as error:
        storage.read_bytes("s3://bucket/x")
    assert "secret" not in str(error.value)
    for wrong in (url, "ftp://user:se/c@ret@host"):
        monkeypatch.setenv("S3_ENDPOINT_URL", wrong)
        with pytest.raises(BadInput) as error:
            storage.read_bytes("s3://bucket/x")
        assert "ret" not in str(error.value).replace("secret", "ret").replace("correct", "")


@pytest.mark.parametrize(
    ("size", "sha256"),
    [(-1, "0" * 64), (True, "0" * 64), (1.5, "0" * 64), ("5", "0" * 64), (10**30, "0" * 64), (1, "0" * 63), (1, None)],
)
def test_an_index_with_a_damaged_entry_is_refused(size: object, sha256: object) -> None:
    text = json.dumps({"format": 1, "digest": "", "files": {"a": {"size": size, "sha256": sha256}}})
    with pytest.raises(BadInput, match="here: found ValueError"):
        FolderIndex.from_json(text.encode(), "here")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 1e999}',
        "null",
        '{"files": [1]}',
        '{"format": 1, "digest": 2, "files": {"\\ud800": {}}}',
    ],
)
def test_an_index_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="here: found"):
        FolderIndex.from_json(text.encode(), "here")


def test_a_pointer_nested_too_deeply_is_no_pointer(tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text("[" * 100_000)
    with pytest.raises(BadInput, match="a JSON object"):
        storage.read_pointer(str(tmp_path / "latest.json"))


def test_a_place_below_a_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for write in (
        lambda: storage.write_bytes(str(tmp_path / "file/x"), b"x"),
        lambda: storage.move_pointer(str(tmp_path / "file/x.json"), {}, None),
    ):
        with pytest.raises(BadInput) as error:
            write()
        assert "a place that can be written" in str(error.value) or "in the way" in str(error.value)


def told(error: BaseException, scratch: str = "") -> BaseException | None:
    try:
        with storage.disk_faults(scratch):
            raise error
    except type(error) as same:
        return None if same is error else same
    except (BadInput, PassingFault) as fault:
        return fault


def test_what_a_library_makes_of_a_disk_is_told_as_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(tmp_path / "x")
    for number, kind in ((errno.ENOSPC, PassingFault), (errno.EDQUOT, PassingFault), (errno.EROFS, BadInput)):
        fault = told(OSError(number, os.strerror(number), place))
        assert type(fault) is kind
        assert place in str(fault)
        other = RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})")  # as safetensors writes it
        assert type(told(other)) is kind
    caused = ValueError("cannot be written")
    caused.__cause__ = OSError(errno.EIO, "Input/output error")
    assert isinstance(told(caused, place), PassingFault)
    assert isinstance(told(FileNotFoundError(2, "No usable temporary directory found in ['/x']")), BadInput)
    assert told(ValueError("a bug"), str(tmp_path)) is None
    assert told(FileNotFoundError(2, "No such file", "x")) is None
    bad = BadInput("told already")
    assert told(bad, str(tmp_path)) is None
    free = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    fault = told(RuntimeError("unexpected pos 64 vs 0"), str(tmp_path))  # as torch.save says it
    assert isinstance(fault, PassingFault)
    assert f"{tmp_path}: no space left, and so RuntimeError: unexpected pos 64 vs 0" in str(fault)


def test_a_disk_that_takes_a_part_of_a_write_is_full(
    scripted_s3: ScriptedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tmpfs or a quota takes what still fits and says no to the next write only."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, at: real(handle, data[: len(data) // 2], at))
    scripted_s3.says((200, "whole"))
    with transfer.Transfer("t", 5, None) as moving:
        transfer.download(moving, "s3://b/x", tmp_path / "x", 5, None)
    assert (tmp_path / "x").read_bytes() == b"whole"

"""`tofner.storage` against a real S3 server, with faults on the way and kills in mid-transfer."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from tests.loopback import FaultyProxy, ScriptedS3
from tofner import storage
from tofner.errors import BadInput, PassingFault
from tofner.storage import BUCKET, LocalStore
from tofner.storage.uri import split_object

pytestmark = pytest.mark.integration

MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files: empty, small, nested with spaces and accents, and two that travel in parts (17 and 20 MiB)."""
    return make_folder(tmp_path / "made here", 1)


def make_folder(root: Path, seed: int) -> Path:
    noise = random.Random(seed)
    (root / "checkpoint" / "a b").mkdir(parents=True)
    (root / "empty").write_bytes(b"")
    (root / "small.json").write_bytes(noise.randbytes(100))
    (root / "checkpoint" / "a b" / "ünï+%20.txt").write_bytes(noise.randbytes(5000))
    (root / "checkpoint" / "model.bin").write_bytes(noise.randbytes(20 * MIB + 3))
    (root / "model.onnx").write_bytes(noise.randbytes(17 * MIB))
    return root


def contents(root: Path) -> dict[str, str]:
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    return {path: hashlib.sha256(p.read_bytes()).hexdigest() for path, p in files.items()}


# Objects


def test_objects_round_trip(prefix: str) -> None:
    uri = storage.join(prefix, "a", "x.bin")
    assert not storage.exists(uri)
    with pytest.raises(storage.NoSuchObject, match=r"a/x\.bin: found no such object"):
        storage.read_bytes(uri)
    etags = {storage.write_bytes(uri, data) for data in (b"one", b"two")}
    assert len(etags) == 2
    assert storage.read_bytes(uri) == b"two"
    assert storage.exists(uri)
    assert not storage.exists(storage.join(prefix, "a"))
    storage.write_bytes(storage.join(prefix, "empty"), b"")
    assert storage.exists(storage.join(prefix, "empty"))
    assert storage.read_bytes(storage.join(prefix, "empty")) == b""


@pytest.mark.parametrize("span", [(0, None), (3, None), (3, 7), (0, 0), (9, 99), (50, 60)])
def test_open_read_ranges(prefix: str, span: tuple[int, int | None]) -> None:
    uri = storage.join(prefix, "x")
    storage.write_bytes(uri, b"0123456789")
    with storage.open_read(uri, *span) as stream:
        assert stream.read() == b"0123456789"[slice(*span)]
    storage.write_bytes(uri, b"")
    with storage.open_read(uri, *span) as stream:
        assert stream.read() == b""


def test_a_stream_never_mixes_two_versions(prefix: str) -> None:
    uri = storage.join(prefix, "x")
    storage.write_bytes(uri, b"a" * 3 * MIB)
    with storage.open_read(uri) as stream:
        assert stream.read(10) == b"a" * 10
        storage.write_bytes(uri, b"b" * 3 * MIB)
        stream.seek(2 * MIB)
        with pytest.raises(BadInput, match="changed while it was read"):
            stream.read(10)


def test_list_files_is_complete_sorted_and_relative(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tofner.storage.objects.PAGE_KEYS", 10)
    names = [f"d{i % 7}/f{i:04}" for i in range(45)]
    for name in names:
        storage.write_bytes(storage.join(prefix, "in", name), name.encode())
    storage.write_bytes(storage.join(prefix, "inside"), b"a neighbour whose name begins alike")
    listed = storage.list_files(storage.join(prefix, "in"))
    assert [(f.path, f.size) for f in listed] == [(name, len(name)) for name in sorted(names)]
    assert storage.list_files(storage.join(prefix, "nowhere")) == []


# Folders


def test_folders_go_up_and_come_down(folder: Path, prefix: str, tmp_path: Path) -> None:
    uri = storage.join(prefix, "v1")
    told: list[tuple[int, int]] = []
    index = storage.store_folder(folder, uri, progress=lambda *at: told.append(at))
    total = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {path: entry.sha256 for path, entry in index.files.items()} == contents(folder)
    assert storage.folder_index(uri) == index
    assert storage.digest(uri) == index.digest == storage.digest(str(folder))
    assert [f.path for f in storage.list_files(uri)] == sorted(index.files)

    dest = tmp_path / "new" / "dest"
    assert storage.fetch_folder(uri, dest) == dest
    assert contents(dest) == contents(folder)
    assert [p.name for p in dest.parent.iterdir()] == ["dest"]

    # Only what is wrong is fetched again.
    (dest / "small.json").write_bytes(b"x" * 100)
    told.clear()
    storage.fetch_folder(uri, dest, progress=lambda *at: told.append(at))
    assert told == [(100, 100)]
    assert contents(dest) == contents(folder)


def test_storing_again_sends_nothing_and_other_contents_are_refused(
    folder: Path, prefix: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    uri = storage.join(prefix, "v1")
    index = storage.store_folder(folder, uri)
    proxy.seen.clear()
    assert storage.store_folder(folder, uri) == index
    (folder / "small.json").write_bytes(b"other")
    with pytest.raises(BadInput, match=r"1 files differ, 'small\.json' first"):
        storage.store_folder(folder, uri)
    assert {method for method, _ in proxy.seen} == {"GET"}
    assert storage.folder_index(uri) == index
    storage.fetch_folder(uri, tmp_path / "dest")


def test_a_folder_is_invisible_until_its_index(folder: Path, prefix: str, tmp_path: Path) -> None:
    uri = storage.join(prefix, "v1")
    seen: list[bool] = []

    def look(done: int, total: int) -> None:
        seen.append(storage.folder_index(uri) is not None)
        if done == total:
            with pytest.raises(BadInput, match=r"no _index\.json"):
                storage.fetch_folder(uri, tmp_path / "dest")

    storage.store_folder(folder, uri, progress=look)
    assert len(seen) > 5
    assert not any(seen)
    assert storage.folder_index(uri) is not None
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("victim", ["small.json", "model.onnx"])
@pytest.mark.parametrize("damage", ["changed", "shorter", "gone"])
def test_damage_in_the_store_is_noticed(folder: Path, prefix: str, tmp_path: Path, victim: str, damage: str) -> None:
    uri = storage.join(prefix, "v1")
    storage.store_folder(folder, uri)
    data = (folder / victim).read_bytes()
    if damage == "gone":
        from tofner.storage import s3

        bucket, key = split_object(storage.join(uri, victim))
        s3.client().delete_object(Bucket=bucket, Key=key)
    else:
        bad = data[:-1] if damage == "shorter" else data[:50] + bytes([data[50] ^ 1]) + data[51:]
        storage.write_bytes(storage.join(uri, victim), bad)
    with pytest.raises(BadInput, match=victim.replace(".", r"\.")) as caught:
        storage.fetch_folder(uri, tmp_path / "dest")
    assert "found" in str(caught.value)
    assert not (tmp_path / "dest" / victim).exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_fetching_a_part(folder: Path, prefix: str, tmp_path: Path) -> None:
    uri = storage.join(prefix, "v1")
    storage.store_folder(folder, uri)
    dest = storage.fetch_folder(uri, tmp_path / "dest", only=["small.json", "checkpoint/a b/"])
    assert contents(dest).keys() == {"small.json", "checkpoint/a b/ünï+%20.txt"}
    with pytest.raises(BadInput, match=r"v1/model\.int8\.onnx: found no such file"):
        storage.fetch_folder(uri, tmp_path / "dest", only=["model.int8.onnx"])
    (dest / "mine.txt").write_text("years of work")
    with pytest.raises(BadInput, match=r"1 files that .* lacks, 'mine\.txt' first"):
        storage.fetch_folder(uri, dest)
    assert (dest / "mine.txt").read_text() == "years of work"


def test_a_plain_prefix_needs_permission_to_be_unverified(prefix: str, tmp_path: Path) -> None:
    big = random.Random(3).randbytes(18 * MIB)
    storage.write_bytes(storage.join(prefix, "ner", "big.conll"), big)
    storage.write_bytes(storage.join(prefix, "ner", "small.conll"), b"x O\n")
    with pytest.raises(BadInput, match=r"no _index\.json"):
        storage.fetch_folder(prefix, tmp_path / "dest")
    dest = storage.fetch_folder(prefix, tmp_path / "dest", require_index=False)
    assert (dest / "ner" / "big.conll").read_bytes() == big
    assert (dest / "ner" / "small.conll").read_bytes() == b"x O\n"
    first = storage.digest(prefix)
    assert storage.digest(prefix) == first
    storage.write_bytes(storage.join(prefix, "ner", "small.conll"), b"y O\n")
    assert storage.digest(prefix) != first
    with pytest.raises(BadInput, match="no files"):
        storage.fetch_folder(storage.join(prefix, "nowhere"), tmp_path / "other", require_index=False)
    with pytest.raises(BadInput):
        storage.digest(storage.join(prefix, "nowhere"))


def test_the_second_writer_does_not_touch_a_committed_folder(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_THREADS", "1")
    uri = storage.join(prefix, "v1")
    mine, theirs = make_folder(tmp_path / "mine", 1), make_folder(tmp_path / "theirs", 2)
    before: list[int] = []

    def they_commit(done: int, total: int) -> None:
        if not before:  # after my first part or file
            before.append(done)
            storage.store_folder(theirs, uri)

    with pytest.raises(BadInput, match="other contents"):
        storage.store_folder(mine, uri, progress=they_commit)
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(theirs)


def test_two_writers_of_the_same_contents_both_succeed(
    folder: Path, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_THREADS", "1")
    uri = storage.join(prefix, "v1")
    before: list[int] = []

    def the_other_commits(done: int, total: int) -> None:
        if not before:
            before.append(done)
            storage.store_folder(folder, uri)

    assert storage.store_folder(folder, uri, progress=the_other_commits) == storage.folder_index(uri)
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(folder)


# Pointers


def test_pointers(prefix: str) -> None:
    uri = storage.join(prefix, "latest.json")
    assert storage.read_pointer(uri) is None
    with pytest.raises(storage.PointerMoved):
        storage.move_pointer(uri, {"version": "0"}, '"d41d8cd98f00b204e9800998ecf8427e"')
    first = storage.move_pointer(uri, {"version": "1"}, None)
    assert storage.read_pointer(uri) == ({"version": "1"}, first)
    with pytest.raises(storage.PointerMoved, match=r"latest\.json"):
        storage.move_pointer(uri, {"version": "2"}, None)
    second = storage.move_pointer(uri, {"version": "2"}, first)
    with pytest.raises(storage.PointerMoved) as caught:
        storage.move_pointer(uri, {"version": "3"}, first)
    assert caught.value.exit_code == 75
    assert storage.read_pointer(uri) == ({"version": "2"}, second)


def test_no_pointer_update_is_lost_among_threads(prefix: str) -> None:
    """Four writers, who read the same state before each of their five updates; losers read again."""
    uri = storage.join(prefix, "count.json")
    together = threading.Barrier(4)
    lost: list[int] = []

    def add() -> None:
        for _ in range(5):
            found = storage.read_pointer(uri)
            together.wait(60)  # all have read, and nobody has written
            while True:
                value, etag = found if found else ({"by": []}, None)
                try:
                    storage.move_pointer(uri, {"by": [*value["by"], threading.get_ident()]}, etag)
                except storage.PointerMoved:
                    lost.append(1)
                    found = storage.read_pointer(uri)
                else:
                    break
            together.wait(60)  # all have written

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = storage.read_pointer(uri)
    assert found is not None
    assert sorted(found[0]["by"].count(ident) for ident in set(found[0]["by"])) == [5, 5, 5, 5]
    assert len(lost) >= 5 * 3, "of four who read the same state, one may win"


def test_a_pointer_moves_once_though_the_answer_is_lost(prefix: str, proxy: FaultyProxy) -> None:
    uri = storage.join(prefix, "latest.json")
    first: str | None = None
    for etag in (None, "again"):
        proxy.break_next("lost", matches=lambda method, path: method == "PUT")
        moved = storage.move_pointer(uri, {"was": etag}, first)
        assert proxy.faults_left == 0
        assert storage.read_pointer(uri) == ({"was": etag}, moved)
        first = moved
    with pytest.raises(storage.PointerMoved):
        storage.move_pointer(uri, {"was": "again"}, None)  # the same value, but not by a put of this call


# Faults on the way


def is_part(method: str, path: str) -> bool:
    return method == "PUT" and "partNumber" in path


def is_complete(method: str, path: str) -> bool:
    return method == "POST" and "uploadId" in path


def is_begin(method: str, path: str) -> bool:
    return method == "POST" and "uploadId" not in path


def is_index(method: str, path: str) -> bool:
    return method == "PUT" and "_index.json" in path


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        *(
            (fault, where)
            for fault in ("slow_down", "reset", "lost")
            for where in (is_begin, is_part, is_complete, is_index)
        ),
        ("flip", is_part),
        ("flip", is_index),
    ],
)
def test_uploads_survive_faults(
    folder: Path, proxy: FaultyProxy, tmp_path: Path, fault: str, where: Callable[[str, str], bool]
) -> None:
    uri = f"s3://{BUCKET}/{tmp_path.name}/v1"
    proxy.break_next(fault, fault, matches=where)
    storage.store_folder(folder, uri)
    assert proxy.faults_left <= (1 if fault == "lost" and where is is_index else 0)
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(folder)


@pytest.mark.parametrize("fault", ["slow_down", "reset", "cut"])
def test_downloads_survive_faults(folder: Path, prefix: str, proxy: FaultyProxy, tmp_path: Path, fault: str) -> None:
    uri = storage.join(prefix, "v1")
    storage.store_folder(folder, uri)
    proxy.break_next(fault, fault, fault, matches=lambda method, path: method == "GET")
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(folder)
    assert proxy.faults_left == 0


def test_a_stream_goes_on_where_it_broke(folder: Path, prefix: str, proxy: FaultyProxy) -> None:
    data = (folder / "model.onnx").read_bytes()
    uri = storage.join(prefix, "x")
    storage.write_bytes(uri, data)
    with storage.open_read(uri, 7, 9 * MIB) as stream:
        proxy.break_next("cut", "reset", "cut", matches=lambda method, path: method == "GET")
        assert stream.read() == data[7 : 9 * MIB]
    assert proxy.faults_left == 0


def test_the_server_compares_checksums(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong sha256 must be refused: else sending one would prove nothing."""
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", "0")
    monkeypatch.setattr("tofner.storage.objects.checksum", lambda data: "A" * 43 + "=")
    with pytest.raises((PassingFault, BadInput)):
        storage.write_bytes(storage.join(prefix, "x"), b"data")
    assert not storage.exists(storage.join(prefix, "x"))


# Faults that last


def test_wrong_credentials_and_buckets(
    folder: Path, prefix: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_bytes(storage.join(prefix, "x"), b"x")
    calls: list[Callable[[str], object]] = [
        storage.read_bytes,
        storage.exists,
        storage.list_files,
        storage.folder_index,
        storage.read_pointer,
        storage.digest,
        storage.open_read,
        lambda uri: storage.write_bytes(uri, b"x"),
        lambda uri: storage.store_folder(folder, uri),
        lambda uri: storage.move_pointer(uri, {}, None),
    ]
    for call in calls:
        with pytest.raises(BadInput, match=r"s3://no-such-bucket/x.*: found no bucket 'no-such-bucket'"):
            call("s3://no-such-bucket/x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "wrong")
            for call in calls:
                with pytest.raises(BadInput, match=r"s3://.*credentials that .* refuses .*AWS_ACCESS_KEY_ID"):
                    call(storage.join(prefix, "x"))
    assert storage.read_bytes(storage.join(prefix, "x")) == b"x"
    assert clock.slept == []  # no patience with these


# Kills


def dies_once(server: LocalStore, clock: FakeClock) -> Callable[[int, int], None]:
    """A progress callback that kills the server after a third of the bytes; it is back when the client has waited."""
    killed: list[int] = []

    def restart() -> None:
        clock.while_asleep = lambda: None
        server.stop()
        server.start()
        assert server.pid != killed[0]

    def progress(done: int, total: int) -> None:
        if 3 * done > total and not killed:
            killed.append(server.pid)
            clock.while_asleep = restart
            os.kill(server.pid, signal.SIGKILL)

    return progress


def test_the_server_dies_in_mid_upload_and_the_upload_goes_on(
    folder: Path, own_s3: LocalStore, clock: FakeClock, tmp_path: Path
) -> None:
    uri = "s3://tofner/models/v1"
    storage.store_folder(folder, uri, dies_once(own_s3, clock))
    assert clock.slept, "nobody met the dead server"
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(folder)


def test_the_server_dies_and_a_later_try_ends_whole(
    folder: Path, own_s3: LocalStore, clock: FakeClock, tmp_path: Path
) -> None:
    earlier, uri = "s3://tofner/models/v0", "s3://tofner/models/v1"
    acknowledged = storage.store_folder(make_folder(tmp_path / "earlier", 7), earlier)
    etag = storage.move_pointer("s3://tofner/models/latest.json", {"version": "v0"}, None)
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if 3 * done > total and not killed:
            killed.append(own_s3.pid)
            os.kill(own_s3.pid, signal.SIGKILL)

    with pytest.raises(PassingFault, match=r"s3://tofner/models/v1/.*gave up after") as caught:
        storage.store_folder(folder, uri, progress=kill)
    assert caught.value.exit_code == 75
    own_s3.stop()
    own_s3.start()

    assert storage.folder_index(uri) is None
    with pytest.raises(BadInput, match=r"no _index\.json"):
        storage.fetch_folder(uri, tmp_path / "dest")
    assert storage.folder_index(earlier) == acknowledged
    assert contents(storage.fetch_folder(earlier, tmp_path / "dest0")) == contents(tmp_path / "earlier")
    assert storage.read_pointer("s3://tofner/models/latest.json") == ({"version": "v0"}, etag)

    storage.store_folder(folder, uri)
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(folder)


def test_the_server_dies_in_mid_download(
    folder: Path, own_s3: LocalStore, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_THREADS", "2")  # so that parts are left to fetch after the kill
    uri = "s3://tofner/models/v1"
    storage.store_folder(folder, uri)
    dest = storage.fetch_folder(uri, tmp_path / "dest", progress=dies_once(own_s3, clock))
    assert clock.slept, "nobody met the dead server"
    assert contents(dest) == contents(folder)


def test_the_client_dies_in_mid_upload(folder: Path, prefix: str, tmp_path: Path) -> None:
    uri = storage.join(prefix, "v1")
    code = (
        "import sys; from pathlib import Path; from tofner import storage\n"
        "def tell(done, total):\n"
        "    print(done, flush=True)\n"
        "    if done > 10 * 2**20:\n"
        "        sys.stdin.read()  # stands still until it is killed\n"
        "storage.store_folder(Path(sys.argv[1]), sys.argv[2], tell)"
    )
    environment = {**os.environ, "TOFNER_STORAGE_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder), uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) > 10 * MIB:
                break
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert storage.folder_index(uri) is None
    with pytest.raises(BadInput, match=r"no _index\.json"):
        storage.fetch_folder(uri, tmp_path / "dest")
    storage.store_folder(folder, uri)
    assert contents(storage.fetch_folder(uri, tmp_path / "dest")) == contents(folder)


def test_removed_folders_leave_nothing_and_their_neighbours_stay(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    for name in ("state/one", "state/one-more"):
        storage.store_folder(tmp_path, storage.join(prefix, name))
    storage.remove_folder(storage.join(prefix, "state/one"))
    assert storage.folder_index(storage.join(prefix, "state/one")) is None
    assert storage.list_files(storage.join(prefix, "state/one")) == []
    assert storage.folder_index(storage.join(prefix, "state/one-more")) is not None
    storage.remove_folder(storage.join(prefix, "never-there"))


def test_check_writable_names_a_missing_bucket(s3: object) -> None:
    with pytest.raises(BadInput, match="no-such-bucket-here"):
        storage.check_writable("s3://no-such-bucket-here/x")


def test_check_writable_leaves_its_marker_and_passes_again(prefix: str) -> None:
    storage.check_writable(prefix)
    storage.check_writable(prefix)
    assert json.loads(storage.read_bytes(storage.join(prefix, ".tofner"))) == {"tofner": "writes here"}


@pytest.mark.parametrize("size", [3, 17 * MIB])
def test_a_new_object_takes_a_free_place_and_no_other(prefix: str, tmp_path: Path, size: int) -> None:
    def made(byte: bytes) -> Path:
        (tmp_path / "made").write_bytes(byte * size)
        return tmp_path / "made"

    uri = storage.join(prefix, "out")
    assert storage.file_etag(uri) is None
    etag = storage.put_new_file(made(b"1"), uri)
    assert etag == storage.file_etag(uri)
    assert [info.etag for info in storage.list_files(prefix)] == [etag]
    assert storage.put_new_file(made(b"1"), uri) == etag, "the same is as good"
    if size < MIB:  # a store may ignore the condition where an upload of parts is completed
        assert storage.put_new_file(made(b"2"), uri) is None
        assert storage.read_bytes(uri) == b"1" * size
    assert storage.content_sha256(uri) == hashlib.sha256(storage.read_bytes(uri)).hexdigest()


def test_a_store_without_conditional_puts_gets_plain_ones(scripted_s3: ScriptedS3, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"x")
    scripted_s3.says((501, "NotImplemented"), (200, ""))
    assert storage.put_new_file(tmp_path / "made", "s3://bucket/out") == '"e"'
    assert ["if-none-match" in request.headers for request in scripted_s3.requests] == [True, False]


def test_only_the_version_that_was_listed_is_read(prefix: str) -> None:
    uri = storage.join(prefix, "x")
    storage.write_bytes(uri, b"one")
    (info,) = storage.list_files(prefix)
    with storage.open_read(uri, etag=info.etag) as stream:
        assert stream.read() == b"one"
    storage.write_bytes(uri, b"two")
    with pytest.raises(BadInput, match=r"x: found another version .*; expected the one that was listed"):
        storage.open_read(uri, etag=info.etag)

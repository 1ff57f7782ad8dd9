"""What `tofner.storage` asks of a real S3 server, request by request, and what comes of answers that are lost."""

import base64
import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from tests.loopback import FaultyProxy, Request
from tofner import storage
from tofner.errors import BadInput, PassingFault
from tofner.storage import FileEntry, FolderIndex, s3, transfer
from tofner.storage.uri import split_uri

pytestmark = pytest.mark.integration

PART = 8 * 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small file, and one of three parts."""
    root = tmp_path / "made here"
    root.mkdir()
    (root / "small").write_bytes(b"small")
    (root / "big").write_bytes(random.Random(2).randbytes(2 * PART + 5))
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    root = tmp_path / "small here"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"alpha")
    (root / "sub" / "b").write_bytes(b"beta")
    return root


def sha256(data: bytes) -> str:
    """As S3 wants it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def asked(proxy: FaultyProxy, method: str, part: str) -> list[Request]:
    return [one for one in proxy.requests if one.method == method and part in one.path]


def incomplete(uri: str) -> list[str]:
    """Multipart uploads below `uri` that hold their parts still."""
    bucket, key = split_uri(uri)
    answer = s3.client().list_multipart_uploads(Bucket=bucket, Prefix=key)
    return [one["Key"] for one in answer.get("Uploads", [])]


# Uploads


def test_an_upload_sends_checksums_of_all_and_its_index_last(folder: Path, prefix: str, proxy: FaultyProxy) -> None:
    uri = storage.join(prefix, "v1")
    storage.store_folder(folder, uri)
    puts = [one for one in proxy.requests if one.method in ("PUT", "POST")]
    last = puts[-1]
    assert last.path.endswith("/_index.json")
    assert last.headers["if-none-match"] == "*"
    assert last.headers["x-amz-checksum-sha256"] == sha256(storage.read_bytes(storage.join(uri, "_index.json")))
    data = (folder / "big").read_bytes()
    parts = {one.path.partition("partNumber=")[2][:1]: one for one in asked(proxy, "PUT", "partNumber=")}
    sent = {number: one.headers.get("x-amz-checksum-sha256") for number, one in parts.items()}
    assert sent == {str(i + 1): sha256(data[i * PART : (i + 1) * PART]) for i in range(3)}
    lengths = {number: int(one.headers["content-length"]) for number, one in parts.items()}
    assert lengths == {"1": PART, "2": PART, "3": 5}
    (whole,) = asked(proxy, "PUT", "/small")
    assert whole.headers["x-amz-checksum-sha256"] == sha256(b"small")
    assert [one.method for one in puts].count("POST") == 2  # the multipart upload begun and completed
    assert incomplete(prefix) == []


def test_parts_begin_above_sixteen_mebibytes() -> None:
    """16 MiB travel whole; one byte more in parts of 8 MiB; 5 TiB, S3's largest, in 10,000 parts, S3's most."""
    assert transfer.part_ranges(2 * PART) == [(0, 2 * PART)]
    assert transfer.part_ranges(2 * PART + 1) == [(0, PART), (PART, 2 * PART), (2 * PART, 2 * PART + 1)]
    assert len(transfer.part_ranges(5 * 2**40)) == 10_000


def test_the_parts_of_a_failed_upload_are_aborted(folder: Path, prefix: str, proxy: FaultyProxy) -> None:
    """The folder is committed by somebody else while the parts are under way."""
    uri = storage.join(prefix, "v1")
    other = FolderIndex({"x": FileEntry(1, "0" * 64)})
    stopped: list[int] = []

    def they_commit(done: int, total: int) -> None:
        if not stopped:
            stopped.append(len(incomplete(uri)))
            storage.write_bytes(storage.join(uri, "_index.json"), other.to_json())

    (folder / "small").unlink()
    with pytest.raises(BadInput, match="other contents"):
        storage.store_folder(folder, uri, progress=they_commit)
    assert stopped == [1], "the upload was under way"
    assert len(asked(proxy, "DELETE", "uploadId=")) == 1
    assert incomplete(uri) == []
    assert not storage.exists(storage.join(uri, "big"))
    assert storage.folder_index(uri) == other


def test_of_two_writers_the_first_index_stays(small: Path, prefix: str, proxy: FaultyProxy) -> None:
    """The other one commits right before our own put of the index, when nothing else would stop it."""
    uri = storage.join(prefix, "v1")
    other = FolderIndex({"x": FileEntry(1, "0" * 64)})
    theirs: list[str] = []

    def they_commit(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("_index.json") and not theirs:
            theirs.append(path)
            storage.write_bytes(storage.join(uri, "_index.json"), other.to_json())

    proxy.before = they_commit
    with pytest.raises(BadInput, match="other contents"):
        storage.store_folder(small, uri)
    assert theirs
    assert storage.folder_index(uri) == other


def test_an_index_whose_answer_was_lost_is_recognised(
    small: Path, prefix: str, proxy: FaultyProxy, clock: FakeClock
) -> None:
    uri = storage.join(prefix, "v1")
    proxy.break_next("lost", matches=lambda method, path: method == "PUT" and path.endswith("_index.json"))
    index = storage.store_folder(small, uri)
    assert proxy.faults_left == 0
    assert len(asked(proxy, "PUT", "_index.json")) == 2
    assert storage.folder_index(uri) == index


def test_a_file_that_changes_during_the_upload_is_not_committed(small: Path, prefix: str, tmp_path: Path) -> None:
    uri = storage.join(prefix, "v1")

    def write(done: int, total: int) -> None:
        if done == total:
            (small / "a").write_bytes(b"ALPHA")

    with pytest.raises(BadInput, match=r"1 files that changed while they were stored, 'a' first"):
        storage.store_folder(small, uri, progress=write)
    assert storage.folder_index(uri) is None
    with pytest.raises(BadInput, match=r"no _index\.json"):
        storage.fetch_folder(uri, tmp_path / "dest")


def test_a_file_that_appears_during_the_upload_is_not_lost(small: Path, prefix: str) -> None:
    uri = storage.join(prefix, "v1")
    with pytest.raises(BadInput, match="'sub/new' first"):
        storage.store_folder(small, uri, progress=lambda done, total: (small / "sub" / "new").touch())  # type: ignore[func-returns-value]
    assert storage.folder_index(uri) is None


# Downloads


def test_big_objects_come_in_ranges_of_one_version(
    folder: Path, prefix: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    """Without an index nothing but the etag tells two versions of an object apart."""
    uri = storage.join(prefix, "big")
    etag = storage.write_bytes(uri, (folder / "big").read_bytes())
    proxy.requests.clear()
    storage.fetch_folder(prefix, tmp_path / "dest", require_index=False)
    ranges = [one for one in asked(proxy, "GET", "/big") if "range" in one.headers]
    spans = sorted(one.headers["range"] for one in ranges)
    assert spans == [f"bytes=0-{PART - 1}", f"bytes={2 * PART}-{2 * PART + 4}", f"bytes={PART}-{2 * PART - 1}"]
    assert {one.headers.get("if-match") for one in ranges} == {etag}
    assert (tmp_path / "dest" / "big").read_bytes() == (folder / "big").read_bytes()


def test_an_object_that_changes_between_two_ranges_is_refused(
    folder: Path, prefix: str, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_STORAGE_THREADS", "1")
    uri, data = storage.join(prefix, "big"), (folder / "big").read_bytes()
    storage.write_bytes(uri, data)

    def overwrite(done: int, total: int) -> None:
        storage.write_bytes(uri, data[::-1])

    with pytest.raises(BadInput, match="changed while it was read"):
        storage.fetch_folder(prefix, tmp_path / "dest", require_index=False, progress=overwrite)
    assert not (tmp_path / "dest" / "big").exists()


def test_a_stream_names_its_version_in_every_request(prefix: str, proxy: FaultyProxy) -> None:
    uri = storage.join(prefix, "x")
    etag = storage.write_bytes(uri, b"0123456789")
    with storage.open_read(uri) as stream:
        proxy.requests.clear()
        assert stream.read(3) == b"012"
        stream.seek(7)
        assert stream.read() == b"789"
    assert {one.headers.get("if-match") for one in proxy.requests} == {etag}


@pytest.mark.parametrize("victim", ["a", "sub/b"])
def test_bytes_that_are_not_the_indexed_ones_are_not_left(
    small: Path, prefix: str, tmp_path: Path, victim: str
) -> None:
    """Of the same size: only sha256 tells."""
    uri = storage.join(prefix, "v1")
    storage.store_folder(small, uri)
    storage.write_bytes(storage.join(uri, victim), (small / victim).read_bytes().swapcase())
    with pytest.raises(BadInput, match=f"{victim}: found sha256"):
        storage.fetch_folder(uri, tmp_path / "dest")
    assert not (tmp_path / "dest" / victim).exists()


def test_a_file_too_many_is_told_and_kept(small: Path, prefix: str, tmp_path: Path) -> None:
    uri = storage.join(prefix, "v1")
    storage.store_folder(small, uri)
    dest = storage.fetch_folder(uri, tmp_path / "dest")
    (dest / "sub" / "mine").write_text("years")
    with pytest.raises(BadInput, match=r"1 files that .* lacks, 'sub/mine' first"):
        storage.fetch_folder(uri, dest)
    assert (dest / "sub" / "mine").read_text() == "years"


@pytest.mark.parametrize("path", ["../escaped", "/escaped", "sub/../../escaped"])
def test_an_index_from_a_bucket_cannot_write_outside(prefix: str, tmp_path: Path, path: str) -> None:
    index = {"format": 1, "digest": "", "files": {path: {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}}}
    # sha256 over path, NUL, sha256 in hex and a newline, a line a file in order of paths
    index["digest"] = hashlib.sha256(f"{path}\0{hashlib.sha256(b'x').hexdigest()}\n".encode()).hexdigest()
    storage.write_bytes(storage.join(prefix, "v1", "_index.json"), json.dumps(index).encode())
    with pytest.raises(BadInput, match="inside the folder"):
        storage.fetch_folder(storage.join(prefix, "v1"), tmp_path / "in" / "dest")
    assert list(tmp_path.iterdir()) == []


def test_removal_begins_with_the_index(
    small: Path, prefix: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = storage.join(prefix, "v1")
    storage.store_folder(small, uri)
    storage.remove_folder(uri)
    gone = [one.path.rpartition("/v1/")[2] for one in proxy.requests if one.method == "DELETE"]
    assert gone == ["_index.json", "a", "sub/b"]
    # One that breaks off half-way leaves a folder that nobody takes for whole.
    storage.store_folder(small, uri)
    proxy.break_next(*["slow_down"] * 2, matches=lambda method, path: method == "DELETE" and path.endswith("/b"))
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", "0")
    with pytest.raises(PassingFault):
        storage.remove_folder(uri)
    assert storage.folder_index(uri) is None
    assert [one.path for one in storage.list_files(uri)] == ["sub/b"]


# Pointers


def test_pointers_move_by_conditions(prefix: str, proxy: FaultyProxy) -> None:
    uri = storage.join(prefix, "latest.json")
    first = storage.move_pointer(uri, {"version": "1"}, None)
    storage.move_pointer(uri, {"version": "2"}, first)
    puts = asked(proxy, "PUT", "latest.json")
    assert [(one.headers.get("if-none-match"), one.headers.get("if-match")) for one in puts] == [
        ("*", None),
        (None, first),
    ]


def is_put(method: str, path: str) -> bool:
    return method == "PUT"


def test_a_pointer_put_whose_answer_was_lost_is_our_own(prefix: str, proxy: FaultyProxy, clock: FakeClock) -> None:
    uri = storage.join(prefix, "latest.json")
    proxy.break_next("lost", matches=is_put)
    etag = storage.move_pointer(uri, {"version": "1"}, None)
    assert len(asked(proxy, "PUT", "latest.json")) == 2
    assert storage.read_pointer(uri) == ({"version": "1"}, etag)


@pytest.mark.parametrize("fault", ["reset", "lost"])
def test_a_pointer_that_another_moved_between_two_tries_is_theirs(
    prefix: str, proxy: FaultyProxy, clock: FakeClock, fault: str
) -> None:
    uri = storage.join(prefix, "latest.json")
    clock.while_asleep = lambda: storage.write_bytes(uri, b'{"version": "theirs"}')
    proxy.break_next(fault, matches=is_put)
    with pytest.raises(storage.PointerMoved):
        storage.move_pointer(uri, {"version": "ours"}, None)
    found = storage.read_pointer(uri)
    assert found is not None
    assert found[0] == {"version": "theirs"}


def test_the_same_value_by_another_writer_is_not_ours(prefix: str) -> None:
    """A counter of two writers that both saw 1 must not count one of them as 2 and the other as 2 as well."""
    uri = storage.join(prefix, "count.json")
    etag = storage.move_pointer(uri, {"n": 1}, None)
    storage.move_pointer(uri, {"n": 2}, etag)
    with pytest.raises(storage.PointerMoved):
        storage.move_pointer(uri, {"n": 2}, etag)


# Faults that last


@pytest.mark.parametrize(
    "call",
    [
        storage.read_bytes,
        storage.list_files,
        storage.digest,
        lambda uri: storage.write_bytes(uri, b"x"),
        lambda uri: storage.move_pointer(uri, {}, None),
    ],
)
def test_a_missing_bucket_is_asked_for_once(
    s3: object, proxy: FaultyProxy, clock: FakeClock, call: Callable[[str], object]
) -> None:
    with pytest.raises(BadInput, match="no bucket 'no-such-bucket'"):
        call("s3://no-such-bucket/x")
    assert clock.slept == []


# A local store by the same functions


@pytest.mark.parametrize("where", ["copyfile", "index"])
def test_a_change_during_a_local_store_is_noticed(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """After the first file is copied, or after the contents were hashed."""
    import shutil

    if where == "copyfile":
        real = shutil.copyfile

        def copy(source: Path, target: Path) -> object:
            made = real(source, target)
            (small / "a").write_bytes(b"ALPHA")
            os.utime(small / "a", ns=(1, 1))
            return made

        monkeypatch.setattr("tofner.storage.folders.shutil.copyfile", copy)
    else:
        real_index = storage.folder_index

        def look(uri: str) -> FolderIndex | None:
            (small / "a").write_bytes(b"ALPHA")
            os.utime(small / "a", ns=(1, 1))
            return real_index(uri)

        monkeypatch.setattr("tofner.storage.folders.folder_index", look)
    with pytest.raises(BadInput, match=r"changed while they were stored, 'a' first"):
        storage.store_folder(small, str(tmp_path / "models" / "v1"))
    assert not list((tmp_path / "models").iterdir())

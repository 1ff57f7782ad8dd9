"""Fixtures that tests of several folders share."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from tests.loopback import FaultyProxy, ScriptedS3
from tofner.storage import BUCKET, LocalStore


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    """One SeaweedFS for the whole run; its variables are set by `s3` only, test by test."""
    with LocalStore(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def s3(s3_server: LocalStore, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A running S3 server, with the environment set to use it."""
    use(s3_server.environment(), monkeypatch)
    return s3_server


@pytest.fixture
def prefix(s3: LocalStore) -> str:
    """An `s3://` URI under which nothing lies yet."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def own_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """A server of the test's own, to be killed."""
    with LocalStore(tmp_path / "own store") as store:
        use(store.environment(), monkeypatch)
        yield store


@pytest.fixture
def proxy(s3: LocalStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Traffic goes to the real server through this proxy, which spoils what it is told to."""
    with FaultyProxy(s3.endpoint) as server:
        monkeypatch.setenv("S3_ENDPOINT_URL", server.endpoint)
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Storage waits by this clock, which moves only when somebody sleeps."""
    fake = FakeClock()
    monkeypatch.setattr("tofner.storage.s3.CLOCK", fake.clock)
    return fake


@pytest.fixture
def scripted_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedS3]:
    """A server that answers as told; for faults that a real one gives rarely."""
    with ScriptedS3() as server:
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        use(keys | {"S3_ENDPOINT_URL": server.endpoint, "NO_PROXY": "127.0.0.1"}, monkeypatch)
        yield server


def use(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Set these variables, and keep the developer's own profile out of the test."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name not in environment]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

"""`tofner run` as a whole, its store behind a proxy that spoils requests: bad weather, and an end in mid-run.

What each fault comes to at each step is in test_faults.py; here all of a run's processes go through it, with real
waits. TOFNER_SEED draws other weather (it is printed with a failure).
"""

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import AGAIN, BURST, FAULTS, GOOD
from tests.loopback import FaultyProxy
from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner import storage
from tofner.storage import BUCKET, LocalStore

pytestmark = pytest.mark.e2e
EVERY = 25  # requests between two bursts
# `hang` takes a whole time-out of real time for each request; of `garble` nobody can see what it changes in the text
# that the run tags in the end (docs/faults.md).
WITHOUT = ("hang", "garble")


class Weather:
    """Every now and then a burst of one of the faults that a run must outlast, in drawn order."""

    def __init__(self, proxy: FaultyProxy, seed: int) -> None:
        self.proxy, self.chance, self.requests = proxy, random.Random(seed), 0
        self.bursts: Counter[str] = Counter()
        self.kinds = [fault for fault in FAULTS if fault.burst == GOOD and fault.name not in WITHOUT]

    def __call__(self, method: str, path: str) -> None:
        self.requests += 1
        if self.requests % EVERY == 0:
            fault = self.chance.choice(self.kinds)
            self.bursts[fault.name] += self.proxy.struck > 0
            self.proxy.strike(fault.name, 0, BURST, fault.matches)


class Home:
    """Data, a preset, and how to run it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        make_data(root / "data")
        make_preset(root / "preset.yaml", make_encoder(root / "encoder"))

    def run(self, store: str) -> tuple[int, list[str], str]:
        """Exit code, lines for the user, and all the rest of one `tofner run` into a store."""
        command = [sys.executable, "-m", "tofner.cli", "run", "--preset", str(self.root / "preset.yaml")]
        command += ["--data", str(self.root / "data"), "--work", str(self.root / "work"), "--store", store]
        command += ["--iterations", "0", *(f"--set=use.{stage}=false" for stage in ("mlm", "mrc", "pseudo"))]
        told = {**os.environ, "TOFNER_STORAGE_PATIENCE_S": "10", "COLUMNS": "120"}
        done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=400, check=False)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        return done.returncode, [line for line in done.stderr.splitlines() if line.startswith("tofner:")], done.stdout


def model(store: str) -> dict[str, str]:
    """sha256 of the published model's files; nothing if none is published."""
    pointers = [info.path for info in storage.list_files(f"{store}/models") if info.path.endswith("latest.json")]
    if not pointers:
        return {}
    version = json.loads(storage.read_bytes(f"{store}/models/{pointers[0]}"))["version"]
    name = pointers[0].partition("/")[0]
    index = json.loads(storage.read_bytes(f"{store}/models/{name}/{version}/_index.json"))
    tagger = ("model", "labels", "token")  # the card tells of the run
    return {path: entry["sha256"] for path, entry in index["files"].items() if path.startswith(tagger)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("weather"))


@pytest.fixture(scope="module")
def calm(home: Home, s3_server: LocalStore) -> Iterator[dict[str, str]]:
    """The model of a run that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        store = f"s3://{BUCKET}/{uuid.uuid4().hex}"
        code, said, out = home.run(store)
        assert (code, said) == (GOOD, []), out[-3000:]
        yield model(store)


def test_a_run_in_bad_weather_ends_with_the_same_model(
    home: Home, calm: dict[str, str], proxy: FaultyProxy, prefix: str
) -> None:
    seed = int(os.environ.get("TOFNER_SEED") or time.time())
    weather = proxy.before = Weather(proxy, seed)
    code, said, out = home.run(prefix)
    about = f"TOFNER_SEED={seed}, {weather.requests} requests, bursts {dict(weather.bursts)}\n{said}\n{out[-3000:]}"
    proxy.before, _ = (lambda method, path: None), proxy.break_next()
    assert code == GOOD, about
    assert sum(weather.bursts.values()) >= 5, about
    assert said == [], about
    assert len(calm) == 3
    assert model(prefix) == calm, about


def test_a_run_whose_store_goes_ends_with_one_line_and_goes_on(
    home: Home, calm: dict[str, str], proxy: FaultyProxy, prefix: str
) -> None:
    proxy.strike("slow_down", 120, None)
    ended, said, out = home.run(prefix)
    struck, _ = proxy.struck, proxy.break_next()
    assert struck, out[-3000:]
    assert (ended, len(said)) == (AGAIN, 1), (said, out[-3000:])
    assert model(prefix) == {}
    assert home.run(prefix)[:2] == (GOOD, [])
    assert model(prefix) == calm

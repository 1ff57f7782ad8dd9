"""What `tests.faults` lists, at steps of a run and at the start of the service, on a real SeaweedFS behind a proxy.

For each cell: the exit code, one line of message, nothing half visible, and the same command afterwards ends with the
bytes of one that nobody disturbed. tests/integration/test_tagging_faults.py does the same for `tofner tag`. Time
is that of a fake clock, so that no cell waits.
"""

import contextlib
import hashlib
import io
import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import use
from tests.fake_clock import FakeClock
from tests.faults import BURST, FAULTS, GOOD, Fault
from tests.loopback import FaultyProxy
from tests.tiny_encoder import make_data, make_encoder, make_preset
from tests.tiny_tagger import publish_tiny
from tofner import cli, storage
from tofner.stages import begin, take
from tofner.storage import BUCKET, LocalStore
from tofner.storage.index import FolderIndex
from tofner.tagging import Tagger
from tofner.tagging import serve as service

pytestmark = pytest.mark.e2e

PATIENCE_S = 5  # of the fake clock; a try that hangs takes 2 s of everybody's
TIMED = ("report.json", "manifest.json", "_index.json", "latest.json")
OFF = {"mlm": "off", "mrc": "off", "pseudo": "off"}


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    out = io.StringIO()
    with contextlib.redirect_stderr(out), contextlib.redirect_stdout(out):
        yield out


def outcome(action: Callable[[], object]) -> tuple[int, str]:
    """Exit code of a command, and what it says for the user; its log is left out."""
    with quiet() as out:
        try:
            action()
        except SystemExit as stop:
            code = int(stop.code or 0)
        else:
            code = GOOD
    assert "Traceback" not in out.getvalue()
    return code, "\n".join(line for line in out.getvalue().splitlines() if line.startswith("tofner:"))


class Bench:
    """A run whose every step is done, in a store behind the proxy, and steps of the like in stores of their own."""

    def __init__(self, root: Path, proxy: FaultyProxy) -> None:
        self.root, self.proxy, self.model = root, proxy, str(make_encoder(root / "encoder"))
        make_data(root / "data")
        make_preset(root / "preset.yaml", root / "encoder")
        self.whole = self.fresh()
        with quiet():
            run = self.plan(self.whole)
            take("prepare", run)
            self.gold = take("gold", run).uri
            self.ner = take("line 6: ner", run, model=self.model).uri
            scores = take("evaluate", run, gold=self.gold, model=self.ner).uri
            self.export = take("export", run, model=self.ner).uri
            self.report = take("report", run, scores=scores, model=self.ner, export=self.export).uri
            take("publish", run, export=self.export, report=self.report, model=self.ner)
        self.expected = self.contents(self.whole)

    def fresh(self) -> str:
        return f"s3://{BUCKET}/{uuid.uuid4().hex}"

    def plan(self, store: str) -> str:
        place = (str(self.root / "preset.yaml"), str(self.root / "data"), store)
        return begin("", OFF, *place, "", 0, 1, ["stages.ner.epochs=1"], "tiny")

    def step(self, name: str, store: str) -> Callable[[], object]:
        """The step, ready to be called; what comes before it is done."""
        if name == "plan":
            return lambda: self.plan(store)
        with quiet():
            run = self.plan(store)
            if name == "ner":  # where its corpora lie is known from the plan
                take("prepare", run)
        return {
            "gold": lambda: take("gold", run),
            "ner": lambda: take("line 6: ner", run, model=self.model),
            "publish": lambda: take("publish", run, export=self.export, report=self.report, model=self.ner),
        }[name]

    def contents(self, store: str) -> dict[str, str]:
        """sha256 of all that does not hold times, whatever the address of the store is."""
        paths = [info.path for info in storage.list_files(store) if not info.path.endswith(TIMED)]
        found = {}
        for path in paths:
            data = storage.read_bytes(storage.join(store, path))
            data = data.replace(store.encode(), b"STORE").replace(self.whole.encode(), b"STORE")
            found["plan" if path.startswith("plans/") else path] = hashlib.sha256(data).hexdigest()
        return found

    def check_visible(self, store: str) -> None:
        """Every folder that readers can see is whole, and the pointer names one."""
        there = {info.path for info in storage.list_files(store)}
        for path in there:
            place = storage.join(store, path)
            if path.endswith("/_index.json"):
                folder = place.removesuffix("/_index.json")
                for name, entry in FolderIndex.from_json(storage.read_bytes(place), place).files.items():
                    data = storage.read_bytes(storage.join(folder, name))
                    assert hashlib.sha256(data).hexdigest() == entry.sha256, (folder, name)
            if path.endswith("/latest.json"):
                version = json.loads(storage.read_bytes(place))["version"]
                assert path.replace("latest.json", f"{version}/_index.json") in there


@pytest.fixture(scope="module")
def place(s3_server: LocalStore) -> Iterator[FaultyProxy]:
    """The proxy, with the environment and a clock for this process."""
    with pytest.MonkeyPatch.context() as patch, FaultyProxy(s3_server.endpoint) as proxy:
        use(s3_server.environment() | {"S3_ENDPOINT_URL": proxy.endpoint}, patch)
        patch.setenv("TOFNER_STORAGE_PATIENCE_S", str(PATIENCE_S))
        patch.setattr("tofner.storage.s3.CLOCK", FakeClock().clock)
        yield proxy


@pytest.fixture(scope="module")
def bench(place: FaultyProxy, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("faults"), place)


# Requests before the fault. A step that has fewer is not disturbed.
POINTS = {"plan": (0, 1, 2, 3), "gold": (0, 4, 8, 12), "publish": (14, 63), "ner": (20,)}
EASY = [fault.name for fault in FAULTS if fault.name != "hang"]  # which takes 2 s a request
TRAINED = ("slow_down", "cut", "expired", "denied")  # for `ner`, which takes seconds


def cells() -> list[tuple[str, Fault]]:
    steps = [(step, fault) for step in POINTS for fault in FAULTS if fault.where != "parts"]
    few = {"ner": TRAINED, "plan": EASY, "publish": EASY}
    return [(step, fault) for step, fault in steps if step not in few or fault.name in few[step]]


@pytest.mark.parametrize(("step", "fault"), cells(), ids=lambda value: getattr(value, "name", value))
def test_a_step_of_a_run(bench: Bench, step: str, fault: Fault) -> None:
    struck = 0
    for times, codes in ((BURST, (fault.burst,)), (None, fault.lasting)):
        for at in POINTS[step][:1] if fault.name == "hang" else POINTS[step]:
            store = bench.fresh()
            action = bench.step(step, store)
            bench.proxy.strike(fault.name, at, times, fault.matches)
            code, said = outcome(action)
            hit, where = bench.proxy.struck, (times, at, said)
            bench.proxy.break_next()
            struck += hit > 0
            assert code in (codes if hit else (GOOD,)), where
            assert said.count("\n") == 0, where
            assert bool(said) == (code != GOOD), where
            assert code == GOOD or "s3://" in said, where
            bench.check_visible(store)
            assert outcome(action)[0] == GOOD, where
            found = bench.contents(store)
            assert found == {path: bench.expected[path] for path in found}
            assert step == "plan" or any(path.startswith(f"work/{step}/") for path in found)
    assert struck, "nothing was disturbed"


@pytest.fixture(scope="module")
def published(place: FaultyProxy, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """A model in the store, and its answer to a request."""
    folder = publish_tiny(tmp_path_factory.mktemp("tiny"))
    uri = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    storage.store_folder(folder, uri)
    with Tagger.load(folder, threads=1) as tagger:
        return uri, answers(tagger)


def answers(tagger: Tagger) -> list[str]:
    return [repr(row) for row in tagger.tag([f"Obama met Merkel {i} in New York" for i in range(20)])]


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.reads], ids=lambda fault: fault.name)
def test_the_start_of_the_service(
    place: FaultyProxy,
    published: tuple[str, list[str]],
    fault: Fault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, expected = published
    given: list[list[str]] = []

    def serve(tagger: Tagger, *_: object) -> None:
        given.append(answers(tagger))
        tagger.close()

    monkeypatch.setattr(service, "serve", serve)
    before = signal.getsignal(signal.SIGTERM)
    struck = 0
    for times, codes in ((BURST, (fault.burst,)), (None, fault.lasting)):
        for at in (0,) if fault.name == "hang" else (0, 4, 8):
            cache = tmp_path / f"{times}-{at}"
            monkeypatch.setenv("TOFNER_CACHE", str(cache))
            command = ["serve", "--model", uri, "--threads", "1"]
            place.strike(fault.name, at, times, fault.matches)
            code, said = outcome(lambda command=command: cli.main(command))  # type: ignore[misc]
            hit, where = place.struck, (times, at, said)
            place.break_next()
            struck += hit > 0
            assert code in (codes if hit else (GOOD,)), where
            assert said.count("\n") == 0, where
            assert bool(said) == (code != GOOD), where
            assert list(cache.glob(".*")) == [], where
            assert outcome(lambda command=command: cli.main(command))[0] == GOOD, where  # type: ignore[misc]
            assert given.pop() == expected
    signal.signal(signal.SIGTERM, before)
    assert struck, "nothing was disturbed"


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.where == "parts"], ids=lambda fault: fault.name)
def test_a_file_in_parts(place: FaultyProxy, fault: Fault, tmp_path: Path) -> None:
    """What is over 16 MiB; steps store and fetch their folders by these two calls."""
    (tmp_path / "in").mkdir()
    data = os.urandom(2**20) * 17
    (tmp_path / "in" / "big").write_bytes(data)
    for number, (times, good) in enumerate(((1, True), (BURST, True), (None, False))):
        uri = f"s3://{BUCKET}/{uuid.uuid4().hex}"
        place.strike(fault.name, 0, times, fault.matches)
        if good:
            storage.store_folder(tmp_path / "in", uri)
        else:
            with pytest.raises(fault.error, match="s3://"):
                storage.store_folder(tmp_path / "in", uri)
            assert storage.folder_index(uri) is None
            place.break_next()
            storage.store_folder(tmp_path / "in", uri)
        assert place.struck
        place.break_next()
        fetched = storage.fetch_folder(uri, tmp_path / f"out{number}")
        assert (fetched / "big").read_bytes() == data
        left = storage.s3.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        assert [one["Key"] for one in left if uri.endswith(one["Key"].split("/")[0])] == []


def test_wrong_bytes_of_a_part_are_fetched_again(place: FaultyProxy, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "big").write_bytes(os.urandom(2**20) * 17)
    uri = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    storage.store_folder(tmp_path / "in", uri)
    place.strike("garble", 1, 1, lambda method, path: method == "GET" and path.endswith("/big"))
    fetched = storage.fetch_folder(uri, tmp_path / "out")
    assert place.struck == 1
    place.break_next()
    assert (fetched / "big").read_bytes() == (tmp_path / "in" / "big").read_bytes()

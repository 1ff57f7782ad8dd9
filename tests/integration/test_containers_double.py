"""Tasks in containers, with a double of the daemon that runs processes: what each is created with, what is left of it,
and what a failure means. Real containers: tests/e2e/test_containers.py and test_container_run.py.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.client import DockerClient

from tests.docker_daemon import DockerDaemon
from tests.tiny_encoder import make_data, make_preset, make_shell
from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.cli import main
from tofner.errors import BadInput, BadSettings, PassingFault
from tofner.presets.load import load_preset
from tofner.stages.config import CONFIGS
from tofner.stages.revision import code_revision
from tofner_kubeflow.pipelines import workbench
from tofner_kubeflow.pipelines.cluster import laptop
from tofner_kubeflow.pipelines.compile import compile_tof
from tofner_kubeflow.pipelines.containers import Containers, cause, lines, loopback, size
from tofner_kubeflow.pipelines.local import run_graph
from tofner_kubeflow.pipelines.processes import stoppable

# docker-py leaves sockets to the collector, of streams that were cut short and of daemons that did not answer.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
DOUBLE = Path(__file__).parent / "stage_double"
OLD, NEW, TAGGER = ("sha256:" + letter * 64 for letter in "abc")
IMAGES = {"tofner-trainer:1": OLD, "registry.example:5000/team/tofner-trainer:2": NEW, "tofner-tagger:1": TAGGER}
Run = Callable[..., list[str]]


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """No warning about them comes later, in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerDaemon]:
    folder = tmp_path / "daemon"
    folder.mkdir()
    with DockerDaemon(folder, dict(IMAGES)) as server:
        monkeypatch.setenv("DOCKER_HOST", server.host)
        yield server
        for process in server.processes():
            process.kill()


def containers(work: Path, image: str = "tofner-trainer:1", memory: str = "2g") -> Containers:
    return Containers(work, image, "", memory)


@pytest.fixture
def run(daemon: DockerDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the graph at T = 0 in one work folder; returns the steps that this run's containers did work for."""
    journal = tmp_path / "journal.jsonl"
    paths = [str(DOUBLE), str(ROOT / "src"), str(ROOT)]
    daemon.environment = {"TOFNER_TEST_JOURNAL": str(journal), "PYTHONPATH": os.pathsep.join(paths)}
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:1")
    encoder = make_shell(tmp_path / "encoder")
    told = {"preset": str(make_preset(tmp_path / "preset.yaml", encoder)), "data": str(make_data(tmp_path / "data"))}
    told |= {"store": str(tmp_path / "store"), "encoder": str(encoder)}
    work = tmp_path / "work"

    def once(fail: str = "", image: str = "tofner-trainer:1") -> list[str]:
        daemon.environment["TOFNER_TEST_FAIL"] = fail
        journal.write_text("")
        with containers(work, image) as around:
            graph = compile_tof(work / "tof.yaml", laptop(0, around.trainer.id))
            assert all(run_graph(graph, {"iterations": 0, **told}, work, around).outputs.values())
        return [json.loads(line)["task"] for line in journal.read_text().splitlines()]

    return once


def test_a_run_and_the_same_again(
    run: Run,
    daemon: DockerDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a key")
    monkeypatch.setenv("MY_OWN_SECRET", "nobody's business")
    worked = run()
    assert sorted(worked)[:3] == ["evaluate", "evaluate", "export"]
    assert len(daemon.created) == 12
    shown = capsys.readouterr().out
    assert "> line 6: ner\n  line 6: ner | working on line 6: ner\n" in shown
    assert "}" not in shown, "what KFP says to itself"
    assert not daemon.alive
    for made, removal in zip(daemon.created, daemon.removed, strict=True):
        assert made["Image"] == OLD
        assert made["User"] == "10001:0"
        host = made["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
        assert host["Memory"] == host["MemorySwap"] == 2 << 30
        assert host["NetworkMode"] == "host"
        assert not host.get("Privileged")
        assert not host.get("CapAdd")
        assert [(one["Target"], one["Type"], one["Source"]) for one in host["Mounts"]] == [("/tmp", "volume", None)]
        assert len(host["Binds"]) == 2, "KFP's two folders"
        variables = dict(one.split("=", 1) for one in made["Env"])
        assert variables["AWS_SECRET_ACCESS_KEY"] == "a key"
        assert "MY_OWN_SECRET" not in variables
        assert removal == {"v": ["True"], "force": ["True"], "link": ["False"]}

    modes = {
        path.stat().st_mode & 0o777 for path in (tmp_path / "work/containers/shared").rglob("executor_output.json")
    }
    assert modes == {0o666}, "whoever calls may remove what another user wrote"

    daemon.created.clear()
    assert run() == []
    assert len(daemon.created) == 1, "the plan's"
    daemon.created.clear()
    daemon.images["registry.example:5000/team/tofner-tagger:2"] = TAGGER
    assert run(image="registry.example:5000/team/tofner-trainer:2") == [], "the store knows what is done"
    assert len(daemon.created) == 12, "another image is another key of KFP's cache"
    assert {made["Image"] for made in daemon.created} == {NEW}


def test_a_stage_hands_its_error_on(run: Run, daemon: DockerDaemon) -> None:
    with pytest.raises(BadInput, match=r"^prepare: prepare says no$"):
        run("prepare=2")
    assert not daemon.alive


def test_want_of_memory_is_told_as_such(run: Run, daemon: DockerDaemon) -> None:
    daemon.short_of_memory = {137}
    with pytest.raises(BadSettings, match=r"^prepare: --memory: found 2g, which was not enough; .* goes on from here"):
        run("prepare=kill")
    daemon.short_of_memory = set()
    with pytest.raises(PassingFault, match=r"^prepare: its process was ended from outside"):
        run("prepare=kill")


def sleep(around: Containers, daemon: DockerDaemon) -> int:
    """Runs a container that would take ten minutes."""
    with contextlib.closing(DockerClient(base_url=daemon.host)) as client:
        return around.run(client, OLD, ["sleep", "600"], {}, print, labels={"tofner.work": str(around.shared)})


def when_started(daemon: DockerDaemon, what: Callable[[], object]) -> None:
    """Calls `what` as soon as a container's process is there."""

    def wait() -> None:
        while not daemon.processes():
            time.sleep(0.01)
        what()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_runs_on_after_a_signal(
    daemon: DockerDaemon,
    tmp_path: Path,
    number: signal.Signals,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(number)

    def stopped() -> None:
        with stoppable(lambda: "line 2: mlm"), containers(tmp_path) as around:
            when_started(daemon, lambda: os.kill(os.getpid(), number))
            sleep(around, daemon)

    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr("tofner.child._leaving", [])  # this process goes on
    with pytest.raises(SystemExit) as ended:
        stopped()
    assert ended.value.code == (130 if number is signal.SIGINT else 75)
    said = f"tofner: stopped at line 2: mlm by {number.name}; the same command goes on from here\n"
    assert capsys.readouterr().err == said
    assert not daemon.alive
    assert not daemon.processes()
    assert signal.getsignal(number) == before


def test_a_container_that_is_taken_away_is_a_passing_fault(daemon: DockerDaemon, tmp_path: Path) -> None:
    with containers(tmp_path) as around:
        when_started(daemon, daemon.take_away)
        assert sleep(around, daemon) == 125
        assert isinstance(around.fault, PassingFault)
        assert "removed from outside" in str(around.fault)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [(400, BadInput, "its container: found no such program; expected"), (500, PassingFault, "daemon failed: no such")],
)
def test_a_container_that_does_not_start(
    daemon: DockerDaemon, tmp_path: Path, status: int, kind: type[Exception], said: str
) -> None:
    daemon.refuses = (status, {"message": "no such program"})
    with containers(tmp_path) as around:
        assert sleep(around, daemon) == 125
        assert isinstance(around.fault, kind)
        assert said in str(around.fault)
        assert not daemon.alive, "before the next one starts"


def test_what_a_killed_run_left_behind_is_removed_and_nothing_else(daemon: DockerDaemon, tmp_path: Path) -> None:
    daemon.leave({"tofner.work": str(tmp_path)})
    other = daemon.leave({"tofner.work": str(tmp_path / "other")})
    with containers(tmp_path):
        assert list(daemon.alive) == [other]


def test_a_folder_has_one_run(daemon: DockerDaemon, tmp_path: Path) -> None:
    with containers(tmp_path):
        with pytest.raises(BadInput, match="containers of another run"), containers(tmp_path):
            pass
        assert (tmp_path / "containers").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "containers/shared").stat().st_mode & 0o777 == 0o777
    with containers(tmp_path):
        pass


def test_images_are_found_by_name_or_by_age(daemon: DockerDaemon, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as told, containers(tmp_path, ""):
        pass
    assert "registry.example:5000/team/tofner-tagger:2, which is not here" in str(told.value), "the newest one's"
    with pytest.raises(BadInput, match=r"--image: found tofner-trainer:9, which is not here; .*make images") as told:
        containers(tmp_path, "tofner-trainer:9").__enter__()
    assert len(told.value.problems) == 2
    with pytest.raises(BadInput, match="--tagger-image: found nothing; expected the tagger's image for mine:1"):
        containers(tmp_path, "mine:1").__enter__()
    daemon.images.clear()
    with pytest.raises(BadInput, match=r"--image: found no image called tofner-trainer here; .*make images"):
        containers(tmp_path, "").__enter__()


def test_the_probe_sees_folder_store_and_code(
    daemon: DockerDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, containers(tmp_path) as around:
        monkeypatch.setenv("S3_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        daemon.environment = {"PYTHONPATH": str(ROOT / "src")}
        around.probe()
        assert capsys.readouterr().out == ""
        daemon.environment = {"PYTHONPATH": str(other_code(tmp_path / "code"))}
        around.probe()
        assert capsys.readouterr().out.endswith("and runs them: prepare\n")
        monkeypatch.setattr("tofner_kubeflow.pipelines.containers.library_versions", dict)
        around.probe()
        assert capsys.readouterr().out == "", "without its libraries, nobody can say"
        (tmp_path / "none/tofner").mkdir(parents=True)
        (tmp_path / "none/tofner/__init__.py").write_text("raise ImportError")
        daemon.environment = {"PYTHONPATH": str(tmp_path / "none")}
        with pytest.raises(BadInput, match="--image: found tofner-trainer:1, which holds no tofner"):
            around.probe()
        daemon.environment = {"PYTHONPATH": str(ROOT / "src")}
        daemon.before = lambda: (around.shared / "probe").rename(tmp_path / "elsewhere")
        with pytest.raises(BadInput, match="no such folder in a container"):
            around.probe()
        daemon.before = lambda: None
        listening.close()
        with pytest.raises(BadInput, match=r"no way there from a container; .* give --store"):
            around.probe()
    assert not daemon.alive


def other_code(folder: Path) -> Path:
    """An installation in which one stage has another revision."""
    (folder / "tofner" / "stages").mkdir(parents=True)
    (folder / "tofner/__init__.py").touch()
    (folder / "tofner/stages/__init__.py").touch()
    told = {name: code_revision(name) for name in CONFIGS} | {"prepare": "another"}
    (folder / "tofner/stages/config.py").write_text(f"CONFIGS = {told!r}\n")
    (folder / "tofner/stages/revision.py").write_text(f"code_revision = {told!r}.get\n")
    return folder


def test_the_tagger_tags_in_its_own(
    daemon: DockerDaemon, prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.environment = {"PYTHONPATH": str(ROOT / "src")}
    model, text = storage.join(prefix, "model"), storage.join(prefix, "in/a.jsonl")
    storage.store_folder(publish_tiny(tmp_path / "model"), model)
    storage.write_bytes(text, b'{"id": 1, "text": "Angela Merkel met Obama."}\n')
    with containers(tmp_path) as around:
        around.tag(model, text, storage.join(prefix, "out"))
        assert daemon.created[-1]["Image"] == TAGGER
        assert b'"entities"' in storage.read_bytes(storage.join(prefix, "out/a.jsonl"))
        assert "  tag | 1 of 1 shards done" in capsys.readouterr().out
        with pytest.raises(BadInput, match=r"^tag: s3://.*/nowhere: "):
            around.tag(storage.join(prefix, "nowhere"), text, storage.join(prefix, "out"))


def test_folders_go_to_the_store_and_a_preset_to_the_shared_folder(prefix: str, tmp_path: Path) -> None:
    encoder = make_shell(tmp_path / "encoder")
    (encoder / "config.json").chmod(0o600)
    preset = make_preset(tmp_path / "mine.yaml", encoder)
    preset.chmod(0o600)
    (tmp_path / "shared").mkdir()
    told = {"preset": str(preset), "data": str(make_data(tmp_path / "data")), "store": prefix, "encoder": ""}
    changed = workbench.seen_by_all(told, load_preset(str(preset)), tmp_path / "shared")
    assert storage.digest(changed["data"]) == storage.digest(told["data"])
    assert changed["data"].startswith(f"{prefix}/data/data-")
    assert changed["encoder"].startswith(f"{prefix}/encoders/encoder-")
    assert storage.digest(changed["encoder"]) == storage.digest(str(encoder))
    assert changed["preset"] == str(tmp_path / "shared/mine.yaml")
    assert Path(changed["preset"]).stat().st_mode & 0o777 == 0o644
    (tmp_path / "mine.en.yaml").write_text("types: {PER: Who?, ORG: Which one?, LOC: Where?}\n")
    asked = load_preset(str(preset), ["queries=" + str(tmp_path / "mine.en.yaml")])
    changed = workbench.seen_by_all({**told, "overrides": ["a=1"]}, asked, tmp_path / "shared")
    assert changed["overrides"] == ["a=1", f"queries={tmp_path}/shared/queries-mine.en.yaml"]
    assert (tmp_path / "shared/queries-mine.en.yaml").read_text() == (tmp_path / "mine.en.yaml").read_text()
    own = {**told, "preset": "sample", "data": "s3://there/data", "encoder": "a/hub-id"}
    assert workbench.seen_by_all(own, load_preset("sample"), tmp_path) == {"data": "s3://there/data"}
    with pytest.raises(BadSettings, match="--store"):
        workbench.seen_by_all({**told, "store": str(tmp_path)}, load_preset("sample"), tmp_path)


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:9", "unix:///nowhere/docker.sock"])
def test_without_a_daemon_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["run", "--runner", "docker", "--work", str(tmp_path)])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"at {host}; expected a Docker daemon; start it, or set DOCKER_HOST" in said


@pytest.mark.parametrize(
    ("text", "bytes_"), [("8g", 8 << 30), ("8Gi", 8 << 30), ("300m", 300 << 20), ("268435456", 1 << 28)]
)
def test_sizes_are_read(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


@pytest.mark.parametrize("text", ["", "8x", "-1g", "1.5g", "255m", "8 g"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(BadSettings, match="--memory"):
        size(text)


def test_only_loopback_asks_for_the_machines_network(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:8333", "http://localhost:9000", "http://[::1]:1"):
        assert loopback({"S3_ENDPOINT_URL": url})
    assert loopback({"AWS_ENDPOINT_URL_S3": "http://127.0.0.2:1"})
    for url in ("http://10.0.0.1:1", "https://store.example", ""):
        assert not loopback({"S3_ENDPOINT_URL": url})
        assert containers(tmp_path).options({"S3_ENDPOINT_URL": url})["network_mode"] == "bridge"


def test_lines_are_whole_whatever_the_pieces() -> None:
    text = "ä 10%\r20%\r\nü\n\nend"
    data = text.encode()
    for width in range(1, len(data) + 1):
        pieces = [data[at : at + width] for at in range(0, len(data), width)]
        assert list(lines(pieces)) == ["ä 10%", "20%", "ü", "", "end"]
    assert list(lines([b"\xc3\n"])) == ["\ufffd"]


def test_the_first_reason_of_a_chain_is_told() -> None:
    inner = ConnectionError("aborted", FileNotFoundError(2, "No such file or directory"))
    outer = RuntimeError("while fetching\nthe version")
    assert cause(outer) == "while fetching the version"
    outer.__cause__ = inner
    assert cause(outer) == "No such file or directory"

"""The pipeline in containers, from data to tagged text, as `tofner run --runner docker` runs it: stopped, killed, gone
on with, repeated; held as a pod is; and without a trace of the store's key.

Needs what tests/e2e/test_containers.py needs. Tiny corpora: 12 tasks, two minutes.
"""

import json
import re
import signal
from pathlib import Path

import pytest
from docker.client import DockerClient

from tests.container_run import ContainerRun, lines_until
from tests.images import REVISION, layers
from tofner import storage
from tofner_kubeflow.pipelines.containers import Containers

pytestmark = [pytest.mark.containers, pytest.mark.e2e]
PLANTED = "planted-kR8vTq2ZnW5xLb7s"  # the store's secret key
KEEP_KEYS = {"store.json", "identities.json"}  # the store's own settings


@pytest.fixture(scope="module")
def run(trainer: str, tagger: str, tmp_path_factory: pytest.TempPathFactory) -> ContainerRun:
    """A work folder whose store has a planted key."""
    home = tmp_path_factory.mktemp("run")
    (home / "work/store").mkdir(parents=True)
    keys = {"access_key": "ACCESSOFTHETEST00000", "secret_key": PLANTED}
    (home / "work/store/store.json").write_text(json.dumps(keys))
    return ContainerRun(home, home / "work")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_running(run: ContainerRun, number: signal.Signals) -> None:
    with run.start() as process:
        before = "".join(lines_until(process, "step 1/"))
        assert len(run.containers()) == 1
        process.send_signal(number)
        assert process.stdout
        after = process.stdout.read()
    assert process.returncode == (75 if number is signal.SIGTERM else 130)
    assert "Traceback" not in before + after
    assert run.containers() == []
    assert not (run.work / "store/weed.pid").exists()


def test_a_killed_run_is_gone_on_with(run: ContainerRun) -> None:
    with run.start() as process:
        for _ in lines_until(process, "step 1/"):
            pass
        process.kill()
    assert len(run.containers()) == 1, "nobody was left to remove it"
    said = run.finish()
    assert run.containers() == []
    assert "holds other code" not in said
    assert re.findall(r"^> (.*)$", said, re.MULTILINE)[-3:] == ["report", "publish", "tag"]
    assert "  prepare: unchanged, reused\n" in said
    assert (run.work / "out/model/model.onnx").is_file()
    tagged = [path.read_text(encoding="utf-8") for path in (run.work / "out/tags").glob("*.jsonl")]
    lines = "".join(tagged).splitlines()
    assert len(lines) == 8
    assert all("entities" in json.loads(line) for line in lines)


def test_the_same_run_again_does_nothing(run: ContainerRun) -> None:
    before = run.digests()
    again = run.finish()
    assert re.findall(r"^> (.*)$", again, re.MULTILINE) == ["plan", "tag"]
    assert len(re.findall(r": unchanged, reused$", again, re.MULTILINE)) == 11
    assert run.digests() == before


def test_processes_find_in_the_store_what_containers_made(run: ContainerRun, tmp_path: Path) -> None:
    """KFP's cache is one for each; the store, which knows what the same code has made, is everybody's."""
    at = run.command.index("--runner")
    processes = ContainerRun(run.home, run.work)
    processes.command = run.command[:at] + run.command[at + 2 :]
    said = processes.finish()
    assert len(re.findall(r"^> ", said, re.MULTILINE)) == 12
    told = re.findall(r"\| (\w+): (already done|done in)", said)
    assert {stage for stage, how in told if how == "done in"} <= {"prepare", "gold", "report", "publish"}
    assert {"mlm", "mrc", "ner", "export"} <= {stage for stage, how in told if how == "already done"}


def test_too_little_memory_is_told_in_a_line(run: ContainerRun) -> None:
    said = run.finish("--memory", "256m", "--seed", "7", code=2)
    last = said.strip().splitlines()[-1]
    assert re.match(
        r"tofner: line 2: mlm: --memory: found 256m, which was not enough; expected .*goes on from here", last
    )
    assert run.containers() == []


def test_a_stage_hands_its_error_on(run: ContainerRun) -> None:
    said = run.finish("--set", "stages.mlm.learning_rate=1e20", code=2)
    assert re.search(r"(?m)^tofner: line 2: mlm: stage mlm: found metrics\.\w+ nan; expected a finite number", said)
    assert "Traceback" not in said


LOOK = """
import json, os, pathlib
def writes(place):
    try:
        (pathlib.Path(place) / "x").write_text("x")
    except OSError as error:
        return error.strerror
    return True
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "ids": [os.getuid(), os.getgid()], "capabilities": status["CapEff"].strip() + status["CapBnd"].strip(),
    "no_new_privileges": status["NoNewPrivs"].strip(), "umask": oct(os.umask(0)),
    "writes": {place: writes(place) for place in ("/", "/opt/tofner", "/home/tofner", "/tmp", os.environ["SHARED"])},
    "variables": sorted(os.environ),
}))
"""


def test_a_task_may_do_what_a_pod_may(run: ContainerRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_OWN_SECRET", "nobody's business")
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:8333")
    said: list[str] = []
    with Containers(run.work, f"tofner-trainer:{REVISION}", "", "300m") as around:
        client = DockerClient.from_env()
        shared = str(around.shared)
        with around.runner() as runner:
            given = runner.container_run_args
        given["environment"] = {**given["environment"], "SHARED": shared}
        volumes = {shared: {"bind": shared, "mode": "rw"}}
        assert around.run(client, around.trainer.id, ["python3", "-c", LOOK], volumes, said.append, **given) == 0
        greedy = ["python3", "-c", "print(len(b'x' * (1 << 30)))"]
        assert around.run(client, around.trainer.id, greedy, volumes, said.append, **given) == 137
        assert "--memory: found 300m" in str(around.fault)
        client.close()
    told = json.loads(said[0])
    assert told["ids"] == [10001, 0]
    assert set(told["capabilities"]) == {"0"}
    assert told["no_new_privileges"] == "1"
    assert told["umask"] == "0o0"
    refused = "Read-only file system"
    assert told["writes"] == {
        "/": refused, "/opt/tofner": refused, "/home/tofner": refused, "/tmp": True, shared: True
    }  # fmt: skip
    assert "MY_OWN_SECRET" not in told["variables"]
    assert "S3_ENDPOINT_URL" in told["variables"]


def test_the_stores_key_is_nowhere_but_in_its_settings(run: ContainerRun, trainer: str, tagger: str) -> None:
    """Not in what was printed or logged, in the graph, in what tasks share, in a manifest or else in the bucket, nor in
    an image."""
    looked, found = 0, []
    for path in (path for path in run.work.rglob("*") if path.is_file()):
        looked += 1
        if PLANTED.encode() in path.read_bytes():
            found.append(path.relative_to(run.work).as_posix())
    assert {Path(name).name for name in found} == KEEP_KEYS
    assert looked > 50
    assert (run.work / "tof.yaml").is_file()
    assert len(list((run.work / "logs").glob("run-*.log"))) >= 4
    assert PLANTED not in run.said
    with run.bucket() as bucket:
        objects = {
            file.path: storage.read_bytes(storage.join(bucket, file.path)) for file in storage.list_files(bucket)
        }
    assert sum(path.endswith("/manifest.json") for path in objects) > 10
    assert [path for path, content in objects.items() if PLANTED.encode() in content] == []
    for image in (trainer, tagger):
        assert [name for _, name, content in layers(image) if PLANTED.encode() in content] == []

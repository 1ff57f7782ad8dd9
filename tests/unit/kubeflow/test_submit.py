"""Runs are created once, versions are found again, waiting ends; through the command as CI calls it."""

import json
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.fake_clock import FakeClock
from tests.kfp_server import KfpServer, recorded
from tofner import records, storage
from tofner.errors import BadInput, PassingFault
from tofner_kubeflow.pipelines import submit
from tofner_kubeflow.pipelines.backend import Backend
from tofner_kubeflow.pipelines.follow import Patience, follow, outcome, progress
from tofner_kubeflow.pipelines.package import read_package
from tofner_kubeflow.pipelines.uploads import Uploaded, experiment_id, upload

Client = Callable[..., Backend]


def started(client: Client, kfp: KfpServer, mark: str = "") -> Any:
    """A run of a version that is there."""
    kfp.versions.setdefault("v0", recorded("version-upload") | {"pipeline_version_id": "v0"})
    return submit.start(client(), Uploaded("p0", "v0", "hello-1", True), "e0", "nightly", {"name": "w"}, mark=mark)


def creates(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/runs")


@pytest.mark.parametrize("fault", ["lost", "cut", "hang"])
def test_a_run_whose_answer_was_lost_is_found_and_not_started_again(kfp: KfpServer, client: Client, fault: str) -> None:
    kfp.break_next(fault, matches=creates)
    run = started(lambda: client(answer_s=0.2), kfp)
    assert list(kfp.runs) == ["r0"]
    assert run["run_id"] == "r0"
    assert len(kfp.asked("POST", "/runs")) == 1


def test_a_run_that_the_server_makes_only_later_is_waited_for(kfp: KfpServer, client: Client, time: FakeClock) -> None:
    """A request may still be at work when its answer has been given up."""
    kfp.break_next("late", matches=creates)
    pauses = []

    def on() -> None:
        pauses.append(time.time)
        if time.time > 12:
            kfp.do_later()

    time.while_asleep = on
    assert started(client, kfp)["run_id"] == "r0"
    assert len(kfp.asked("POST", "/runs")) == 1
    assert list(kfp.runs) == ["r0"]


@pytest.mark.parametrize("fault", ["reset", "502", "500", "503"])
def test_a_request_that_was_never_done_is_sent_again(
    kfp: KfpServer, client: Client, time: FakeClock, fault: str
) -> None:
    kfp.break_next(fault, matches=creates)
    assert started(client, kfp)["run_id"] == "r0"
    assert list(kfp.runs) == ["r0"]
    assert sum(time.slept) >= 30  # it was looked for as long as it might have been at work


def test_another_run_of_the_same_name_is_not_taken_for_ours(kfp: KfpServer, client: Client) -> None:
    first = started(client, kfp)
    kfp.break_next("lost", matches=creates)
    second = started(client, kfp)
    assert first["run_id"] != second["run_id"]
    assert len(kfp.runs) == 2
    assert all(run["display_name"].startswith("nightly-") for run in kfp.runs.values())


def test_whoever_gives_up_on_a_run_is_told_its_name(
    kfp: KfpServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOFNER_KUBEFLOW_PATIENCE_S", "0")
    kfp.break_next("reset", matches=creates)
    with pytest.raises(PassingFault, match=r"look whether there is a run nightly-abc: .*/#/experiments/details/e0"):
        started(client, kfp, "abc")


def test_a_refused_run_ends_at_once(kfp: KfpServer, client: Client, time: FakeClock) -> None:
    with pytest.raises(BadInput, match=r"PipelineVersion .* not found"):
        submit.start(client(), Uploaded("p0", "none", "hello-1", True), "e0", "nightly", {})
    assert time.slept == []


@pytest.mark.parametrize("fault", ["", "lost", "503"])
def test_uploads_are_done_once_whatever_is_lost(kfp: KfpServer, client: Client, package: Path, fault: str) -> None:
    backend, found = client(), read_package(package)
    for _ in range(2):
        if fault:
            kfp.break_next(fault, fault, fault, matches=lambda method, path: method == "POST")
        made = upload(backend, found, "1f3c2d4", "what it is", "")
        assert experiment_id(backend, "nightly", "") == "e0"
    assert made.reference == {"pipeline_id": "p0", "pipeline_version_id": "v1"}
    assert not made.fresh
    assert [one["name"] for one in kfp.versions.values()] == ["hello", "hello-1f3c2d4"]
    assert kfp.versions["v1"]["description"] == kfp.pipelines["p0"]["description"] == "what it is"
    assert len(kfp.experiments) == 1
    (query, sent), *_ = kfp.asked("POST", "/pipelines/upload_version")
    assert query["pipelineid"] == "p0"
    assert b'name="uploadfile"; filename="pipeline.yaml"' in sent
    assert package.read_bytes() in sent


def test_a_version_with_another_content_is_not_used(kfp: KfpServer, client: Client, package: Path) -> None:
    upload(client(), read_package(package), "1", "", "")
    package.write_text(package.read_text().replace("tofner-trainer:stub", "tofner-trainer:other"))
    with pytest.raises(BadInput, match=r"version hello-1 of pipeline hello with another content.*--version"):
        upload(client(), read_package(package), "1", "", "")


def test_a_namespace_is_said_wherever_it_counts(kfp: KfpServer, client: Client, package: Path) -> None:
    experiment_id(client(), "nightly", "team")
    upload(client(), read_package(package), "1", "", "team")
    for method, path in (("GET", "/experiments"), ("GET", "/pipelines/names/hello"), ("POST", "/pipelines/upload")):
        assert kfp.asked(method, path)[0][0]["namespace"] == "team", path
    assert kfp.asked("POST", "/experiments")[0][1]["namespace"] == "team"


# Following


def test_a_run_is_followed_to_its_end_and_said_when_something_changes(
    kfp: KfpServer, client: Client, time: FakeClock
) -> None:
    names = ("just-created", "just-created", "running", "running", "succeeded")
    kfp.follow = [recorded(f"run-get-{name}") for name in names]
    said: list[str] = []
    run = follow(client(), "ID", frozenset({"say"}), Patience(None, 3600), said.append)
    assert run["state"] == "SUCCEEDED"
    assert said == [
        "0:00:00  PENDING; 0 of 1 tasks done",
        "0:00:30  RUNNING; 0 of 1 tasks done; at work: say",
        "0:01:00  SUCCEEDED; 1 of 1 tasks done",
    ]


def test_faults_on_the_way_do_not_end_the_waiting(kfp: KfpServer, client: Client) -> None:
    kfp.follow = [recorded("run-get-running"), recorded("run-get-failed")]
    kfp.break_next("502", "reset", "cut", "503")
    assert follow(client(), "ID", frozenset(), Patience(None, 3600), print)["state"] == "FAILED"


@pytest.mark.parametrize(
    ("answer", "limits", "said"),
    [
        ("image-cannot-be-pulled", (None, 3600), r"nothing has changed for 1:00:00 .*image that cannot be pulled"),
        ("image-cannot-be-pulled", (900, 3600), r"gave up after 0:15:00 \(--timeout\)"),
    ],
)
def test_a_run_that_hangs_is_given_up(
    kfp: KfpServer, client: Client, time: FakeClock, answer: str, limits: tuple[float | None, float], said: str
) -> None:
    kfp.follow = [recorded(f"run-get-{answer}")] * 250 + [recorded("run-get-succeeded")]  # a poll is 15 s
    with pytest.raises(PassingFault, match=f"{said}.*he run goes on: .*/#/runs/details/ID"):
        follow(client(), "ID", frozenset(), Patience(*limits), lambda _: None)
    assert time.time == (limits[0] or limits[1])


def test_a_changed_task_is_progress(kfp: KfpServer, client: Client, time: FakeClock) -> None:
    """Every 20 minutes one task changes; the run's own state never does until the end."""
    kfp.follow = [recorded("run-get-running") for _ in range(240)]
    for i, run in enumerate(kfp.follow):
        run["run_details"]["task_details"][0]["state"] = "RUNNING" if i // 80 % 2 else "PENDING"
    kfp.follow.append(recorded("run-get-succeeded"))
    assert follow(client(), "ID", frozenset(), Patience(None, 1500), lambda _: None)["state"] == "SUCCEEDED"
    assert time.time == 240 * 15


def test_only_the_pipelines_own_tasks_are_counted() -> None:
    """Of 120 nodes that the server lists of a training run, 14 are tasks; some have no name at all."""
    run = recorded("run-get-failed-tof-T1-tasks-frozen")
    listed = run["run_details"]["task_details"]
    names = {one.get("display_name") for one in listed}
    tasks = frozenset(str(name) for name in names if f"{name}-driver" in names and "condition" not in str(name))
    done = sum(one.get("display_name") in tasks and one["state"] == "SUCCEEDED" for one in listed)
    assert len(listed) > 100
    assert progress(run, tasks | {"never-begun"}).startswith(f"FAILED; {done} of {len(tasks) + 1} tasks done")


def test_many_tasks_at_work_are_not_all_named() -> None:
    names = [f"t{i}" for i in range(7)]
    run = {
        "state": "RUNNING",
        "run_details": {"task_details": [{"display_name": n, "state": "RUNNING"} for n in names]},
    }
    assert progress(run, frozenset(names)) == "RUNNING; 0 of 7 tasks done; at work: t0, t1, t2, t3 and 3 more"
    run["run_details"]["task_details"][2]["state"] = "FAILED"  # type: ignore[index]
    assert progress(run, frozenset(names)).endswith("and 2 more; failed: t2")


# What came out


def ended(name: str, store: str) -> Any:
    run = recorded(f"run-get-{name}")
    run["runtime_config"]["parameters"]["store"] = store
    return run


SUMMARY = {
    "status": "failed",
    "stage": "mrc",
    "cause": "no questions",
    "next": "add some",
    "model": "",
    "report": "s3://r",
}


@pytest.mark.integration
def test_a_failed_run_is_told_by_its_own_summary(prefix: str) -> None:
    """Read from a real S3 server, at the address that the run's last task writes to."""
    run = ended("failed", prefix)
    storage.write_bytes(storage.join(prefix, "runs", run["run_id"], "run_summary.json"), json.dumps(SUMMARY).encode())
    good, said = outcome(run, "PAGE")
    assert not good
    lines = ["the run has ended FAILED: mrc: no questions", "add some", "s3://r", "look at the run's page: PAGE"]
    assert said.splitlines() == lines


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (None, "it has left no records below {store}/runs/{id}"),
        ("{", "its summary cannot be read: {store}/runs/{id}/run_summary.json: found no JSON object"),
        ("[]", "found no JSON object"),
    ],
)
def test_without_a_summary_the_page_is_named(tmp_path: Path, summary: str | None, said: str) -> None:
    run = ended("failed-in-driver", str(tmp_path))
    if summary is not None:
        storage.write_bytes(str(tmp_path / "runs" / run["run_id"] / "run_summary.json"), summary.encode())
    good, told = outcome(run, "PAGE")
    assert not good
    assert said.format(id=run["run_id"], store=tmp_path) in told
    assert "PAGE" in told


def test_a_killed_task_is_told_by_the_record_that_it_left(tmp_path: Path) -> None:
    """Nobody was left to write a summary; the records are made as the tasks make them."""
    run = ended("failed-in-driver", str(tmp_path))
    with records.kept(str(tmp_path), run["run_id"], "prepare") as record:
        record.of("done", "prepare", "u", {})
    killed = records.kept(str(tmp_path), run["run_id"], "line 4: mrc")
    killed.__enter__()
    good, told = outcome(run, "PAGE")
    assert not good
    assert told.startswith("the run has ended FAILED: line 4: mrc: ended from outside")
    assert "start the run again" in told
    del killed


@pytest.mark.parametrize("store", ["", "gs://bucket"])
def test_a_store_that_cannot_be_read_leaves_the_state(store: str) -> None:
    assert outcome(ended("failed", store), "PAGE")[0] is False
    assert "ended FAILED" in outcome(ended("failed", store), "PAGE")[1]
    assert outcome(ended("succeeded", store), "PAGE") == (True, "")


def test_a_good_run_tells_its_model_and_a_summary_may_say_that_it_failed(tmp_path: Path) -> None:
    run = ended("succeeded", str(tmp_path))
    place = str(tmp_path / "runs" / run["run_id"] / "run_summary.json")
    assert outcome(run, "PAGE") == (True, "")
    good = {"status": "succeeded", "f1": 0.51234, "model": "s3://m", "report": "s3://r"}
    storage.write_bytes(place, json.dumps(good).encode())
    assert outcome(run, "PAGE") == (True, "F1 0.5123\nmodel s3://m\nreport s3://r")
    storage.write_bytes(place, json.dumps(good | {"f1": None}).encode())
    assert outcome(run, "PAGE")[1].startswith("model")
    storage.write_bytes(place, json.dumps(SUMMARY).encode())
    assert outcome(run, "PAGE")[0] is False


# The command


def test_the_command_says_id_and_page_and_sends_everything(
    command: Callable[..., Result], kfp: KfpServer, package: Path
) -> None:
    words = ("--param", "name=w", "--experiment", "nightly", "--name", "ci", "--service-account", "trainer")
    shown = command("submit", str(package), *words, "--docs", "https://docs.example")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines() == [
        "version: hello-stub (uploaded)", "run: r0", f"page: {kfp.endpoint}/#/runs/details/r0",
    ]  # fmt: skip
    body = kfp.runs["r0"]
    assert body["runtime_config"]["parameters"] == {"name": "w", "times": 1, "items": [], "sleep": 0.0}
    assert body["experiment_id"] == "e0"
    assert body["service_account"] == "trainer"
    assert body["pipeline_version_reference"] == {"pipeline_id": "p0", "pipeline_version_id": "v1"}
    assert body["display_name"].startswith("ci-")
    assert "https://docs.example" in kfp.versions["v1"]["description"]
    again = command("submit", str(package), *words)
    assert "version: hello-stub (was there)" in again.stdout
    assert len(kfp.runs) == 2  # a second call is a second run


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        (["running", "succeeded"], 0, "SUCCEEDED; 1 of 1 tasks done"),
        (["running", "failed"], 1, "the run has ended FAILED; it has no parameter `store`"),
        (["running", "terminated"], 1, "the run has ended FAILED"),
        (["image-cannot-be-pulled"], 75, "to wait for it again: --follow r0"),
        ([], 2, "Run 00000000-0000-0000-0000-000000000000 not found"),
    ],
)
def test_the_exit_code_is_the_runs(
    command: Callable[..., Result], kfp: KfpServer, package: Path, answers: list[str], code: int, said: str
) -> None:
    kfp.follow = [recorded(f"run-get-{name}") for name in answers]
    shown = command("submit", str(package), "--param", "name=w", "--wait", "--no-progress-timeout", "30m")
    assert shown.exit_code == code, shown.output
    assert said in shown.output
    assert "Traceback" not in shown.output


def test_a_token_that_ends_before_the_run_leaves_its_id(
    command: Callable[..., Result], kfp: KfpServer, package: Path
) -> None:
    kfp.follow = [recorded("run-get-running")]
    kfp.break_next("401", matches=lambda method, path: "/runs/" in path)
    shown = command("submit", str(package), "--param", "name=w", "--wait")
    assert shown.exit_code == 2
    assert shown.output.splitlines()[-1] == "to wait for it again: --follow r0"


def test_waiting_again_starts_nothing(command: Callable[..., Result], kfp: KfpServer, package: Path) -> None:
    kfp.follow = [recorded("run-get-succeeded")]
    assert command("submit", "--follow", "ID").exit_code == 0
    assert [method for method, _ in kfp.seen] == ["GET"]
    assert command("submit", str(package), "--follow", "ID").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--param", "name=w", "--param", "times=1.5"),
        ("--param", "tmies=1"),
        ("--param", "name=w", "--wait", "--timeout", "soon"),
        ("--param", "name=w", "--no-progress-timeout", "0h"),
        ("--param", "name=w", "--registry", "registry.example"),
        ("--param", "name=w", "--ca-cert", "none.pem"),
    ],
)
def test_wrong_input_ends_with_2_before_the_server_is_asked(
    command: Callable[..., Result], kfp: KfpServer, package: Path, words: tuple[str, ...]
) -> None:
    shown = command("submit", str(package), *words)
    assert shown.exit_code == 2
    assert words[-2] in shown.output
    assert kfp.seen == []


def test_without_a_file_the_training_graph_is_compiled(command: Callable[..., Result], kfp: KfpServer) -> None:
    shown = command("submit", "--version", "v7", "--registry", "registry.example/team", "--param", "iterations=0")
    assert shown.exit_code == 0, shown.output
    assert "version: tof-v7 (uploaded)" in shown.stdout
    assert b"registry.example/team/tofner-trainer:v7" in kfp.asked("POST", "/pipelines/upload_version")[0][1]
    sent = kfp.runs["r0"]["runtime_config"]["parameters"]
    assert sent["iterations"] == 0
    assert sent["seed"] == 2019


def test_the_revision_of_a_source_tree_is_what_the_makefile_tags_images_with() -> None:
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        assert submit.revision_here() == metadata.version("tofner")
        return
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=True
    )
    assert submit.revision_here() == said.stdout.strip()

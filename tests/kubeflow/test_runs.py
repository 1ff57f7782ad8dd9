"""Runs on a real Kubeflow: the default one, a second one, each T and switch, failures, schedules, tagging."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kubeflow.conftest import Kubeflow, tofner
from tofner import storage
from tofner.model.layout import LATEST

pytestmark = pytest.mark.kubeflow
ROUNDS = [f"round {i}: {part}" for i in (1, 2) for part in ("label", "mrc", "ner")]
START = ["plan", "prepare", "gold", "line 2: mlm", "line 4: mrc", "line 6: ner", "line 7: label", "line 9: ner"]
END = ["evaluate", "export", "report", "publish"]


@pytest.fixture(scope="module")
def default(kubeflow: Kubeflow) -> str:
    """The id of a run with T = 1, which has succeeded; it was given no data, so it has made its own."""
    ended = kubeflow.train(iterations=1, data="")
    assert ended.code == 0, ended.out + ended.err
    assert "model s3://" in ended.out
    return ended.line("run")


def test_the_default_run_does_every_step_and_publishes(kubeflow: Kubeflow, default: str) -> None:
    states = kubeflow.states(default)
    assert set(states) == {*START, *ROUNDS, *END}
    assert {name for name, state in states.items() if state == "off"} == set(ROUNDS[3:])
    assert {state for name, state in states.items() if name not in ROUNDS[3:]} == {"done"}
    told = kubeflow.record(default)
    assert told["status"] == "succeeded"
    assert 0 <= told["f1"] <= 1
    index = storage.folder_index(told["model"])
    assert index is not None
    assert {"model.onnx", "tokenizer.json", "labels.json", "README.md", "reports/report.html"} <= set(index.files)
    assert storage.exists(storage.join(told["model"].rpartition("/")[0], LATEST))


def test_a_second_run_finds_everything_done(kubeflow: Kubeflow, default: str) -> None:
    ended = kubeflow.train(iterations=1)
    assert ended.code == 0, ended.out + ended.err
    states = kubeflow.states(ended.line("run"))
    assert {state for name, state in states.items() if name not in (*ROUNDS[3:], "plan")} == {"reused"}
    assert kubeflow.record(ended.line("run"))["model"] == kubeflow.record(default)["model"]


@pytest.mark.parametrize(
    ("parameters", "off"),
    [
        ({"iterations": 0}, ROUNDS),
        ({"iterations": 2}, []),
        ({"iterations": 0, "mlm_stage": "off"}, ["line 2: mlm", *ROUNDS]),
        ({"iterations": 0, "mrc_stage": "off"}, ["line 4: mrc", *ROUNDS]),
        ({"iterations": 0, "pseudo": "off"}, ["line 7: label", "line 9: ner", *ROUNDS]),
        ({"iterations": 0, "mlm_stage": "off", "mrc_stage": "off", "pseudo": "off"},
         ["line 2: mlm", "line 4: mrc", "line 7: label", "line 9: ner", *ROUNDS]),
        ({"iterations": 0, "order": "mrc-mlm"}, ROUNDS),
    ],
    ids=["T=0", "T=2", "no mlm", "no mrc", "no pseudo", "direct transfer", "table 3"],
)  # fmt: skip
def test_each_t_and_switch(kubeflow: Kubeflow, default: str, parameters: dict[str, object], off: list[str]) -> None:
    ended = kubeflow.train(**parameters)
    assert ended.code == 0, ended.out + ended.err
    states = kubeflow.states(ended.line("run"))
    assert {name for name, state in states.items() if state == "off"} == set(off)
    assert set(states) == {*START, *ROUNDS, *END}


def test_a_retraining_starts_once_and_then_finds_nothing_changed(
    kubeflow: Kubeflow, default: str, tmp_path: Path
) -> None:
    """Its steps are done already, by the default run."""
    ended = kubeflow.retrain("--because", "a test", "--output", str(tmp_path / "output"), iterations=1)
    assert ended.code == 0, ended.out + ended.err
    told = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert told["outcome"] in ("latest", "held-back")
    assert kubeflow.record(told["run"])["status"] == "succeeded"
    again = kubeflow.retrain(iterations=1)
    assert again.code == 0
    assert "not retrained, nothing has changed since" in again.out
    assert "\nrun: " not in again.out


def test_a_failing_stage_is_named_with_its_cause(kubeflow: Kubeflow) -> None:
    """No sentence is as sure as that, which nobody knows before line 7."""
    ended = kubeflow.train("stages.pseudo_label.threshold=0.99999999", iterations=0)
    assert ended.code == 1
    assert "line 7: label" in ended.err
    assert "stages.pseudo_label.threshold" in ended.err
    assert kubeflow.record(ended.line("run"))["status"] == "failed"


def test_wrong_input_fails_in_the_plan(kubeflow: Kubeflow) -> None:
    ended = kubeflow.train("stages.ner.epochz=3")
    assert ended.code == 1
    assert "did you mean stages.ner.epochs" in ended.err
    assert list(kubeflow.states(ended.line("run"))) == ["plan"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_a_run_whose_pods_are_deleted_is_ended_by_a_new_one(fresh: Callable[[], Kubeflow]) -> None:
    """Kubeflow may try a deleted pod again by itself; whatever it does, a new run goes on from what is there."""
    own = fresh()
    run = own.train(iterations=0, wait=False).line("run")
    deadline = time.monotonic() + 3600
    while not storage.exists(storage.join(own.store, "runs", run, "steps/line-6-ner.json")):
        assert time.monotonic() < deadline, "line 6 has not begun within an hour"
        time.sleep(10)
    place = ["-n", own.namespace or "kubeflow"]
    subprocess.run(["kubectl", "delete", "pod", *place, "-l", f"pipeline/runid={run}", "--wait=false"], check=True)
    tofner("submit", *own.where, "--follow", run)  # however it ends
    ended = own.train(iterations=0)
    assert ended.code == 0, ended.out + ended.err
    states = own.states(ended.line("run"))
    assert [states[name] for name in ("prepare", "line 2: mlm", "line 4: mrc")] == ["reused"] * 3


def test_a_schedule_is_kept_and_taken_away(kubeflow: Kubeflow) -> None:
    own = ["schedule", str(kubeflow.compiled / "tof.yaml"), *kubeflow.where, "--name", "tofner-test-nightly"]
    own += ["--cron", "30 2 * * *", "--param", f"data={kubeflow.data}", "--param", f"store={kubeflow.store}"]
    switch = ["schedule", *kubeflow.where, "--name", "tofner-test-nightly"]
    try:
        first, second = tofner(*own), tofner(*own)
        assert (first.code, second.code) == (0, 0), first.err + second.err
        assert first.out != second.out, "the second finds it there"
        assert tofner(*switch, "--pause").code == 0
        assert tofner(*switch, "--resume").code == 0
    finally:
        assert tofner(*switch, "--delete").code == 0


def test_the_tagging_pipeline_tags_every_record(kubeflow: Kubeflow, default: str) -> None:
    texts, tagged = storage.join(kubeflow.store, "texts"), storage.join(kubeflow.store, "tagged")
    lines = [json.dumps({"id": i, "text": f"Anna Berg flew to Oslo for the {i}th time."}) + "\n" for i in range(400)]
    for part in range(4):
        storage.write_bytes(storage.join(texts, f"{part}.jsonl"), "".join(lines[part::4]).encode())
    model = kubeflow.record(default)["model"]
    workers = json.dumps(["0/2", "1/2"])
    ended = kubeflow.submit(graph="tagging.yaml", model=model, texts=texts, tagged=tagged, workers=workers)
    assert ended.code == 0, ended.out + ended.err
    found = [info.path for info in storage.list_files(tagged) if info.path.endswith(".jsonl")]
    records = [json.loads(line) for name in found for line in storage.read_bytes(f"{tagged}/{name}").splitlines()]
    assert sorted(one["id"] for one in records if "entities" in one) == list(range(400))

"""`tofner run` from nothing to tagged text, as a newcomer calls it, on a fraction of the sample data."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
CAPS = {"mlm": 40, "mrc": 30, "ner": 60, "pseudo_ner": 40, "loop_mrc": 20, "loop_ner": 40}
SMALL = [part for stage, cap in CAPS.items() for part in ("--set", f"stages.{stage}.max_train_examples={cap}")]


def tofner(*arguments: str, code: int = 0) -> str:
    """Runs the installed command without the caller's storage settings; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
    command = [sys.executable, "-m", "tofner.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, "COLUMNS": "120"})
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def first(work: Path) -> str:
    return tofner("run", "--work", str(work), "--iterations", "1", *SMALL)


def test_every_stage_is_in_the_table(first: str) -> None:
    table = first[first.index("What each stage brought") :]
    for stage in ("mlm", "mrc", "ner", "export"):
        assert re.search(rf"│ {stage}\b.*\d s │", table), stage
    assert "reused" not in table


def test_it_says_how_far_it_is_and_ends_with_a_verdict_and_what_is_next(first: str, work: Path) -> None:
    told = re.findall(
        r"^task (\d+) of (\d+): (.+?)(?:, (\d+)% of the work, about ([\d:]+) left)?$", first, re.MULTILINE
    )
    begun = re.findall(r"^> (.*)$", first, re.MULTILINE)
    assert [name for _, _, name, *_ in told] == begun
    assert [int(number) for number, *_ in told] == list(range(1, len(begun) + 1))
    assert {int(of) for _, of, *_ in told} == {len(begun)}
    shares = [int(share) for *_, share, _ in told if share]
    assert shares == sorted(shares)
    assert told[-1][-1]  # by then the time that is left is known
    tail = first[first.index("The tagger reaches F1") :] if "The tagger reaches F1" in first else first
    assert re.search(
        r"The method (helped|did harm|made no difference that \d+ sentences can show): ner 1 against ner, F1", tail
    )
    assert re.search(r"For example: .*\[.+ (PER|ORG|LOC|MISC)\]", tail)
    assert f"tofner tag {work / 'out' / 'model'} 'A sentence of your own.'" in tail


def test_a_good_run_has_no_line_that_a_log_viewer_paints_red(first: str, work: Path) -> None:
    logs = "\n".join(path.read_text(encoding="utf-8") for path in (work / "logs").glob("*.log"))
    assert "publish: done" in logs
    ours = [line for line in (first + logs).splitlines() if not line.startswith("For example: ")]  # a text of the data
    assert [line for line in ours if re.search(r"error|fail", line, re.IGNORECASE)] == []


def test_model_report_and_tags_are_there(first: str, work: Path) -> None:
    out = work / "out"
    assert (out / "model" / "model.onnx").is_file()
    assert (out / "report" / "run.json").is_file()
    lines = [line for path in (out / "tags").glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    records = [json.loads(line) for line in lines]
    assert len(records) > 100
    for record in records:
        for entity in record["entities"]:
            assert record["text"][entity["start"] : entity["end"]] == entity["text"]
            assert 0 < entity["score"] <= 1


def test_the_same_run_again_does_nothing_and_another_round_only_its_own(first: str, work: Path) -> None:
    again = tofner("run", "--work", str(work), "--iterations", "1", *SMALL)
    assert re.findall(r"^> (.*)$", again, re.MULTILINE) == ["plan"]
    assert "every stage was done before" in again
    assert again.count("reused │") == len(re.findall(r"│ +\d+\.\d s │", again))
    more = tofner("run", "--work", str(work), "--iterations", "2", *SMALL)
    worked = re.findall(r"^  (.+?) \| (\w+): done in", more, re.MULTILINE)
    assert [task for task, _ in worked][:3] == ["round 2: label", "round 2: mrc", "round 2: ner"]
    after = {("line 20: evaluate", "evaluate"), ("line 20: evaluate", "judge"), ("line 21: export", "export")}
    assert set(worked[3:]) == after | {("report", "report"), ("publish", "publish")}
    assert re.search(r"publish \| release: (the latest|not made the latest): ", more)

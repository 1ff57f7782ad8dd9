"""stderr as JSON lines."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.tiny_tagger import publish_tiny
from tofner import logs

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_an_object_however_it_is_written() -> None:
    target = io.StringIO()
    lines = logs.JsonLines(target, lambda: NOON)
    print("one", end="", file=lines)
    assert target.getvalue() == ""
    print(" line\n\x1b[1mtwo\x1b[0m\r\x1b[Kthree", file=lines)
    lines.event("note: four", records=4)
    print("tofner: x.conll:3: wrong ü\n\n", file=lines)
    time = "2026-03-01T12:00:00.250+00:00"
    assert rows(target.getvalue()) == [
        {"time": time, "level": "info", "message": "one line"},
        {"time": time, "level": "info", "message": "two"},
        {"time": time, "level": "info", "message": "three"},
        {"time": time, "level": "warning", "message": "note: four", "records": 4},
        {"time": time, "level": "error", "message": "tofner: x.conll:3: wrong ü"},
    ]
    with pytest.raises(TypeError, match="bytes"):
        lines.write(b"")  # type: ignore[arg-type]


def test_fields_are_for_objects_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, told = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    logs.tell("12 records", records=12)
    monkeypatch.setattr(sys, "stderr", told)
    logs.use("json")
    logs.use("json")
    logs.tell("12 records", records=12)
    assert plain.getvalue() == "12 records\n"
    (row,) = rows(told.getvalue())
    assert (row["message"], row["records"]) == ("12 records", 12)


def test_a_long_loop_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ticks = iter([0.0, 1.0, 4.9, 5.0, 5.0, 9.9, 10.0, 10.0, 11.0])
    assert list(logs.ticking("abcdef", "letters", 6, 5.0, lambda: next(ticks))) == list("abcdef")
    assert capsys.readouterr().err.splitlines() == ["letters 2 of 6", "letters 4 of 6"]


@pytest.mark.integration
@pytest.mark.parametrize("asked", ["option", "environment"])
def test_a_job_says_the_same_in_objects(asked: str, tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "model")
    (tmp_path / "in.txt").write_text("Ajax\n" * 30)
    command = [sys.executable, "-m", "tofner.cli", "tag", "--model", str(model), "--input", str(tmp_path / "in.txt")]
    option = ["--log-format", "json"] if asked == "option" else []
    variables = {**os.environ, **({"TOFNER_LOG_FORMAT": "json"} if asked == "environment" else {})}
    job = [*command, "--output", str(tmp_path / "out"), "--threads", "1", *option]
    said = subprocess.run(job, capture_output=True, text=True, check=True, env=variables).stderr
    (row,) = rows(said)
    assert str(row["message"]).startswith("30 records")
    assert (row["level"], row["records"], row["words"]) == ("info", 30, 30)


@pytest.mark.integration
def test_an_error_is_an_object_too() -> None:
    command = [sys.executable, "-m", "tofner.cli", "tag", "--model"]
    missing = [*command, "nowhere", "--input", "x", "--output", "y", "--log-format", "json"]
    wrong = subprocess.run(missing, capture_output=True, text=True, check=False)
    (row,) = rows(wrong.stderr)
    assert (wrong.returncode, row["level"]) == (2, "error")
    assert "nowhere: found no such folder" in str(row["message"])

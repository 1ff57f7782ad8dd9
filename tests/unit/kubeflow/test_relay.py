"""What the relay shows of the output of `kfp.local`."""

import io

import pytest

from tofner_kubeflow.pipelines import relay

START = "12:00:00.000 - INFO - Executing task \x1b[96m'ner-2'\x1b[0m\n12:00:00.001 - INFO - Streamed logs:\n\n"
END = "12:00:09.000 - INFO - Task \x1b[96m'ner-2'\x1b[0m finished with status \x1b[92m{}\x1b[0m\n"
OUTPUTS = "12:00:09.000 - INFO - Task \x1b[96m'ner-2'\x1b[0m outputs:\n    Output: 's3://b/x'\n"
NOISE = (
    "    [KFP Executor 2026-01-01 12:00:00,000 INFO]: Got executor_input:\n"
    '    {\n        "inputs": {}\n    }\n'
    "    [KFP Executor 2026-01-01 12:00:00,000 INFO]: Wrote executor output file to /x.\n"
)


def shown(text: str, terminal: bool = False) -> tuple[str, str, relay.Relay]:
    screen, log = io.StringIO(), io.StringIO()
    screen.isatty = lambda: terminal  # type: ignore[method-assign]
    stream = relay.Relay(screen, log, {"ner-2": "line 9: ner"})
    for start in range(0, len(text), 7):  # print() writes in pieces
        stream.write(text[start : start + 7])
    return screen.getvalue(), log.getvalue(), stream


def test_stage_lines_pass_with_their_stage_and_kfp_stays_in_the_log() -> None:
    screen, log, stream = shown(START + NOISE + "    epoch 1: loss 0.5\n" + END.format("SUCCESS") + OUTPUTS)
    lines = screen.splitlines()
    assert lines[:2] == ["> line 9: ner", "  line 9: ner | epoch 1: loss 0.5"]
    assert lines[2].startswith("  line 9: ner: done after ")
    assert len(lines) == 3
    assert "executor_input" in log
    assert "s3://b/x" in log
    assert "\x1b" not in log
    assert list(stream.seconds) == ["line 9: ner"]


def test_a_trace_is_noticed_and_shown() -> None:
    trace = "    Traceback (most recent call last):\n      File x\n    ValueError: no\n"
    screen, _, stream = shown(START + trace + END.format("FAILURE"))
    assert (stream.failed, stream.trace) == ("line 9: ner", True)
    assert "  line 9: ner | ValueError: no\n" in screen
    assert "FAILED" in screen


def test_a_task_that_follows_a_failure_does_not_hide_it() -> None:
    other = START.replace("ner-2", "gold") + END.replace("ner-2", "gold").format("SUCCESS")
    _, _, stream = shown(START + END.format("FAILURE") + other)
    assert (stream.failed, stream.trace, stream.task) == ("line 9: ner", False, "gold")


def test_progress_bars_are_redrawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = "".join(f"     {share}%|###   | {share}/100\n" for share in (10, 20, 30))
    screen, log, _ = shown(START + bars + "    done\n", terminal=True)
    assert screen.count("\r") == 3
    assert screen.endswith("\n  line 9: ner | done\n")
    assert log.count("%|") == 3


def test_progress_bars_are_thinned_out_elsewhere() -> None:
    bars = "".join(f"     {share}%|###   | {share}/100\n" for share in range(10, 90))
    screen, log, _ = shown(START + bars)
    assert screen.count("%|") == 1
    assert log.count("%|") == 80

"""What the relay shows of the output of `kfp.local`."""

import io
import json

from tofner import logs
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
    assert lines[:3] == ["task 1 of 1: line 9: ner", "> line 9: ner", "  line 9: ner | epoch 1: loss 0.5"]
    assert lines[3].startswith("  line 9: ner: done after ")
    assert len(lines) == 4
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


NAMES = {"mlm": "line 2: mlm", "ner": "line 6: ner", "export": "line 21: export"}
UNITS = {"line 2: mlm": 100.0, "line 6: ner": 200.0}


def started(task: str) -> str:
    return f"12:00:00.000 - INFO - Executing task '{task}'\n12:00:00.001 - INFO - Streamed logs:\n\n"


def ended(task: str) -> str:
    return f"12:00:09.000 - INFO - Task '{task}' finished with status SUCCESS\n"


class Run:
    """A relay whose clock the test sets."""

    def __init__(self, terminal: bool, screen: io.TextIOBase | None = None) -> None:
        self.time, self.text = 0.0, io.StringIO()
        self.text.isatty = lambda: terminal  # type: ignore[method-assign]
        self.relay = relay.Relay(screen or self.text, io.StringIO(), NAMES, lambda: UNITS, lambda: self.time)  # type: ignore[arg-type]

    def at(self, time: float, text: str) -> str:
        """What the screen gets of a text at a time."""
        self.time, before = time, len(self.text.getvalue())
        self.relay.write(text)
        return self.text.getvalue()[before:]


def test_time_left_is_learned_from_the_work_that_is_done() -> None:
    run = Run(terminal=False)
    assert run.at(0, started("mlm")) == "task 1 of 3: line 2: mlm\n> line 2: mlm\n"
    run.at(25, ended("mlm"))  # 100 units in 25 s less START_S: 0.15 s each
    assert run.relay.seconds == {"line 2: mlm": 25.0}
    # ner: 10 + 200 * 0.15 = 40 s, export: 10 s; 25 of 75 s are over.
    told = "task 2 of 3: line 6: ner, 33% of the work, about 0:50 left"
    assert run.at(25, started("ner")) == f"{told}\n> line 6: ner\n"
    bar = "    ner ██████████··········  50%  step 30/60  loss 0.5  9 s left\n"
    # Half of it took 45 s, 35 after its start. 100 and 100 units have cost 15 + 35 s, 0.25 s each: ner is 60 s in all.
    assert run.at(70, bar).splitlines()[1] == "  task 2 of 3: line 6: ner, 64% of the work, about 0:40 left"
    assert len(run.at(71, bar).splitlines()) == 1  # now and then, not with each line


def test_a_reused_task_counts_and_takes_no_time() -> None:
    run = Run(terminal=False)
    run.relay.reused("mlm")
    assert run.at(0, started("ner")) == "task 2 of 3: line 6: ner\n> line 6: ner\n"


def test_a_result_that_was_in_the_store_says_nothing_of_the_machine() -> None:
    run = Run(terminal=False)
    run.at(0, started("mlm") + "    mlm: already done: best epoch 2 of 2, s3://b/x\n")
    run.at(11, ended("mlm"))  # as if 100 units had taken a second
    assert run.at(11, started("ner")) == "task 2 of 3: line 6: ner\n> line 6: ner\n"
    assert run.relay.seconds == {"line 2: mlm": 11.0}


def test_the_work_of_stages_is_what_they_say_themselves() -> None:
    run = Run(terminal=False)
    run.at(0, started("mlm") + "    mlm: done in 20.5 s: best epoch 2 of 2, s3://b/x\n")
    run.at(25, ended("mlm") + started("ner") + "    ner: already done: best epoch 2 of 2, s3://b/y\n" + ended("ner"))
    run.at(30, started("export") + "    upload: 70 of 70 MiB, done in 9 s\n    judge: done in 1.5 s, s3://b/j\n")
    assert run.relay.worked_s == 22.0


def test_a_run_does_not_go_backwards() -> None:
    run = Run(terminal=False)
    run.at(0, started("mlm"))
    run.at(25, ended("mlm"))
    run.at(25, started("ner"))
    run.at(30, "    ner ██  90%  step 9/10  loss 0.5  1 s left\n")
    assert ", 71% of the work, about 0:12 left" in run.relay.progress()
    run.at(31, "    ner ██  10%  step 1/10  loss 0.5  99 s left\n")  # a second loop of the same task
    assert ", 71% of the work, about 0:4" in run.relay.progress()


def test_one_line_moves_on_a_terminal() -> None:
    run = Run(terminal=True)
    shown = run.at(0, started("mlm")) + run.at(10, "    mlm ██··················   8%  step 1/12  32 s left\n")
    shown += run.at(11, "    note: a note\n")
    moving = "task 1 of 3: line 2: mlm"
    assert shown.count(f"\r\x1b[K{moving}") == 3
    assert shown.count("\n") == 2  # the task's beginning and the note: the bar is a part of the line that moves
    assert "left | mlm ██·" in shown
    assert "\r\x1b[K  line 2: mlm | note: a note\n" in shown
    run.relay.end()
    assert run.text.getvalue().endswith("\r\x1b[K")


def test_objects_tell_the_same() -> None:
    target = io.StringIO()
    run = Run(terminal=False, screen=logs.JsonLines(target))
    run.at(0, started("mlm"))
    run.at(25, "    a line\n" + ended("mlm"))
    run.at(25, started("ner"))
    rows = [json.loads(line) for line in target.getvalue().splitlines()]
    assert [row["message"] for row in rows] == [
        "task 1 of 3: line 2: mlm",
        "> line 2: mlm",
        "line 2: mlm | a line",
        "line 2: mlm: done after 25.0 s",
        "task 2 of 3: line 6: ner, 33% of the work, about 0:50 left",
        "> line 6: ner",
    ]
    told = {"task": "line 6: ner", "number": 2, "of": 3, "share": 0.333, "left_s": 50.0}
    assert {name: rows[-1][name] for name in told} == told


def test_progress_bars_are_thinned_out_elsewhere() -> None:
    bars = "".join(f"     {share}%|###   | {share}/100\n" for share in range(10, 90))
    screen, log, _ = shown(START + bars)
    assert screen.count("%|") == 1
    assert log.count("%|") == 80

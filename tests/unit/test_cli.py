"""The command line: names and options that others call, exit codes, messages."""

import io
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from tofner import cli
from tofner.errors import BadData, PassingFault, Problem
from tofner_kubeflow.pipelines import commands, server_commands

ROOT = Path(__file__).resolve().parents[2]


def everything() -> typer.Typer:
    """The app as the console script has it, without relying on an installed distribution."""
    app = typer.Typer()
    app.registered_commands = [*cli.app.registered_commands]
    app.registered_groups = [*cli.app.registered_groups]
    app.command(name="run")(commands.run)
    app.command(name="compile")(commands.compile_)
    app.command(name="submit")(server_commands.submit)
    app.command(name="schedule")(server_commands.schedule)
    return app


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(everything(), list(arguments))


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("run", "--preset --data --encoder --iterations --seed --seeds --set --work --store --model-name"),
        ("check", "--preset --data --encoder --iterations --seed --set --model-name --json"),
        ("compile", "--out --profile --revision --registry --max-iterations --set"),
        ("submit", "--host --experiment --param --wait --timeout --no-progress-timeout --token-file --follow"),
        ("schedule", "--host --name --cron --every --param --pause --resume --delete"),
        ("evaluate", "--gold --pred"),
        ("tag", "--model --input --output --format --precision --worker --threads"),
        ("store", "--work"),
        ("tag", "--shard-size --dry-run --json --log-format"),
        ("status", "--json"),
        ("compare", "--factor --new-forms --json --prometheus"),
        ("serve", "--log-format"),
        ("runs", "--report --json"),
    ],
)
def test_commands_and_options_keep_their_names(command: str, options: str) -> None:
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
    for option in options.split():
        assert re.search(rf"{option}\b", plain), option


def test_pipelines_commands_are_entry_points() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    for line in (
        'run = "tofner_kubeflow.pipelines.commands:run"',
        'compile = "tofner_kubeflow.pipelines.commands:compile_"',
        'submit = "tofner_kubeflow.pipelines.server_commands:submit"',
        'schedule = "tofner_kubeflow.pipelines.server_commands:schedule"',
    ):
        assert line in declared


def test_entry_points_become_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [SimpleNamespace(name=name, load=lambda: lambda: None) for name in ("zip", "act")]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == "tofner.commands" else [])
    app = typer.Typer()
    cli.add_commands(app)
    assert [command.name for command in app.registered_commands] == ["act", "zip"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            BadData(Problem("a.conll", "1 column", "2 to 4", line=3)),
            2,
            "tofner: a.conll:3: found 1 column; expected 2 to 4",
        ),
        (PassingFault("storage is down"), 75, "tofner: storage is down"),
        (ModuleNotFoundError("No module named 'torch'", name="torch.nn"), 2, "pip install 'tofner[train]'"),
    ],
)
def test_expected_errors_end_with_their_code_and_one_message(
    error: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(arguments: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(cli, "add_commands", lambda app: None)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == code
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ModuleNotFoundError("no module", name="nosuch")])
def test_a_bug_keeps_its_trace(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(arguments: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "app", broken)
    monkeypatch.setattr(cli, "add_commands", lambda app: None)
    with pytest.raises(type(error)):
        cli.main([])


def test_check_lists_every_problem_and_ends_with_2(tmp_path: Path) -> None:
    shown = invoke("check", "--preset", "wnut16", "--data", str(tmp_path), "--json")
    assert shown.exit_code == 2
    problems = json.loads(shown.stdout)["problems"]
    assert {"conll03-en/train", "wnut16/test"} <= {word for one in problems for word in one["found"].split()}


def test_presets_are_told_a_line_each() -> None:
    shown = invoke("presets")
    rows = shown.stdout.splitlines()
    assert [row.split()[0] for row in rows] == sorted(
        path.stem for path in (ROOT / "src/tofner/presets").glob("*.yaml")
    )
    (row,) = [row for row in rows if row.startswith("wnut16 ")]
    assert "CoNLL03 English to WNUT16" in row
    assert "bert-base-cased" in row
    assert "source_ner conll03-en; target_text wnut16; target_test wnut16; target_mrc tweetqa" in row


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "add_commands", lambda app: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tofner {metadata.version('tofner')}\n"


def test_compile_writes_the_graph(tmp_path: Path) -> None:
    options = ["--profile", "cpu", "--set", "encoder.selector={pool: a100}", "--max-iterations", "1"]
    shown = invoke("compile", "--out", str(tmp_path), "--revision", "v7", *options)
    assert shown.exit_code == 0, shown.output
    text = (tmp_path / "tof.yaml").read_text()
    assert "tofner-trainer:v7" in text
    assert "pool: a100" in text
    assert "accelerator:" not in text
    assert "round 1: ner" in text
    assert "round 2: ner" not in text


def test_the_table_tells_stage_time_f1_and_what_was_reused() -> None:
    from datetime import UTC, datetime

    from rich.console import Console

    row = {"stage": "ner", "iteration": None, "seconds": 12.34, "f1": 0.5, "span_f1": 0.625, "uri": "s3://b/x"}
    rows = [
        {**row, "finished_at": "2026-01-01T00:00:00.000+00:00"},
        {**row, "iteration": 2, "f1": None, "finished_at": "2026-01-01T00:00:09.000+00:00"},
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(commands.table(rows, datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)))
    first, second = [line for line in console.export_text().splitlines() if "ner" in line]
    assert re.search(r"ner .*12\.3 s .*0\.5000 .*0\.6250 .*reused", first)
    assert re.search(r"ner, round 2 .*12\.3 s .*0\.6250", second)
    assert "reused" not in second


def test_a_run_closes_with_verdict_example_and_what_is_next(tmp_path: Path) -> None:
    found = [{"start": 0, "end": 6, "label": "PER", "score": 0.9, "text": "Merkel"}]
    rows = [
        {"text": "nothing", "entities": []},
        {"text": "Merkel ran", "entities": found},
        {"text": f"Merkel {'x' * 200}", "entities": found * 2},
    ]
    (tmp_path / "tags").mkdir()
    (tmp_path / "tags/a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = commands.closing({"verdict": "Good.", "helped": "It helped.", "alarms": ["PER has vanished"]}, tmp_path)
    assert lines == [
        "", "Good.", "It helped.", "WARNING: PER has vanished", "", "For example: [Merkel PER] ran", "", "Next:",
        f"  tofner tag {tmp_path}/model 'A sentence of your own.'", f"  {tmp_path}/report/report.html",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("whole_s", "worked_s", "said"),
    [
        (200.0, 150.0, "Took 3:20, 2:30 of it in stages; the rest, 25%, started them"),
        (3.6, 0.0, "Took 0:04; every stage was done before."),
    ],
)
def test_a_run_says_which_share_was_no_stages_work(whole_s: float, worked_s: float, said: str) -> None:
    assert commands.times(whole_s, worked_s).startswith(said)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "wnut17"], "did you mean wnut16?"),
        (["--preset", "wnut16"], "data: found nothing"),
        (["--set", "stages.ner.epoch=1"], "did you mean stages.ner.epochs?"),
        (["--iterations", "-1"], "iterations: found -1; expected 0 or more"),
    ],
)
def test_bad_input_ends_a_run_before_anything_is_started(arguments: list[str], said: str, tmp_path: Path) -> None:
    code = (
        "import sys; from tofner_kubeflow.pipelines.commands import run; from tofner import cli; "
        "cli.add_commands = lambda app: app.command(name='run')(run); cli.main(sys.argv[1:])"
    )
    program = f"import sys; sys.path[:0] = {[str(ROOT / 'src'), str(ROOT)]!r}; {code}"
    command = [sys.executable, "-c", program, "run", "--work", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "tasks").exists()

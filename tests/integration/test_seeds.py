"""`tofner run --seeds` with real stages and a real store, then what it leaves: summary, list of runs, comparison.

The graph's tasks are called in this process, by the rules of `tests/kfp_backend.py`; as processes of their own they
take minutes (`tests/e2e/test_run.py`).
"""

import importlib
import json
import os
import re
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from typer.testing import CliRunner

from tests.kfp_backend import Backend
from tests.tiny_encoder import make_data, make_encoder, make_preset
from tests.unit.test_cli import everything
from tofner_kubeflow.pipelines import local

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Here:
    """Stands in for `run_graph`: the compiled graph's components, called in this process; says which stages worked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = ""
        self.calls: list[tuple[int, str]] = []

    def run_graph(self, compiled: Path, arguments: Mapping[str, Any], *_: Any) -> local.Finished:
        def call(task: str, function: str, inputs: dict[str, Any]) -> dict[str, Any]:
            if self.broken == f"{arguments['seed']} {task}":
                raise local.StageBroke(f"{task}: the machine is gone")
            self.calls.append((arguments["seed"], task))
            component = getattr(importlib.import_module(f"tofner_kubeflow.components.{function}"), function)
            declared = component.component_spec.outputs
            shown = {}
            for name, one in declared.items():
                if one.type.startswith("system."):
                    place = self.folder / f"{len(self.calls)}-{name}"
                    shown[name] = getattr(dsl, one.type.partition("@")[0].removeprefix("system."))(uri=str(place))
            sys.argv[1:] = ["--executor_input", json.dumps({"inputs": {"parameterValues": inputs}})]
            sys.argv += ["--function_to_execute", function]
            returned = component.python_func(**inputs, **shown)
            values = returned if isinstance(returned, tuple) else (returned,)
            return dict(zip([name for name in declared if name not in shown], values, strict=True))

        outcome = Backend(compiled, call).run(**arguments)
        assert not outcome.failure, outcome.failure
        return local.Finished(outcome.outputs, {}, 0.0)


class Home:
    """A folder with tiny data, encoder and preset, in which commands are called."""

    def __init__(self, root: Path, here: Here) -> None:
        self.root, self.here, self.work = root, here, root / "work"
        make_data(root / "data")
        make_preset(root / "tiny.yaml", make_encoder(root / "encoder"))

    def run(self, *words: str, code: int = 0) -> str:
        """What the command says."""
        self.here.calls.clear()
        told = ["--preset", str(self.root / "tiny.yaml"), "--data", str(self.root / "data"), "--work", str(self.work)]
        told += ["--iterations", "0", "--set", "use.mlm=false", "--set", "use.mrc=false"]
        return self.call("run", *told, *words, code=code)

    def call(self, *words: str, code: int = 0) -> str:
        for name in [name for name in os.environ if name.startswith(("AWS_", "S3_"))]:
            del os.environ[name]  # each command is a process of its own, and serves the store anew
        done = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "150"}).invoke(everything(), [*words])
        assert done.exit_code == code, f"{done.output}\n{done.exception!r}"
        return done.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    before = dict(os.environ)
    here = Here(tmp_path / "artifacts")
    monkeypatch.setattr(local, "run_graph", here.run_graph)
    monkeypatch.setattr(sys, "argv", ["task"])
    yield Home(tmp_path, here)
    os.environ.clear()
    os.environ.update(before)


def made(shown: str) -> list[str]:
    """The stages that did work, in order, by what they say."""
    return re.findall(r"^(\w+): done in", shown, re.MULTILINE)


def test_two_seeds_from_a_stop_to_their_comparison(home: Home) -> None:
    home.here.broken = "2 line 9: ner"
    stopped = made(home.run("--seeds", "1,2", code=1))
    assert [stopped.count(stage) for stage in ("prepare", "gold", "ner", "report")] == [1, 1, 3, 1]
    assert not (home.work / "out" / "seeds.md").exists()
    (first,) = (home.work / "out" / "reports").iterdir()

    home.here.broken = ""
    shown = home.run("--seeds", "1,2")
    rest = ["ner", "export", "evaluate", "evaluate", "judge", "judge", "report", "publish"]
    assert sorted(made(shown)) == sorted(rest), "what was finished before, and what seeds share, is not made again"

    out = home.work / "out"
    value = json.loads((out / "seeds.json").read_text("utf-8"))
    assert [one["seed"] for one in value["runs"]] == [1, 2]
    reports = {
        folder.name: json.loads((folder / "run.json").read_text("utf-8")) for folder in (out / "reports").iterdir()
    }
    assert first.name in reports
    assert {one["run"] for one in value["runs"]} == set(reports)
    scores = [reports[one["run"]]["final"]["metrics"]["f1"] for one in value["runs"]]
    last = value["stages"][-1]
    assert (last["name"], last["f1"]["values"]) == ("pseudo_ner", scores)
    assert last["f1"]["mean"] == pytest.approx(sum(scores) / 2)
    assert last["f1"]["sd"] == pytest.approx(statistics.stdev(scores))
    firsts = [reports[one["run"]]["rows"][1]["f1"] for one in value["runs"]]
    assert value["effect"]["exact"]["difference"] == pytest.approx(sum(scores) / 2 - sum(firsts) / 2)
    assert value["verdict"] in shown
    assert str(out / "seeds.html") in shown
    assert json.loads((out / "report" / "run.json").read_text("utf-8"))["run"]["seed"] == 2

    listed = json.loads(home.call("runs", str(home.work), "--json"))
    assert list(listed) == [one["run"] for one in value["runs"]]
    assert [one["changed"] for one in listed.values()] == [["use.mlm=false", "use.mrc=false"]] * 2
    compared = json.loads(home.call("runs", str(home.work), *listed, "--json"))
    assert compared["settings"] == [{"name": "seed", "a": "1", "b": "2"}]
    assert compared["effect"]["exact"]["candidate"] == pytest.approx(scores[1])
    assert compared["effect"]["exact"]["champion"] == pytest.approx(scores[0])

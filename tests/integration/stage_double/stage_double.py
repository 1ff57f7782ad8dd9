"""Doubles of the stages for tests of the graph's wiring: they train nothing and keep a journal of what ran.

All around them is real: components, plan, steps, keys, records and the store.

Environment: TOFNER_TEST_JOURNAL names the journal; TOFNER_TEST_FAIL is `step=how` with how one of 2, 75 (tofner's own
errors), trace (a bug), kill (SIGKILL), silent (ends well without outputs).
"""

import functools
import hashlib
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

STAGES = "prepare gold mlm mrc ner pseudo_label evaluate judge export report publish".split()


def install() -> None:
    """Put the doubles in the place of the stages' modules when these are asked for."""
    sys.meta_path.insert(0, Finder())


class Finder:
    """Finds a double for each module of a stage."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        package, _, stage = name.rpartition(".")
        if package == "tofner.stages" and stage in STAGES:
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        module = ModuleType(spec.name)
        module.run = functools.partial(run, spec.name.rpartition(".")[2])  # type: ignore[attr-defined]
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def step() -> str:
    """The step that this process does, as KFP was told: its name, or that of the component."""
    at = sys.argv.index("--executor_input") + 1
    given = json.loads(sys.argv[at])["inputs"].get("parameterValues", {})
    function = sys.argv[sys.argv.index("--function_to_execute") + 1]
    return str(given.get("step", function))


def run(stage: str, config: Any, work: Any) -> Any:
    """One file whose content is named by all that the stage was told and given."""
    from tofner.stages.work import Report

    told = json.dumps([stage, config.model_dump(mode="json"), work.inputs], sort_keys=True)
    made = hashlib.sha256(told.encode()).hexdigest()
    (work.output / "made.txt").write_text(made)
    task = "judge" if stage == "judge" else step()  # a part of two steps
    _journal({"stage": stage, "task": task, "inputs": work.inputs, "store": work.store})
    print(f"working on {step()}", flush=True)
    failing, _, how = os.environ.get("TOFNER_TEST_FAIL", "").partition("=")
    if failing == step():
        _fail(stage, how)
    if stage == "report":
        (work.output / "run.json").write_text("{}")
        for name in ("report.md", "report.html"):
            (work.output / name).write_text(f"{name} of the double")
    confusion = {"labels": ["PER", "O"], "matrix": [[1, 0], [2, 3]]} if stage == "evaluate" else None
    if stage in ("prepare", "judge"):
        _tagged(work.output)
    details = {"model": _published(work, config.model_name, made[:12])} if stage == "publish" else {}
    return Report({"f1": 0.5}, confusion=confusion, details=details)


def _tagged(folder: Path) -> None:
    from tofner.corpora.corpus import write_ner
    from tofner.corpora.examples import Sentence

    for name in ("source_ner_dev", "target_text"):
        write_ner(folder / f"{name}.parquet", [Sentence("a", ["Oslo"], ["B-LOC"])])


def _published(work: Any, name: str, version: str) -> dict[str, Any]:
    """A version with the files that readers need."""
    from tofner import storage

    uri, made = storage.join(work.store, "models", name, version), work.scratch / "version"
    made.mkdir()
    for file in ("model.onnx", "tokenizer.json", "labels.json", "tagger.json"):
        (made / file).write_text(version)
    (made / "manifest.json").write_text(json.dumps({"inputs": {"model": work.inputs["model"]}}))
    storage.store_folder(made, uri)
    return {"uri": uri, "name": name, "version": version, "f1": 0.5, "bytes": 7, "encoder": "e"}


def _fail(stage: str, how: str) -> None:
    from tofner.errors import BadInput, PassingFault

    if how == "trace":
        raise RuntimeError("a bug in the double")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "silent":
        os._exit(0)
    raise {"2": BadInput, "75": PassingFault}[how](f"{stage} says no")


def _journal(entry: dict[str, Any]) -> None:
    with Path(os.environ["TOFNER_TEST_JOURNAL"]).open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(entry) + "\n")

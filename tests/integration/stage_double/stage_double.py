"""Double of `tofner.stages` for tests of the graph's wiring: trains nothing, keeps a journal of what ran.

Environment: TOFNER_TEST_JOURNAL names the journal; TOFNER_TEST_FAIL is `stage=how` with how one of 2, 75 (tofner's own
errors), trace (a bug), kill (SIGKILL), silent (ends well without outputs); TOFNER_TEST_CODE is the code revision.
"""

import hashlib
import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TASKS = ("prepare gold mlm mrc ner pseudo_label pseudo_ner loop_mrc loop_ner evaluate export report publish").split()


def plan(
    preset: str, data: str, store: str, encoder: str, iterations: int, seed: int, overrides: list[str], model_name: str
) -> Any:
    _journal({"stage": "plan"})
    own = dict(override.split("=") for override in overrides)
    code = os.environ.get("TOFNER_TEST_CODE", "1")
    settings = {task: json.dumps({"task": task, "seed": seed, "set": own.get(task), "code": code}) for task in TASKS}
    on = {f"use_{name}": own.get(name) != "off" for name in ("mlm", "mrc", "pseudo")}
    return SimpleNamespace(settings=settings, encoder=encoder or "encoder", iterations=iterations, **on)


def expected_errors(stage: str) -> Any:
    return nullcontext()


def execute(stage: str, store: str, settings: str, inputs: dict[str, str]) -> Any:
    given = json.loads(settings)
    uri = f"{given['task']}-{hashlib.sha256(json.dumps([settings, inputs]).encode()).hexdigest()[:8]}"
    _journal({"stage": stage, "task": given["task"], "uri": uri, "inputs": inputs, "store": store})
    print(f"working on {given['task']}")
    failing, _, how = os.environ.get("TOFNER_TEST_FAIL", "").partition("=")
    if failing == given["task"]:
        _fail(stage, how)
    confusion = {"labels": ["PER", "O"], "matrix": [[1, 0], [2, 3]]} if stage == "evaluate" else None
    pages = {"markdown": f"# {stage}", "html": "<p>double</p>"}
    return SimpleNamespace(uri=uri, metrics={"f1": 0.5}, confusion=confusion, model={"uri": uri}, **pages)


def _fail(stage: str, how: str) -> None:
    if how == "trace":
        raise RuntimeError("a bug in the double")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "silent":
        os._exit(0)
    note = {"stage": stage, "exit_code": int(how), "message": f"{stage} says no"}
    Path(os.environ["TOFNER_ERROR_FILE"]).write_text(json.dumps(note), encoding="utf-8")
    raise SystemExit(int(how))


def _journal(entry: dict[str, Any]) -> None:
    with Path(os.environ["TOFNER_TEST_JOURNAL"]).open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(entry) + "\n")

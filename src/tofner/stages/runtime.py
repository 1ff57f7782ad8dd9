"""Runs one stage: key, reuse, inputs down, work, result up.

A result lies at `STORE/work/STAGE/KEY`. KEY is the hash of what the stage reads and of nothing else: its config, with
the revision of the code that makes the result, and the digests of its inputs, or of those files of them that it reads.
So the same run finds its work done, on any orchestrator and after any crash; a changed setting, data set or line of
code never meets a stale result; and what does not reach a stage (a new test set, a question's wording, the HTTP
service) leaves its result in place.
"""

import contextlib
import hashlib
import importlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.errors import BadInput, Problem, TofnerError
from tofner.model.layout import MANIFEST, REPORT
from tofner.stages.config import StageConfig, config_type
from tofner.stages.pages.lines import lines
from tofner.stages.revision import library_versions
from tofner.stages.work import Report, Work

NOT_CONTENT = {REPORT, MANIFEST}  # hold times, so they differ between equal runs


@dataclass(frozen=True)
class StageResult:
    """Where a stage's result lies and what it says; `reused` when nothing had to be done.

    `model` is what stage `publish` says of the model: name, version, uri, f1, bytes, encoder.
    """

    uri: str
    metrics: dict[str, float]
    confusion: dict[str, Any] | None
    markdown: str
    html: str
    reused: bool
    model: dict[str, Any]


def execute(stage: str, store: str, settings: str, inputs: dict[str, str]) -> StageResult:
    """Run `stage` unless its result is already there.

    Args:
        stage: a name in `config.CONFIGS`.
        store: folder or `s3://` prefix that all stages share.
        settings: the stage's config as JSON, made by `plan`.
        inputs: URIs by name; an empty one was not given.

    Raises:
        SystemExit: with the exit code of an expected error, after its message; any other error shows its trace.
    """
    with expected_errors(stage):
        return run_stage(stage, store, settings, inputs)


@contextlib.contextmanager
def expected_errors(stage: str) -> Iterator[None]:
    """End the process with exit code and message of an expected error, and without a trace.

    With TOFNER_ERROR_FILE set, the same is written there, so that a local run ends with the stage's exit code.
    """
    try:
        with storage.disk_faults():
            yield
    except TofnerError as error:
        print(f"tofner: {stage}: {error}", file=sys.stderr, flush=True)
        place = os.environ.get("TOFNER_ERROR_FILE")
        if place:
            note = Path(place + ".part")
            _write_json(note, {"stage": stage, "exit_code": error.exit_code, "message": str(error)})
            note.replace(place)
        raise SystemExit(error.exit_code) from None


def stage_key(stage: str, config: StageConfig, digests: dict[str, Any]) -> str:
    """20 hex digits over the stage's name, its config and what `input_digests` says of its inputs."""
    text = json.dumps([stage, config.model_dump(mode="json", exclude={"encoder_digest"}), digests], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def input_digests(config: StageConfig, inputs: dict[str, str]) -> dict[str, Any]:
    """What a stage's inputs hold, wherever they lie: a digest of each, or the sha256 of each file that is read."""
    reads = config.reads(inputs)
    return {name: [_digest(uri, reads.get(name)) for uri in addresses(name, value)] for name, value in inputs.items()}


def addresses(name: str, value: str) -> list[str]:
    """The addresses in an input: `scores` holds many, separated by spaces."""
    return value.split() if name == "scores" else [value]


def _digest(uri: str, files: tuple[str, ...] | None) -> Any:
    """A stage's result by its manifest, a user's encoder by its contents; a Hub id names its commit itself."""
    if files == ():
        return None  # its config says what it holds
    index = storage.folder_index(uri)
    manifest = read_json(storage.join(uri, MANIFEST)) if index is not None and MANIFEST in index.files else {}
    if "stage" not in manifest:
        return storage.digest(uri) if storage.is_place(uri) else uri
    return manifest["digest"] if files is None else {name: manifest["files"].get(name) for name in files}


def locate(stage: str, store: str, settings: str, inputs: dict[str, str]) -> tuple[StageConfig, str, str]:
    """What a stage is told, its key, and where its result lies or will lie; arguments as of `execute`, none empty."""
    config = config_type(stage, inputs).model_validate_json(settings)
    key = stage_key(stage, config, input_digests(config, inputs))
    return config, key, storage.join(store, "work", stage, key)


def run_stage(stage: str, store: str, settings: str, inputs: dict[str, str], run_id: str = "") -> StageResult:
    """`execute` without an exit: expected errors are raised. `run_id` is the orchestrator's name for the run."""
    inputs = {name: uri for name, uri in inputs.items() if uri}
    config, key, uri = locate(stage, store, settings, inputs)
    if storage.folder_index(uri) is not None:
        return _result(stage, uri, "already done")
    module = importlib.import_module(f"tofner.stages.{stage}")
    started = time.time()
    with storage.scratch_folder("tofner-work-", f"{stage}-") as scratch:
        output = scratch / "output"
        output.mkdir()
        state = storage.join(store, "state", stage, key)
        work = Work(stage, store, inputs, output, scratch, state, run_id)
        with storage.disk_faults(scratch):  # while the scratch is there to be looked at
            report: Report = module.run(config, work)
        check_finite(stage, asdict(report))
        _write_json(output / REPORT, {**asdict(report), "stage": stage, "seconds": time.time() - started})
        _write_json(output / MANIFEST, _manifest(stage, key, config, inputs, output))
        try:
            storage.store_folder(output, uri)
        except BadInput:  # a twin of this pod finished the same work first; its times differ, its result does not
            if storage.folder_index(uri) is None:
                raise
        storage.remove_folder(state)
    return _result(stage, uri, f"done in {time.time() - started:.1f} s")


def check_finite(stage: str, report: dict[str, Any]) -> None:
    """Numbers that are handed on can be drawn and compared.

    Raises:
        BadInput: some are NaN or infinite; all are named.
    """
    fix = "if training diverged, a lower learning rate helps"
    wrong = [Problem(f"stage {stage}", f"{place} {value}", "a finite number", fix) for place, value in _odd(report)]
    if wrong:
        raise BadInput(wrong)


def _odd(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Place and value of each number that is not finite."""
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _odd(part, f"{place}.{name}" if place else str(name))
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, value


def _result(stage: str, uri: str, how: str) -> StageResult:
    """Also says in the log what the stage says of its work, whoever did it and when."""
    report = read_json(storage.join(uri, REPORT))
    *told, summary = lines(report) or [""]
    for line in told:
        print(f"  {line}", file=sys.stderr)
    print(f"{stage}: {how}{': ' if summary else ''}{summary}, {uri}", file=sys.stderr, flush=True)
    index = storage.folder_index(uri)
    files = index.files if index else {}
    text = {
        name: storage.read_bytes(storage.join(uri, name)).decode() if name in files else ""
        for name in ("report.md", "report.html")
    }
    model = report.get("details", {}).get("model", {})
    pages = (text["report.md"], text["report.html"])
    reused = how == "already done"
    return StageResult(report["published"] or uri, report["metrics"], report["confusion"], *pages, reused, model)


def _manifest(stage: str, key: str, config: StageConfig, inputs: dict[str, str], output: Path) -> dict[str, Any]:
    """Where a result came from and what it is: enough to make it again and to see that it is the same.

    `digest` covers every file except the report and this manifest, which hold times.
    """
    digests = {
        path.relative_to(output).as_posix(): storage.file_sha256(path)
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name not in NOT_CONTENT
    }
    return {
        "stage": stage,
        "key": key,
        "digest": hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest(),
        "files": digests,
        "inputs": inputs,
        "settings": config.model_dump(mode="json"),
        "python": platform.python_version(),
        "libraries": library_versions(),
        "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def read_json(uri: str) -> dict[str, Any]:
    value = json.loads(storage.read_bytes(uri))
    if not isinstance(value, dict):
        raise BadInput(Problem(uri, type(value).__name__, "a JSON object"))
    return value


def lineage(uri: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(uri, manifest, report) of a result and of all that it was made from, nearest first, each once."""
    seen: set[str] = set()
    queue = [uri]
    while queue:
        current = queue.pop(0)
        index = storage.folder_index(current)
        if current in seen or index is None or MANIFEST not in index.files:
            continue  # a data root or a user's encoder, not a stage's result
        seen.add(current)
        manifest = read_json(storage.join(current, MANIFEST))
        if "stage" not in manifest:
            continue  # a published model given as encoder
        yield current, manifest, read_json(storage.join(current, REPORT))
        queue += [part for name, value in manifest["inputs"].items() for part in addresses(name, value)]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")

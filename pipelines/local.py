"""Runs the compiled graph on this machine: the same YAML, its tasks as plain processes or in containers, cached between
runs.

`kfp.local` keys its cache on component, image, command and arguments, all of which are strings here. The address of the
plan is one of them and names settings, code and data by digest, so whatever changes a result changes the key. In
containers the image is named by its digest, which is in the key as well.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from kfp import components, local

from tofner import storage
from tofner.errors import BadInput, PassingFault, TofnerError
from tofner.logs import JsonLines
from tofner.stages import CACHE
from tofner_kubeflow.pipelines.processes import processes, stoppable
from tofner_kubeflow.pipelines.relay import Relay

if TYPE_CHECKING:
    from tofner_kubeflow.pipelines.containers import Containers

ERROR_FILE = "TOFNER_ERROR_FILE"  # where a stage writes its exit code and message; see tofner.stages.runtime


@dataclass(frozen=True)
class Finished:
    """Outputs of the graph by name, the seconds of each task that was not reused, in order, and those of them in which
    stages were at work."""

    outputs: dict[str, str]
    seconds: dict[str, float]
    worked_s: float


class StageBroke(Exception):
    """A stage failed in a way that is none of tofner's own errors; its trace is on the screen and in the log."""


def run_graph(
    compiled: Path,
    arguments: Mapping[str, Any],
    work: Path,
    containers: "Containers | None" = None,
    count: Callable[[], Mapping[str, float] | None] = lambda: None,
) -> Finished:
    """Run a compiled graph in `work` (caches, task folders, logs), its tasks in `containers` if these are given.

    `count` gives the work of each task by its name as soon as it is known, to tell how much is left.

    Raises:
        BadInput, PassingFault: a stage ended so; the message is the stage's.
        StageBroke: a stage failed otherwise, or succeeded without giving its outputs.
    """
    logs = work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log_path = logs / f"run-{time.strftime('%Y%m%d-%H%M%S')}.log"
    tasks = containers.shared if containers else work / "tasks"
    tasks.mkdir(exist_ok=True)
    error_file = tasks / "error.json"
    error_file.unlink(missing_ok=True)
    cache = work / "cache"
    forget_lost(cache)
    names = task_names(compiled)
    outputs: dict[str, Any] = {}
    with log_path.open("w", encoding="utf-8") as log, _environment(ERROR_FILE, str(error_file)), _fetched_once(tasks):
        screen: Any = sys.stderr if isinstance(sys.stderr, JsonLines) else sys.stdout
        relay = Relay(screen, log, names, count)
        runs = containers.runner() if containers else processes()
        with runs as runner, stoppable(lambda: relay.task), _taming(relay), contextlib.redirect_stdout(relay):
            local.init(
                runner,
                pipeline_root=str(tasks),
                workspace_root=str(_workspace(work)),
                enable_caching=True,
                cache_root=str(cache),
            )
            graph = components.load_component_from_file(str(compiled))
            try:
                outputs = graph(**arguments).outputs
            except Exception as error:
                fault = containers.fault if containers else None
                raise _explain(error, error_file, fault, relay, log_path) from error
            finally:
                relay.end()
    missing = [name for name, value in outputs.items() if not value]
    if missing or not outputs:
        raise StageBroke(f"the graph ended without {', '.join(missing) or 'outputs'}; its log is {log_path}")
    return Finished(outputs, relay.seconds, relay.worked_s)


def task_names(compiled: Path) -> dict[str, str]:
    """Display name of each task by the name that `kfp.local` logs, its component's."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it is built so: half a second of CPU time
    spec = next(yaml.load_all(compiled.read_text(encoding="utf-8"), loader))
    graphs = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    tasks = [task for graph in graphs for task in graph["tasks"].values()]
    return {task["componentRef"]["name"].removeprefix("comp-"): task["taskInfo"]["name"] for task in tasks}


def forget_lost(cache: Path) -> int:
    """Drop cache entries without outputs, and those of folders that storage no longer has.

    `kfp.local` remembers a process that ended well without giving outputs, and trusts every `s3://` address.

    Returns:
        How many were dropped.
    """
    lost = 0
    there: dict[str, bool] = {}
    for entry in sorted(cache.glob("*.json")):
        texts = [text for text in json.loads(entry.read_text(encoding="utf-8")).values() if isinstance(text, str)]
        uris = [uri for text in texts for uri in text.split() if storage.is_s3(uri)]
        for uri in uris:
            if uri not in there:
                plan = uri.endswith(".json")
                there[uri] = storage.exists(uri) if plan else storage.folder_index(uri) is not None
        if not any(texts) or not all(there[uri] for uri in uris):
            entry.unlink()
            lost += 1
    return lost


def _explain(error: Exception, error_file: Path, fault: TofnerError | None, relay: Relay, log_path: Path) -> Exception:
    """What a failed run means for the exit code: the stage's own words, else how its process or container ended."""
    task = relay.failed or relay.task or "the graph"
    if disk := storage.disk_fault(error):
        return type(disk)(f"{task}: {disk}; the log is {log_path}")
    if error_file.is_file():
        said = json.loads(error_file.read_text(encoding="utf-8"))
        kinds = {BadInput.exit_code: BadInput, PassingFault.exit_code: PassingFault}
        kind = kinds.get(said["exit_code"], StageBroke)
        return kind(f"{task}: {said['message']}")
    if fault:
        return type(fault)(f"{task}: {fault}; the log is {log_path}")
    if relay.failed and not relay.trace:
        return PassingFault(
            f"{task}: its process was ended from outside (no memory left?); the same command goes on from here; "
            f"the log is {log_path}"
        )
    return StageBroke(f"{task}: {error}; the log is {log_path}")


def _workspace(work: Path) -> Path:
    """A folder that KFP shares among tasks and then removes; ours leave it alone. Untold, it takes one in /tmp."""
    folder = work / "workspace"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def _fetched_once(tasks: Path) -> Iterator[None]:
    """One cache for what the stages' processes fetch from the store; it goes with the run."""
    folder = tasks / "fetched"
    try:
        with _environment(CACHE, str(folder.resolve())):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Sets a variable for the stages' processes; puts the old one back afterwards."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class _Hits(logging.Handler):
    """Sees the cache hits, which `kfp.local` only logs."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("Task ") and " cache hit " in message:
            self._relay.reused(message.split()[1])  # logged by task, and the tasks are named like their components
        elif record.levelno >= logging.WARNING:
            self._relay.write(f"00:00:00.000 - {record.levelname} - {message}\n")


@contextlib.contextmanager
def _taming(relay: Relay) -> Iterator[None]:
    """Routes KFP's log records to the relay, and drops its remarks on what a laptop has not (GPUs, images)."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [_Hits(relay)]
    root.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"kfp\.local\.")
            warnings.filterwarnings("ignore", message=r".*no effect in the current local runner.*")
            warnings.filterwarnings("ignore", message=r"You may be attemping to run a task.*")
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)

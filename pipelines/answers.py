"""Tasks of a local run that have nothing to compute, answered by the run itself: no process is started for them.

A task's process takes a second or so to start, import and ask the store, as much as all that such a task does. It is
the same component under KFP's own executor, so that its outputs are what the process would have written. What trains,
reads corpora, scores or moves a pointer has a process of its own: it may crash, be killed, or take all memory.
"""

import contextlib
import importlib
import json
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from kfp.dsl import executor
from kfp.dsl.types import artifact_types

from tofner.child import leaving
from tofner.errors import TofnerError
from tofner.stages.steps import has_work
from tofner_kubeflow.components.stage import START

PLANNING = "plan"  # looks at settings and files; the run has done the same before
DECIDES = ("evaluate", "publish")  # do more than to make a result: they ask the gate, and move a pointer
KNOWN = ("step", "run", "gpus")  # parameters of a component that are no inputs of its stage


def answer(command: list[str]) -> int | None:
    """Exit code of the task that a command starts, if it was done here; None if it needs its process.

    Its lines go to standard output, as those of a process do.
    """
    if START not in command:
        return None
    function = command[command.index("--function_to_execute") + 1]
    given = json.loads(command[command.index("--executor_input") + 1])
    if not _is_idle(function, given["inputs"].get("parameterValues", {})):
        return None
    component = getattr(importlib.import_module(f"tofner_kubeflow.components.{function}"), function)
    try:
        with _as_in_a_task():
            executor.Executor(executor_input=given, function_to_execute=component).execute()
    except (Exception, SystemExit) as end:
        if leaving():
            raise  # the run's own end
        if isinstance(end, SystemExit):
            return end.code if isinstance(end.code, int) else 1
        traceback.print_exc(file=sys.stdout)
        return 1
    return 0


def _is_idle(function: str, values: Mapping[str, Any]) -> bool:
    if function == PLANNING:
        return True
    if function in DECIDES:
        return False
    inputs = {name: value for name, value in values.items() if name not in KNOWN}
    try:
        return not has_work(values.get("step", function), values["run"], **inputs)
    except TofnerError:
        return False  # for its process to tell


@contextlib.contextmanager
def _as_in_a_task() -> Iterator[None]:
    """Standard error among the output, and KFP's note of where a task's files are put back afterwards."""
    root = artifact_types.CONTAINER_TASK_ROOT
    try:
        with contextlib.redirect_stderr(sys.stdout):
            yield
    finally:
        artifact_types.CONTAINER_TASK_ROOT = root

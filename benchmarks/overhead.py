"""What a task of a run costs whose result is already in the store: CPU seconds of its process, and what it imports.

    tofner run --work WORK ARGUMENTS
    python benchmarks/overhead.py [--processes] --work WORK ARGUMENTS

The first command does the work; the second runs the same graph again without KFP's cache, so that each task asks the
store. With `--processes` the run answers no task itself, and each has a process, as on a cluster. CPU seconds, user and
system, count this process and those that it starts, so that a busy machine changes little; the last row is all that is
no task: compiling, the store's server, tagging an example, copies of the results.
"""

import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

HEAVY = "kfp numpy pydantic yaml boto3 pyarrow datasets pandas onnxruntime tokenizers transformers torch".split()
NOTE = """
import atexit, os, sys
@atexit.register
def tell():
    with open(os.environ["TOFNER_IMPORTED"], "a") as told:
        print(*(name for name in os.environ["TOFNER_HEAVY"].split() if name in sys.modules), file=told)
"""


def cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main(arguments: list[str], in_processes: bool) -> None:
    from kfp.local import subprocess_task_handler as handler

    from tofner import cli
    from tofner_kubeflow.pipelines import processes

    if in_processes:
        processes.answer = lambda _: None  # type: ignore[assignment]
    work = Path(arguments[arguments.index("--work") + 1])
    shutil.rmtree(work / "cache", ignore_errors=True)
    rows: list[tuple[str, float, str]] = []
    real = handler.SubprocessTaskHandler.run

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(NOTE)
        told = Path(folder) / "imported"

        def measured(task: Any) -> Any:
            told.write_text("")
            before = cpu_s()
            added = {"PYTHONPATH": folder, "TOFNER_IMPORTED": str(told), "TOFNER_HEAVY": " ".join(HEAVY)}
            with mock.patch.dict(os.environ, added):
                ended = real(task)
            name = task.full_command[task.full_command.index("--function_to_execute") + 1]
            lines = told.read_text().splitlines()
            rows.append((name, cpu_s() - before, lines[-1] if lines else "(no process)"))
            return ended

        before = cpu_s()
        with mock.patch.object(handler.SubprocessTaskHandler, "run", measured):
            try:
                cli.main(["run", *arguments])
            except SystemExit as end:
                if end.code:
                    raise
        rows.append(("all that is no task", cpu_s() - before - sum(row[1] for row in rows), ""))
    print("\n| task | CPU seconds | its process imports |\n|---|---|---|", file=sys.stderr)
    for name, seconds, imported in rows:
        print(f"| {name} | {seconds:.2f} | {imported} |", file=sys.stderr)
    print(f"| together | {sum(row[1] for row in rows):.2f} | |", file=sys.stderr)


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "--processes"], "--processes" in sys.argv)

"""Tasks of a local run as plain processes: each ends with the run, whatever ends that. Those that have nothing to
compute are answered without one (`answers`).

KFP waits for a task's process and, when it is interrupted itself, leaves it at work: an orphan that trains on, without
an object store, and holds a GPU. Here a process has a group of its own, which is ended with the run, and the kernel
ends it where the run was killed outright.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

from kfp import local
from kfp.local import subprocess_task_handler

from tofner.child import ending_with, leave
from tofner.errors import PassingFault
from tofner_kubeflow.components.stage import START
from tofner_kubeflow.pipelines.answers import answer

GOES_ON = "the same command goes on from here"
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
STOP_WITHIN_S = 10.0  # for a task to write down that it was stopped, and to remove its scratch
STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@contextlib.contextmanager
def processes() -> Iterator[local.SubprocessRunner]:
    """KFP's runner of processes, in tighter hands.

    It is also kept from writing this interpreter's path over every `python3` in a task's arguments. KFP means the start
    of its command, but an encoder below `lib/python3.11/` would be looked for in a wrong place.
    """
    module = subprocess_task_handler
    originals = module.replace_python_executable, module.run_local_subprocess
    module.replace_python_executable = _in_the_program_only(originals[0])
    module.run_local_subprocess = run_process
    try:
        yield local.SubprocessRunner(use_venv=False)
    finally:
        module.replace_python_executable, module.run_local_subprocess = originals


def _in_the_program_only(original: Callable[[list[str], str], list[str]]) -> Callable[[list[str], str], list[str]]:
    def replace(command: list[str], executable: str) -> list[str]:
        program = command.index(START)
        return original(command[: program + 1], executable) + command[program + 1 :]

    return replace


@contextlib.contextmanager
def stoppable(task: Callable[[], str]) -> Iterator[None]:
    """Signals that ask for an end, end what is inside, and say so: exit code 75, after Ctrl-C 130.

    `task` names the one at work; empty where there is none.
    """

    def stop(number: int, _: object) -> None:
        for one in STOPS:
            signal.signal(one, signal.SIG_IGN)  # once is enough: what is inside cleans up
        name = task()
        at = f" at {name}" if name else ""
        print(f"tofner: stopped{at} by {signal.Signals(number).name}; {GOES_ON}", file=sys.__stderr__, flush=True)
        leave(INTERRUPTED if number == signal.SIGINT else PassingFault.exit_code, 0)

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_process(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
    """What KFP has a function of this name and these arguments for; returns the exit code.

    Output is printed line by line. However this ends, the process and its children have ended before. A task that has
    nothing to compute gets none, unless it has an environment of its own.
    """
    if not env_vars and (code := answer(full_command)) is not None:
        return code
    process = subprocess.Popen(
        full_command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        env={**os.environ, **(env_vars or {})},
        start_new_session=True,  # Ctrl-C reaches the run alone, which ends its tasks
        preexec_fn=ending_with(os.getpid(), signal.SIGTERM),  # noqa: PLW1509  (calls prctl alone)
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                print(line, end="", flush=True)
        print("\n")  # as KFP does
        return process.wait()
    finally:
        _end_group(process)


def _end_group(process: "subprocess.Popen[str]") -> None:
    """SIGTERM to what is left of the process and its children, and after a while SIGKILL."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

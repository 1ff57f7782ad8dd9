"""What makes a component of a function: the trainer's image, and a command that finds the function in it.

By itself KFP writes a function's source, and the descriptions of its inputs, into every task of a graph, and Kubernetes
then keeps them several times a task: above 1 MB Kubeflow's run page stops following a run. Here the code is in the
image alone, whose revision says which it is, and the descriptions are in docs/components.md; the page shows neither.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tofner_kubeflow.components.images import TRAINER

IN_A_TASK = "_KFP_RUNTIME"  # kfp's own variable: "true" keeps its compiler and client out of a task's process
EXECUTOR = "kfp.dsl.executor_main"
TRY_AGAIN = 75  # exit code of what another try may mend
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
START = f"from tofner_kubeflow.components.stage import start; start({EXECUTOR!r})"


def stage(function: Callable[..., Any]) -> Any:
    """A component that runs `function` of its module in the trainer's image; in a task's process, the function."""
    if os.environ.get(IN_A_TASK) == "true":
        return function
    from kfp import dsl

    made = dsl.component(function, base_image=TRAINER, install_kfp_package=False)
    made.component_spec.implementation.container.command[:] = ["python3", "-c", START]
    for port in (*(made.component_spec.inputs or {}).values(), *(made.component_spec.outputs or {}).values()):
        port.description = None
    return made


def start(executor: str) -> None:
    """The program of a task: KFP's executor on the module that is named like the function to execute.

    A task that is told to end (a deleted pod, a stopped run) says and writes down that it was, and removes its scratch.
    """
    from tofner.child import leave, leaving_well

    name = sys.argv[sys.argv.index("--function_to_execute") + 1]

    def end(number: int, _: object) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)  # once is enough
        said = f"tofner: {name}: stopped by {signal.Signals(number).name}; the same step goes on from here"
        print(said, file=sys.stderr, flush=True)
        leave(TRY_AGAIN if number == signal.SIGTERM else INTERRUPTED)

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, end)
    from tofner.logs import follow

    follow()
    os.environ[IN_A_TASK] = "true"
    sys.argv += ["--component_module_path", str(Path(__file__).with_name(f"{name}.py"))]
    with leaving_well():
        runpy.run_module(executor, run_name="__main__")

"""What a run computes with: found where the run is planned, pinned wherever a stage works. Free of torch."""

import ctypes
import os
import subprocess
import sys

from tofner.cores import usable_cores
from tofner.errors import BadSettings, Problem
from tofner.settings import Compute, Machine

ASK_TORCH = "import torch; print(torch.cuda.is_available())"


def machine(asked: Compute, gpus: int = 0, threads: int = 0) -> Machine:
    """The machine that stages are told of.

    Args:
        gpus, threads: of a task on a cluster, as its graph was compiled; 0 threads mean this machine.

    Raises:
        BadSettings: a GPU is asked for where none is.
    """
    gpu = gpus > 0 if threads else asked.device != "cpu" and _finds_gpu()
    if asked.device == "cuda" and not gpu:
        fix = "compile with encoder.gpus=1, or leave it to auto" if threads else "leave it to auto"
        raise BadSettings(Problem("compute.device", "cuda, and no GPU", "a GPU that torch can use", fix))
    if gpu and asked.device != "cpu":
        return Machine(device="cuda", threads=0, precision="fp32" if asked.precision == "fp32" else "bf16")
    threads = asked.threads or threads or _threads()
    return Machine(device="cpu", threads=threads, precision="bf16" if asked.precision == "bf16" else "fp32")


def _threads() -> int:
    """As torch counts them: what the variable says, else the cores that this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else usable_cores()


def _finds_gpu() -> bool:
    """Whether torch would train on a GPU here. It is asked, in a process of its own since that takes seconds, only
    where the driver's library is."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    done = subprocess.run([sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, check=False)
    return done.stdout.strip() == "True"

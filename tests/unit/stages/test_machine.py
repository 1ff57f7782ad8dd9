"""What a run is planned to compute with, against a table."""

import ctypes
import subprocess
from typing import Any

import pytest

from tofner.errors import BadSettings
from tofner.settings import Compute, Machine
from tofner.stages import machine as found
from tofner.stages.machine import machine


def here(monkeypatch: pytest.MonkeyPatch, gpu: bool = False, cores: int = 6, told: str | None = None) -> None:
    """Stands for a machine with so many cores, a GPU or none, and OMP_NUM_THREADS as told."""
    monkeypatch.setattr(found, "_finds_gpu", lambda: gpu)
    monkeypatch.setattr(found, "usable_cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", told)


def cpu(threads: int, precision: Any = "fp32") -> Machine:
    return Machine(device="cpu", threads=threads, precision=precision)


def gpu(precision: Any = "bf16") -> Machine:
    return Machine(device="cuda", threads=0, precision=precision)


@pytest.mark.parametrize(
    ("asked", "there", "expected"),
    [
        ({}, {}, cpu(6)),
        ({}, {"told": "3"}, cpu(3)),
        ({}, {"told": "0"}, cpu(6)),
        ({}, {"told": "4,2"}, cpu(6)),
        ({"threads": 2}, {"told": "3"}, cpu(2)),
        ({}, {"gpu": True}, gpu()),
        ({"threads": 2}, {"gpu": True}, gpu()),
        ({"device": "cuda"}, {"gpu": True}, gpu()),
        ({"device": "cpu"}, {"gpu": True}, cpu(6)),
        ({"precision": "fp32"}, {"gpu": True}, gpu("fp32")),
        ({"precision": "bf16"}, {}, cpu(6, "bf16")),
    ],
)
def test_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], there: dict[str, Any], expected: Machine
) -> None:
    here(monkeypatch, **there)
    assert machine(Compute(**asked)) == expected


@pytest.mark.parametrize(
    ("asked", "gpus", "threads", "expected"),
    [
        ({}, 1, 4, gpu()),
        ({}, 0, 4, cpu(4)),
        ({"threads": 8}, 0, 4, cpu(8)),
        ({"device": "cpu"}, 1, 4, cpu(4)),
        ({"device": "cuda"}, 2, 4, gpu()),
    ],
)
def test_on_a_cluster_the_graph_says_what_tasks_have(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], gpus: int, threads: int, expected: Machine
) -> None:
    here(monkeypatch, gpu=expected.device == "cpu", cores=64, told="32")  # the node that plans is another one
    assert machine(Compute(**asked), gpus, threads) == expected


@pytest.mark.parametrize(("threads", "fix"), [(0, "leave it to auto"), (4, "compile with encoder.gpus=1")])
def test_a_gpu_that_is_not_there_is_told_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, threads: int, fix: str
) -> None:
    here(monkeypatch)
    with pytest.raises(BadSettings, match=f"compute.device: found cuda, and no GPU; expected .*; {fix}"):
        machine(Compute(device="cuda"), 0, threads)


def test_torch_is_asked_only_where_a_driver_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, answers.pop(0), "")

    def none(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(ctypes, "CDLL", none)
    assert not found._finds_gpu()
    assert not asked
    monkeypatch.setattr(ctypes, "CDLL", lambda name: name)
    answers = ["True\n", "False\n", ""]  # a GPU; a build of torch for CPUs; no torch
    assert [found._finds_gpu() for _ in range(3)] == [True, False, False]

"""Breaks the code in one line at a time and looks whether the tests that guard the line see it.

    python tests/mutants/run.py [NAME ...] [--jobs 2] [--list FILE ...]

The list is every `tests/mutants/*.toml`, a table a mutant:

    [[mutant]]
    name = "the worst epoch is published"
    file = "src/tofner/training/fit.py"
    old = "greater_is_better=True,"        # must stand in the file exactly once
    new = "greater_is_better=False,"
    tests = ["tests/unit/training/test_fit.py::test_the_best_epoch_is_left"]

Each mutant is made in a copy of the tree, never in the tree itself, and tried in a fork (so on Linux or macOS). Its
tests must pass on the code as it is and fail, by a failing test and not by an import that breaks, on the mutant. Ends
with 0 when all are killed.
"""

import argparse
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

# Loaded once and not by each fork; nothing of the tree itself.
HEAVY = ("torch", "transformers", "transformers.trainer", "datasets", "pyarrow.parquet", "seqeval.metrics", "sklearn")
HEAVY += ("onnx", "onnxruntime", "boto3", "kfp", "kfp.compiler", "kfp.kubernetes")
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "-W", "ignore::pytest.PytestAssertRewriteWarning")
ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    ".github",
    "src",
    "components",
    "pipelines",
    "tests",
    "docs",
    "docker",
    "k8s",
    "pyproject.toml",
    "constraints.txt",
    "README.md",
    "Makefile",
)
TESTS_FAILED = 1  # pytest's exit code: the tests ran, and some failed
MOST_SECONDS = 300  # of one mutant; one that hangs counts as survived


@dataclass(frozen=True)
class Mutant:
    """One change of one line, and the tests that must fail on it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def load(paths: list[Path]) -> list[Mutant]:
    """All mutants of these lists.

    Raises:
        SystemExit: a name twice, a change that fits no place or several, or one that changes nothing.
    """
    rows = [row for path in paths for row in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]]
    mutants = [Mutant(row["name"], row["file"], row["old"], row["new"], tuple(row["tests"])) for row in rows]
    wrong = []
    seen: set[str] = set()
    for one in mutants:
        place = ROOT / one.file
        found = place.read_text(encoding="utf-8").count(one.old) if place.is_file() else 0
        if found != 1 or one.old == one.new or not one.tests or one.name in seen:
            wrong.append(f"{one.name}: stands {found} times in {one.file}, has {len(one.tests)} tests")
        seen.add(one.name)
    if wrong:
        raise SystemExit("mutants that cannot be made:\n  " + "\n  ".join(wrong))
    return mutants


def copy_tree(target: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, target / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copyfile(source, target / name)
    return target


def run_tests(tree: Path, tests: list[str]) -> tuple[int, str]:
    """pytest's exit code and output, in a fork of this process, which has loaded the heavy libraries already.

    The code is negative when a signal ended it: SIGALRM, when it took longer than MOST_SECONDS.
    """
    log = tree / "log"
    pid = os.fork()
    if pid == 0:
        signal.alarm(MOST_SECONDS)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(tree)
        paths = [str(tree / "src"), str(tree)]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # of the processes that tests start
        sys.path[:0] = paths
        code = pytest.main(["--basetemp", str(tree / "scratch"), *OPTIONS, *tests])
        sys.stdout.flush()
        os._exit(int(code))
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), log.read_text(encoding="utf-8", errors="replace")


def try_one(tree: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether the mutant was killed, and what pytest said."""
    place = tree / mutant.file
    original = place.read_text(encoding="utf-8")
    place.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        code, said = run_tests(tree, list(mutant.tests))
    finally:
        place.write_text(original, encoding="utf-8")
    return code == TESTS_FAILED, said


def try_all(tree: Path, mutants: list[Mutant], survivors: Path) -> None:
    """Try each and say so; the names of those that survive go to a file."""
    for mutant in mutants:
        killed, said = try_one(tree, mutant)
        print(f"{'killed  ' if killed else 'SURVIVED'}  {mutant.name}", flush=True)
        if not killed:
            print("\n".join(said.strip().splitlines()[-8:]), flush=True)
            with survivors.open("a", encoding="utf-8") as file:
                file.write(f"{mutant.name}\n")


def main() -> int:
    # Read at their import, below: one thread a process, no bytecode in the copies, no telemetry.
    sys.dont_write_bytecode = True
    os.environ.update(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1", ORT_DISABLE_TELEMETRY="1")
    parser = argparse.ArgumentParser(description="Every mutant must be killed by its tests.")
    parser.add_argument("names", nargs="*", help="parts of names; all mutants when none is given")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", type=Path, nargs="*", default=sorted(Path(__file__).parent.glob("*.toml")))
    given = parser.parse_args()
    mutants = [m for m in load(given.list) if not given.names or any(name in m.name for name in given.names)]
    started = time.monotonic()
    for name in HEAVY:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="tofner-mutants-") as scratch:
        trees = [copy_tree(Path(scratch, str(i))) for i in range(given.jobs)]
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        code, said = run_tests(trees[0], tests)
        if code:
            print(said[-4000:])
            raise SystemExit("the tests do not pass on the code as it is")
        print(f"{len(tests)} tests pass on the code as it is, {time.monotonic() - started:.0f} s", flush=True)
        survivors = Path(scratch, "survivors")
        fork = multiprocessing.get_context("fork")
        shares = [(trees[i], mutants[i :: given.jobs], survivors) for i in range(given.jobs)]
        workers = [fork.Process(target=try_all, args=share) for share in shares]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        survived = survivors.read_text(encoding="utf-8").splitlines() if survivors.is_file() else []
        lost = any(worker.exitcode for worker in workers)
    minutes = (time.monotonic() - started) / 60
    for name in survived:
        print(f"SURVIVED  {name}")
    print(f"{len(mutants) - len(survived)} of {len(mutants)} mutants killed in {minutes:.1f} min")
    return 1 if survived or lost else 0


if __name__ == "__main__":
    sys.exit(main())

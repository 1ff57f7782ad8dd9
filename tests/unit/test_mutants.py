"""The lists of mutants fit the code. That their tests kill them is for `make mutants`, an hour."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.run import Mutant, load

ROOT = Path(__file__).resolve().parents[2]
LISTS = sorted((ROOT / "tests" / "mutants").glob("*.toml"))


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    """Raises SystemExit, with each that does not fit."""
    return load(LISTS)


def test_each_fits_one_place_of_its_file(mutants: list[Mutant]) -> None:
    assert len(mutants) >= 80
    for one in mutants:
        text = (ROOT / one.file).read_text(encoding="utf-8")
        assert text.replace(one.old, one.new) != text, one.name


def test_each_names_tests_that_there_are(mutants: list[Mutant]) -> None:
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8") for m in mutants for name in {_split(t)[0] for t in m.tests}
    }
    missing = [
        f"{one.name}: {test}"
        for one in mutants
        for test in one.tests
        if not re.search(rf"(?m)^ *def {_split(test)[1]}\(", texts[_split(test)[0]])
    ]
    assert missing == []


def test_a_list_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    row = '[[mutant]]\nname = "{}"\nfile = "{}"\nold = "{}"\nnew = "{}"\ntests = ["a::b"]\n'
    for number, rows in enumerate(
        (
            row.format("gone", "README.md", "no such line of text", "x"),
            row.format("twice", "README.md", "the", "x"),
            row.format("idle", "pyproject.toml", "requires-python", "requires-python"),
            row.format("no file", "nothing.py", "x", "y"),
        )
    ):
        path = tmp_path / f"{number}.toml"
        path.write_text(rows, encoding="utf-8")
        with pytest.raises(SystemExit, match="mutants that cannot be made"):
            load([path])


def _split(test: str) -> tuple[str, str]:
    """File and function of `file::test[case]`."""
    file, _, function = test.partition("::")
    return file, function.partition("[")[0].rpartition("::")[2]


def test_reading_the_lists_changes_no_environment() -> None:
    """Whoever imports the runner would else start processes with another number of threads, and so other bytes."""
    code = "import os; before = dict(os.environ); import tests.mutants.run; assert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

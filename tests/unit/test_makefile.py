"""The front door: what `make` would do, read from `make -n`, and what `make help` tells."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TORCH = re.findall(r"(?m)^torch==\S+$", (ROOT / "constraints.txt").read_text(encoding="utf-8"))[0]

# The `make` that runs these tests hands its own variables on.
HANDED_ON = re.compile(r"MAKE.*|MFLAGS|ARGS|VENV|TORCH_.*")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not HANDED_ON.fullmatch(name)}


def planned(*arguments: str) -> list[str]:
    """The commands that `make` would run, without running them."""
    command = ["make", "--no-print-directory", "-n", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def installs(lines: list[str]) -> list[str]:
    return [line.partition(" -m pip install ")[2] for line in lines if " -m pip install " in line]


@pytest.mark.parametrize(("target", "extra"), [("run", "all"), ("test", "dev")])
@pytest.mark.parametrize(
    ("given", "options"),
    [
        (["TORCH_INDEX=INDEX"], '--no-deps --index-url "INDEX"'),
        (["TORCH_WHEELS=wheels here"], '--no-deps --no-index --find-links "wheels here"'),
        (["TORCH_WHEELS=wheels", "TORCH_INDEX=INDEX"], '--no-deps --no-index --find-links "wheels"'),
    ],
)
def test_a_chosen_torch_is_installed_first(
    tmp_path: Path, target: str, extra: str, given: list[str], options: str
) -> None:
    first, second = installs(planned(target, f"VENV={tmp_path}/venv", *given))
    assert first.endswith(f"{options} {TORCH}")
    assert second.endswith(f"-c constraints.txt -e '.[{extra}]'")


@pytest.mark.parametrize(("target", "extra"), [("run", "all"), ("test", "dev")])
def test_else_everything_comes_by_one_install(tmp_path: Path, target: str, extra: str) -> None:
    (only,) = installs(planned(target, f"VENV={tmp_path}/venv"))
    assert only.endswith(f"-c constraints.txt -e '.[{extra}]'")
    assert "torch" not in only


def test_the_makefile_names_no_host() -> None:
    assert not re.search(r"://", MAKEFILE)


def test_help_tells_every_target_and_variable() -> None:
    command = ["make", "help"]
    told = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    (phony,) = re.findall(r"(?m)^\.PHONY: (.+)$", MAKEFILE)
    targets = re.findall(r"(?m)^([a-z][a-z0-9-]*):", MAKEFILE)
    assert sorted(phony.split()) == sorted(targets)
    for target in targets:
        assert re.search(rf"(?m)^{target} +\S", told), target
    for variable in re.findall(r"(?m)^([A-Z_]+) \?=", MAKEFILE):
        assert re.search(rf"\b{variable}\b", told), variable


def test_targets_that_the_documents_name_exist() -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z0-9-]*):", MAKEFILE))
    for path in [ROOT / "README.md", ROOT / ".ci" / "run", *(ROOT / "docs").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"(?m)(?:^|`)make ((?:[a-z][a-z0-9-]* ?)+)", text)
        assert {word for words in named for word in words.split()} <= targets, path.name


@pytest.mark.parametrize(("target", "program"), [("mutants", "tests/mutants/run.py"), ("compare", "tools/compare.py")])
def test_tools_get_their_arguments(tmp_path: Path, target: str, program: str) -> None:
    assert planned(target, f"VENV={tmp_path}/venv", "ARGS=a b")[-1].endswith(f"python {program} a b")
    assert (ROOT / program).is_file()


def test_lint_checks_who_imports_whom(tmp_path: Path) -> None:
    lines = planned("lint", f"VENV={tmp_path}/venv")
    assert any("lint-imports" in line for line in lines)
    assert (ROOT / ".importlinter").is_file()

"""The front door: what `make` would do, read from `make -n`, and what `make help` tells."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.kustomize import WHOLE

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


def test_images_are_built_with_what_their_labels_say(tmp_path: Path) -> None:
    """With a `docker` that writes down what it is asked for."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$1" != create ] || echo made\n')
    program.chmod(0o755)
    given = ["REGISTRY=registry.example/team", "REVISION=1f3c", "SOURCE=here", "TORCH_BUILD=cpu", "ARGS=--pull"]
    environment = ENVIRONMENT | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["make", "images", *given], cwd=ROOT, env=environment, capture_output=True, check=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    tagger, trainer = (line for line in asked if line.startswith("build "))
    for name, line in (("tagger", tagger), ("trainer", trainer)):
        assert f"-f docker/{name}.Dockerfile" in line
        assert f"-t registry.example/team/tofner-{name}:1f3c ." in line
        for argument in (f"VERSION={version}", "REVISION=1f3c", "SOURCE=here"):
            assert f"--build-arg {argument}" in line
        assert "--pull" in line
        copied = f"cp made:/usr/share/tofner/sbom.cdx.json build/tofner-{name}.cdx.json"
        assert asked[asked.index(line) + 1 :][:3] == [
            f"create registry.example/team/tofner-{name}:1f3c",
            copied,
            "rm made",
        ]
    assert "--build-arg TORCH_BUILD=cpu" in trainer
    assert "TORCH_BUILD" not in tagger  # builders warn of an argument that nothing takes


def test_lint_reads_the_dockerfiles(tmp_path: Path) -> None:
    assert any("hadolint docker/*.Dockerfile" in line for line in planned("lint", f"VENV={tmp_path}/venv"))


def test_audit_asks_about_every_pin_and_takes_no_silence_for_an_answer(tmp_path: Path) -> None:
    text = "\n".join(planned("audit", f"VENV={tmp_path}/venv"))
    assert "--requirement constraints.txt --no-deps --disable-pip --strict" in text
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==\S+", pin) for pin in pins if pin and not pin.startswith("#"))


def test_scan_looks_at_every_folder_and_says_why_it_leaves_rules_out(tmp_path: Path) -> None:
    text = "\n".join(planned("scan", f"VENV={tmp_path}/venv"))
    (named,) = re.findall(r"(?m)^for folder in (.+?); do", text)
    assert sorted(named.split()) == sorted(f"k8s/{name}" for name in WHOLE)
    skipped = re.findall(r"(?m)^  - (.+)$", (ROOT / ".checkov.yaml").read_text(encoding="utf-8"))
    assert skipped
    assert all(re.fullmatch(r"CKV\w+ # .{20,}", line) for line in skipped)

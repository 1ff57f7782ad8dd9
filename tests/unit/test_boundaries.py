"""Arrows point one way: the library knows nothing of KFP, and tagging loads neither torch nor transformers."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "src" / "tofner"
HEAVY = {"torch", "transformers", "datasets", "pydantic", "kfp", "accelerate", "seqeval", "onnx"}


def imports(path: Path) -> Iterator[str]:
    """Everything that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def loaded_by(code: str) -> set[str]:
    """Top-level packages in a fresh interpreter after `code`."""
    program = f"import sys\nsys.path[:0] = {[str(ROOT / 'src'), str(ROOT)]!r}\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_the_library_imports_neither_kfp_nor_the_graphs() -> None:
    guilty = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(LIBRARY.rglob("*.py"))
        for name in imports(path)
        if name.partition(".")[0] in {"kfp", "pipelines", "components"}
    ]
    assert guilty == []


def test_components_and_graphs_import_downwards_only() -> None:
    for path in sorted((ROOT / "components").glob("*.py")):
        assert "pipelines" not in {name.partition(".")[0] for name in imports(path)}, path.name


@pytest.mark.parametrize("module", ["tofner.cli", "tofner.stages", "tofner.storage", "tofner.settings"])
def test_loading_the_library_loads_no_kfp_and_no_torch(module: str) -> None:
    assert not {"kfp", "torch", "transformers"} & loaded_by(f"import {module}")


def test_tagging_loads_nothing_heavy() -> None:
    modules = [
        f"tofner.tagging.{path.stem}" for path in sorted((LIBRARY / "tagging").glob("*.py")) if path.stem[0] != "_"
    ]
    assert not HEAVY & loaded_by("\n".join(f"import {module}" for module in modules))


@pytest.mark.parametrize("command", ["tag", "check", "evaluate"])
def test_commands_start_without_torch(command: str) -> None:
    code = (
        "from tofner import cli\n"
        f"try:\n    cli.main(['{command}', '--help'])\nexcept SystemExit:\n    pass"
    )  # fmt: skip
    assert not {"kfp", "torch", "transformers", "datasets"} & loaded_by(code)


def test_every_package_is_installed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for path in LIBRARY.rglob("*.py")} | {path.parent for path in LIBRARY.rglob("*.yaml")}
    found = {".".join(folder.relative_to(ROOT / "src").parts) for folder in folders}
    assert listed == found | {"pipelines", "components"}

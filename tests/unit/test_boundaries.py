"""Arrows point one way: the library knows nothing of KFP, and tagging loads neither torch nor transformers."""

import ast
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "src" / "tofner"
GRAPHS = ("components", "pipelines")
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
        if name.partition(".")[0] in {"kfp", "tofner_kubeflow"}
    ]
    assert guilty == []


def test_components_and_graphs_import_downwards_only() -> None:
    for path in sorted((ROOT / "components").glob("*.py")):
        assert not [name for name in imports(path) if name.startswith("tofner_kubeflow.pipelines")], path.name


@pytest.mark.parametrize("module", ["tofner.cli", "tofner.stages", "tofner.storage", "tofner.settings"])
def test_loading_the_library_loads_no_kfp_and_no_torch(module: str) -> None:
    assert not {"kfp", "torch", "transformers"} & loaded_by(f"import {module}")


def test_tagging_loads_nothing_heavy() -> None:
    files = [
        path for name in ("tagging", "words", "model", "corpora") for path in sorted((LIBRARY / name).rglob("*.py"))
    ]
    modules = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in files if path.stem[0] != "_"]
    assert not HEAVY & loaded_by("\n".join(f"import {module}" for module in modules))


@pytest.mark.parametrize("command", ["tag", "check", "evaluate", "models"])
def test_commands_start_without_torch(command: str) -> None:
    code = (
        "from tofner import cli\n"
        f"try:\n    cli.main(['{command}', '--help'])\nexcept SystemExit:\n    pass"
    )  # fmt: skip
    assert not {"kfp", "torch", "transformers", "datasets"} & loaded_by(code)


def test_a_wheel_holds_every_file_of_the_packages_and_no_package_of_a_common_name(tmp_path: Path) -> None:
    """`components` and `pipelines` would clash with anybody's: they are installed below `tofner_kubeflow`."""
    tree = tmp_path / "tree"  # a copy: building leaves files behind
    for name in ("src", *GRAPHS):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("*.egg-info", "*.pyc"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, tree / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, "--disable-pip-version-check", str(tree)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    kinds = {".py", ".yaml", ".j2", ".typed"}
    ours = {path.relative_to(ROOT / "src").as_posix() for path in LIBRARY.rglob("*") if path.suffix in kinds}
    graphs = {
        f"tofner_kubeflow/{path.relative_to(ROOT)}"
        for name in GRAPHS
        for path in (ROOT / name).rglob("*")
        if path.suffix in kinds
    }
    assert found == ours | graphs | {"tofner_kubeflow/__init__.py"}

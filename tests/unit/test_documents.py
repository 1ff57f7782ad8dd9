"""What the documents name is there: files, functions, modules, settings, extras."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tofner.settings import known_keys

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)+/?|[\w.-]+\.(py|md|toml|yaml|Dockerfile)|\.[a-z]+")
# Written at run time, or a user's.
NOT_OURS = re.compile(
    r"build/tof\.yaml|build/tofner-\*\.cdx\.json|\.env|(README|report)\.md|\.venv/bin|\.tofner.*|\.(gz|zst|txt|text|conll|bio|iob|tsv|json|jsonl|ndjson|parquet|ann|conllu|spacy)"
    r"|I/N|(.*/)?(STORE|SET|SPLIT|NAME|VERSION|DATA|FOLDER|KEY)[/.].*|_tofner|my\.yaml|tagged\.jsonl\.tofner/.*|registry\.example/.*|nvidia\.com/gpu"
)
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def quoted(path: Path) -> Iterator[str]:
    """What stands in backticks on one line, outside code blocks."""
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def bases(path: Path) -> list[Path]:
    return [ROOT, ROOT / "src" / "tofner"] if path.name == "paper-to-code.md" else [ROOT]


@each_document
def test_files_exist(path: Path) -> None:
    named = [name for name in quoted(path) if PATH.fullmatch(name) and not NOT_OURS.fullmatch(name)]
    missing = [name for name in named if not any(list(base.glob(name.rstrip("/"))) for base in bases(path))]
    assert missing == []


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = [name.partition("#")[0] for name in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in name]
    assert [name for name in named if name and not (path.parent / name).exists()] == []


def test_functions_stand_in_the_files_that_are_named_before_them() -> None:
    text = (ROOT / "docs" / "paper-to-code.md").read_text(encoding="utf-8")
    pairs = re.findall(r"`([\w/]+\.py)`, `(\w+)`", text)
    assert len(pairs) >= 10
    for file, name in pairs:
        (place,) = [base / file for base in bases(Path("paper-to-code.md")) if (base / file).is_file()]
        tree = ast.parse(place.read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}, file


@each_document
def test_modules_exist(path: Path) -> None:
    for name in quoted(path):
        if match := re.fullmatch(r"(tofner(?:_kubeflow)?(?:\.\w+)+)(\(.*\))?", name):
            parts = match[1].split(".")
            places = [ROOT.joinpath("src", *parts[:cut]) for cut in range(2, len(parts) + 1)]
            assert any(place.is_dir() or place.with_suffix(".py").is_file() for place in places), name


@each_document
def test_settings_exist(path: Path) -> None:
    known = {key for key, _ in known_keys()}
    groups = {key.rpartition(".")[0] for key in known} | {"stages", "roles"}
    for name in quoted(path):
        for key in re.findall(r"(?<![\w.])(?:stages|roles|use)\.[\w.]+\w", name):
            assert key in known | groups or "*" in name, key


@each_document
def test_extras_exist(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"(?:tofner|\.)\[([a-z,]+)\]", path.read_text(encoding="utf-8"))
    assert {extra for names in named for extra in names.split(",")} <= set(project["optional-dependencies"])

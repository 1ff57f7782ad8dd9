"""Names in a model folder are spelt in one place."""

import ast
import re
from pathlib import Path

from tofner.model import layout
from tofner.storage import INDEX

SRC = Path(__file__).parents[3] / "src"
FILES = [
    *layout.ARTIFACTS.values(),
    *layout.TAGGING,
    *(layout.CARD, layout.CONFIG, layout.WEIGHTS, layout.HEADS, layout.MRC),
    *(layout.REPORT, layout.MANIFEST, layout.LATEST, INDEX),
]
FOLDERS = {layout.CHECKPOINT, layout.REPORTS}
NAMED = re.compile("|".join(rf"(?<![\w.]){re.escape(name)}(?![\w.])" for name in FILES))
ALLOWED = {"tofner/model/layout.py", "tofner/storage/index.py"}  # the index is the storage layer's own


def strings(tree: ast.Module) -> list[ast.Constant]:
    """String literals that are not docstrings."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, owners) and _documented(node)}  # type: ignore[attr-defined]
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [node for node in found if id(node) not in docs]


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


def test_no_other_file_spells_them() -> None:
    found = [
        f"{path.relative_to(SRC)}:{node.lineno}: {node.value!r}"
        for path in sorted(SRC.rglob("*.py"))
        if path.relative_to(SRC).as_posix() not in ALLOWED
        for node in strings(ast.parse(path.read_text(encoding="utf-8")))
        if NAMED.search(str(node.value)) or node.value in FOLDERS
    ]
    assert found == []


def test_the_names_are_those_of_published_models() -> None:
    """Models that were published lie in buckets under these names, and transformers wants some of them."""
    assert layout.ARTIFACTS == {"fp32": "model.onnx", "int8": "model.int8.onnx"}
    assert layout.TAGGING == ("tokenizer.json", "labels.json", "tagger.json")
    assert (layout.CONFIG, layout.HEADS, layout.MRC) == ("config.json", "heads.safetensors", "mrc.json")
    assert (layout.CHECKPOINT, layout.REPORTS, layout.CARD) == ("checkpoint", "reports", "README.md")
    assert (layout.REPORT, layout.MANIFEST, layout.LATEST) == ("report.json", "manifest.json", "latest.json")
    assert layout.INDEX == "_index.json"

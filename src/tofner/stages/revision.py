"""The revision of the code that makes a stage's result: the sources that its module imports, and their libraries.

Found by following the `import` statements of the module, inside functions too, so no list has to be kept. Code that
carries a result and does not make it (storage, this runtime) is left out, as are settings, whose values are in the key
anyway: a line in the HTTP service or in a reader of settings redoes nothing.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Carry results, or hold what is in the key by its value.
CARRIERS: tuple[str, ...] = ("tofner.logs", "tofner.errors", "tofner.settings", "tofner.storage", "tofner.presets")
CARRIERS += tuple(f"tofner.stages.{name}" for name in ("config", "pages.lines", "plan", "revision", "runtime", "work"))
# Import name -> distributions whose versions may change what is made.
LIBRARIES = {
    "torch": ("torch",),
    "transformers": ("transformers", "accelerate"),
    "tokenizers": ("tokenizers",),
    "datasets": ("datasets", "pyarrow"),
    "seqeval": ("seqeval",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime",),
    "numpy": ("numpy",),
}


@functools.cache
def library_versions() -> dict[str, str]:
    """Installed versions of all of them, without importing anything; a missing library is simply not there."""
    found = {}
    for name in (name for names in LIBRARIES.values() for name in names):
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def code_revision(stage: str, root: Path = ROOT) -> str:
    """Hash of the sources that make a stage's result, uncommitted changes included, and of the versions of the
    libraries that these import. 16 hex digits; `root` is the folder of the package."""
    modules, libraries = made_by(stage, root)
    versions = library_versions()
    named = sorted({name for library in libraries for name in LIBRARIES[library]})
    digest = hashlib.sha256(repr([(name, versions.get(name)) for name in named]).encode())
    for module in modules:
        for path in _files_of(_place(module, root)):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def made_by(stage: str, root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Modules of tofner, and libraries, that make a stage's result; both sorted."""
    modules: set[str] = set()
    libraries: set[str] = set()
    queue = [f"tofner.stages.{stage}"]
    while queue:
        module = queue.pop()
        if module in modules or module.startswith(CARRIERS):
            continue
        modules.add(module)
        for name in _imports(_place(module, root)):
            top = name.partition(".")[0]
            if top in LIBRARIES:
                libraries.add(top)
            elif top == "tofner":
                found = next((part for part in (name, name.rpartition(".")[0]) if _place(part, root).is_file()), None)
                queue += [found] if found else []
    return sorted(modules), sorted(libraries)


def _place(module: str, root: Path) -> Path:
    """The file of a module or package."""
    path = root.joinpath(*module.split(".")[1:])
    return path.with_suffix(".py") if not path.is_dir() else path / "__init__.py"


def _files_of(source: Path) -> list[Path]:
    """A module and the templates beside it, which it fills."""
    return [source, *sorted(source.parent.glob("templates/*"))]


@functools.cache
def _imports(source: Path) -> tuple[str, ...]:
    """Full names of what a file imports, at any depth; `from a import b` is `a.b`, which may be a module or a name."""
    return tuple(_names(ast.parse(source.read_text(encoding="utf-8"))))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement below; not expressions, ten times as many, which import nothing."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for node in getattr(tree, field, ()):
            yield node
            yield from _statements(node)

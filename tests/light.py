"""Runs `tofner` as an installation without some extras would: `python tests/light.py EXTRAS COMMAND...`.

    python tests/light.py data check --preset wnut16 --data DATA
    python tests/light.py - tag --model MODEL --input IN --output OUT

Installs and removes nothing. A finder stands before each of `sys.meta_path` and hides every distribution that the
project's own requirements, those of EXTRAS (separated by commas; `-` for none) and theirs in turn do not name.
"""

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT), str(ROOT / "docker")]

from requirements import requirements  # noqa: E402


def closure(extras: list[str]) -> set[str]:
    """Canonical names of the distributions that `pip install 'tofner[EXTRAS]'` would bring."""
    queue = [Requirement(line) for line in requirements(ROOT / "pyproject.toml", extras)]
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        wanted = queue.pop()
        name, asked = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        found.add(name)
        for line in metadata.requires(name) or ():
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *asked)):
                queue.append(inner)
    return found


class Hiding:
    """A finder of `sys.meta_path` without the modules and distributions that are not installed."""

    def __init__(self, finder: Any, modules: set[str], distributions: set[str]) -> None:
        self.finder, self.modules, self.distributions = finder, modules, distributions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in self.modules else self.finder.find_spec(name, path, target)

    def find_distributions(self, context: Any = None) -> Any:
        found = self.finder.find_distributions(context) if hasattr(self.finder, "find_distributions") else ()
        return (one for one in found if canonicalize_name(one.name) not in self.distributions)


def hide(extras: list[str]) -> set[str]:
    """Hide what these extras do not bring; returns the names of the modules that are left out."""
    kept = closure(extras) | {"tofner"}
    provided = metadata.packages_distributions()
    modules = {m for m, owners in provided.items() if not {canonicalize_name(name) for name in owners} & kept}
    hidden = {canonicalize_name(name) for owners in provided.values() for name in owners} - kept
    sys.meta_path[:] = [Hiding(finder, modules, hidden) for finder in sys.meta_path]
    return modules


if __name__ == "__main__":
    hide([extra for extra in sys.argv[1].split(",") if extra != "-"])
    for name in [name for name in sys.modules if name.partition(".")[0] in {"packaging", "requirements"}]:
        del sys.modules[name]
    from tofner import cli

    cli.add_commands = lambda target: None
    cli.main(sys.argv[2:])

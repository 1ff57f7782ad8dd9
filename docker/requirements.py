"""Prints what to install before the project itself, from pyproject.toml and constraints.txt beside it or above.

    requirements.py EXTRA...        requirements of the project and of these extras
    requirements.py torch=BUILD     the one build of torch: `cuda`, or what follows the + of its version (cpu, cu130)

Libraries get an image layer of their own, so that a changed line of code does not ship torch again.
"""

import re
import sys
import tomllib
from pathlib import Path

SELF = re.compile(r"tofner\[(.+)\]")


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """Requirements of the project and of these extras, each once; an extra of extras is resolved.

    Raises:
        SystemExit: there is no such extra (pip would only warn, and the image would lack a library).
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    known: dict[str, list[str]] = project["optional-dependencies"]
    wanted: list[str] = list(project["dependencies"])
    queue = list(extras)
    while queue:
        extra = queue.pop(0)
        if extra not in known:
            raise SystemExit(f"{pyproject}: no extra {extra!r}; there are {', '.join(sorted(known))}")
        for line in known[extra]:
            if inner := SELF.fullmatch(line):
                queue += inner[1].split(",")
            else:
                wanted.append(line)
    return list(dict.fromkeys(wanted))


def torch(constraints: Path, build: str) -> str:
    """Requirement of one build of the pinned torch. `===` compares versions as text, so that 2.13.0 is not 2.13.0+cpu.

    Raises:
        SystemExit: the build's name cannot be one, or no torch is pinned.
    """
    pinned = re.search(r"(?m)^torch==(\S+)$", constraints.read_text(encoding="utf-8"))
    if pinned is None:
        raise SystemExit(f"{constraints}: no line torch==VERSION")
    if not re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", build):
        raise SystemExit(f"torch={build}: expected cuda, cpu or another build's name such as cu130")
    return f"torch==={pinned[1]}" + ("" if build == "cuda" else f"+{build}")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    place = next(folder for folder in (here, here.parent) if (folder / "pyproject.toml").is_file())
    if sys.argv[1:] and sys.argv[1].startswith("torch="):
        print(torch(place / "constraints.txt", sys.argv[1].removeprefix("torch=")))
    else:
        print("\n".join(requirements(place / "pyproject.toml", sys.argv[1:])))

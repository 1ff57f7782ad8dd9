"""Prints what to install before the project itself: `requirements.py EXTRA...`, from pyproject.toml beside it or above.

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


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    place = next(folder for folder in (here, here.parent) if (folder / "pyproject.toml").is_file())
    print("\n".join(requirements(place / "pyproject.toml", sys.argv[1:])))

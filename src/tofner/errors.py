"""The errors of tofner, and the exit code each one means.

    TofnerError                 exit 1   (never raised itself)
    ├── BadInput                exit 2   the user's input is wrong; trying again will not help
    │   ├── BadSettings                  a preset, override or run parameter
    │   ├── BadData                      a corpus, MRC file or record; may list many problems
    │   └── BadModel                     a checkpoint or published model
    └── PassingFault            exit 75  storage or the machine failed; try again (sysexits.h EX_TEMPFAIL)

Anything else that escapes is a bug and shows its trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong in the input, with its place.

    `place` is a file, URI or settings key; `line` is 1-based where the place has lines.
    """

    place: str
    found: str
    expected: str
    fix: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.place}:{self.line}" if self.line is not None else self.place
        text = f"{where}: found {self.found}; expected {self.expected}"
        return f"{text}; {self.fix}" if self.fix else text


class TofnerError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class BadInput(TofnerError):
    """Input that cannot be used. Built from one `Problem`, several, or a plain message."""

    exit_code = 2

    def __init__(self, what: str | Problem | Sequence[Problem]) -> None:
        self.problems: list[Problem] = []
        if isinstance(what, Problem):
            self.problems = [what]
        elif not isinstance(what, str):
            self.problems = list(what)
        super().__init__(what if isinstance(what, str) else "\n".join(map(str, self.problems)))


class BadSettings(BadInput):
    """A preset, an override or a run parameter is wrong."""


class BadData(BadInput):
    """A corpus, an MRC file or a record to tag is wrong."""


class BadModel(BadInput):
    """A checkpoint or a published model cannot be used."""


class PassingFault(TofnerError):
    """Storage, network or machine trouble that may be gone at the next try."""

    exit_code = 75

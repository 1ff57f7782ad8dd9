"""What can hit a command from outside, and what it must come to: the one table that every matrix of faults goes by.

docs/faults.md shows it; tests/unit/test_faults_table.py compares the two.
"""

from dataclasses import dataclass

from tofner.errors import BadInput, PassingFault, TofnerError

GOOD, WRONG, AGAIN = 0, 2, 75


@dataclass(frozen=True)
class Fault:
    """A fault of the store, as `tests.loopback.FaultyProxy` makes it.

    Attributes:
        what: in words.
        burst: exit code where it hits three requests in a row and then passes.
        lasting: exit codes where it hits every request from one on.
        where: what it is meant for: all requests, the contents of `objects`, or the `parts` of uploads.
    """

    name: str
    what: str
    burst: int
    lasting: tuple[int, ...]
    where: str = "all"

    def matches(self, method: str, path: str) -> bool:
        """Whether a request may be spoiled by it."""
        if self.where == "objects":
            return method == "GET" and "list-type=" not in path
        return self.where == "all" or "partNumber=" in path

    @property
    def reads(self) -> bool:
        """Whether it hits who reads and does not write."""
        return self.where != "parts" and self.name != "flip"

    @property
    def error(self) -> type[TofnerError]:
        """What it is where it lasts."""
        return PassingFault if AGAIN in self.lasting else BadInput


BURST = 3
FAULTS = (
    Fault("slow_down", "503 SlowDown", GOOD, (AGAIN,)),
    Fault("internal", "500 InternalError", GOOD, (AGAIN,)),
    Fault("reset", "connection closed without an answer", GOOD, (AGAIN,)),
    Fault("lost", "done by the store, the answer lost", GOOD, (AGAIN,)),
    Fault("hang", "no answer", GOOD, (AGAIN,)),
    Fault("trickle", "answers that come slowly, piece by piece", GOOD, (GOOD,)),
    Fault("cut", "answers that break off", GOOD, (AGAIN, WRONG)),
    Fault("short", "half of an answer, with the length of the half", GOOD, (AGAIN, WRONG)),
    Fault("garble", "wrong bytes in an object that is read", GOOD, (AGAIN,), where="objects"),
    Fault("flip", "wrong bytes in what is written", GOOD, (AGAIN,)),
    Fault("vanish", "a part of an upload acknowledged and not kept", GOOD, (AGAIN,), where="parts"),
    Fault("expired", "400 ExpiredToken", GOOD, (AGAIN,)),
    Fault("denied", "403 AccessDenied", WRONG, (WRONG,)),
    Fault("stranger", "403 InvalidAccessKeyId", WRONG, (WRONG,)),
)


def rows() -> list[str]:
    """The table of docs/faults.md."""
    head = ["| what the store does | three times | from now on |", "| --- | --- | --- |"]
    return head + [f"| {one.what} | {one.burst} | {' or '.join(map(str, one.lasting))} |" for one in FAULTS]

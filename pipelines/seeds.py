"""Which seeds a run is asked for."""

import re

from tofner.errors import BadSettings, Problem

SEED = 2019  # the paper's, after AdaptaBERT
MOST = 1000  # of a list
HIGHEST = 2**32 - 1
EXPECTED = f"numbers and ranges of 0 to {HIGHEST}, such as 1-5 or 1,3,7"


def seeds_of(seed: int | None, seeds: str) -> list[int]:
    """The seeds of `--seed` or `--seeds`; the paper's where neither is given.

    >>> seeds_of(None, "1-3, 7"), seeds_of(5, ""), seeds_of(None, "")
    ([1, 2, 3, 7], [5], [2019])

    Raises:
        BadSettings: both are given, or the list is none; one problem.
    """
    if not seeds:
        return [SEED if seed is None else seed]
    if seed is not None:
        raise BadSettings(Problem("--seeds", f"--seed {seed} too", "one of them"))
    found: list[int] = []
    for part in seeds.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:\s*-\s*(\d{1,10}))?\s*", part, re.ASCII)
        if match is None:
            raise BadSettings(Problem("--seeds", repr(seeds), EXPECTED))
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise BadSettings(Problem("--seeds", f"{part.strip()}, which goes down", EXPECTED))
        if last > HIGHEST:
            raise BadSettings(Problem("--seeds", str(last), EXPECTED))
        if len(found) + last - first >= MOST:
            raise BadSettings(Problem("--seeds", f"more than {MOST} seeds in {seeds!r}", f"{MOST} at most"))
        found += range(first, last + 1)
    twice = sorted({one for one in found if found.count(one) > 1})
    if twice:
        raise BadSettings(Problem("--seeds", f"{', '.join(map(str, twice))} twice in {seeds!r}", "each seed once"))
    return found

"""Signals and kills at drawn moments of tagging, the service and a whole run: nothing is left, and the same bytes come.

TOFNER_SEED sets the moments (it is printed with a failure); `make signals` draws more of them.
"""

import os
import time
from pathlib import Path

import pytest

from benchmarks.kills import play

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("command", "each"), [("tag", 4), ("serve", 4), ("run", 1)])
def test_nothing_is_left_and_the_same_command_ends_well(
    command: str, each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_"))]:
        monkeypatch.delenv(name)
    seed = int(os.environ.get("TOFNER_SEED") or time.time())
    assert play(tmp_path, [command], ["TERM", "INT", "KILL"], each, seed) == [], f"TOFNER_SEED={seed}"

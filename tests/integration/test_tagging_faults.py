"""A tagging job through a proxy that spoils its requests: the same bytes in the end, nothing half visible.

The matrix: every fault of `tests.faults`, from every tenth request of a job on, for a while and for good; each fault
begins at another one, so that together they hit all.
"""

import json
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from tests.faults import BURST, FAULTS, Fault
from tests.loopback import FaultyProxy
from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.errors import TofnerError
from tofner.tagging import tag_job

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STEP = 10


class Bench:
    """A model and an input in a bucket, and the output that a job without faults makes of them."""

    def __init__(self, prefix: str, tmp_path: Path) -> None:
        self.prefix, self.count = prefix, 0
        publish_tiny(tmp_path / "m")
        storage.store_folder(tmp_path / "m", storage.join(prefix, "model"))
        rows = [json.dumps({"id": i, "text": f"Angela met Obama {i} in New York"}) for i in range(30)]
        storage.write_bytes(storage.join(prefix, "in.jsonl"), ("\n".join([*rows, "{"]) + "\n").encode())
        self.cache = tmp_path / "cache"
        self.expected = self.outputs(self.tag("whole"))

    def tag(self, name: str, cache: str = "") -> str:
        """The address of the output."""
        out = storage.join(self.prefix, name)
        model, source = storage.join(self.prefix, "model"), storage.join(self.prefix, "in.jsonl")
        more = {
            "threads": 1,
            "quiet": True,
            "shard_bytes": 900,
            "max_bad": "1",
            "cache": str(self.cache / (cache or name)),
        }
        assert tag_job(model, source, out, **more).complete
        return out

    def outputs(self, out: str) -> dict[str, bytes]:
        """Everything that is a result: outputs, dead letters, receipts."""
        names = [info.path for info in storage.list_files(out) if not info.path.startswith("_tofner/workers")]
        timed = ("_tofner/statistics.json", "_tofner/sample.html", "_tofner/plan.json")
        found = {name: storage.read_bytes(storage.join(out, name)) for name in names if name not in timed}
        assert found
        return found


@pytest.fixture
def bench(prefix: str, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("TOFNER_STORAGE_PATIENCE_S", "5")  # of the fake clock; a try that hangs takes 2 s of everybody's
    return Bench(prefix, tmp_path)


# `garble`: inputs come without a sha256 of ours, so changed bytes of one cannot be told from bad ones.
@pytest.mark.parametrize(
    "fault", [one for one in FAULTS if one.where != "parts" and one.name != "garble"], ids=lambda fault: fault.name
)
def test_a_fault_is_not_seen_or_ends_the_job_which_the_same_command_finishes(
    bench: Bench, proxy: FaultyProxy, fault: Fault
) -> None:
    before = len(proxy.seen)
    bench.tag("counted")
    count = len(proxy.seen) - before
    assert count > 20
    first, codes_seen = FAULTS.index(fault) % STEP, set()
    for times, codes in ((BURST, (fault.burst,)), (None, fault.lasting)):
        for at in (count // 2,) if fault.name == "hang" else range(first, count, STEP):
            name, where = f"{times}-{at}", (times, at)
            proxy.strike(fault.name, at, times, fault.matches)
            code, said = 0, "s3://"
            try:
                bench.tag(name)
            except TofnerError as error:
                code, said = error.exit_code, str(error)
            assert "s3://" in said, where
            hit = proxy.struck
            proxy.break_next()
            codes_seen |= {code} if hit else set()
            out = storage.join(bench.prefix, name)
            if code == 0:  # also where it hit the removal of scratch alone, which may fail
                assert bench.outputs(out).items() >= bench.expected.items(), where
            else:
                assert hit, where
                assert code in codes, where
            there = {info.path for info in storage.list_files(out)}
            for path in there & bench.expected.keys():
                if not path.startswith("_tofner/"):
                    assert storage.read_bytes(storage.join(out, path)) == bench.expected[path], "whole or not there"
            assert bench.outputs(bench.tag(name)) == bench.expected, where
    assert codes_seen & set(fault.lasting)

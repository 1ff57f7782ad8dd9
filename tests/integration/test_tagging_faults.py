"""A tagging job through a proxy that spoils one request after another: the same bytes in the end, nothing half visible.

The matrix: what goes wrong, at every third request of a job in turn.
"""

import json
from pathlib import Path

import pytest

from tests.fake_clock import FakeClock
from tests.loopback import FaultyProxy
from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.errors import BadInput, PassingFault
from tofner.tagging import tag_job

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STEP = 3


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
def bench(prefix: str, tmp_path: Path, clock: FakeClock) -> Bench:
    return Bench(prefix, tmp_path)


def nth(number: int) -> "tuple[list[int], object]":
    """What is true of one request: the one of this number, from 0."""
    seen = [0]

    def matches(method: str, path: str) -> bool:
        seen[0] += 1
        return seen[0] == number + 1

    return seen, matches


def requests_of(bench: Bench, proxy: FaultyProxy, name: str) -> int:
    before = len(proxy.seen)
    bench.tag(name)
    return len(proxy.seen) - before


@pytest.mark.parametrize("fault", ["slow_down", "reset", "lost", "cut", "flip"])
def test_a_fault_that_passes_is_not_seen(bench: Bench, proxy: FaultyProxy, fault: str) -> None:
    count = requests_of(bench, proxy, "counted")
    assert count > 20
    for number in range(0, count, STEP):
        _, matches = nth(number)
        proxy.break_next(fault, matches=matches)  # type: ignore[arg-type]
        assert bench.outputs(bench.tag(f"{fault}-{number}")) == bench.expected, number


@pytest.mark.parametrize(("fault", "kind"), [("denied", BadInput), ("slow_down", PassingFault)])
def test_a_fault_that_lasts_ends_the_job_and_the_same_command_finishes_it(
    bench: Bench, proxy: FaultyProxy, fault: str, kind: type[Exception]
) -> None:
    count = requests_of(bench, proxy, "counted")
    ended = 0
    for number in range(0, count, STEP):
        seen = [0]

        def later(method: str, path: str, seen: list[int] = seen, number: int = number) -> bool:
            seen[0] += 1
            return seen[0] > number

        proxy.break_next(*[fault] * 500, matches=later)
        name = f"{fault}-{number}"
        out = storage.join(bench.prefix, name)
        try:
            bench.tag(name)
        except kind as error:
            ended += "s3://" in str(error)
        proxy.break_next()
        there = {info.path for info in storage.list_files(out)}
        for path in there & bench.expected.keys():
            if not path.startswith("_tofner/"):
                assert storage.read_bytes(storage.join(out, path)) == bench.expected[path], "whole or not there"
        assert bench.outputs(bench.tag(name)) == bench.expected, number
    assert ended == len(range(0, count, STEP))

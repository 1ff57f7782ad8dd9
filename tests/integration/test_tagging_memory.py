"""The greatest record that is taken, and many of them, fit into the memory of a tagging pod."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.tiny_tagger import publish_tiny
from tofner.tagging.formats.streams import MAX_RECORD_BYTES

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
CODE = """
import resource, sys
from tofner.tagging import tag_job
assert tag_job(*sys.argv[1:4], threads=2, quiet=True).complete
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def limit_kib() -> int:
    """What k8s/tagging gives a pod, less a quarter for a network of a real size."""
    job = next(yaml.safe_load_all((ROOT / "k8s/tagging/base/job.yaml").read_text(encoding="utf-8")))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    text = container["resources"]["limits"]["memory"]
    assert text.endswith("Gi")
    return int(text[:-2]) * 2**20 * 3 // 4


def record(unit: str) -> str:
    """A record of just the greatest size."""
    empty = len(json.dumps({"text": ""}))
    room = MAX_RECORD_BYTES - empty
    text = (unit * (room // len(unit) + 1))[:room]
    line = json.dumps({"text": text})
    assert len(line) == MAX_RECORD_BYTES
    return line


@pytest.mark.parametrize(("unit", "count"), [("a ", 1), ("Obama met Merkel . ", 1), ("Obama met Merkel . ", 3)])
def test_the_greatest_records_fit_into_a_pod(tmp_path: Path, unit: str, count: int) -> None:
    """`a ` is the most words that a record can have: a million."""
    model = publish_tiny(tmp_path / "model", max_pieces=128, overlap_pieces=32)
    (tmp_path / "in.jsonl").write_text("\n".join([record(unit)] * count) + "\n")
    command = [sys.executable, "-c", CODE, str(model), str(tmp_path / "in.jsonl"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ.copy())
    out = (tmp_path / "out" / "in.jsonl").read_bytes()
    assert out.count(b"\n") == count, "no record was taken for bad"
    peak = int(done.stdout.split()[-1])
    print(f"{unit!r} x {count}: {peak >> 10} MiB of {limit_kib() >> 10}")
    assert peak < limit_kib()

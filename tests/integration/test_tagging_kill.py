"""kill -9 in the middle of a job, with and without the store: the same bytes in the end."""

from pathlib import Path

import pytest

from benchmarks.tag_kills import torture
from tests.tiny_tagger import publish_tiny
from tofner.storage import BUCKET, LocalStore

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_killed_jobs_end_with_the_same_bytes(own_s3: LocalStore, tmp_path: Path) -> None:
    model = str(publish_tiny(tmp_path / "model"))
    problems = torture(model, own_s3, f"s3://{BUCKET}/kill", kills=4, records=12_000, shards=24, seed=1)
    assert problems == []

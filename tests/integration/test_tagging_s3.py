"""Tagging over a real S3 server: models, inputs and outputs in the bucket."""

import json
from pathlib import Path

import pytest

import tofner
from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.errors import BadInput
from tofner.tagging import Tagger, tag_job
from tofner.tagging.job.status import job_status

pytestmark = pytest.mark.integration


@pytest.fixture
def model(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TOFNER_CACHE", str(tmp_path / "cache"))
    storage.store_folder(publish_tiny(tmp_path / "m"), storage.join(prefix, "models/es/v1"))
    storage.move_pointer(storage.join(prefix, "models/es/latest.json"), {"version": "v1"}, None)
    return storage.join(prefix, "models/es")


def listing(uri: str) -> dict[str, bytes]:
    names = [info.path for info in storage.list_files(uri) if not info.path.startswith("_tofner/")]
    return {name: storage.read_bytes(storage.join(uri, name)) for name in names}


def test_model_is_fetched_once_and_only_what_is_needed(model: str, tmp_path: Path) -> None:
    first = Tagger.load(model)
    cached = sorted(path.name for path in first.model.folder.iterdir())
    assert cached == ["labels.json", "model.onnx", "tagger.json", "tokenizer.json"]
    assert Tagger.load(model).model.folder == first.model.folder
    assert first.tag(["New York"]) == Tagger.load(tmp_path / "m").tag(["New York"])
    assert tofner.load(model)("New York").entities == first.tag(["New York"])[0]


def test_job_from_bucket_to_bucket(model: str, prefix: str, tmp_path: Path) -> None:
    rows = [json.dumps({"id": i, "text": f"Angela met Obama {i} in New York"}) for i in range(300)]
    data = "\n".join(rows).encode()
    for name in ("a.jsonl", "deep/b.jsonl"):
        storage.write_bytes(storage.join(prefix, "in", name), data)
    local = tmp_path / "in"
    (local / "deep").mkdir(parents=True)
    (local / "a.jsonl").write_bytes(data)
    (local / "deep/b.jsonl").write_bytes(data)
    out = storage.join(prefix, "out")
    for i in (1, 0):
        report = tag_job(model, storage.join(prefix, "in"), out, worker=f"{i}/2", shard_bytes=4000, quiet=True)
        told = job_status(out)
        assert (told.finished, told.shards_done, told.shards) == (not i, report.shards_done, report.shards)
    assert (told.records, told.entities) == (600, report.counts.entities)
    tag_job(str(tmp_path / "m"), str(local), str(tmp_path / "out"), shard_bytes=4000, quiet=True)
    found = listing(out)
    assert report.complete
    assert found == {name: (tmp_path / "out" / name).read_bytes() for name in found}
    assert len(found) == report.shards
    assert json.loads(storage.read_bytes(report.statistics))["records"] == 600
    one = storage.join(prefix, "one.jsonl")
    tag_job(model, storage.join(prefix, "in/**/b.jsonl"), one, shard_bytes=4000, quiet=True)
    assert storage.read_bytes(one) == b"".join(v for k, v in sorted(found.items()) if k.startswith("deep/"))
    assert not [info for info in storage.list_files(f"{one}.tofner") if info.path.startswith("parts/")]


def test_single_object_and_large_output(model: str, prefix: str) -> None:
    # Over 16 MiB, so that the output travels in parts.
    padding = "x" * 20_000
    data = b"".join(json.dumps({"text": "Ajax", "p": padding}).encode() + b"\n" for _ in range(900))
    source = storage.join(prefix, "big.jsonl")
    storage.write_bytes(source, data)
    report = tag_job(model, source, storage.join(prefix, "out"), quiet=True)
    written = storage.read_bytes(storage.join(prefix, "out/big.jsonl"))
    assert report.counts.bytes == len(written) > 17 * 2**20
    assert written.count(b'"entities": [') == 900


def test_outputs_and_inputs_that_change_are_seen(model: str, prefix: str) -> None:
    source, out = storage.join(prefix, "in.txt"), storage.join(prefix, "out")
    storage.write_bytes(source, b"Ajax\n" * 40)
    tag_job(model, source, out, shard_bytes=50, worker="1/2", quiet=True)
    part = storage.join(out, "in.part-00001-of-00004.jsonl")
    whole = storage.read_bytes(part)
    storage.write_bytes(part, whole[:-1])
    assert tag_job(model, source, out, shard_bytes=50, worker="0/2", quiet=True).complete
    assert storage.read_bytes(part) == whole
    storage.write_bytes(part, whole[:-1])
    assert tag_job(model, source, out, shard_bytes=50, quiet=True).complete
    assert storage.read_bytes(part) == whole
    storage.write_bytes(source, b"Ajax\n" * 39 + b"Oslo\n")
    with pytest.raises(BadInput, match=r"1 inputs are others: in.txt is changed"):
        tag_job(model, source, out, shard_bytes=50, quiet=True)


def test_nothing_there(model: str, prefix: str) -> None:
    with pytest.raises(BadInput, match="no files"):
        tag_job(model, storage.join(prefix, "nowhere"), storage.join(prefix, "out"), quiet=True)
    with pytest.raises(BadInput, match="nowhere"):
        Tagger.load(storage.join(prefix, "nowhere"))

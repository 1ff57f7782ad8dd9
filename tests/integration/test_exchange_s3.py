"""`tofner convert` and `tofner choose` from and to a bucket, as from and to a folder."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.tiny_tagger import publish_tiny
from tofner import storage
from tofner.cli import app
from tofner.exchange.convert import Format, convert

pytestmark = pytest.mark.integration
TAGGED = '{"id": 1, "text": "Ajax 🙂 won in New York.", "entities": [{"start": 14, "end": 22, "label": "LOC"}]}\n'


def test_every_way_leads_into_a_bucket_and_back(prefix: str, tmp_path: Path) -> None:
    storage.write_bytes(storage.join(prefix, "in.jsonl"), TAGGED.encode())
    (tmp_path / "in.jsonl").write_text(TAGGED, encoding="utf-8")
    for name, to in (("a.json", None), ("b.conll.gz", None), ("c.jsonl", Format.doccano), ("d", Format.brat)):
        there, here = storage.join(prefix, name), str(tmp_path / name)
        convert(storage.join(prefix, "in.jsonl"), there, to=to)
        convert(str(tmp_path / "in.jsonl"), here, to=to)
        for file in ("in.txt", "in.ann") if to is Format.brat else ("",):
            pair = (storage.read_bytes(storage.join(one, file) if file else one) for one in (there, here))
            assert next(pair) == next(pair), name
        back = convert(there, storage.join(prefix, f"{name}.back.jsonl"))
        assert (back.records, back.entities) == (1, 1)


def test_choose_in_a_bucket(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOFNER_CACHE", str(tmp_path / "cache"))
    storage.store_folder(publish_tiny(tmp_path / "m"), storage.join(prefix, "m"))
    storage.write_bytes(storage.join(prefix, "posts.txt"), b"Ajax won\nNew York of Obama\n")
    out = storage.join(prefix, "tasks.json")
    command = ["choose", storage.join(prefix, "m"), storage.join(prefix, "posts.txt"), out, "-n", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert storage.read_bytes(out).count(b'"reason"') == 1

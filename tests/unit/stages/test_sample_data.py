"""A run that is started with nothing but defaults: the first task makes the corpora and puts them in the store."""

from pathlib import Path

import pytest

from tests.tiny_encoder import make_shell
from tofner import storage
from tofner.errors import BadSettings
from tofner.sample.generate import write_sample
from tofner.sample.place import data_or_sample
from tofner.stages import execute, plan


def test_the_sample_is_in_the_store_once_and_whole(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    places = {data_or_sample("sample", "", store) for _ in range(2)}
    (place,) = places
    assert place.startswith(f"{store}/data/sample-")
    write_sample(tmp_path / "expected")
    assert storage.digest(place) == storage.digest(str(tmp_path / "expected"))
    index = storage.folder_index(place)
    assert index is not None
    assert "ner/sample-news/train.conll" in index.files


def test_a_plan_without_data_reads_the_sample(tmp_path: Path) -> None:
    encoder, store = str(make_shell(tmp_path / "encoder")), str(tmp_path / "store")
    planned = plan("sample", "", store, encoder)
    assert planned == plan("sample", data_or_sample("sample", "", store), store, encoder)
    corpora = execute("prepare", store, planned.settings["prepare"], {"data": planned.data}).uri
    index = storage.folder_index(corpora)
    assert index is not None
    assert {"source_ner.parquet", "target_text.parquet", "target_mrc.parquet"} <= set(index.files)


def test_other_presets_say_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"data: found nothing; .*only preset sample brings its own"):
        plan("es", "", str(tmp_path / "store"), str(make_shell(tmp_path / "encoder")))
    assert data_or_sample("es", "s3://b/root", "s3://b/store") == "s3://b/root"

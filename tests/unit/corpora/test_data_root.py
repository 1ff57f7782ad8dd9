"""Finding files in a data root."""

from pathlib import Path

import pytest

from tofner.corpora import data_root
from tofner.errors import BadData


@pytest.fixture
def root(tmp_path: Path) -> str:
    for name in ("ner/news/train.conll", "ner/news/dev.conll.gz", "ner/tweets/train.conll", "mrc/qa/train.json.gz",
                 "text/tweets/train.txt", "mrc/qa/raw/dev.json", "ner/hub/train.parquet", "mrc/hub-qa/train.parquet",
                 "text/hub/dev.parquet", "ner/tweets/train.parquet", "text/tweets/train.parquet"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return str(tmp_path)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("ner", "news/train", "ner/news/train.conll"),
        ("ner", "news/dev", "ner/news/dev.conll.gz"),
        ("mrc", "qa/train", "mrc/qa/train.json.gz"),
        ("text", "tweets/train", "text/tweets/train.txt"),  # text goes before the words of a labelled file
        ("text", "news/dev", "ner/news/dev.conll.gz"),
        ("ner", "hub/train", "ner/hub/train.parquet"),
        ("mrc", "hub-qa/train", "mrc/hub-qa/train.parquet"),
        ("text", "hub/dev", "text/hub/dev.parquet"),
        ("text", "hub/train", "ner/hub/train.parquet"),
        ("ner", "tweets/train", "ner/tweets/train.conll"),  # of two files of a split, the one that people edit
    ],
)
def test_locate(root: str, kind: data_root.Content, name: str, expected: str) -> None:
    assert data_root.locate(root, kind, *name.split("/")) == str(Path(root, expected))


def test_existing(root: str) -> None:
    assert data_root.existing(root, "ner") == ["hub/train", "news/dev", "news/train", "tweets/train"]
    assert data_root.existing(root, "mrc") == ["hub-qa/train", "qa/train"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("ner", "new/train", r"no ner file of new/train; expected ner/new/train\.conll or ner/new/train\.conll\.gz or "
                             r"ner/new/train\.jsonl or ner/new/train\.jsonl\.gz or ner/new/train\.parquet; "
                             "did you mean news[?] the sets here are hub, news, tweets"),
        ("ner", "news/test", "news has the splits dev, train"),
        ("mrc", "zz/train", "the sets here are hub-qa, qa"),
    ],
)  # fmt: skip
def test_missing(root: str, kind: data_root.Content, name: str, message: str) -> None:
    assert data_root.find(root, kind, *name.split("/")) is None
    with pytest.raises(BadData, match=message):
        data_root.locate(root, kind, *name.split("/"))


def test_no_data_root(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="there are no ner sets here; check the data URI"):
        data_root.locate(str(tmp_path / "nowhere"), "ner", "news", "train")

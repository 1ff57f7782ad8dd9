"""The same corpora as column files and as Parquet are the same corpora to every stage."""

import json
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from tests.tiny_stages import Chain
from tofner.stages import execute, plan
from tofner.stages.runtime import read_json


def column_rows(path: Path) -> tuple[list[str], list[list[str]], list[list[str]]]:
    """Line of the first word, words and tags of each sentence; read without any reader of tofner."""
    lines, tokens, tags = [], [], []
    number = 1
    for block in path.read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n"):
        rows = [line.split(" ") for line in block.split("\n")]
        lines.append(str(number))
        tokens.append([row[0] for row in rows])
        tags.append([row[1] for row in rows])
        number += len(rows) + 1
    return lines, tokens, tags


def to_parquet(source: Path, target: Path) -> None:
    """Every file of a data root as Parquet; tags are ids with names, and strings in the set `src`."""
    for path in source.rglob("*.conll"):
        ids, tokens, tags = column_rows(path)
        strings = "src" in path.parts
        names = sorted({tag for row in tags for tag in row})
        column = "tags" if strings else "ner_tags"
        feature = Value("string") if strings else ClassLabel(names=names)
        values = tags if strings else [[names.index(tag) for tag in row] for row in tags]
        features = Features({"id": Value("string"), "tokens": List(Value("string")), column: List(feature)})
        _save(target, path.relative_to(source), {"id": ids, "tokens": tokens, column: values}, features)
    for path in source.rglob("*.json"):
        rows = [
            (qa["id"], paragraph["context"], qa["question"], qa["answers"])
            for paragraph in json.loads(path.read_text(encoding="utf-8"))["data"][0]["paragraphs"]
            for qa in paragraph["qas"]
        ]
        answers = [{name: [a[name] for a in row[3]] for name in ("text", "answer_start")} for row in rows]
        columns = {name: [row[i] for row in rows] for i, name in enumerate(("id", "context", "question"))}
        _save(target, path.relative_to(source), columns | {"answers": answers})


def _save(root: Path, name: Path, columns: dict[str, list[object]], features: Features | None = None) -> None:
    path = (root / name).with_suffix(".parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=features).to_parquet(str(path))


@pytest.mark.parametrize("stage", ["prepare", "gold"])
def test_a_parquet_root_prepares_the_same_bytes(chain: Chain, tmp_path: Path, stage: str) -> None:
    to_parquet(chain.data, tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*.conll"))
    planned = plan(str(chain.root / "preset.yaml"), str(tmp_path / "data"), str(tmp_path / "store"))
    done = execute(stage, str(tmp_path / "store"), planned.settings[stage], {"data": str(tmp_path / "data")})
    made = read_json(f"{done.uri}/manifest.json")
    expected = getattr(chain, stage)
    assert made["files"] == expected.manifest["files"]
    assert made["digest"] == expected.digest
    assert read_json(f"{done.uri}/report.json")["counts"] == expected.counts

"""Sentences and MRC examples as Parquet files.

A corpus is a folder with one Parquet file a split. The columns are those of the `datasets.Features` below, so that
`datasets.load_dataset("parquet", ...)` reads the files too. The same content gives the same bytes: rows go in as they
come, and nothing of the machine or the day is written.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tofner.corpora.examples import MrcExample, Sentence
from tofner.errors import BadData, Problem

if TYPE_CHECKING:
    from datasets import Dataset, Features


NER_COLUMNS = ("id", "tokens", "tags")
SCORED_COLUMNS = (*NER_COLUMNS, "scores")
TEXT_COLUMNS = ("id", "tokens")
MRC_COLUMNS = ("id", "query", "tokens", "starts", "ends", "ner_id", "type")


def features(columns: Sequence[str]) -> "Features":
    """The `datasets.Features` of a file with these columns."""
    from datasets import Features, List, Value

    types: dict[str, Any] = dict.fromkeys(("id", "query", "ner_id", "type"), Value("string"))
    types |= dict.fromkeys(("tokens", "tags"), List(Value("string")))
    types |= dict.fromkeys(("starts", "ends"), List(Value("int32")))
    types["scores"] = List(Value("float32"))
    return Features({name: types[name] for name in columns})


def write_ner(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Labelled sentences; the `scores` column is there when every sentence has scores.

    Raises:
        ValueError: a sentence has no tags, lists of unequal length, or only some sentences have scores.
    """
    rows = list(sentences)
    scored = [row for row in rows if row.scores is not None]
    if scored and len(scored) != len(rows):
        raise ValueError(f"{len(scored)} of {len(rows)} sentences have scores")
    for row in rows:
        lengths = {len(row.tokens), len(row.tags or ()), len(row.tokens if row.scores is None else row.scores)}
        if row.tags is None or len(lengths) > 1:
            raise ValueError(f"sentence {row.id}: tokens, tags and scores must be equally long")
    _write(path, rows, SCORED_COLUMNS if scored else NER_COLUMNS)


def read_ner(path: str | Path) -> list[Sentence]:
    """What `write_ner` wrote.

    Raises:
        BadData: the file is missing, no Parquet, or has other columns.
    """
    return [Sentence(**row) for row in _rows(path, NER_COLUMNS, SCORED_COLUMNS)]


def write_text(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Unlabelled sentences: no tag column exists in the file, whatever the sentences carry."""
    _write(path, list(sentences), TEXT_COLUMNS)


def read_text(path: str | Path) -> list[Sentence]:
    """What `write_text` wrote; errors as `read_ner`."""
    return [Sentence(**row) for row in _rows(path, TEXT_COLUMNS)]


def write_mrc(path: str | Path, examples: Iterable[MrcExample]) -> None:
    """MRC examples.

    Raises:
        ValueError: an answer is empty or leaves its context.
    """
    rows = list(examples)
    for row in rows:
        if not all(0 <= a < b <= len(row.tokens) for a, b in zip(row.starts, row.ends, strict=True)):
            raise ValueError(f"MRC example {row.id}: an answer is empty or leaves its context")
    _write(path, rows, MRC_COLUMNS)


def read_mrc(path: str | Path) -> list[MrcExample]:
    """What `write_mrc` wrote; errors as `read_ner`."""
    return [MrcExample(**row) for row in _rows(path, MRC_COLUMNS)]


def load(path: str | Path, *allowed: Sequence[str]) -> "Dataset":
    """A file as a `datasets.Dataset`, its columns checked against the `allowed` sets. No cache folder is written.

    Raises:
        BadData: the file is missing, no Parquet, or has none of the allowed sets of columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    expected = " or ".join("(" + ", ".join(columns) + ")" for columns in allowed)
    try:
        table = pq.read_table(path, memory_map=False)
    except FileNotFoundError as error:
        raise BadData(Problem(str(path), "no such file", "a Parquet file", "run the prepare stage first")) from error
    except pa.ArrowInvalid as error:
        raise BadData(Problem(str(path), f"no readable Parquet ({error})", f"columns {expected}")) from error
    for columns in allowed:
        if tuple(table.column_names) == tuple(columns):
            return Dataset(table.cast(features(columns).arrow_schema))
    found = "columns (" + ", ".join(table.column_names) + ")"
    raise BadData(Problem(str(path), found, f"columns {expected}"))


def _rows(path: str | Path, *allowed: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = load(path, *allowed).data.to_pylist()
    return rows


def _write(path: str | Path, rows: Sequence[Sentence | MrcExample], columns: Sequence[str]) -> None:
    """One Parquet file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: [getattr(row, name) for row in rows] for name in columns}
    table = pa.table(content, schema=features(columns).arrow_schema)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Sentences and MRC examples as Parquet files.

A corpus is a folder with one Parquet file a split. The columns are those of the `datasets.Features` below. The same
content gives the same bytes: rows go in as they come, and nothing of the machine or the day is written. `datasets`
reads the files, memory-mapped: a corpus of any size takes the memory of the rows that are being looked at.
"""

import atexit
import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tofner import storage
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.lazy import Lazy, in_chunks
from tofner.errors import BadData, Problem

if TYPE_CHECKING:
    from datasets import Dataset, Features

T = TypeVar("T")

NER_COLUMNS = ("id", "tokens", "tags")
SCORED_COLUMNS = (*NER_COLUMNS, "scores")
TEXT_COLUMNS = ("id", "tokens")
MRC_COLUMNS = ("id", "query", "tokens", "starts", "ends", "ner_id", "type")
READ_ROWS = 1000  # turned into Python at a time
WRITTEN_ROWS = 65_536  # of a row group


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
    rows = iter(sentences)
    first = next(rows, None)
    scored = first is not None and first.scores is not None

    def checked() -> Iterator[Sentence]:
        for row in chain([first] if first is not None else [], rows):
            if (row.scores is not None) != scored:
                raise ValueError(f"sentence {row.id}: only some sentences have scores")
            lengths = {len(row.tokens), len(row.tags or ()), len(row.tokens if row.scores is None else row.scores)}
            if row.tags is None or len(lengths) > 1:
                raise ValueError(f"sentence {row.id}: tokens, tags and scores must be equally long")
            yield row

    _write(path, checked(), SCORED_COLUMNS if scored else NER_COLUMNS)


def read_ner(path: str | Path) -> Lazy[Sentence]:
    """What `write_ner` wrote.

    Raises:
        BadData: the file is missing, no Parquet, or has other columns.
    """
    return _rows(load(path, NER_COLUMNS, SCORED_COLUMNS), Sentence)


def write_text(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Unlabelled sentences: no tag column exists in the file, whatever the sentences carry."""
    _write(path, sentences, TEXT_COLUMNS)


def read_text(path: str | Path) -> Lazy[Sentence]:
    """What `write_text` wrote; errors as `read_ner`."""
    return _rows(load(path, TEXT_COLUMNS), Sentence)


def write_mrc(path: str | Path, examples: Iterable[MrcExample]) -> None:
    """MRC examples.

    Raises:
        ValueError: an answer is empty or leaves its context.
    """

    def checked() -> Iterator[MrcExample]:
        for row in examples:
            if not all(0 <= a < b <= len(row.tokens) for a, b in zip(row.starts, row.ends, strict=True)):
                raise ValueError(f"MRC example {row.id}: an answer is empty or leaves its context")
            yield row

    _write(path, checked(), MRC_COLUMNS)


def read_mrc(path: str | Path) -> Lazy[MrcExample]:
    """What `write_mrc` wrote; errors as `read_ner`."""
    return _rows(load(path, MRC_COLUMNS), MrcExample)


def load(path: str | Path, *allowed: Sequence[str]) -> "Dataset":
    """A file as a memory-mapped `datasets.Dataset`, its columns checked against the `allowed` sets.

    Raises:
        BadData: the file is missing, no Parquet, or has none of the allowed sets of columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset
    from datasets.exceptions import DatasetGenerationError

    expected = " or ".join("(" + ", ".join(columns) + ")" for columns in allowed)

    def broken(error: BaseException) -> BadData:
        return BadData(Problem(str(path), f"no readable Parquet ({error})", f"columns {expected}"))

    try:
        found = tuple(pq.read_schema(path).names)
    except FileNotFoundError as error:
        raise BadData(Problem(str(path), "no such file", "a Parquet file", "run the prepare stage first")) from error
    except pa.ArrowInvalid as error:
        raise broken(error) from error
    columns = next((columns for columns in allowed if found == tuple(columns)), None)
    if columns is None:
        raise BadData(Problem(str(path), "columns (" + ", ".join(found) + ")", f"columns {expected}"))
    try:
        if not pq.read_metadata(path).num_rows:  # `datasets` refuses a file without rows
            return Dataset(pq.read_table(path).cast(features(columns).arrow_schema))
        return Dataset.from_parquet(str(path), features=features(columns), cache_dir=cache_file("corpus"))
    except DatasetGenerationError as error:  # a damaged page, say
        raise broken(error.__cause__ or error) from error


def cache_file(name: str) -> str:
    """A new path for a file that is mapped into memory; gone when this process ends."""
    return str(_cache() / f"{next(_number)}-{name}")


_number = count()


@functools.cache
def _cache() -> Path:
    from datasets import disable_progress_bars

    disable_progress_bars()
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(storage.scratch_folder("tofner-work-", "corpora-"))


def _rows(dataset: "Dataset", kind: Callable[..., T]) -> Lazy[T]:
    def every() -> Iterator[T]:
        for batch in dataset.data.to_batches(READ_ROWS):
            yield from (kind(**row) for row in batch.to_pylist())

    return Lazy(len(dataset), lambda i: kind(**dataset.data.slice(i, 1).to_pylist()[0]), every)


def _write(path: str | Path, rows: Iterable[Sentence | MrcExample], columns: Sequence[str]) -> None:
    """One Parquet file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = features(columns).arrow_schema
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for group in in_chunks(rows, WRITTEN_ROWS):
                writer.write_table(pa.table({name: [getattr(row, name) for row in group] for name in columns}, schema))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Parquet in and out: a column `text` (strings) or `tokens` (lists of strings); all other columns are kept.

The output has the input's columns and `entities`, a list of structs. Row groups are read a few thousand rows at a time.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tofner import storage
from tofner.errors import BadData, Problem
from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats.files import InputFile, Shard
from tofner.tagging.formats.record import GROUP_BYTES, Bad, Group, Record, Unusable, check_source

_ROWS = 1024
_WRITE_ROWS = 16_384  # rows of a row group in the output


def entity_type(of_tokens: bool) -> pa.DataType:
    """The type of `entities`."""
    first, last = ("start_token", "end_token") if of_tokens else ("start", "end")
    fields = [(first, pa.int32()), (last, pa.int32()), ("label", pa.string())]
    return pa.list_(pa.struct([*fields, ("score", pa.float64()), ("text", pa.string())]))


def open_parquet(file: InputFile) -> pq.ParquetFile:
    """Raises BadData: not Parquet, or neither of the two columns (or both)."""
    try:
        parquet = pq.ParquetFile(storage.open_read(file.uri, etag=file.etag))
    except pa.ArrowException as error:
        raise BadData(Problem(file.uri, str(error).splitlines()[0], "a Parquet file")) from error
    schema = parquet.schema_arrow
    has = [name for name in ("text", "tokens") if name in schema.names]
    if len(has) != 1:
        raise BadData(Problem(file.uri, f"columns {schema.names}", "a column `text` or a column `tokens`, not both"))
    kind = schema.field(has[0]).type
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else None
    good = _is_string(kind) if has[0] == "text" else inner is not None and _is_string(inner)
    if not good:
        expected = "strings" if has[0] == "text" else "lists of strings"
        raise BadData(Problem(file.uri, f"column `{has[0]}` of {kind}", expected))
    return parquet


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def row_group_sizes(file: InputFile) -> list[int]:
    """Compressed bytes of each row group."""
    with open_parquet(file) as parquet:
        groups = [parquet.metadata.row_group(i) for i in range(parquet.metadata.num_row_groups)]
        return [sum(group.column(i).total_compressed_size for i in range(group.num_columns)) for group in groups]


def read_parquet_groups(shard: Shard) -> Iterator[Group]:
    """The rows of the shard's row groups. `place` is the row in the file, from 0; the payload is the record batch."""
    with open_parquet(shard.file) as parquet:
        schema = parquet.schema_arrow
        name = "text" if "text" in schema.names else "tokens"
        row = sum(parquet.metadata.row_group(i).num_rows for i in range(shard.start))
        last = shard.end - shard.start
        for done, group in enumerate(range(shard.start, shard.end)):
            position = shard.file.size * (done + 1) // max(1, last)
            for batch in parquet.iter_batches(batch_size=_ROWS, row_groups=[group]):
                yield from _groups(batch, name, row, position)
                row += batch.num_rows


def _groups(batch: pa.RecordBatch, name: str, first: int, position: int) -> Iterator[Group]:
    at, size = 0, 0
    rows: list[Record | Bad] = []
    replaced = "entities" in batch.schema.names
    for i, value in enumerate(batch.column(name).to_pylist()):
        try:
            text, tokens = (value, None) if name == "text" else (None, value)
            source = check_source(text, tokens, name == "text", name == "tokens")
            rows.append(Record(first + i, source, None, replaced))
        except Unusable as error:
            rows.append(Bad(first + i, str(error), "", 0))
        size += len(value or "") if name == "text" else sum(len(token or "") for token in value or [])
        if size >= GROUP_BYTES:
            yield Group(rows, position, batch.slice(at, len(rows)))
            at, size, rows = at + len(rows), 0, []
    if rows:
        yield Group(rows, position, batch.slice(at, len(rows)))


class ParquetOutput:
    """Writes the good rows of groups, in order, with their entities."""

    def __init__(self, target: BinaryIO, file: InputFile) -> None:
        with open_parquet(file) as parquet:
            schema = parquet.schema_arrow
        if "entities" in schema.names:
            schema = schema.remove(schema.get_field_index("entities"))
        self.input_schema = schema
        self.of_tokens = "tokens" in schema.names
        self.type = entity_type(self.of_tokens)
        self.writer = pq.ParquetWriter(target, schema.append(pa.field("entities", self.type)), compression="zstd")
        self.held: list[pa.RecordBatch] = []
        self.rows = 0

    def write(self, group: Group, entities: list[list[Entity]]) -> None:
        """`entities`: of the good rows of the group, in order."""
        good = [i for i, row in enumerate(group.rows) if isinstance(row, Record)]
        batch = group.payload.select(self.input_schema.names).take(pa.array(good, pa.int64()))
        found: list[list[dict[str, Any]]] = [[e.as_record(self.of_tokens) for e in row] for row in entities]
        columns = [*batch.columns, pa.array(found, self.type)]
        self.held.append(pa.record_batch(columns, schema=self.writer.schema))
        self.rows += batch.num_rows
        if self.rows >= _WRITE_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self.held:
            self.writer.write_table(pa.Table.from_batches(self.held).combine_chunks())
        self.held, self.rows = [], 0

    def close(self) -> None:
        self._flush()
        self.writer.close()


def join_parquet(parts: Iterator[BinaryIO], target: BinaryIO) -> None:
    """One file out of many with the same columns, row group by row group."""
    writer: pq.ParquetWriter | None = None
    for part in parts:
        with pq.ParquetFile(part) as parquet:
            writer = writer or pq.ParquetWriter(target, parquet.schema_arrow, compression="zstd")
            for group in range(parquet.metadata.num_row_groups):
                writer.write_table(parquet.read_row_group(group))
    if writer is not None:
        writer.close()

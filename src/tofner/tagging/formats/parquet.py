"""Parquet in and out: a column `text` (strings) or `tokens` (lists of strings); all other columns are kept.

The output has the input's columns and `entities`, a list of structs. Row groups are read a few thousand rows at a time.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tofner import storage
from tofner.errors import BadData, Problem, TofnerError
from tofner.tagging.engine import texts
from tofner.tagging.engine.texts import Entity
from tofner.tagging.formats import streams
from tofner.tagging.formats.files import InputFile, Shard
from tofner.tagging.formats.record import GROUP_BYTES, Bad, Group, Record, Unusable, check_source

_ROWS = 1024
_BATCH_BYTES = 16 * 2**20  # of rows that are read at once, about
_WRITE_ROWS = 16_384  # rows of a row group in the output


def entity_type(of_tokens: bool) -> pa.DataType:
    """The type of `entities`."""
    first, last = ("start_token", "end_token") if of_tokens else ("start", "end")
    fields = [(first, pa.int32()), (last, pa.int32()), ("label", pa.string())]
    return pa.list_(pa.struct([*fields, ("score", pa.float64()), ("text", pa.string())]))


@contextlib.contextmanager
def damage_told(place: str) -> Iterator[None]:
    """Around calls of pyarrow alone: whatever it says about a file means that the file is damaged.

    Raises:
        BadData: that. Errors of ours, and of the disk, come through.
    """
    try:
        yield
    except TofnerError:
        raise
    except (
        Exception
    ) as error:  # pyarrow raises what it likes: ArrowException, OSError, UnicodeDecodeError, KeyError, ...
        if isinstance(error, OSError) and error.errno is not None:
            with storage.local_faults(place):
                raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        fix = "copy or write it again"
        raise BadData(Problem(place, f"no readable Parquet ({said[:300]})", "a whole Parquet file", fix)) from error


def open_parquet(file: InputFile) -> pq.ParquetFile:
    """Raises BadData: not Parquet, damaged, or neither of the two columns (or both)."""
    stream = storage.open_read(file.uri, etag=file.etag)
    with damage_told(file.uri):
        parquet = pq.ParquetFile(stream)
        schema = parquet.schema_arrow
        names = list(schema.names)
        _check_layout(parquet.metadata, file)
    has = [name for name in ("text", "tokens") if name in names]
    if len(has) != 1 or names.count(has[0]) != 1:
        raise BadData(Problem(file.uri, f"columns {names}", "a column `text` or a column `tokens`, not both"))
    kind = schema.field(has[0]).type
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else None
    good = _is_string(kind) if has[0] == "text" else inner is not None and _is_string(inner)
    if not good:
        expected = "strings" if has[0] == "text" else "lists of strings"
        raise BadData(Problem(file.uri, f"column `{has[0]}` of {kind}", expected))
    return parquet


def _check_layout(metadata: pq.FileMetaData, file: InputFile) -> None:
    """Raises BadData: rows that do not add up. (Columns are not looked at: pyarrow's metadata of a damaged one end the
    process.)"""
    rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if sum(rows) != metadata.num_rows or min(rows, default=0) < 0:
        found = f"{metadata.num_rows} rows in all and {sum(rows)} in its row groups"
        raise BadData(Problem(file.uri, found, "a whole Parquet file", "copy or write it again"))


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def row_group_sizes(file: InputFile) -> list[int]:
    """Bytes of each row group, uncompressed."""
    with open_parquet(file) as parquet, damage_told(file.uri):
        about = parquet.metadata
        return [max(0, about.row_group(number).total_byte_size) for number in range(about.num_row_groups)]


def read_parquet_groups(shard: Shard) -> Iterator[Group]:
    """The rows of the shard's row groups. `place` is the row in the file, from 0; the payload is the record batch.

    Raises:
        BadData: the file is damaged.
    """
    with open_parquet(shard.file) as parquet:
        name = "text" if "text" in parquet.schema_arrow.names else "tokens"
        row = sum(parquet.metadata.row_group(i).num_rows for i in range(shard.start))
        last = shard.end - shard.start
        for done, group in enumerate(range(shard.start, shard.end)):
            position = shard.file.size * (done + 1) // max(1, last)
            end = row + parquet.metadata.row_group(group).num_rows
            place = f"{shard.file.uri}: row group {group}"
            for batch in _batches(parquet, group, place):
                yield from _groups(batch, name, row, position, place)
                row += batch.num_rows
            if row != end:
                found = f"{row - end:+d} rows beside those that its metadata say"
                raise BadData(Problem(place, found, "a whole Parquet file", "copy or write it again"))


def _batches(parquet: pq.ParquetFile, group: int, place: str) -> Iterator[pa.RecordBatch]:
    """Rows of a row group, so many at a time that they fit in memory."""
    about = parquet.metadata.row_group(group)
    rows = max(1, min(_ROWS, _BATCH_BYTES * about.num_rows // max(1, about.total_byte_size)))
    with damage_told(place):
        batches = iter(parquet.iter_batches(batch_size=rows, row_groups=[group]))
    while True:
        with damage_told(place):
            batch = next(batches, None)
            if batch is not None:
                batch.validate()
        if batch is None:
            return
        yield batch


def _groups(batch: pa.RecordBatch, name: str, first: int, position: int, place: str) -> Iterator[Group]:
    at, size = 0, 0
    rows: list[Record | Bad] = []
    replaced = "entities" in batch.schema.names
    for i, value in enumerate(_values(batch.column(name), place)):
        length = 0
        try:
            if isinstance(value, Unusable):
                raise value
            text, tokens = (value, None) if name == "text" else (None, value)
            source = check_source(text, tokens, name == "text", name == "tokens")
            length = _length(source)
            rows.append(Record(first + i, source, None, replaced))
        except Unusable as error:
            rows.append(Bad(first + i, str(error), "", 0))
        size += length
        if size >= GROUP_BYTES:
            yield Group(rows, position, batch.slice(at, len(rows)))
            at, size, rows = at + len(rows), 0, []
    if rows:
        yield Group(rows, position, batch.slice(at, len(rows)))


def _length(source: "texts.Source") -> int:
    """Characters of a record; Unusable if they are too many."""
    length = len(source) if isinstance(source, str) else sum(map(len, source))
    if length > streams.MAX_RECORD_BYTES:
        raise Unusable(f"a record of more than {streams.MAX_RECORD_BYTES} characters")
    return length


def _values(column: pa.Array, place: str) -> Iterator[Any]:
    """The values of a column, an Unusable in place of those that are no text."""
    with damage_told(place):
        try:
            found: list[Any] | None = column.to_pylist()
        except UnicodeDecodeError:
            found = None
    if found is not None:
        yield from found
        return
    for value in column:
        with damage_told(place):
            try:
                one = value.as_py()
            except UnicodeDecodeError as error:
                one = Unusable(f"byte {error.start} (0x{error.object[error.start]:02x}) is not UTF-8")
        yield one


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
        if not good:
            return
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

    def drop(self) -> None:
        """End it without what is held."""
        with contextlib.suppress(OSError, ValueError, pa.ArrowException):
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

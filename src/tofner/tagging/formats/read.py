"""Records of a shard, read in groups: JSONL, plain text, CoNLL columns; Parquet is in `parquet.py`.

A group is a function of the shard's contents alone, since what is grouped together is batched together.
"""

from collections.abc import Callable, Iterator

from tofner.tagging.formats.conll import refuse_numbered, sentences
from tofner.tagging.formats.files import Shard
from tofner.tagging.formats.jsonl import parse_jsonl
from tofner.tagging.formats.record import GROUP_BYTES, GROUP_RECORDS, Bad, Group, Record, Unusable, bad
from tofner.tagging.formats.streams import MAX_RECORD_BYTES, FileBytes, owned_lines, seek_to
from tofner.tagging.formats.text import parse_text


def read_groups(shard: Shard) -> Iterator[Group]:
    """The records that begin in the shard's range, in groups.

    Raises:
        BadInput: the file is gone, changed its name, its compressed data is broken, or its columns begin with running
            numbers.
        PassingFault: storage failed.
    """
    if shard.file.format == "parquet":
        from tofner.tagging.formats.parquet import read_parquet_groups

        yield from read_parquet_groups(shard)
        return
    source = FileBytes(shard.file, seek_to(shard))
    try:
        rows: list[Record | Bad] = []
        size = 0
        unseen = shard.file.format == "conll" and shard.start == 0
        for row, row_size in _rows(shard, source):
            rows.append(row)
            size += row_size
            if size >= GROUP_BYTES or len(rows) >= GROUP_RECORDS:
                if unseen:
                    refuse_numbered(shard.file, rows)
                unseen = False
                yield Group(rows, source.position())
                rows, size = [], 0
        if unseen:
            refuse_numbered(shard.file, rows)
        yield Group(rows, source.position())
    finally:
        source.close()


def _rows(shard: Shard, source: FileBytes) -> Iterator[tuple[Record | Bad, int]]:
    if shard.file.format == "conll":
        yield from sentences(shard, source)
        return
    parse: Callable[[int, bytes], Record] = parse_jsonl if shard.file.format == "jsonl" else parse_text
    whole = bool(shard.file.compression)
    for number, offset, line in owned_lines(shard, source):
        if offset >= shard.end and not whole:
            return
        if line is None:
            yield Bad(number, f"a line of more than {MAX_RECORD_BYTES} bytes", "", MAX_RECORD_BYTES), 0
            continue
        if not line.strip() and shard.file.format == "jsonl":
            continue  # an empty line is no record
        try:
            yield parse(number, line), len(line)
        except Unusable as error:
            yield bad(number, str(error), line), len(line)

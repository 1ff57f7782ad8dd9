"""`tofner convert`: one file of labelled text into another format."""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from tofner import storage
from tofner.corpora import textfile
from tofner.corpora.jsonl import Record, read_objects
from tofner.corpora.textfile import Problems
from tofner.errors import BadInput, Problem
from tofner.exchange import brat, columns, docbin, tools
from tofner.exchange.told import Told


class Format(StrEnum):
    """What files of labelled text may hold; `text` is only read."""

    conll = "conll"
    jsonl = "jsonl"
    spacy = "spacy"
    label_studio = "label-studio"
    doccano = "doccano"
    prodigy = "prodigy"
    gliner = "gliner"
    brat = "brat"
    conllu = "conllu"
    text = "text"


SUFFIXES = {
    ".conll": Format.conll,
    ".bio": Format.conll,
    ".iob": Format.conll,
    ".tsv": Format.conll,
    ".jsonl": Format.jsonl,
    ".ndjson": Format.jsonl,
    ".json": Format.label_studio,
    ".spacy": Format.spacy,
    ".conllu": Format.conllu,
    ".ann": Format.brat,
    ".txt": Format.text,
    ".text": Format.text,
}
Reader = Callable[[bytes, str, Told], list[Record]]
Writer = Callable[[Sequence[Record], str, Told], bytes]


def read_text(data: bytes, uri: str, told: Told) -> list[Record]:
    """Plain text, a text a line, without labels; blank lines are skipped."""
    problems = Problems(uri)
    text, _ = textfile.decode(data, problems, "utf-8")
    problems.raise_any()
    numbered = list(enumerate(textfile.lines(text), start=1))
    told.leave("blank lines were skipped", uri, None, sum(not line.strip() for _, line in numbered))
    return [Record(line, line=number) for number, line in numbered if line.strip()]


READERS: dict[Format, Reader] = {
    Format.conll: columns.read_conll,
    Format.conllu: columns.read_conllu,
    Format.jsonl: tools.read_jsonl,
    Format.doccano: tools.read_doccano,
    Format.prodigy: tools.read_prodigy,
    Format.gliner: tools.read_gliner,
    Format.label_studio: tools.read_label_studio,
    Format.spacy: docbin.read_docbin,
    Format.text: read_text,
}
WRITERS: dict[Format, Writer] = {
    Format.conll: columns.write_conll,
    Format.conllu: columns.write_conllu,
    Format.jsonl: tools.write_jsonl,
    Format.doccano: tools.write_doccano,
    Format.prodigy: tools.write_prodigy,
    Format.gliner: tools.write_gliner,
    Format.label_studio: tools.write_label_studio,
    Format.spacy: docbin.write_docbin,
}


@dataclass
class Converted:
    """What came of a conversion."""

    read_as: Format
    written_as: Format
    records: int
    entities: int
    output: str
    told: Told = field(default_factory=Told)


def convert(
    source: str, target: str, from_: Format | None = None, to: Format | None = None, strict: bool = False
) -> Converted:
    """Read a file (of brat: a document or a folder) and write it anew in another format.

    Args:
        from_, to: by suffix and, for JSON, by what the first record holds, where not given.
        strict: write nothing where labels, text or fields would be lost.

    Raises:
        BadInput: a format is not known, or the input is not there.
        BadData: something in the input is wrong; or `strict`, and something would be lost: the places are listed.
    """
    told = Told()
    read_as, records = read(source, told, from_)
    written_as = to or format_of(target)
    if storage.absolute(source) == storage.absolute(target):
        raise BadInput(Problem(target, "the input itself", "another file", "name a new file as output"))
    output = write(records, target, written_as, told, source, strict)
    return Converted(read_as, written_as, len(records), sum(len(one.entities or []) for one in records), output, told)


def read(source: str, told: Told, format_: Format | None = None) -> tuple[Format, list[Record]]:
    """The records of a file, and the format that it was read in. Raises as `convert`."""
    if format_ is Format.brat or (format_ is None and _is_brat(source)):
        return Format.brat, brat.read_brat(source, told)
    data = textfile.read_file(source)
    format_ = format_ or _look(data, format_of(source))
    return format_, READERS[format_](data, source, told)


def write(
    records: Sequence[Record], target: str, format_: Format, told: Told, source: str, strict: bool = False
) -> str:
    """Write records; returns where. `source` is named as the place of what is lost. Raises as `convert`."""
    if format_ is Format.text:
        raise BadInput(Problem(target, "text", "a format that holds labels", "name one with --to"))
    if format_ is Format.brat:
        text, marks = brat.write_brat(records, source, told)
        name = _brat_name(source, target)
        files = {name + brat.ANNOTATIONS: marks, name + brat.TEXT: text}
    else:
        files = {target: WRITERS[format_](records, source, told)}
    if strict:
        told.refuse()
    for uri, data in files.items():
        storage.write_bytes(uri, gzip.compress(data, mtime=0) if uri.endswith(".gz") else data)
    return " and ".join(files)


def format_of(name: str) -> Format:
    """The format by the suffix, also before .gz.

    Raises:
        BadInput: no format has it.
    """
    path = PurePosixPath(name.removesuffix(".gz"))
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()]
    expected = f"one of {', '.join(SUFFIXES)}"
    fix = f"or say --from or --to: {', '.join(Format)}"
    raise BadInput(Problem(name, f"the suffix {path.suffix!r}", expected, fix))


def _is_brat(source: str) -> bool:
    """Whether it is a document of brat, by its files, or a folder with some."""
    if source.endswith(brat.ANNOTATIONS):
        return True
    if source.endswith(brat.TEXT):
        return storage.exists(source[: -len(brat.TEXT)] + brat.ANNOTATIONS)
    return not PurePosixPath(source).suffix and any(
        file.path.endswith(brat.ANNOTATIONS) for file in storage.list_files(source)
    )


def _brat_name(source: str, target: str) -> str:
    """Where a document goes, without ending: TARGET.ann, or a folder TARGET, with the source's name in it."""
    if target.endswith((brat.ANNOTATIONS, brat.TEXT)):
        return target[: -len(brat.TEXT)]
    stem = PurePosixPath(source.rstrip("/")).name.split(".")[0]
    return storage.join(target, stem)


def _look(data: bytes, by_suffix: Format) -> Format:
    """The format of a JSON file by its first record, which the suffix does not say."""
    if by_suffix not in (Format.jsonl, Format.label_studio):
        return by_suffix
    problems = Problems("")
    first: dict[str, Any] = next((value for _, value in read_objects(data, problems)), {})
    if "data" in first and isinstance(first["data"], dict):
        return Format.label_studio
    entities = first.get("entities")
    if "label" in first or "labels" in first or (entities and "start_offset" in json.dumps(entities)):
        return Format.doccano
    if "tokenized_text" in first:
        return Format.gliner
    if "spans" in first or "_input_hash" in first:
        return Format.prodigy
    return Format.jsonl

"""A file of a data root by what its name ends with: column files, JSON lines, plain text, SQuAD files, or Parquet.

`scan_*` gather the problems of a file in its `.problems`; `read_*` raise them:

    BadData    anything is wrong in the file; lists the places
    BadInput   there is no such file, or it may not be read
"""

from tofner.corpora import conll, jsonl, parquet, plain, squad
from tofner.corpora.conll import ConllFile
from tofner.corpora.plain import TextFile
from tofner.corpora.squad import SquadFile


def scan_labelled(uri: str) -> ConllFile:
    """Labelled sentences, their tags as BIO2."""
    if uri.endswith(jsonl.ENDINGS):
        return jsonl.scan_labelled(uri)
    return parquet.scan_labelled(uri) if _is_parquet(uri) else conll.scan(uri)


def scan_text(uri: str) -> TextFile:
    """Words of plain text or of a labelled file, whose tags are never looked at."""
    if uri.endswith(jsonl.ENDINGS):
        return jsonl.scan_text(uri)
    return parquet.scan_text(uri) if _is_parquet(uri) else plain.scan(uri)


def scan_questions(uri: str) -> SquadFile:
    """Questions and their answers, in whole words."""
    return parquet.scan_questions(uri) if _is_parquet(uri) else squad.scan(uri)


def read_labelled(uri: str) -> ConllFile:
    """As `scan_labelled`; raises the problems."""
    file = scan_labelled(uri)
    file.problems.raise_any()
    return file


def read_text(uri: str) -> TextFile:
    """As `scan_text`; raises the problems."""
    file = scan_text(uri)
    file.problems.raise_any()
    return file


def read_questions(uri: str) -> SquadFile:
    """As `scan_questions`; raises the problems."""
    file = scan_questions(uri)
    file.problems.raise_any()
    return file


def _is_parquet(uri: str) -> bool:
    return uri.endswith(".parquet")

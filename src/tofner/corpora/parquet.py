"""Parquet files of a data root, as `datasets` writes them and the Hub serves them. A row is what a line is elsewhere.

    ner/SET/SPLIT.parquet     tokens, and tags or ner_tags: strings, or ids with the names of a `ClassLabel`
    text/SET/SPLIT.parquet    tokens, or text to be cut into words
    mrc/SET/SPLIT.parquet     id, context, question, answers {text, answer_start}: SQuAD's columns

Other columns are not read. An `id` column, where sentences have one, names them; else their row does. Rows count from 1
in problems, which are those of the other readers.
"""

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from tofner import storage
from tofner.corpora import conll, plain, squad
from tofner.corpora.conll import DOCSTART, ConllFile
from tofner.corpora.examples import Sentence
from tofner.corpora.plain import TextFile
from tofner.corpora.squad import SquadFile
from tofner.corpora.textfile import Problems

if TYPE_CHECKING:
    from datasets import Dataset

TAG_COLUMNS = ("tags", "ner_tags")
QUESTION_COLUMNS = ("id", "context", "question", "answers")


def scan_labelled(uri: str) -> ConllFile:
    """Labelled sentences; problems are gathered in `.problems`."""
    file = ConllFile(uri, rows=True, problems=Problems(uri))
    table = _load(uri, file.problems, (("tokens",), TAG_COLUMNS), ("id",))
    if table is None:
        return file
    tag_column = next(name for name in TAG_COLUMNS if name in table.column_names)
    names = _names(table, tag_column)
    if names is None and _is_number(table, tag_column):
        fix = "write it with `datasets`, or write the tags as strings"
        file.problems.add(f"numbers without names in column {tag_column}", "strings, or a ClassLabel", fix)
        return file
    ids = _Ids(uri, file.problems)
    for number, row in _rows(table, file.problems):
        tokens, tags = row["tokens"], row[tag_column]
        if tokens == [DOCSTART]:
            file.docstarts += 1
        elif _are_words(tokens, file.problems, number) and tokens:
            if not isinstance(tags, list) or len(tags) != len(tokens):
                found = f"{len(tags) if isinstance(tags, list) else 'no'} tags for {len(tokens)} tokens"
                file.problems.add(found, "a tag a token", "mend the row", number)
                continue
            for token in tokens:
                conll.check_token(file, token, number)
            written = [_tag(tag, names) for tag in tags]
            checked = [conll.check_tag(file, tag, number) for tag in written]
            file.sentences.append(Sentence(ids.name(row, number), tokens, checked))
            file.lines.append(number)
    _not_empty(file, "sentence")
    conll.convert(file)
    return file


def scan_text(uri: str) -> TextFile:
    """Words alone: of `tokens`, else of `text`. No tag column is read."""
    file = TextFile(uri, problems=Problems(uri))
    table = _load(uri, file.problems, (("tokens", "text"),), ("id",))
    if table is None:
        return file
    ids = _Ids(uri, file.problems)
    words = ConllFile(uri, problems=file.problems)  # counts what is odd about tokens
    for number, row in _rows(table, file.problems):
        if "tokens" not in row:
            text = row["text"]
            if isinstance(text, str):
                plain.add_line(file, text, number, ids.name(row, number))
            else:
                file.problems.add("no text", "a string", "remove the row", number)
        elif row["tokens"] == [DOCSTART]:
            file.docstarts += 1
        elif _are_words(row["tokens"], file.problems, number):
            if not row["tokens"]:
                file.blank_lines += 1
                continue
            for token in row["tokens"]:
                conll.check_token(words, token, number)
            file.sentences.append(Sentence(ids.name(row, number), row["tokens"]))
            file.lines.append(number)
    file.c1_controls += words.c1_controls
    _not_empty(file, "sentence")
    return file


def scan_questions(uri: str) -> SquadFile:
    """Questions; problems are gathered in `.problems`."""
    file = SquadFile(uri, problems=Problems(uri))
    table = _load(uri, file.problems, tuple((name,) for name in QUESTION_COLUMNS))
    if table is None:
        return file
    reader = squad.Reader(file)
    for number, row in _rows(table, file.problems):
        reader.row = number
        context = reader.context(row, f"row {number}")
        if context is not None:
            reader.question({**row, "answers": _answers(row["answers"])}, context, f"row {number}")
    file.contexts = len(reader.contexts)
    if not file.examples and not file.problems.count:
        file.problems.add("no question", "at least one", "give the split its data or leave the role out")
    return file


class _Ids:
    """Names of sentences: `SET/SPLIT:` and the id of their row, else its number."""

    def __init__(self, uri: str, problems: Problems) -> None:
        self.uri = uri
        self.problems = problems
        self.seen: set[str] = set()

    def name(self, row: dict[str, Any], number: int) -> str:
        id_ = str(number if row.get("id") is None else row["id"])
        if id_ in self.seen:
            self.problems.add(f"id {id_} a second time", "each id once in a file", "rename or remove one", number)
        self.seen.add(id_)
        return conll.sentence_id(self.uri, id_)


def _load(
    uri: str, problems: Problems, wanted: tuple[tuple[str, ...], ...], also: tuple[str, ...] = ()
) -> "Dataset | None":
    """The first column there is of each group in `wanted`, and those of `also`; None, and a problem, when a group has
    none. Nothing is written to disk, and no other column is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    data = storage.read_bytes(uri)
    try:
        parquet = pq.ParquetFile(pa.BufferReader(data))
        there = parquet.schema_arrow.names
        columns = [next((name for name in group if name in there), None) for group in wanted]
        if None in columns:
            missing = " and ".join(" or ".join(g) for g, c in zip(wanted, columns, strict=True) if c is None)
            problems.add(f"columns ({', '.join(there)})", f"also {missing}", "rename or add columns")
            return None
        table = parquet.read([*columns, *(name for name in also if name in there and name not in columns)])
        if table.num_rows != parquet.metadata.num_rows:
            found = f"{table.num_rows} rows, and {parquet.metadata.num_rows} by its metadata"
            problems.add(found, "a whole Parquet file", "copy or write it again")
            return None
        table.validate()
        return Dataset(table)
    except Exception as error:  # of pyarrow and `datasets`, which raise what they like on bytes they cannot use
        said = (str(error).splitlines() or [type(error).__name__])[0]
        problems.add(f"no readable Parquet ({said})", "a Parquet file", "copy or write it again")
        return None


def _rows(table: "Dataset", problems: Problems) -> list[tuple[int, dict[str, Any]]]:
    """Each row with its number; those that are no text are problems."""
    data = table.data
    try:
        return list(enumerate(data.to_pylist(), start=1))
    except UnicodeDecodeError:
        pass
    found: list[tuple[int, dict[str, Any]]] = []
    for number in range(1, data.num_rows + 1):
        try:
            (row,) = data.slice(number - 1, 1).to_pylist()
            found.append((number, row))
        except UnicodeDecodeError as error:
            problems.add(f"bytes that are no text ({error.reason})", "UTF-8", "mend the row", number)
    return found


def _names(table: "Dataset", column: str) -> list[str] | None:
    """The label of each id, where the metadata of `datasets` have them."""
    inner = getattr(table.features[column], "feature", None)
    names = getattr(inner, "names", None)
    return [str(name) for name in names] if isinstance(names, list | tuple) else None


def _is_number(table: "Dataset", column: str) -> bool:
    inner = getattr(table.features[column], "feature", None)
    return "int" in str(getattr(inner, "dtype", ""))


def _tag(tag: Any, names: list[str] | None) -> str:
    if names is not None and isinstance(tag, int) and 0 <= tag < len(names):
        return names[tag]
    return str(tag)


def _are_words(tokens: Any, problems: Problems, number: int) -> bool:
    if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
        return True
    problems.add("tokens that are no list of strings", "a list of words", "mend the row", number)
    return False


def _answers(answers: Any) -> Any:
    """`{"text": [...], "answer_start": [...]}` as SQuAD's list of answers; anything else as it is."""
    texts, starts = (answers.get("text"), answers.get("answer_start")) if isinstance(answers, dict) else (None, None)
    if not isinstance(texts, list) or not isinstance(starts, list):
        return answers
    return [{"text": text, "answer_start": start} for text, start in zip_longest(texts, starts)]


def _not_empty(file: ConllFile | TextFile, what: str) -> None:
    if not file.sentences and not file.problems.count:
        file.problems.add(f"no {what}", "at least one", "give the split its data or leave the role out")

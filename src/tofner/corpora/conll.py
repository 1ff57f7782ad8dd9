"""CoNLL column files: the one reader of their lines, the reader of labelled sentences, and a writer.

Two to five columns, the token first and the tag last, separated by tabs or by spaces; a blank line ends a sentence.
Five, because German CoNLL-2003 (Sang & De Meulder, 2003) has a lemma column. IOB1, BIO2, BIOES and BILOU are told
apart by the whole file and become BIO2. `-DOCSTART-` lines end a sentence, are skipped and counted; so are comments,
which end none. Tagging reads the same lines by `read_line` and `is_numbered`.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from tofner.corpora import textfile
from tofner.corpora.examples import Sentence
from tofner.corpora.textfile import Encoding, Problems
from tofner.words.spans import Scheme, detect_scheme, is_tag, to_bio2

MIN_COLUMNS, MAX_COLUMNS = 2, 5
DOCSTART = "-DOCSTART-"
_SPACES = re.compile(" +")
_DOCUMENT_MARK = re.compile("#(begin|end) document( |$)")  # OntoNotes (CoNLL-2012)
_PART_NUMBER = re.compile(r"\d+[-.]\d+")  # CoNLL-U: 3-4 are words written as one, 3.1 a word that is not written

Kind = Literal["word", "blank", "docstart", "comment"]


class Line(NamedTuple):
    """A line of a column file; only a word has `cells`, the word first."""

    kind: Kind
    cells: list[str]


def read_line(line: str) -> Line:
    """What a line is, without its line end.

    Cells are divided by tabs if there is one, else by runs of spaces; any other white space belongs to its cell. A line
    of nothing but white space is blank.

    >>> read_line("New York\\tB-LOC"), read_line(" Oslo  NNP B-LOC ").cells
    (Line(kind='word', cells=['New York', 'B-LOC']), ['Oslo', 'NNP', 'B-LOC'])
    """
    if not line or line.isspace():
        return Line("blank", [])
    if line[0] == "#" and _is_comment(line):
        return Line("comment", [])
    if line.startswith(DOCSTART) and line[len(DOCSTART) :][:1] in ("", " ", "\t"):
        return Line("docstart", [])
    return Line("word", line.rstrip(" \t").split("\t") if "\t" in line else _SPACES.split(line.strip(" ")))


def _is_comment(line: str) -> bool:
    """Whether a line that begins with # is a comment rather than the word # or one like #tag.

    A comment has a space after the # and does not end as lines of words do, in a tag or `_` (`# id 12 domain=en` of
    MultiCoNER, `# text = ...` of CoNLL-U). A word alone is one too (`# newdoc`), but not a sign or a name in capitals,
    which are the part of speech of the word # (`# SYM`).
    """
    if not line.startswith("# "):
        return bool(_DOCUMENT_MARK.match(line))
    cells = line[1:].split()
    if not cells or cells[-1] == "_" or is_tag(cells[-1]):
        return False
    return len(cells) > 1 or (cells[0].isalpha() and cells[0].islower())


def is_numbered(cells: Sequence[str], sentences: Iterable[Sequence[str]]) -> bool:
    """Whether the first column holds running numbers rather than words: in each sentence, from 0 or 1.

    Args:
        cells: of a line of the file, which must leave room for words elsewhere.
        sentences: what stands in the first column.

    >>> cells = ["1", "Angela", "B-PER"]
    >>> is_numbered(cells, [["1", "2"], ["1", "2-3", "2", "3"]]), is_numbered(cells, [["1", "2"], ["1", "0"]])
    (True, False)
    >>> is_numbered(["1", "O"], [["1", "2"]])
    False
    """
    if len(cells) < (3 if is_tag(cells[-1]) else 2):
        return False
    longest = 0
    for words in sentences:
        numbers = [word for word in words if not _PART_NUMBER.fullmatch(word)]
        if not numbers or numbers[0] not in ("0", "1"):
            return False
        first = int(numbers[0])
        if numbers != [str(i) for i in range(first, first + len(numbers))]:
            return False
        longest = max(longest, len(numbers))
    return longest > 1


NUMBERED = ("running numbers as first column", "the word in the first column")
NUMBERED_FIX = "keep the columns of the word and of the tag, for instance with cut -f 2,3"


@dataclass
class ConllFile:
    """A read file.

    `lines[i]` is the line of the first token of sentence `i`, and `line_of` finds those of the others; where a sentence
    is one `row` of the file, `lines[i]` is that row and holds all its tokens.
    `repairs` lists the lines of sentences whose tags broke the scheme, with the number of tags mended. `spaced` counts
    tokens with white space inside, which tab-separated files can have; `c1_controls` those with U+0080 to U+009F.
    Of JSON lines, `widened` counts entities that grew to whole words, `blank` records without a word.
    """

    uri: str
    sentences: list[Sentence] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    columns: int = 0
    scheme: Scheme = "BIO2"
    encoding: str = "utf-8"
    docstarts: int = 0
    comment_lines: list[int] = field(default_factory=list)
    repairs: list[tuple[int, int]] = field(default_factory=list)
    spaced: int = 0
    c1_controls: int = 0
    widened: int = 0
    blank: int = 0
    rows: bool = False
    problems: Problems = field(default_factory=lambda: Problems(""))

    @property
    def repaired_tags(self) -> int:
        """Tags that broke the file's scheme and were mended."""
        return sum(count for _, count in self.repairs)

    @property
    def comments(self) -> int:
        """Comment lines, which are skipped."""
        return len(self.comment_lines)

    def line_of(self, sentence: int, token: int) -> int:
        """The line (or row) of a token, both of which count from 0; lines between are of tokens and of comments."""
        if self.rows:
            return self.lines[sentence]
        line = self.lines[sentence] + token
        for comment in self.comment_lines[bisect_left(self.comment_lines, self.lines[sentence]) :]:
            if comment > line:
                break
            line += 1
        return line


def read(uri: str, encoding: Encoding = "auto", *, raw: bool = False, labels: bool = True) -> ConllFile:
    """Read a file from a folder or bucket; arguments as in `scan`.

    Raises:
        BadData: anything is wrong in the file; lists the places.
        BadInput: there is no such file, or it may not be read.
    """
    file = scan(uri, encoding, raw=raw, labels=labels)
    file.problems.raise_any()
    return file


def scan(uri: str, encoding: Encoding = "auto", *, raw: bool = False, labels: bool = True) -> ConllFile:
    """Read a file and gather its problems in `.problems` rather than raise them.

    Args:
        uri: local path or `s3://` URI, plain or gzip.
        encoding: `auto` means UTF-8, else latin-1.
        raw: leave the tags as they are written, for scoring the file itself.
        labels: False drops the tag column unread: the sentences have no tags, and one column is enough. This is how
            target text is taken from a labelled file.
    """
    return parse(textfile.read_file(uri), uri, encoding, raw=raw, labels=labels)


def parse(data: bytes, uri: str, encoding: Encoding = "auto", *, raw: bool = False, labels: bool = True) -> ConllFile:
    """As `scan`, from the content of the file."""
    file = ConllFile(uri, problems=Problems(uri))
    text, file.encoding = textfile.decode(data, file.problems, encoding)
    tokens: list[str] = []
    tags: list[str] = []
    some: list[str] = []  # the first line of words
    first = 0
    for number, line in enumerate([*textfile.lines(text), ""], start=1):
        kind, cells = read_line(line)
        if kind == "comment":
            file.comment_lines.append(number)
            continue
        if kind != "word":
            file.docstarts += kind == "docstart"
            if tokens:
                file.sentences.append(Sentence(sentence_id(uri, first), tokens, tags if labels else None))
                file.lines.append(first)
                tokens, tags = [], []
            continue
        if not tokens:
            first = number
        some = some or cells
        token, tag = _row(file, line, cells, number, labels)
        tokens.append(token)
        tags.append(tag)
    if some and is_numbered(some, (sentence.tokens for sentence in file.sentences)):
        file.problems = Problems(uri)  # of the many that follow from it, none helps
        file.problems.add(*NUMBERED, NUMBERED_FIX, file.lines[0])
    if not file.sentences and not file.problems.count:
        file.problems.add("no sentence", "at least one", "give the split its data or leave the role out")
    if labels:
        convert(file, raw)
    return file


def sentence_id(uri: str, line: int | str) -> str:
    """`.../ner/wnut16/train.conll.gz`, line 17 -> `wnut16/train:17`: the same wherever the data root lies."""
    path = PurePosixPath(uri.replace("\\", "/"))
    return f"{path.parent.name}/{path.name.split('.')[0]}:{line}"


def _row(file: ConllFile, line: str, cells: list[str], number: int, labels: bool) -> tuple[str, str]:
    """The token and tag of a line. A bad line is reported and still counts as a token, so that the token after it keeps
    its place."""
    problems = file.problems
    low = MIN_COLUMNS if labels else 1
    if not low <= len(cells) <= MAX_COLUMNS:
        fix = "separate token and tag by a tab or a space, blank lines between sentences"
        problems.add(f"{len(cells)} columns in {_short(line)}", f"{low} to {MAX_COLUMNS} columns", fix, number)
    elif file.columns and len(cells) != file.columns:
        expected = f"{file.columns} columns as in the lines before"
        problems.add(f"{len(cells)} columns in {_short(line)}", expected, "add what is missing", number)
    if "\r" in line:  # would hide whole lines in the columns that nothing reads
        fix = "convert its line ends, for instance with tr '\\r' '\\n'"
        problems.add("a carriage return inside the line", "line ends \\n or \\r\\n", fix, number)
    file.columns = file.columns or len(cells)
    token, tag = cells[0], cells[-1] if len(cells) > 1 else "O"
    check_token(file, token, number)
    if labels and len(cells) > 1:
        tag = check_tag(file, tag, number)
    return token, tag


def check_token(file: ConllFile, token: str, number: int) -> None:
    """Counts and reports what is odd about a token of line (or row) `number`."""
    if not token.strip():
        file.problems.add("an empty token", "a word in the first column", "remove the line", number)
    elif control := textfile.control_character(token):
        _control(file, token, control, number)
    file.spaced += " " in token or "\u00a0" in token


def check_tag(file: ConllFile, tag: str, number: int) -> str:
    """The tag; O, and a problem, where it is none."""
    if is_tag(tag):
        return tag
    expected = "O, or B-, I-, E-, S-, L- or U- and a type"
    file.problems.add(f"tag {_short(tag)}", expected, "mend the last column", number)
    return "O"


def _control(file: ConllFile, token: str, control: str, number: int) -> None:
    """A control character is a problem, except U+0080 to U+009F in UTF-8: published corpora carry some that were
    windows-1252 punctuation once. They are harmless there, and counted; in latin-1 they mean the encoding is wrong."""
    fix = "take it out"
    if textfile.is_c1(control):
        if file.encoding == "utf-8":
            file.c1_controls += 1
            return
        fix = "this is windows-1252 text: convert it to UTF-8, for instance with iconv -f cp1252 -t utf-8"
    file.problems.add(f"control character {control} in {_short(token)}", "printable text", fix, number)


def convert(file: ConllFile, raw: bool = False) -> None:
    """Detect the scheme; turn the tags into BIO2 unless `raw`."""
    file.scheme = detect_scheme(sentence.tags or [] for sentence in file.sentences)
    for sentence, line in zip(file.sentences, file.lines, strict=True):
        converted, repaired = to_bio2(sentence.tags or [], file.scheme)
        if repaired:
            file.repairs.append((line, repaired))
        if not raw:
            sentence.tags = converted


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def to_text(sentences: Iterable[Sentence]) -> str:
    """Sentences as token TAB tag, a blank line after each.

    Raises:
        ValueError: a token is empty or holds a tab or line end, or a sentence has no tags.
    """
    blocks: list[str] = []
    for sentence in sentences:
        if sentence.tags is None:
            raise ValueError(f"sentence {sentence.id} has no tags")
        for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
            if not token.strip() or any(c in token for c in "\t\n\r"):
                raise ValueError(f"sentence {sentence.id}: token {token!r} cannot stand in a column")
            blocks.append(f"{token}\t{tag}\n")
        blocks.append("\n")
    return "".join(blocks)

"""Unlabelled text: one sentence a line, cut into words by `segment`; or the tokens of a column file."""

from dataclasses import dataclass, field

from tofner.corpora import conll, textfile
from tofner.corpora.examples import Sentence
from tofner.corpora.textfile import Encoding, Problems
from tofner.words.segment import segment


@dataclass
class TextFile:
    """A read file; `lines[i]` is the line of sentence `i`. Blank lines are skipped and counted."""

    uri: str
    sentences: list[Sentence] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    encoding: str = "utf-8"
    blank_lines: int = 0
    docstarts: int = 0
    comments: int = 0
    c1_controls: int = 0
    problems: Problems = field(default_factory=lambda: Problems(""))


def read(uri: str, encoding: Encoding = "utf-8") -> TextFile:
    """Read `.txt[.gz]`, or the tokens alone of `.conll[.gz]`, from a folder or bucket.

    Raises:
        BadData: anything is wrong in the file; lists the places.
        BadInput: there is no such file, or it may not be read.
    """
    file = scan(uri, encoding)
    file.problems.raise_any()
    return file


def scan(uri: str, encoding: Encoding = "utf-8") -> TextFile:
    """As `read`, with the problems gathered in `.problems` rather than raised.

    The tag column of a column file is never looked at; its encoding is found as in `conll.scan`.
    """
    if uri.removesuffix(".gz").endswith(".conll"):
        columns = conll.scan(uri, labels=False)
        return TextFile(
            uri,
            columns.sentences,
            columns.lines,
            columns.encoding,
            docstarts=columns.docstarts,
            comments=columns.comments,
            c1_controls=columns.c1_controls,
            problems=columns.problems,
        )
    return parse(textfile.read_file(uri), uri, encoding)


def parse(data: bytes, uri: str, encoding: Encoding = "utf-8") -> TextFile:
    """As `scan`, from the content of a text file."""
    file = TextFile(uri, problems=Problems(uri))
    text, file.encoding = textfile.decode(data, file.problems, encoding)
    for number, line in enumerate(textfile.lines(text), start=1):
        add_line(file, line, number, conll.sentence_id(uri, number))
    if not file.sentences and not file.problems.count:
        file.problems.add("no sentence", "at least one, one a line", "give the split its data or leave the role out")
    return file


def add_line(file: TextFile, line: str, number: int, id_: str) -> None:
    """Cut one line (or row) into words and add it to the file; a blank one is counted."""
    words = [word.text for word in segment(line)]
    if not words:
        file.blank_lines += 1
        return
    control = textfile.control_character(line, spaces_too=False)
    if control and textfile.is_c1(control) and file.encoding == "utf-8":
        file.c1_controls += 1  # as in `conll`
    elif control:
        file.problems.add(f"control character {control}", "printable text", "take it out", number)
    file.sentences.append(Sentence(id_, words))
    file.lines.append(number)

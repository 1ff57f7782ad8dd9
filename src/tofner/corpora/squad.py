"""MRC files in the SQuAD schema (Rajpurkar et al., 2016 and 2018: v1.1 and v2).

    {"data": [{"paragraphs": [{"context": "...", "qas": [
        {"id": "...", "question": "...", "answers": [{"answer_start": 17, "text": "..."}]}]}]}]}

The context is cut into words by `segment`; an answer that begins or ends inside a word is widened to whole words.
"""

import json
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

from tofner.corpora import textfile
from tofner.corpora.examples import MrcExample
from tofner.corpora.textfile import Problems
from tofner.words.segment import Word, segment


@dataclass
class SquadFile:
    """A read file.

    `contexts` counts different texts; `answers` the spans kept; `merged` answers were the same span as another of their
    question; `widened` ones grew to whole words; `unanswerable` questions have none (SQuAD v2).
    """

    uri: str
    examples: list[MrcExample] = field(default_factory=list)
    contexts: int = 0
    answers: int = 0
    merged: int = 0
    widened: int = 0
    unanswerable: int = 0
    encoding: str = "utf-8"
    problems: Problems = field(default_factory=lambda: Problems(""))


@dataclass(frozen=True)
class _Context:
    text: str
    words: list[Word]
    tokens: list[str]
    starts: list[int]
    ends: list[int]


def read(uri: str) -> SquadFile:
    """Read `.json[.gz]` from a folder or bucket.

    Raises:
        BadData: broken JSON, another schema, answers that are not in their context, ...; lists the places.
        BadInput: there is no such file, or it may not be read.
    """
    file = scan(uri)
    file.problems.raise_any()
    return file


def scan(uri: str) -> SquadFile:
    """As `read`, with the problems gathered in `.problems` rather than raised."""
    return parse(textfile.read_file(uri), uri)


def parse(data: bytes, uri: str) -> SquadFile:
    """As `scan`, from the content of the file."""
    file = SquadFile(uri, problems=Problems(uri))
    text, file.encoding = textfile.decode(data, file.problems, "utf-8")  # RFC 8259: JSON is UTF-8
    if file.problems.count:
        return file
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        found = f"{error.msg[0].lower()}{error.msg[1:]} at column {error.colno}" if text.strip() else "an empty file"
        file.problems.add(f"broken JSON: {found}", "a SQuAD file", "copy or write it again", error.lineno)
        return file
    except RecursionError:
        file.problems.add("JSON that is nested too deep", "a SQuAD file")
        return file
    except ValueError as error:  # a number of thousands of digits
        file.problems.add(f"JSON that cannot be read ({error})", "a SQuAD file")
        return file
    Reader(file, text).data(content)
    if not file.examples and not file.problems.count:
        file.problems.add("no question", "at least one", "give the split its data or leave the role out")
    return file


class Reader:
    """Walks the schema; everything that is wrong goes to the file's problems, with its path in the JSON.

    Problems of a question stand at the line of its id in `text`, or at `row` where the file has rows.
    """

    def __init__(self, file: SquadFile, text: str = "") -> None:
        self.file = file
        self.text = text
        self.row: int | None = None
        self.ids: set[str] = set()
        self.contexts: dict[str, _Context] = {}

    def data(self, content: Any) -> None:
        for a, article in enumerate(self._list(content, "data", "the file")):
            for p, paragraph in enumerate(self._list(article, "paragraphs", f"data[{a}]")):
                where = f"data[{a}].paragraphs[{p}]"
                context = self.context(paragraph, where)
                for q, question in enumerate(self._list(paragraph, "qas", where)):
                    if context is not None:
                        self.question(question, context, f"{where}.qas[{q}]")
        self.file.contexts = len(self.contexts)

    def _list(self, parent: Any, key: str, where: str) -> list[Any]:
        value = parent.get(key) if isinstance(parent, dict) else None
        if isinstance(value, list):
            return value
        found = f'no list "{key}" in {where}'
        self.file.problems.add(found, "the SQuAD schema: data, paragraphs, qas, answers", "convert the file")
        return []

    def context(self, paragraph: Any, where: str) -> _Context | None:
        """The words of a paragraph's context, cut once; None, and a problem, where it has none."""
        text = paragraph.get("context") if isinstance(paragraph, dict) else None
        if not isinstance(text, str) or not text.strip():
            self.file.problems.add(f"no context in {where}", "a text", "remove the paragraph", self.row)
            return None
        if half := half_surrogate(text):
            self.file.problems.add(f"{half} in the context in {where}", "whole characters", "mend the text", self.row)
            return None
        if text not in self.contexts:
            words = segment(text)
            self.contexts[text] = _Context(
                text, words, [w.text for w in words], [w.start for w in words], [w.end for w in words]
            )
        return self.contexts[text]

    def question(self, question: Any, context: _Context, where: str) -> None:
        """Adds a question with its answers, or its problems."""
        fields = question if isinstance(question, dict) else {}
        id_, query = fields.get("id"), fields.get("question")
        if not isinstance(id_, str) or not id_ or half_surrogate(id_):
            found = half_surrogate(id_) + " in the id" if isinstance(id_, str) and id_ else "no id"
            self.file.problems.add(f"{found} in {where}", "a string", "give each question its own id", self.row)
            return
        if id_ in self.ids:
            self._problem(id_, "the id a second time", "each id once in a file", "rename or remove one", again=True)
            return
        self.ids.add(id_)
        if not isinstance(query, str) or not query.strip() or half_surrogate(query):
            found = (
                half_surrogate(query) + " in its text"
                if isinstance(query, str) and query.strip()
                else "no question text"
            )
            self._problem(id_, found, "a text", "mend or remove the question")
            return
        answers = fields.get("answers")
        if not isinstance(answers, list):
            fix = "take a split with answers"
            self._problem(id_, 'no list "answers"', "a list, empty when there is no answer", fix)
            return
        if answers and fields.get("is_impossible"):
            self._problem(id_, "is_impossible with answers", "one or the other", "empty the answers")
            return
        spans = [self._answer(answer, context, id_) for answer in answers]
        if None in spans:
            return
        distinct = sorted({span for span in spans if span is not None})
        self.file.answers += len(distinct)
        self.file.merged += len(spans) - len(distinct)
        self.file.unanswerable += not distinct
        starts, ends = [a for a, _ in distinct], [b for _, b in distinct]
        self.file.examples.append(MrcExample(id_, query.strip(), context.tokens, starts, ends))

    def _answer(self, answer: Any, context: _Context, id_: str) -> tuple[int, int] | None:
        """The words of an answer (end exclusive); None, and a problem, when it is not in the context."""
        fields = answer if isinstance(answer, dict) else {}
        text, start = fields.get("text"), fields.get("answer_start")
        if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
            found = f"the answer {_short(json.dumps(answer))}"
            self._problem(id_, found, "a text and an integer answer_start", "mend or remove it")
            return None
        if not text.strip():
            fix = "take a split whose answers were not withheld; a question without answer has an empty list"
            self._problem(id_, "an answer with blank text", "a text of the context", fix)
            return None
        end = start + len(text)
        if start < 0 or context.text[start:end] != text:
            length = len(context.text)
            there = "nothing" if start < 0 or start >= length else _short(context.text[start:end])
            found = f"{there} at {start} of a context of {length} characters"
            self._problem(id_, found, f"the answer {_short(text)}", _advice(context.text, text))
            return None
        inner_start, inner_end = start + len(text) - len(text.lstrip()), start + len(text.rstrip())
        first, last = bisect_right(context.ends, inner_start), bisect_left(context.starts, inner_end)
        self.file.widened += (context.starts[first], context.ends[last - 1]) != (inner_start, inner_end)
        return first, last

    def _problem(self, id_: str, found: str, expected: str, fix: str, again: bool = False) -> None:
        """A problem of one question; the line is where its id stands in the file, `again` for the second time."""
        if self.row is not None:
            self.file.problems.add(f"question {id_}: {found}", expected, fix, self.row)
            return
        id_text = json.dumps(id_, ensure_ascii=False)
        at = self.text.find(id_text)
        at = self.text.find(id_text, at + 1) if again and at >= 0 else at
        line = self.text.count("\n", 0, at) + 1 if at >= 0 else None
        self.file.problems.add(f"question {id_}: {found}", expected, fix, line)


def half_surrogate(text: str) -> str:
    r"""What is wrong with a text that is no Unicode, as JSON's escapes allow; else "".

    >>> half_surrogate("ab\ud83d")
    'half a surrogate pair (U+D83D) at character 2'
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half a surrogate pair (U+{ord(text[error.start]):04X}) at character {error.start}"
    return ""


def _advice(context: str, answer: str) -> str:
    at = context.find(answer)
    if at < 0:
        return "the context does not hold this text; mend the text or remove the question"
    where = f"set answer_start to {at}" if context.find(answer, at + 1) < 0 else "the text occurs elsewhere"
    return f"{where}; offsets count Unicode characters from 0"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

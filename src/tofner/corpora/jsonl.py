"""JSON lines with entities by character offsets: what `tofner tag` writes, and plain `{text, entities}`.

    {"id": ..., "text": "Ajax won.", "entities": [{"start": 0, "end": 4, "label": "ORG", "score": 0.98}]}
    {"tokens": ["Ajax", "won", "."], "entities": [{"start_token": 0, "end_token": 1, "label": "ORG"}]}

Offsets count characters (code points), end exclusive. `type` is taken for `label` too; `id`, `score` and the entity's
`text` may be missing, and a `text` that is not what stands there is a problem, since its offsets are then of bytes or
of UTF-16. A text is cut into words by `segment`, unless `words` says where they are: `[[0, 4], [5, 8], [8, 9]]`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tofner.corpora import conll, textfile
from tofner.corpora.conll import ConllFile
from tofner.corpora.examples import Sentence
from tofner.corpora.plain import TextFile
from tofner.corpora.textfile import Problems
from tofner.words.offsets import Offsets, fit_to_words, join_words
from tofner.words.segment import segment
from tofner.words.spans import spans_to_tags

ENDINGS = (".jsonl", ".jsonl.gz")
OFFSETS_FIX = "count offsets in characters (code points), not in bytes or UTF-16 units"


class Wrong(Exception):
    """What is wrong about a record: found, expected, what to do."""

    def __init__(self, found: str, expected: str, fix: str = "mend the record") -> None:
        super().__init__(found)
        self.told = (found, expected, fix)


@dataclass(slots=True)
class Entity:
    """`text[start:end]`, in characters; `score` is of a prediction, None where there is none."""

    start: int
    end: int
    type: str
    score: float | None = None


@dataclass(slots=True)
class Record:
    """A text with its entities.

    Attributes:
        entities: None where the record has not been labelled, which is not the same as none found.
        words: where its words stand; None for those of `segment`.
        id: as the file has it, None where it has none.
        fields: all other fields of the record.
        line: where it stands in its file, from 1.
    """

    text: str
    entities: list[Entity] | None = None
    words: list[Offsets] | None = None
    id: Any = None
    fields: dict[str, Any] = field(default_factory=dict)
    line: int = 0

    def offsets(self) -> list[Offsets]:
        """Where its words stand."""
        return own_words(self.text) if self.words is None else self.words


def own_words(text: str) -> list[Offsets]:
    """Where the words stand that `segment` makes."""
    return [(word.start, word.end) for word in segment(text)]


def read_objects(data: bytes, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with their lines (in a JSON list, their places in it, from 1); others become problems."""
    text, _ = textfile.decode(data, problems, "utf-8")
    if text.lstrip().startswith("["):
        value = _json(text, 1, problems)
        yield from _objects(enumerate(value if isinstance(value, list) else [], start=1), problems)
        return
    numbered = enumerate(textfile.lines(text), start=1)
    parsed = ((number, _json(line, number, problems)) for number, line in numbered if line.strip())
    yield from _objects(((number, value) for number, value in parsed if value is not _BROKEN), problems)


_BROKEN = object()


def _constant(name: str) -> Any:
    raise ValueError(f"{name}, which is no JSON")


def _json(text: str, line: int, problems: Problems) -> Any:
    try:
        return json.loads(text, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        problems.add(f"broken JSON ({error})", "a JSON object a line", "mend or remove it", line)
        return _BROKEN


def _objects(values: Iterator[tuple[int, Any]], problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, value in values:
        if isinstance(value, dict):
            yield number, value
        else:
            problems.add(f"JSON {type(value).__name__}", "a JSON object", "mend or remove it", number)


def records(
    data: bytes, problems: Problems, make: "Callable[[dict[str, Any], int], Record | None] | None" = None
) -> list[Record]:
    """The records of a file, made of an object and its line (None leaves one out); what is wrong becomes problems."""
    found: list[Record] = []
    for number, value in read_objects(data, problems):
        try:
            record = make(value, number) if make else read_record(value)
        except Wrong as error:
            problems.add(*error.told, number)
            continue
        if record is not None:
            record.line = number
            found.append(record)
    return found


def read_record(value: dict[str, Any]) -> Record:
    """One object of either form.

    Raises:
        Wrong: what about it is wrong.
    """
    rest = dict(value)
    given = rest.pop("entities", None)
    id_ = rest.pop("id", None)
    if ("text" in rest) == ("tokens" in rest):
        raise Wrong(f"{'both' if 'text' in rest else 'neither'} `text` and `tokens`", "one of them")
    if "text" in rest:
        record = Record(check_text(rest.pop("text")), None, None, id_)
        if "words" in rest:
            record.words = check_words(rest.pop("words"), record.text)
    else:
        tokens = rest.pop("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, str) and token.strip() for token in tokens):
            raise Wrong("tokens that are no list of words", "a list of strings, none of them blank")
        text, offsets = join_words([check_text(token) for token in tokens])
        record = Record(text, None, offsets, id_)
        record.words = cut_at_white_space(text, offsets)
        if given is not None:
            given = [_of_tokens(one, offsets) for one in check_list(given)]
    record.fields = rest
    if given is not None:
        record.entities = [read_entity(one, record.text) for one in check_list(given)]
    return record


def read_entity(one: Any, text: str) -> Entity:
    """`{"start", "end", "label" or "type"}` and perhaps `score` and `text`. Raises Wrong."""
    if not isinstance(one, dict):
        raise Wrong(f"an entity that is {type(one).__name__}", "an object with start, end and label")
    start, end, type_ = one.get("start"), one.get("end"), one.get("label", one.get("type"))
    entity = Entity(*check_place(start, end, text), check_type(type_), check_score(one.get("score")))
    said = one.get("text")
    if isinstance(said, str) and said != text[entity.start : entity.end]:
        found = f"{text[entity.start : entity.end]!r} at {start}:{end}"
        raise Wrong(found, f"{said!r}, as the entity says", OFFSETS_FIX)
    return entity


def check_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Wrong(f"entities that are {type(value).__name__}", "a list")
    return value


def check_text(value: Any) -> str:
    """A string that is text. Raises Wrong."""
    if not isinstance(value, str):
        raise Wrong(f"a text that is {type(value).__name__}", "a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Wrong(f"half a surrogate pair at character {error.start}", "text", "write the file again") from None
    return value


def check_place(start: Any, end: Any, text: str) -> Offsets:
    """Offsets that lie in the text. Raises Wrong."""
    if type(start) is not int or type(end) is not int:
        raise Wrong(f"an entity at {start!r}:{end!r}", "two whole numbers, start and end")
    if not 0 <= start < end <= len(text):
        raise Wrong(f"an entity at {start}:{end}", f"a place in a text of {len(text)} characters", OFFSETS_FIX)
    return start, end


def check_type(value: Any) -> str:
    """A type that can be written in a tag: what stands around it goes. Raises Wrong."""
    name = value.strip() if isinstance(value, str) else ""
    if not name or not name.isprintable():
        raise Wrong(f"the type {value!r}", "a name", "name the entity's type in label")
    return name


def check_score(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def check_words(value: Any, text: str) -> list[Offsets]:
    """Places of words that rise and cover whatever is not white space at most once. Raises Wrong."""
    words: list[Offsets] = []
    at = 0
    for one in value if isinstance(value, list) else [None]:
        if not isinstance(one, list | tuple) or len(one) != 2 or not all(type(number) is int for number in one):
            raise Wrong("words that are no list of [start, end]", "places in the text, or no `words`")
        if not at <= one[0] < one[1] <= len(text):
            raise Wrong(f"a word at {one[0]}:{one[1]}", f"one that begins at {at} or later and ends in the text")
        words.append((one[0], one[1]))
        at = one[1]
    return cut_at_white_space(text, words)


_BREAKS = "\t\n\r"


def cut_at_white_space(text: str, words: list[Offsets]) -> list[Offsets]:
    """Without words of nothing but white space, and with those cut that hold a tab or a line end."""
    found: list[Offsets] = []
    for start, end in words:
        if not any(character in text[start:end] for character in _BREAKS):
            if text[start:end].strip():
                found.append((start, end))
            continue
        edges = [start - 1, *(i for i in range(start, end) if text[i] in _BREAKS), end]
        parts = ((a + 1, b) for a, b in pairwise(edges))
        found += [(a, b) for a, b in parts if text[a:b].strip()]
    return found


def _of_tokens(one: Any, offsets: list[Offsets]) -> dict[str, Any]:
    """An entity over tokens as one over the characters of the joined text. Raises Wrong."""
    if not isinstance(one, dict):
        raise Wrong(f"an entity that is {type(one).__name__}", "an object with start_token, end_token and label")
    start, end = one.get("start_token"), one.get("end_token")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(offsets):
        raise Wrong(f"an entity at tokens {start!r}:{end!r}", f"start_token and end_token in {len(offsets)} tokens")
    return {**one, "start": offsets[start][0], "end": offsets[end - 1][1]}


def scan_labelled(uri: str) -> ConllFile:
    """Labelled sentences of a file; problems are gathered in `.problems`.

    A record is a sentence, and its line is what a row is in Parquet. Entities grow to whole words (`widened`).
    """
    file = ConllFile(uri, rows=True, problems=Problems(uri))
    ids = _Ids(uri, file.problems)
    for record in records(textfile.read_file(uri), file.problems):
        offsets = record.offsets()
        if record.entities is None:
            fix = "label the record, or write [] where it has none"
            file.problems.add("no `entities`", "a list, since this set is labelled", fix, record.line)
        if not offsets:
            file.blank += 1
            continue
        words = [record.text[start:end] for start, end in offsets]
        for word in words:
            conll.check_token(file, word, record.line)
        fitted = fit_to_words(record.entities or [], offsets)
        file.widened += len(fitted.moved)
        for i in [*fitted.overlapping, *fitted.wordless]:
            one = (record.entities or [])[i]
            why = "overlaps another" if i in fitted.overlapping else "has no word"
            found = f"{one.type} at {one.start}:{one.end}, which {why}"
            fix = "leave one out; `tofner convert` keeps the longest and counts the others"
            file.problems.add(found, "entities that stand apart, of words", fix, record.line)
        file.sentences.append(Sentence(ids.name(record), words, spans_to_tags(fitted.spans, len(words))))
        file.lines.append(record.line)
    _not_empty(file)
    return file


def scan_text(uri: str) -> TextFile:
    """Words alone, of labelled records too, whose entities are never looked at."""
    file = TextFile(uri, problems=Problems(uri))
    words = ConllFile(uri, problems=file.problems)  # counts what is odd about tokens
    ids = _Ids(uri, file.problems)

    def unlabelled(value: dict[str, Any], _: int) -> Record:
        return read_record({name: part for name, part in value.items() if name != "entities"})

    for record in records(textfile.read_file(uri), file.problems, unlabelled):
        offsets = record.offsets()
        if not offsets:
            file.blank_lines += 1
            continue
        tokens = [record.text[start:end] for start, end in offsets]
        for token in tokens:
            conll.check_token(words, token, record.line)
        file.sentences.append(Sentence(ids.name(record), tokens))
        file.lines.append(record.line)
    file.c1_controls += words.c1_controls
    _not_empty(file)
    return file


class _Ids:
    """Names of sentences: `SET/SPLIT:` and the id of their record, else its line."""

    def __init__(self, uri: str, problems: Problems) -> None:
        self.uri, self.problems = uri, problems
        self.seen: set[str] = set()

    def name(self, record: Record) -> str:
        id_ = str(record.line if record.id is None else record.id)
        if id_ in self.seen:
            self.problems.add(f"id {id_} a second time", "each id once in a file", "rename or remove one", record.line)
        self.seen.add(id_)
        return conll.sentence_id(self.uri, id_)


def _not_empty(file: ConllFile | TextFile) -> None:
    if not file.sentences and not file.problems.count:
        file.problems.add("no sentence", "at least one", "give the split its data or leave the role out")

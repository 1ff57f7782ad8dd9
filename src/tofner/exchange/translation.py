"""`tofner translate`: a file of labelled text, plain text or questions, word by word in another language.

Offsets of entities and answers are counted anew, so that each is the translation of the words that it was; one that
begins or ends inside a word grows to the whole word, since only whole words have translations.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tofner import storage
from tofner.corpora import squad, textfile, translate
from tofner.corpora.jsonl import Entity, Record
from tofner.corpora.translate import Choose, Counts, Translator
from tofner.errors import BadInput, Problem
from tofner.exchange.columns import MOVED, WORDLESS
from tofner.exchange.convert import Format, format_of, read, write
from tofner.exchange.told import Told
from tofner.words.offsets import Offsets, covered

QUESTIONS = (".json", ".json.gz")
WIDENED = "answers began or ended inside a word or with white space, and were moved to whole words"


@dataclass
class Translated:
    """What came of a translation: `texts` are records or contexts, `marked` their entities or answers."""

    texts: int
    marked: int
    questions: int | None
    output: str
    counts: Counts
    told: Told = field(default_factory=Told)


def translate_file(source: str, target: str, dictionary: str, choose: Choose = "first") -> Translated:
    """Read a file and write it translated.

    Args:
        source: questions in SQuAD's schema, if it holds an object with a list `data`; else a file that
            `tofner convert` reads.
        dictionary: a file in MUSE's format.
        choose: as of `Translator`.

    Raises:
        BadInput: a file is not there, or its format is not known.
        BadData: something in the dictionary or the source is wrong; the places are listed.
    """
    if storage.absolute(source) == storage.absolute(target):
        raise BadInput(Problem(target, "the input itself", "another file", "name a new file as output"))
    found = translate.read(dictionary)
    translator = Translator(found, choose)
    told = Told()
    for line in found.phrases:
        told.leave("entries of several words in the dictionary were left out", dictionary, line)
    data = textfile.read_file(source) if source.endswith(QUESTIONS) else b""
    content = _questions(data, source)
    if content is not None:
        if not target.endswith(QUESTIONS):
            suffix = PurePosixPath(target.removesuffix(".gz")).suffix
            raise BadInput(Problem(target, f"the suffix {suffix!r}", ".json or .json.gz, as for all questions"))
        texts, marked, questions = _translate_questions(content, translator, told, source)
        _put(target, json.dumps(content, ensure_ascii=False).encode())
        return Translated(texts, marked, questions, target, translator.counts, told)
    _, records = read(source, told)
    written_as = format_of(target)
    made_records = [_record(one, translator, told, source) for one in records]
    if written_as is Format.text:
        _put(target, "".join(f"{one.text}\n" for one in made_records).encode())
        output = target
    else:
        output = write(made_records, target, written_as, told, source)
    marked = sum(len(one.entities or []) for one in made_records)
    return Translated(len(records), marked, None, output, translator.counts, told)


def _put(target: str, data: bytes) -> None:
    storage.write_bytes(target, gzip.compress(data, mtime=0) if target.endswith(".gz") else data)


def _record(record: Record, translator: Translator, told: Told, place: str) -> Record:
    text, before, after = translator.text(record.text, record.offsets())
    entities: list[Entity] = []
    for one in record.entities or []:
        new = _moved(before, after, one.start, one.end)
        if new is None:
            told.lose(WORDLESS, place, record.line)
            continue
        if not new.whole:
            told.lose(MOVED, place, record.line)
        entities.append(Entity(new.start, new.end, one.type, one.score))
    labelled = None if record.entities is None else entities
    return Record(text, labelled, after, record.id, dict(record.fields), record.line)


@dataclass(frozen=True)
class _Place:
    """Where the words of `start:end` of a text are in its translation; `whole`: it began and ended as words do."""

    start: int
    end: int
    whole: bool


def _moved(before: Sequence[Offsets], after: Sequence[Offsets], start: int, end: int) -> _Place | None:
    """None where it has no word."""
    first, last = covered(before, start, end)
    if first == last:
        return None
    whole = (before[first][0], before[last - 1][1]) == (start, end)
    return _Place(after[first][0], after[last - 1][1], whole)


# Questions


def _questions(data: bytes, source: str) -> dict[str, Any] | None:
    """The content of a file in SQuAD's schema, looked through; None where it is none."""
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        return None
    squad.parse(data, source).problems.raise_any()
    return content


def _translate_questions(
    content: dict[str, Any], translator: Translator, told: Told, place: str
) -> tuple[int, int, int]:
    """Contexts, questions and answers of `content` give way to their translations; how many contexts, answers and
    questions there are."""
    contexts = answers = questions = 0
    for paragraph in _paragraphs(content):
        text, before, after = translator.text(paragraph["context"])
        contexts += 1
        for asked in paragraph["qas"]:
            asked["question"] = translator.text(asked["question"])[0]
            questions += 1
            if asked.pop("plausible_answers", None):
                told.leave("questions had plausible answers, which were left out", f"{place}, question {asked['id']}")
            for answer in asked["answers"]:
                start = answer["answer_start"]
                new = _moved(before, after, start, start + len(answer["text"]))
                assert new is not None  # the reader has found its words
                if not new.whole:
                    told.leave(WIDENED, f"{place}, question {asked['id']}")
                answer["answer_start"], answer["text"] = new.start, text[new.start : new.end]
            answers += len(asked["answers"])
        paragraph["context"] = text
    return contexts, answers, questions


def _paragraphs(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for article in content["data"]:
        yield from article["paragraphs"]

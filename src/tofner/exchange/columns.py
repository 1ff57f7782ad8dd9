"""Records in formats of words and tags: column files and CoNLL-U."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tofner.corpora import conll, textfile
from tofner.corpora.conll import DOCSTART
from tofner.corpora.examples import Sentence
from tofner.corpora.jsonl import Entity, Record, cut_at_white_space, own_words
from tofner.corpora.textfile import Problems
from tofner.exchange.told import Told
from tofner.words.offsets import Offsets, fit_to_words, join_words
from tofner.words.spans import Span, detect_scheme, is_tag, spans_to_tags, tags_to_spans, to_bio2

BOM = "\ufeff"
OVERLAP = "entities overlap a longer one and were left out"
MOVED = "entities began or ended inside a word or with white space, and were moved to whole words"
WORDLESS = "entities had no word in them and were left out"
REPEATED = "entities were said twice"
EMPTY = "records without a word were left out"
UNLABELLED = "records without labels were written as having no entity"
FIELDS = "fields of records have no place in this format"
IDS = "ids have no place in this format"
SCORES = "scores have no place in this format"


def of_words(words: Sequence[str], tags: Sequence[str], line: int) -> Record:
    """A sentence of words, with a space between, and BIO2 tags."""
    text, offsets = join_words(words)
    entities = [Entity(offsets[s.start][0], offsets[s.end - 1][1], s.type) for s in tags_to_spans(tags)]
    return Record(text, entities, cut_at_white_space(text, offsets), line=line)


def fitted(record: Record, words: Sequence[Offsets], told: Told, place: str) -> list[tuple[Span, Entity]]:
    """The entities of a record as spans of its words, each with what it was made of; what cannot be held is counted."""
    entities = record.entities or []
    result = fit_to_words(entities, words)
    for kind, group in ((OVERLAP, result.overlapping), (MOVED, result.moved), (WORDLESS, result.wordless)):
        told.lose(kind, place, record.line, len(group))
    told.leave(REPEATED, place, record.line, len(result.repeated))
    if record.entities is None:
        told.leave(UNLABELLED, place, record.line)
    return [(span, entities[i]) for span, i in zip(result.spans, result.chosen, strict=True)]


def left_behind(record: Record, told: Told, place: str, *, ids: bool = True, fields: bool = True) -> None:
    """Counts what of a record has no place in a format of labels alone."""
    if ids and record.id is not None:
        told.leave(IDS, place, record.line)
    told.leave(SCORES, place, record.line, sum(one.score is not None for one in record.entities or []))
    if fields and record.fields:
        told.lose(f"{FIELDS}: {', '.join(sorted(record.fields))}", place, record.line)


def read_conll(data: bytes, uri: str, told: Told) -> list[Record]:
    """A column file. Raises BadData as `tofner.corpora.conll.read`."""
    file = conll.parse(data, uri)
    file.problems.raise_any()
    told.lose("tags broke their scheme and were mended", uri, file.repairs[0][0] if file.repairs else None,
              file.repaired_tags)  # fmt: skip
    told.leave("lines -DOCSTART- were skipped", uri, None, file.docstarts)
    told.leave("comment lines were skipped", uri, file.comment_lines[0] if file.comments else None, file.comments)
    told.leave("files were read as latin-1", uri, None, int(file.encoding == "latin-1"))
    pairs = zip(file.sentences, file.lines, strict=True)
    return [of_words(one.tokens, one.tags or [], line) for one, line in pairs]


def write_conll(records: Sequence[Record], place: str, told: Told) -> bytes:
    """Token TAB tag, in BIO2."""

    def sentences() -> Iterator[Sentence]:
        for record in records:
            words = record.offsets()
            if not words:
                told.lose(EMPTY, place, record.line)
                continue
            left_behind(record, told, place)
            words = [part for word in words for part in _without_marks(record.text, word)]
            tags = spans_to_tags([span for span, _ in fitted(record, words, told, place)], len(words))
            tokens = [record.text[start:end] for start, end in words]
            clean = [_printable(token) for token in tokens]
            changed = sum(a != b for a, b in zip(tokens, clean, strict=True))
            told.lose("words lost control characters, which a column file cannot hold", place, record.line, changed)
            yield Sentence("", clean, tags)

    text = conll.to_text(sentences())
    return ((BOM if text.startswith(BOM) else "") + text).encode()  # readers take the first one away


def _without_marks(text: str, word: Offsets) -> list[Offsets]:
    """A word as it is; -DOCSTART-, which would end a sentence, in the words that `segment` makes of it."""
    start, end = word
    first = re.split("[ \t]", text[start:end], maxsplit=1)[0]
    if first != DOCSTART:
        return [word]
    return [(start + a, start + b) for a, b in own_words(text[start:end])]


def _printable(token: str) -> str:
    """Without the characters that the reader of column files refuses; U+FFFD where nothing else is left."""
    if not textfile.control_character(token):
        return token
    kept = [c for c in token if not (control := textfile.control_character(c)) or textfile.is_c1(control)]
    return "".join(kept).strip() or "\ufffd"


# CoNLL-U

NAMES = ("NER", "ner", "NE", "name", "Entity")  # keys of MISC; NER is written
_ID = re.compile(r"(\d+)(?:([-.])(\d+))?")


@dataclass
class _Sentence:
    """A sentence as its lines say. `tags` are as written; `members` are words still covered by the last range."""

    line: int
    words: list[str] = field(default_factory=list)
    spaced: list[bool] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    members: range = range(0)
    text: str | None = None
    id: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


def read_conllu(data: bytes, uri: str, told: Told) -> list[Record]:
    """CoNLL-U with a tag a word in MISC: `NER=B-PER` (or ner, NE, name, Entity; or the bare tag, as spaCy reads).

    Words written as one (3-4) are one word, with the first tag of its parts. Raises BadData.
    """
    problems = Problems(uri)
    text, _ = textfile.decode(data, problems, "utf-8")
    sentences: list[_Sentence] = []
    now: _Sentence | None = None
    for number, line in enumerate([*textfile.lines(text), ""], start=1):
        if not line.strip():
            if now is not None and now.words:
                sentences.append(now)
            now = None
            continue
        now = now or _Sentence(number)
        if line.startswith("#"):
            _comment(now, line, number, uri, told)
        else:
            _word(now, line, number, uri, told, problems)
    problems.raise_any()
    scheme = detect_scheme([one.tags for one in sentences])
    records = []
    for one in sentences:
        tags, mended = to_bio2(one.tags, scheme)
        told.lose("tags broke their scheme and were mended", uri, one.line, mended)
        records.append(_record(one, tags, uri, told))
    if not records:
        problems.add("no sentence", "at least one", "give the file its data")
        problems.raise_any()
    return records


def _comment(now: _Sentence, line: str, number: int, uri: str, told: Told) -> None:
    key, equals, value = line[1:].partition("=")
    key, value = key.strip(), value.removeprefix(" ")
    if not equals:
        told.leave("comments that name no value were skipped", uri, number)
    elif key == "text":
        now.text = value
    elif key == "sent_id":
        now.id = value.strip()
    else:
        now.fields[key] = value


def _word(now: _Sentence, line: str, number: int, uri: str, told: Told, problems: Problems) -> None:
    cells = line.split("\t")
    match = _ID.fullmatch(cells[0])
    if len(cells) != 10 or not match:
        problems.add(f"{len(cells)} columns, the first {cells[0][:20]!r}", "10 columns and a word's number", "", number)
        return
    first, kind, last = int(match[1]), match[2], match[3]
    if kind == ".":
        return  # a word that is not written
    tag, known = _tag(cells[9])
    if not known:
        told.lose("values of Entity or NER are no tags and were left out (brackets are of CorefUD)", uri, number)
    if kind is None and first in now.members:
        if now.tags[-1] == "O":
            now.tags[-1] = tag
        return
    if not cells[1].strip():
        problems.add("an empty FORM", "a word", "mend the line", number)
        return
    now.members = range(first, int(last) + 1) if kind else range(0)
    now.words.append(cells[1])
    now.tags.append(tag)
    now.spaced.append("SpaceAfter=No" not in cells[9].split("|"))


def _tag(misc: str) -> tuple[str, bool]:
    """The tag in a MISC column, O if there is none, and whether what stands there was understood."""
    for part in misc.split("|"):
        key, equals, value = part.partition("=")
        if equals and key in NAMES:
            return (value, True) if is_tag(value) else ("O", False)
        if not equals and part not in ("_", "O") and is_tag(part):
            return part, True
    return "O", True


def _record(one: _Sentence, tags: list[str], uri: str, told: Told) -> Record:
    built = "".join(word + (" " if spaced else "") for word, spaced in zip(one.words, one.spaced, strict=True))
    text = built.rstrip(" ") if one.text is None else one.text
    offsets = _find(one.words, text)
    if offsets is None:
        told.lose("sentences have another text than their words, and were built of these", uri, one.line)
        text = built.rstrip(" ")
        offsets = _find(one.words, text) or []
    entities = [Entity(offsets[s.start][0], offsets[s.end - 1][1], s.type) for s in tags_to_spans(tags)]
    words = cut_at_white_space(text, offsets)
    return Record(text, entities, words, one.id, dict(one.fields), one.line)


def _find(words: Sequence[str], text: str) -> list[Offsets] | None:
    """Where the words stand in a text that has nothing but white space between them; None if it has more."""
    offsets: list[Offsets] = []
    at = 0
    for word in words:
        start = text.find(word, at)
        if start < 0 or text[at:start].strip():
            return None
        offsets.append((start, start + len(word)))
        at = start + len(word)
    return None if text[at:].strip() else offsets


def write_conllu(records: Sequence[Record], place: str, told: Told) -> bytes:
    """CoNLL-U: words, `SpaceAfter=No` and `NER=` with BIO2 tags in MISC, everything else `_`."""
    lines: list[str] = []
    for record in records:
        words = record.offsets()
        if not words:
            told.lose(EMPTY, place, record.line)
            continue
        left_behind(record, told, place, ids=False, fields=False)
        text = one_line(record, told, place)
        if record.id is not None:
            lines.append(f"# sent_id = {' '.join(str(record.id).split())}")
        lines.append(f"# text = {text}")
        lines += _comments(record, told, place)
        spans = [
            Span(span.start, span.end, plain_type(span.type, told, place, record.line))
            for span, _ in fitted(record, words, told, place)
        ]
        tags = spans_to_tags(spans, len(words))
        for number, ((start, end), tag) in enumerate(zip(words, tags, strict=True), start=1):
            misc = [] if tag == "O" else [f"NER={tag}"]
            if number < len(words) and words[number][0] == end:
                misc.append("SpaceAfter=No")
            cells = [str(number), text[start:end], *["_"] * 7, "|".join(misc) or "_"]
            lines.append("\t".join(cells))
        lines.append("")
    return "".join(f"{line}\n" for line in lines).encode()


def _comments(record: Record, told: Told, place: str) -> Iterator[str]:
    for key, value in record.fields.items():
        simple = isinstance(value, str) and "\n" not in value and "\r" not in value
        if simple and key and key.strip() == key and key not in ("text", "sent_id") and not set(key) & set("=\n\r"):
            yield f"# {key} = {value}"
        else:
            told.lose(f"{FIELDS}: {key}", place, record.line)


def one_line(record: Record, told: Told, place: str) -> str:
    """The text with spaces for line ends, so that offsets stay."""
    text = record.text.replace("\r", " ").replace("\n", " ")
    if text != record.text:
        told.leave("texts got spaces for their line ends", place, record.line)
    return text


def plain_type(type_: str, told: Told, place: str, line: int) -> str:
    """A type without white space and `|`, which separate there; renamed ones are counted."""
    name = re.sub(r"[\s|]+", "_", type_)
    if name != type_:
        told.lose("entities got a type without spaces", place, line)
    return name

"""Records in the JSON of tools: tofner's own JSON lines, doccano, Prodigy, GLiNER and Label Studio.

All count characters, end exclusive, but for GLiNER, which counts words, end inclusive (github.com/urchade/GLiNER, data
of its training). doccano: https://doccano.github.io/doccano; Prodigy: prodi.gy/docs/api-interfaces;
Label Studio: labelstud.io/guide/predictions. Label Studio's editor runs in JavaScript, which counts UTF-16 units, and
older versions wrote these (label-studio#1347, label-studio-frontend#308): where a result says its text, its offsets
are checked against it, and taken as UTF-16 where only these fit.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tofner.corpora.jsonl import (
    OFFSETS_FIX,
    Entity,
    Record,
    Wrong,
    check_list,
    check_place,
    check_score,
    check_text,
    check_type,
    check_words,
    own_words,
    read_record,
    records,
)
from tofner.corpora.textfile import Problems
from tofner.exchange.columns import SCORES, UNLABELLED, fitted
from tofner.exchange.told import Told
from tofner.words.offsets import utf16_to_characters

Json = dict[str, Any]
NO_SPANS = "results that are no labelled spans were left out"


def parse(data: bytes, uri: str, make: Callable[[Json, int], Record | None] | None = None) -> list[Record]:
    """The records of a file; raises BadData, every wrong one listed."""
    problems = Problems(uri)
    found = records(data, problems, make)
    problems.raise_any()
    return found


def dump_lines(values: Sequence[Json]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def _extra(record: Record, reserved: Sequence[str]) -> Json:
    """A record's other fields, and `words` where they are not those that everybody would cut; what has a name that is
    taken goes below `meta`."""
    fields = dict(record.fields)
    clash = {name: fields.pop(name) for name in reserved if name in fields and name != "meta"}
    if clash:
        meta = fields.get("meta", {})
        fields["meta"] = (meta if isinstance(meta, dict) else {"meta": meta}) | clash
    if record.words is not None and record.words != own_words(record.text):
        fields["words"] = [list(word) for word in record.words]
    return fields


def _id(record: Record) -> Json:
    return {} if record.id is None else {"id": record.id}


def _score(one: Entity) -> Json:
    return {} if one.score is None else {"score": one.score}


# JSON lines


def read_jsonl(data: bytes, uri: str, told: Told) -> list[Record]:
    return parse(data, uri)


def write_jsonl(records: Sequence[Record], place: str, told: Told) -> bytes:
    """`{"id", "text", "entities"}` as `tofner tag` writes them, then the record's other fields."""

    def entity(one: Entity, text: str) -> Json:
        shown = {"start": one.start, "end": one.end, "label": one.type}
        return shown | _score(one) | {"text": text[one.start : one.end]}

    lines = []
    for record in records:
        value = _id(record) | {"text": record.text}
        if record.entities is not None:
            value["entities"] = [entity(one, record.text) for one in record.entities]
        lines.append(value | _extra(record, ("id", "text", "tokens", "entities", "words")))
    return dump_lines(lines)


# doccano


def read_doccano(data: bytes, uri: str, told: Told) -> list[Record]:
    """`label` or `labels` as [[start, end, type]], or `entities` with start_offset and end_offset."""

    def make(value: Json, line: int) -> Record:
        rest = dict(value)
        record = Record(check_text(rest.pop("text", rest.pop("data", None))), id=rest.pop("id", None))
        lists = [rest.pop(name) for name in ("label", "labels") if name in rest]
        if "entities" in rest:
            lists.append([_of_doccano(one) for one in check_list(rest.pop("entities"))])
        for one in lists:
            record.entities = [*(record.entities or []), *(_triple(part, record.text) for part in check_list(one))]
        told.lose("relations were left out", uri, line, len(rest.pop("relations", None) or []))
        told.lose("comments were left out", uri, line, len(rest.pop("Comments", None) or []))
        if isinstance(rest.get("meta"), dict):  # where older versions kept the other columns
            rest = rest.pop("meta") | rest
        if "words" in rest:
            record.words = check_words(rest.pop("words"), record.text)
        record.fields = rest
        return record

    return parse(data, uri, make)


def _of_doccano(one: Any) -> list[Any]:
    return [one.get("start_offset"), one.get("end_offset"), one.get("label")] if isinstance(one, dict) else [one]


def _triple(one: Any, text: str) -> Entity:
    if not isinstance(one, list) or len(one) != 3:
        raise Wrong(f"a label {json.dumps(one, ensure_ascii=False)[:60]}", "[start, end, type]")
    return Entity(*check_place(one[0], one[1], text), check_type(one[2]))


def write_doccano(records: Sequence[Record], place: str, told: Told) -> bytes:
    """`{"id", "text", "label": [[start, end, type]]}` and the other fields, which doccano keeps beside the text."""
    lines = []
    for record in records:
        told.leave(SCORES, place, record.line,
                   sum(one.score is not None for one in record.entities or []))  # fmt: skip
        value = _id(record) | {"text": record.text}
        value["label"] = [[one.start, one.end, one.type] for one in record.entities or []]
        if record.entities is None:
            told.leave(UNLABELLED, place, record.line)
        lines.append(value | _extra(record, ("id", "text", "data", "label", "labels", "entities", "relations",
                                             "Comments", "words")))  # fmt: skip
    return dump_lines(lines)


# Prodigy


def read_prodigy(data: bytes, uri: str, told: Told) -> list[Record]:
    """`text`, `spans` and `tokens`; tasks whose `answer` is not `accept` are left out. Keys with a _ are Prodigy's."""

    def make(value: Json, line: int) -> Record | None:
        rest = {name: part for name, part in value.items() if not name.startswith("_")}
        if rest.pop("answer", "accept") != "accept":
            told.leave("tasks were rejected or ignored and left out", uri, line)
            return None
        record = Record(check_text(rest.pop("text", None)))
        if "spans" in rest:
            record.entities = [_span(one, record.text) for one in check_list(rest.pop("spans"))]
        if "tokens" in rest:
            tokens = [[t.get("start"), t.get("end")] if isinstance(t, dict) else t for t in check_list(rest["tokens"])]
            record.words = check_words(tokens, record.text)
            del rest["tokens"]
        meta = rest.pop("meta", {})
        if isinstance(meta, dict):
            record.id = meta.get("id")
            rest = {name: part for name, part in meta.items() if name != "id"} | rest
        record.fields = rest
        return record

    return parse(data, uri, make)


def _span(one: Any, text: str) -> Entity:
    if not isinstance(one, dict):
        raise Wrong(f"a span that is {type(one).__name__}", "an object with start, end and label")
    place = check_place(one.get("start"), one.get("end"), text)
    return Entity(*place, check_type(one.get("label")), check_score(one.get("score")))


def write_prodigy(records: Sequence[Record], place: str, told: Told) -> bytes:
    """Tasks of `ner.manual` and `ner.correct`: spans of whole tokens; `meta` is shown below the text.

    Entities that overlap are written too: `spans.manual` shows them.
    """
    lines = []
    for record in records:
        words = record.offsets()
        tokens = [
            {"text": record.text[a:b], "start": a, "end": b, "id": i, "ws": record.text[b : b + 1].isspace()}
            for i, (a, b) in enumerate(words)
        ]
        spans = [span for one in record.entities or [] for span in _whole(one, record, told, place)]
        if record.entities is None:
            told.leave(UNLABELLED, place, record.line)
        value = {"text": record.text, "tokens": tokens, "spans": spans}
        lines.append(value | ({"meta": meta} if (meta := _id(record) | record.fields) else {}))
    return dump_lines(lines)


def _whole(one: Entity, record: Record, told: Told, place: str) -> Iterator[Json]:
    words = record.offsets()
    for span, _ in fitted(Record(record.text, [one], words, line=record.line), words, told, place):
        start, end = words[span.start][0], words[span.end - 1][1]
        # token_end is the last token, not the one after it
        tokens = {"token_start": span.start, "token_end": span.end - 1}
        yield {"start": start, "end": end, **tokens, "label": span.type, **_score(one)}


# GLiNER


def read_gliner(data: bytes, uri: str, told: Told) -> list[Record]:
    """`tokenized_text` and `ner`, [[first word, last word, type]]; further numbers of a span are nobody's scores."""

    def make(value: Json, line: int) -> Record:
        rest = dict(value)
        given = rest.pop("ner", None)
        spans = None if given is None else [_words_of(one) for one in check_list(given)]
        entities = {} if spans is None else {"entities": spans}
        for name in ("text", "entities"):
            told.lose(f"fields {name} were left out", uri, line, int(rest.pop(name, None) is not None))
        return read_record(rest | {"tokens": rest.pop("tokenized_text", None)} | entities)

    return parse(data, uri, make)


def _words_of(one: Any) -> Json:
    if not isinstance(one, list) or len(one) != 3 or any(type(place) is not int for place in one[:2]):
        shown = json.dumps(one, ensure_ascii=False)[:60]
        raise Wrong(f"a span {shown}", "[first word, last word, type]")
    return {"start_token": one[0], "end_token": one[1] + 1, "label": one[2]}


def write_gliner(records: Sequence[Record], place: str, told: Told) -> bytes:
    """A list of `{"tokenized_text", "ner"}` as GLiNER trains on, with the records' other fields, which it passes over.

    Entities that overlap are written too: it learns nested ones.
    """
    rows = []
    for record in records:
        words = record.offsets()
        spans = [
            [span.start, span.end - 1, span.type]
            for one in record.entities or []
            for span, _ in fitted(Record(record.text, [one], words, line=record.line), words, told, place)
        ]
        told.leave(SCORES, place, record.line, sum(one.score is not None for one in record.entities or []))
        if record.entities is None:
            told.leave(UNLABELLED, place, record.line)
        value: Json = {"tokenized_text": [record.text[a:b] for a, b in words], "ner": spans}
        rows.append(value | _id(record) | _extra(record, ("tokenized_text", "ner", "id", "words", "tokens", "text")))
    return (json.dumps(rows, ensure_ascii=False) + "\n").encode()


# Label Studio

CONTROL, OBJECT = "label", "text"  # names in the template "Named Entity Recognition"
# What Label Studio says of a task; anything else in it is a field of the user's.
BOOKS = frozenset(
    "agreement annotations_ids annotations_results annotators avg_lead_time cancelled_annotations comment_authors "
    "comment_authors_count comment_count completed_at created_at draft_exists drafts file_upload ground_truth inner_id "
    "is_labeled last_comment_updated_at overlap predictions_model_versions predictions_results predictions_score "
    "project reviewed reviewers reviews_accepted reviews_rejected storage_filename total_annotations "
    "total_predictions unresolved_comment_count updated_at updated_by precomputed_agreement state allow_skip".split()
)


def read_label_studio(data: bytes, uri: str, told: Told) -> list[Record]:
    """Tasks: the annotation of each or, in a file without any, the prediction.

    In a file with annotations, tasks without one have not been looked at, and are left out; so are those skipped. The
    text is `data.text`, or the only string in `data`. A region with two labels is two entities.
    """
    problems = Problems(uri)
    annotated = [False]

    def look(value: Json, _: int) -> None:
        annotated[0] |= bool(_annotations(value))

    records(data, problems, look)
    problems.raise_any()
    return parse(data, uri, lambda value, line: _task(value, line, annotated[0], uri, told))


def _annotations(task: Json) -> list[Json]:
    given = task.get("annotations", task.get("completions")) or []  # the older name
    return [one for one in check_list(given) if isinstance(one, dict)]


def _task(task: Json, line: int, annotated: bool, uri: str, told: Told) -> Record | None:
    given = task.get("data")
    if not isinstance(given, dict):
        raise Wrong("a task without data", "an object `data` with the text", "export from Label Studio as JSON")
    fields = dict(given)
    strings = [name for name, value in fields.items() if isinstance(value, str) and name != "id"]
    name = "text" if "text" in fields else strings[0] if len(strings) == 1 else ""
    if not name:
        raise Wrong(f"data with {', '.join(fields) or 'nothing'}", "a field text, or one string", "rename the field")
    text = check_text(fields.pop(name))
    id_ = fields.pop("id", task.get("id"))
    record = Record(text, None, check_words(fields.pop("words"), text) if "words" in fields else None, id_)
    rest = {key: part for key, part in task.items() if key not in BOOKS}
    for key in ("id", "data", "annotations", "completions", "predictions"):
        rest.pop(key, None)
    meta = rest.pop("meta", None)
    record.fields = fields | (meta if isinstance(meta, dict) else {}) | rest
    made = _annotations(task)
    kept = [one for one in made if not one.get("was_cancelled")]
    if annotated and not kept:
        told.leave("tasks were skipped or not annotated, and left out", uri, line)
        return None
    told.lose("annotations beside the last one of their task were left out", uri, line, max(0, len(kept) - 1))
    guesses = [one for one in task.get("predictions") or [] if isinstance(one, dict)]
    chosen = kept[-1] if kept else guesses[-1] if guesses else None
    if chosen is not None:
        told.leave("tasks have a prediction and no annotation; it was taken", uri, line, int(not kept))
        results = check_list(chosen.get("result") or [])
        record.entities = [one for result in results for one in _regions(result, text, uri, line, told)]
    return record


def _regions(result: Any, text: str, uri: str, line: int, told: Told) -> Iterator[Entity]:
    value = result.get("value") if isinstance(result, dict) else None
    labels = value.get("labels") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(labels, list):
        told.lose(NO_SPANS, uri, line)
        return
    start, end = (_number(value.get(name)) for name in ("start", "end"))
    said = value.get("text")
    if isinstance(said, str) and type(start) is int and type(end) is int and not _reads(text[start:end], said):
        pair = utf16_to_characters(text, start), utf16_to_characters(text, end)
        if None in pair or not _reads(text[pair[0] : pair[1]], said):
            found = f"{text[start:end]!r} at {start}:{end}"
            raise Wrong(found, f"{said!r}, as the result says", OFFSETS_FIX)
        told.leave("offsets were of UTF-16 units, and were turned into characters", uri, line)
        start, end = pair
    score = check_score(result.get("score"))
    for label in labels:
        yield Entity(*check_place(start, end, text), check_type(label), score)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _reads(text: str, said: str) -> bool:
    """Whether two texts are one but for white space, which the editor changes (label-studio#3078)."""
    return "".join(text.split()) == "".join(said.split())


def write_label_studio(records: Sequence[Record], place: str, told: Told) -> bytes:
    """Tasks for a project of the template "Named Entity Recognition": labels `label` of `$text`.

    Entities are `predictions`, to be corrected, where any entity of the file has a score; `annotations` else. The id
    and other fields stand in `data`, since Label Studio gives its tasks numbers of its own.
    """
    guessed = any(one.score is not None for record in records for one in record.entities or [])
    tasks = []
    for record in records:
        shown = {"text": record.text} | _id(record)
        task: Json = {"data": shown | _extra(record, ("text", "id", "words"))}
        results = [_result(i, one, record.text) for i, one in enumerate(record.entities or [], start=1)]
        if record.entities is not None and guessed:
            task["predictions"] = [{"model_version": "tofner", "result": results}]
        elif record.entities is not None:
            task["annotations"] = [{"result": results}]
        tasks.append(task)
    return (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode()


def _result(number: int, one: Entity, text: str) -> Json:
    value = {"start": one.start, "end": one.end, "text": text[one.start : one.end], "labels": [one.type]}
    names = {"from_name": CONTROL, "to_name": OBJECT, "type": "labels"}
    return {"id": f"e{number}", **names, "value": value, **_score(one)}

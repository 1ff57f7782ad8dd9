"""Files in the form that each tool's own documentation shows, read and written."""

import json
from pathlib import Path
from typing import Any

import pytest

from tofner.corpora.jsonl import Entity, Record
from tofner.errors import BadData
from tofner.exchange import brat, columns, tools
from tofner.exchange.told import Told


def found(records: list[Record]) -> list[list[tuple[str, str]]]:
    return [[(one.type, record.text[one.start : one.end]) for one in record.entities or []] for record in records]


def counted(told: Told) -> dict[str, int]:
    return {kind: one.count for kinds in (told.lost, told.left) for kind, one in kinds.items()}


# Label Studio: labelstud.io/guide/export "Label Studio JSON format of annotated tasks", guide/predictions.
def task(**more: Any) -> dict[str, Any]:
    region = {
        "value": {"start": 2, "end": 13, "text": "Jim Peebles", "labels": ["Person"]},
        "id": "def", "from_name": "ner", "to_name": "text", "type": "labels", "origin": "manual",
    }  # fmt: skip
    return {
        "id": 1,
        "data": {"text": "💩Jim Peebles won.", "source": "tweets"},
        "annotations": [
            {"id": 1001, "result": [region], "was_cancelled": False, "ground_truth": False, "lead_time": 19.2}
        ],
        "predictions": [],
        "created_at": "2020-05-11",
        "inner_id": 1,
        **more,
    }


def read_tasks(*tasks: dict[str, Any]) -> tuple[list[Record], Told]:
    told = Told()
    return tools.read_label_studio(json.dumps(tasks).encode(), "t.json", told), told


def test_label_studio_offsets_are_characters() -> None:
    made = task()
    made["annotations"][0]["result"][0]["value"] |= {"start": 1, "end": 12}
    records, told = read_tasks(made)
    assert found(records) == [[("Person", "Jim Peebles")]]
    assert (records[0].id, records[0].fields) == (1, {"source": "tweets"})
    assert counted(told) == {}


def test_label_studio_offsets_of_utf16_are_told_by_the_text() -> None:
    records, told = read_tasks(task())
    assert found(records) == [[("Person", "Jim Peebles")]]
    assert records[0].entities == [Entity(1, 12, "Person")]
    assert counted(told) == {"offsets were of UTF-16 units, and were turned into characters": 1}


def test_label_studio_collapses_white_space_in_what_it_quotes() -> None:
    value = {"start": 6, "end": 22, "text": "Berlin, Germany", "labels": ["LOC"]}
    made = task(data={"text": "Text: Berlin,  Germany."})
    made["annotations"][0]["result"] = [{"value": value, "type": "labels"}]
    records, told = read_tasks(made)
    assert found(records) == [[("LOC", "Berlin,  Germany")]]
    assert counted(told) == {}


def test_label_studio_text_that_stands_nowhere_is_wrong() -> None:
    made = task(data={"text": "Jim Peebles won. He won."})
    with pytest.raises(BadData, match=r"t\.json:1: found 'm Peebles w' at 2:13; expected 'Jim Peebles'"):
        read_tasks(made)


def test_label_studio_tasks_that_nobody_annotated_are_no_gold() -> None:
    guess = {"model_version": "one", "score": 0.5, "result": [{"value": {"start": 0, "end": 3, "labels": ["LOC"]},
             "from_name": "label", "to_name": "text", "type": "labels"}]}  # fmt: skip
    open_ = {"id": 2, "data": {"text": "Rome is old"}, "annotations": [], "predictions": [guess]}
    skipped = task(id=3, annotations=[{"was_cancelled": True, "result": []}], predictions=[guess])
    records, told = read_tasks(task(), open_, skipped)
    assert [one.id for one in records] == [1]
    assert counted(told)["tasks were skipped or not annotated, and left out"] == 2
    records, told = read_tasks(open_)
    assert found(records) == [[("LOC", "Rom")]]
    assert counted(told) == {"tasks have a prediction and no annotation; it was taken": 1}


def test_label_studio_what_is_no_span_is_counted() -> None:
    made = task()
    made["annotations"][0]["result"] += [
        {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
        {"type": "choices", "value": {"choices": ["good"]}, "from_name": "c", "to_name": "text"},
    ]
    made["annotations"] = [made["annotations"][0] | {"result": []}, made["annotations"][0]]
    records, told = read_tasks(made)
    assert found(records) == [[("Person", "Jim Peebles")]]
    assert counted(told)[tools.NO_SPANS] == 2
    assert told.lost[tools.NO_SPANS].line == 1
    assert counted(told)["annotations beside the last one of their task were left out"] == 1


def test_label_studio_gets_predictions_where_there_are_scores() -> None:
    record = Record("Jim won.", [Entity(0, 3, "PER", 0.8)], id="a1", fields={"source": "x"})
    (made,) = json.loads(tools.write_label_studio([record], "x", Told()))
    assert made["data"] == {"text": "Jim won.", "id": "a1", "source": "x"}
    (result,) = made["predictions"][0]["result"]
    assert result["value"] == {"start": 0, "end": 3, "text": "Jim", "labels": ["PER"]}
    assert (result["from_name"], result["to_name"], result["type"]) == ("label", "text", "labels")
    assert result["score"] == 0.8
    (made,) = json.loads(tools.write_label_studio([Record("Jim", [Entity(0, 3, "PER")])], "x", Told()))
    assert "predictions" not in made
    assert made["annotations"][0]["result"][0]["value"]["labels"] == ["PER"]
    (made,) = json.loads(tools.write_label_studio([Record("Jim")], "x", Told()))
    assert made == {"data": {"text": "Jim"}}


# doccano: its tutorial's export, its import example, and the export of projects with relations.
DOCCANO = """\
{"doc_id": 33, "text": "The Hitchhiker's Guide to the Galaxy", "labels": [[0, 36, "Title"]], "username": "admin"}
{"id": 2, "text": "EU rejects German call", "label": [[0, 2, "ORG"], [11, 17, "MISC"]], "Comments": ["sure?"]}
{"id": 3, "text": "Google by Larry Page", "entities": [{"id": 0, "start_offset": 0, "end_offset": 6, "label": "ORG"}, \
{"id": 1, "start_offset": 10, "end_offset": 20, "label": "PERSON"}], "relations": [{"from_id": 0, "to_id": 1}]}
"""


def test_doccano() -> None:
    told = Told()
    records = tools.read_doccano(DOCCANO.encode(), "d.jsonl", told)
    assert found(records) == [
        [("Title", "The Hitchhiker's Guide to the Galaxy")],
        [("ORG", "EU"), ("MISC", "German")],
        [("ORG", "Google"), ("PERSON", "Larry Page")],
    ]
    assert [one.id for one in records] == [None, 2, 3]
    assert records[0].fields == {"doc_id": 33, "username": "admin"}
    assert counted(told) == {"relations were left out": 1, "comments were left out": 1}
    assert [(one.place, one.line) for one in told.losses] == [("d.jsonl", 2), ("d.jsonl", 3)]
    lines = tools.write_doccano(records[1:2], "x", told).decode()
    assert json.loads(lines) == {
        "id": 2,
        "text": "EU rejects German call",
        "label": [[0, 2, "ORG"], [11, 17, "MISC"]],
    }


# Prodigy: prodi.gy/docs/api-interfaces#ner_manual
WORDS = ("First", "look", "at", "the", "new", "MacBook", "Pro")
STARTS = (0, 6, 11, 14, 18, 22, 30)
TASK = {
    "text": " ".join(WORDS),
    "spans": [{"start": 22, "end": 33, "label": "PRODUCT", "token_start": 5, "token_end": 6}],
    "tokens": [
        {"text": word, "start": start, "end": start + len(word), "id": i, "ws": i < 6}
        for i, (word, start) in enumerate(zip(WORDS, STARTS, strict=True))
    ],
    "_input_hash": 1,
    "_task_hash": 2,
    "_view_id": "ner_manual",
    "answer": "accept",
    "meta": {"source": "news", "id": "n7"},
}


def test_prodigy() -> None:
    told = Told()
    others = [{"text": "no", "spans": [], "answer": "reject"}, {"text": "skipped", "spans": [], "answer": "ignore"}]
    lines = "".join(json.dumps(one) + "\n" for one in [TASK, *others])
    records = tools.read_prodigy(lines.encode(), "p.jsonl", told)
    assert found(records) == [[("PRODUCT", "MacBook Pro")]]
    assert (records[0].id, records[0].fields) == ("n7", {"source": "news"})
    assert counted(told) == {"tasks were rejected or ignored and left out": 2}
    again = json.loads(tools.write_prodigy(records, "x", told))
    for name in ("text", "spans", "tokens", "meta"):
        assert again[name] == TASK[name]


# GLiNER: github.com/urchade/GLiNER, the data of its fine-tuning example.
GLINER = {
    "tokenized_text": ["State", "University", "of", "New", "York", "-", "the", "1990", "Carroll", "Gardens"],
    "ner": [[0, 4, "university"], [3, 4, "state"], [8, 9, "park"]],
}


def test_gliner() -> None:
    told = Told()
    data = json.dumps([GLINER, {"tokenized_text": ["Rome"], "ner": [], "id": 7, "lang": "en"}]).encode()
    records = tools.read_gliner(data, "g.json", told)
    assert found(records) == [
        [("university", "State University of New York"), ("state", "New York"), ("park", "Carroll Gardens")],
        [],
    ]
    assert (records[1].id, records[1].fields) == (7, {"lang": "en"})
    assert counted(told) == {}
    assert json.loads(tools.write_gliner(records, "x", told)) == json.loads(data)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tokenized_text": ["Rome"], "ner": [[0, 1, "LOC"]]}, "in 1 tokens"),
        ({"tokenized_text": ["Rome"], "ner": [["0", 0, "LOC"]]}, r"expected \[first word, last word, type\]"),
        ({"tokenized_text": ["Rome"], "ner": [[0, 0]]}, r"expected \[first word, last word, type\]"),
        ({"ner": [[0, 0, "LOC"]]}, "no list of words"),
    ],
)
def test_what_gliner_cannot_mean_is_wrong(row: dict[str, Any], said: str) -> None:
    with pytest.raises(BadData, match=rf"g\.json:1: .*{said}"):
        tools.read_gliner(json.dumps([row]).encode(), "g.json", Told())


# brat: brat.nlplab.org/standoff.html
BRAT_TEXT = (
    "Sony formed a joint venture with Ericsson, a mobile phone company based in Sweden.\n\nNorth and South America\n"
)
BRAT_MARKS = """\
T1\tOrganization 0 4\tSony
T2\tMERGE-ORG 14 27\tjoint venture
T3\tOrganization 33 41\tEricsson
E1\tMERGE-ORG:T2 Org1:T1 Org2:T3
T4\tLocation 84 89;100 107\tNorth America
T5\tLocation 94 107\tSouth America
#1\tAnnotatorNotes T1\tmaybe
*\tEquiv T1 T3
"""


def test_brat(tmp_path: Path) -> None:
    (tmp_path / "doc-1.txt").write_text(BRAT_TEXT, encoding="utf-8")
    (tmp_path / "doc-1.ann").write_text(BRAT_MARKS, encoding="utf-8")
    for uri in (tmp_path, tmp_path / "doc-1.ann", tmp_path / "doc-1.txt"):
        told = Told()
        records = brat.read_brat(str(uri), told)
        assert found(records) == [
            [("Organization", "Sony"), ("MERGE-ORG", "joint venture"), ("Organization", "Ericsson")],
            [("Location", "South America")],
        ]
        assert [one.id for one in records] == ["doc-1:1", "doc-1:3"]
        assert counted(told) == {
            "annotations are no entities (relations, events, attributes, notes) and were left out": 3,
            "entities are in several pieces and were left out": 1,
            "blank lines were skipped": 1,
        }
    first = BRAT_MARKS.split("\n")[:3]
    text, marks = brat.write_brat(records[:1], "x", Told())
    assert text.decode() == BRAT_TEXT.split("\n", maxsplit=1)[0] + "\n"
    assert marks.decode().split("\n")[:3] == [first[0], first[1], first[2]]


def test_brat_texts_that_do_not_stand_there_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("💩 Sony.", encoding="utf-8")
    (tmp_path / "d.ann").write_text("T1\tORG 2 6\tSony\nT2\tORG 3 7\tSony\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"d\.ann:2: found 'ony\.' at 3 7; expected 'Sony'"):
        brat.read_brat(str(tmp_path), Told())


# CoNLL-U: universaldependencies.org/format.html, with NER tags in MISC
CONLLU = """\
# sent_id = w1
# text = Vamos al mar, U.N.!
# genre = news
1\tVamos\tir\t_\t_\t_\t_\t_\t_\tNER=O
2-3\tal\t_\t_\t_\t_\t_\t_\t_\t_
2\ta\ta\t_\t_\t_\t_\t_\t_\tNER=B-LOC
3\tel\tel\t_\t_\t_\t_\t_\t_\tNER=I-LOC
4\tmar\tmar\t_\t_\t_\t_\t_\t_\tSpaceAfter=No|NER=I-LOC
5\t,\t,\t_\t_\t_\t_\t_\t_\t_
5.1\tgone\t_\t_\t_\t_\t_\t_\t_\t_
6\tU.N.\t_\t_\t_\t_\t_\t_\t_\tB-ORG|SpaceAfter=No
7\t!\t!\t_\t_\t_\t_\t_\t_\tEntity=(person-1)

"""


def test_conllu() -> None:
    told = Told()
    (record,) = columns.read_conllu(CONLLU.encode(), "u.conllu", told)
    assert found([record]) == [[("LOC", "al mar"), ("ORG", "U.N.")]]
    assert (record.text, record.id, record.fields) == ("Vamos al mar, U.N.!", "w1", {"genre": "news"})
    assert [record.text[a:b] for a, b in record.offsets()] == ["Vamos", "al", "mar", ",", "U.N.", "!"]
    assert list(told.lost) == ["values of Entity or NER are no tags and were left out (brackets are of CorefUD)"]
    written = columns.write_conllu([record], "x", told).decode().split("\n")
    assert written[:5] == [
        "# sent_id = w1",
        "# text = Vamos al mar, U.N.!",
        "# genre = news",
        "1\tVamos\t_\t_\t_\t_\t_\t_\t_\t_",
        "2\tal\t_\t_\t_\t_\t_\t_\t_\tNER=B-LOC",
    ]
    assert written[5].endswith("\tNER=I-LOC|SpaceAfter=No")


def test_conllu_lines_that_are_none_have_their_place() -> None:
    with pytest.raises(BadData, match=r"u\.conllu:2: found 2 columns"):
        columns.read_conllu(b"# text = a\na\tB-PER\n", "u.conllu", Told())

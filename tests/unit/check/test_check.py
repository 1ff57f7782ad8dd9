"""The check of all files of a run."""

import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner.check.files import RoleFile, histogram, run_check
from tofner.check.run import check_data, check_run
from tofner.check.view import show
from tofner.corpora.data_root import Content
from tofner.errors import BadData, BadSettings, PassingFault
from tofner.model import hub
from tofner.presets import load_preset
from tofner.stages import plan

TRAIN = """-DOCSTART- -X- O O

Ekeus NNP I-NP I-PER
met VBD I-VP O
the DT I-NP O
Iraq NNP I-NP I-LOC
team NN I-NP O

Soccer NN I-NP O

Soccer NN I-NP O
"""
TEST = """Ekeus\tB-PER
met\tO
the\tO
Iraq\tB-geo-loc
team\tO

yo\tO
Jaz\tI-PER
Oz\tB-movie
"""


@pytest.fixture
def make(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Writes a file and returns its `RoleFile`."""

    def build(role: str, kind: Content, name: str, content: str | bytes, **more: object) -> RoleFile:
        set_, split = name.split("/")
        ending = {"ner": "conll", "mrc": "json", "text": "txt"}[kind]
        path = tmp_path / set_ / f"{split}.{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return RoleFile(role, kind, set_, split, str(path), **more)  # type: ignore[arg-type]

    return build


def test_counts_notes_and_overlaps(make) -> None:  # type: ignore[no-untyped-def]
    types = ["PER", "LOC", "MISC"]
    report = run_check(
        [
            make("source_ner.train", "ner", "news/train", TRAIN, types=types),
            make("target_test", "ner", "tweets/test", TEST, types=types, label_map={"geo-loc": "LOC", "movie": None}),
        ]
    )
    assert not report.problems
    train, test = report.files
    assert (train.scheme, train.docstarts, train.sentences, train.tokens, train.longest) == ("IOB1", 1, 3, 7, 5)
    assert train.entities == {"PER": 1, "LOC": 1, "MISC": 0}
    assert (train.repeated, train.repeated_long) == (1, 0)
    assert train.lengths["1-5"] == 3
    assert (test.entities, test.dropped, test.repaired_tags) == ({"PER": 2, "LOC": 1, "MISC": 0}, {"movie": 1}, 1)
    assert [(o.first, o.second, o.shared, o.shared_long) for o in report.overlaps] == [
        ("source_ner.train news/train", "target_test tweets/test", 1, 1)
    ]
    notes = "\n".join(report.notes)
    for note in ("IOB1 tags, converted", "1 -DOCSTART- lines skipped", "no entity of type MISC", "drops 1 movie",
                 "1 tags broke BIO2 and were mended (lines 7)", "1 sentences repeat an earlier one, 0 of"):  # fmt: skip
        assert note in notes


def test_unknown_types_are_placed(make) -> None:  # type: ignore[no-untyped-def]
    report = run_check([make("target_test", "ner", "tweets/test", TEST, types=["PER", "LOC"])])
    assert [(p.line, p.found) for p in report.problems] == [
        (4, "type geo-loc (1 entities)"),
        (9, "type movie (1 entities)"),
    ]
    assert report.files[0].problems == 2


def test_target_text_has_its_labels_unread(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    labelled = make("target_text", "ner", "tweets/train", TEST)
    as_text = RoleFile("target_text", "text", "tweets", "train", labelled.uri)
    row = run_check([as_text]).files[0]
    assert (row.sentences, row.entities, row.repaired_tags, row.scheme) == (2, {}, 0, "")
    scrambled = TEST.replace("B-PER", "B-LOC").replace("B-movie", "O")
    Path(labelled.uri).write_text(scrambled, encoding="utf-8")
    assert run_check([as_text]).files[0] == row


def test_every_problem_of_every_file_is_listed(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    answers = [{"answer_start": 9, "text": "Basra"}]
    qa = {
        "data": [
            {"paragraphs": [{"context": "Ekeus left.", "qas": [{"id": "q", "question": "?", "answers": answers}]}]}
        ]
    }
    report = run_check(
        [
            make("source_ner.train", "ner", "news/train", "a O\nb\n\nc X-PER\n"),
            make("source_ner.dev", "ner", "news/dev", ""),
            make("target_text", "text", "tweets/train", b"caf\xe9\n"),
            make("target_mrc.train", "mrc", "qa/train", json.dumps(qa)),
            make("source_mrc.train", "mrc", "qa/dev", "{"),
            RoleFile("x", "ner", "no", "where", str(tmp_path / "nowhere.conll")),
            make("y", "ner", "cut/train", gzip.compress(TEST.encode())[:-9]),
        ]
    )
    places = [(Path(p.place).parent.name, p.line) for p in report.problems]
    assert places[:6] == [("news", 2), ("news", 4), ("news", None), ("tweets", 1), ("qa", 1), ("qa", 1)]
    assert len(report.problems) == 8
    assert [f.problems for f in report.files] == [2, 1, 1, 1, 1, 1, 1]


def test_mrc_counts_and_shared_contexts(make) -> None:  # type: ignore[no-untyped-def]
    def qa(*ids: str) -> str:
        asked = [{"id": i, "question": "Who?", "answers": [{"answer_start": 1, "text": "keus"}]} for i in ids]
        none = {"id": "none", "question": "Why?", "answers": []}
        return json.dumps({"data": [{"paragraphs": [{"context": "Ekeus left Iraq today .", "qas": [*asked, none]}]}]})

    report = run_check([make("m.train", "mrc", "qa/train", qa("1", "2")), make("m.dev", "mrc", "qa/dev", qa("3"))])
    row = report.files[0]
    assert (row.sentences, row.contexts, row.answers, row.widened_answers, row.unanswerable) == (3, 1, 2, 2, 1)
    assert [(o.shared, o.shared_long) for o in report.overlaps] == [(2, 2)]


def test_the_same_file_in_two_roles_and_latin1_are_noted(make) -> None:  # type: ignore[no-untyped-def]
    test = make("target_test", "ner", "tweets/test", "caf\xe9\tO\n".encode("latin-1"))
    text = RoleFile("target_text", "text", "tweets", "test", test.uri)
    notes = run_check([text, test]).notes
    assert "target_test tweets/test: the same file is target_text" in notes
    assert "target_test tweets/test: not UTF-8, read as latin-1" in notes


def test_report_as_json_and_tables(make) -> None:  # type: ignore[no-untyped-def]
    report = run_check([make("source_ner.train", "ner", "news/train", TRAIN + "[bold] O\n")])
    assert json.loads(json.dumps(report.to_json()))["problems"][0]["line"] == 12
    out = io.StringIO()
    show(report, Console(file=out, width=120, color_system=None))
    assert "Problems: 1" in out.getvalue()
    assert "train.conll:12: found 2 columns in '[bold] O'" in out.getvalue()


def test_histogram_has_every_length_once() -> None:
    assert sum(histogram(range(1, 500)).values()) == 499


def test_a_data_root_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    report = check_data(load_preset("es"), str(tmp_path / "nowhere"))
    assert [(one.place, one.found) for one in report.problems] == [(str(tmp_path / "nowhere"), "no such folder")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checked")
    make_data(root / "data")
    make_preset(root / "tiny.yaml", make_encoder(root / "encoder"))
    return root


def damaged(home: Path, folder: Path) -> str:
    """A copy of the encoder whose config names no family that is known."""
    shutil.copytree(home / "encoder", folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    return str(folder)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, []),
        ({"iterations": -1}, ["iterations: found -1"]),
        ({"overrides": ["use.pseudo=false"]}, ["iterations: found 1 with use.pseudo=false"]),
        ({"seed": 2**32, "model_name": "A b"}, ["model_name: found 'A b'", "seed: found 4294967296"]),
        ({"overrides": ["target_language=xx"]}, ["queries"]),
        ({"overrides": ["target_language=xx", "use.mrc=false"], "iterations": 0}, []),
        ({"overrides": ["stages.pseudo_ner.trust=agree", "use.mrc=false"]}, ["stages.pseudo_ner.trust"]),
        ({"overrides": ["stages.loop_ner.choose_by=source+translated"]}, ["stages.loop_ner.choose_by"]),
        ({"encoder": "./nowhere"}, ["encoder: found ./nowhere"]),
        ({"encoder": "DAMAGED"}, ["config.json: found model_type 'gpt2'"]),
        ({"encoder": "EMPTY"}, ["found no config.json"]),
        ({"encoder": "./nowhere", "iterations": -1}, ["iterations: found -1", "encoder: found ./nowhere"]),
    ],
)
def test_check_and_run_refuse_the_same_in_the_same_words(
    home: Path, tmp_path: Path, asked: dict[str, Any], told: list[str]
) -> None:
    if asked.get("encoder") == "DAMAGED":
        asked = asked | {"encoder": damaged(home, tmp_path / "damaged")}
    elif asked.get("encoder") == "EMPTY":
        asked = asked | {"encoder": str(tmp_path)}
    preset, data = str(home / "tiny.yaml"), str(home / "data")
    problems = [str(one) for one in check_run(preset, data, **asked).problems]
    assert len(problems) == len(told)
    for problem, words in zip(sorted(problems), sorted(told), strict=True):
        assert words in problem
    if told:
        with pytest.raises(BadSettings) as error:
            plan(preset, data, str(tmp_path / "store"), **asked)
        assert sorted(map(str, error.value.problems)) == sorted(problems)
    else:
        plan(preset, data, str(tmp_path / "store"), **asked)


def test_a_dictionary_is_looked_for_and_read(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "data", tmp_path / "data")
    preset, data, store = str(home / "tiny.yaml"), str(tmp_path / "data"), str(tmp_path / "store")
    asked = ["translate.dictionary=en-es"]
    told = [str(one) for one in check_run(preset, data, overrides=asked).problems]
    expected = (
        f"{data}: found no dictionary en-es to translate the source with; expected dict/en-es.txt or dict/en-es.txt.gz"
    )
    assert told == [
        f"{expected}; put the file there (docs/data-formats.md), or do without: --set translate.dictionary=null"
    ]
    with pytest.raises(BadData) as error:
        plan(preset, data, store, overrides=asked)
    assert [str(one) for one in error.value.problems] == told
    path = tmp_path / "data/dict/en-es.txt"
    path.parent.mkdir()
    path.write_text("flew voló\nflew volaba\nto\tal norte\non el\nalone\n", encoding="utf-8")
    report = check_run(preset, data, overrides=asked)
    assert [(one.place, one.line, one.found) for one in report.problems] == [(str(path), 5, "1 word")]
    path.write_text(path.read_text(encoding="utf-8").replace("alone\n", ""), encoding="utf-8")
    report = check_run(preset, data, overrides=asked)
    assert not report.problems
    assert report.notes[:2] == [
        "translate.dictionary en-es: 3 pairs, 2 words",
        f"{path}: 1 entry of several words is left out (line 3)",
    ]
    plan(preset, data, store, overrides=asked)


def test_an_encoder_that_cannot_be_asked_for_is_a_note_beside_what_is_wrong(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(name: str) -> str:
        raise PassingFault(f"encoder {name}: the Hub does not answer")

    monkeypatch.setattr(hub, "current_commit", silent)
    told = (str(home / "tiny.yaml"), str(home / "data"))
    report = check_run(*told, encoder="some/model")
    assert (report.problems, report.notes[0]) == ([], "not looked at: encoder some/model: the Hub does not answer")
    with pytest.raises(PassingFault):
        plan(*told, str(tmp_path), encoder="some/model")
    with pytest.raises(BadSettings, match="iterations"):  # what is wrong is said first, whatever does not answer
        plan(*told, str(tmp_path), encoder="some/model", iterations=-1)

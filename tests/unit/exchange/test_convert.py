"""`tofner convert`: formats by name and content, what is counted, what is refused."""

import gzip
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tofner.cli import app, main
from tofner.corpora import conll
from tofner.errors import BadData, BadInput
from tofner.exchange.convert import Format, convert, format_of

TAGGED = [
    {"id": "a", "text": "Angela Merkel met U.N. envoys.", "lang": "en", "entities": [
        {"start": 0, "end": 13, "label": "PER", "score": 0.9, "text": "Angela Merkel"},
        {"start": 18, "end": 22, "label": "ORG", "score": 0.8, "text": "U.N."}]},
    {"id": "b", "text": "New York Times in New York", "lang": "en", "entities": [
        {"start": 0, "end": 14, "label": "ORG"}, {"start": 0, "end": 8, "label": "LOC"},
        {"start": 19, "end": 26, "label": "LOC"}, {"start": 15, "end": 17, "type": "MISC"}]},
    {"id": "c", "text": " ", "lang": "en", "entities": []},
]  # fmt: skip


MOVED = "began or ended inside a word or with white space, and were moved to whole words"


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    path = tmp_path / "tagged.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in TAGGED), encoding="utf-8")
    return path


def test_to_columns_and_what_is_lost(tagged: Path) -> None:
    out = tagged.with_name("out.conll.gz")
    done = convert(str(tagged), str(out))
    assert gzip.decompress(out.read_bytes()).decode() == (
        "Angela\tB-PER\nMerkel\tI-PER\nmet\tO\nU.N.\tB-ORG\nenvoys\tO\n.\tO\n\n"
        "New\tB-ORG\nYork\tI-ORG\nTimes\tI-ORG\nin\tB-MISC\nNew\tB-LOC\nYork\tI-LOC\n\n"
    )
    assert done.told.lines() == [
        f"2 fields of records have no place in this format: lang (first: {tagged}:1)",
        f"1 entities overlap a longer one and were left out (first: {tagged}:2)",
        f"1 entities {MOVED} (first: {tagged}:2)",
        f"1 records without a word were left out (first: {tagged}:3)",
        f"2 ids have no place in this format (first: {tagged}:1)",
        f"2 scores have no place in this format (first: {tagged}:1)",
    ]
    assert conll.read(str(out)).scheme == "BIO2"


def test_strict_writes_nothing_and_names_the_places(tagged: Path) -> None:
    out = tagged.with_name("out.conll")
    with pytest.raises(BadData) as error:
        convert(str(tagged), str(out), strict=True)
    assert f"{tagged}:2: found 1 entities overlap a longer one" in str(error.value)
    assert not out.exists()
    assert error.value.exit_code == 2
    convert(str(tagged), str(out.with_suffix(".json")), strict=True)  # where nothing is lost


def test_formats_are_told_by_name_and_content(tagged: Path, tmp_path: Path) -> None:
    for to, name in [
        (Format.doccano, "d.jsonl"),
        (Format.prodigy, "p.jsonl"),
        (Format.label_studio, "l.json"),
        (Format.gliner, "g.json"),
        (Format.conllu, "u.conllu"),
        (Format.brat, "brat"),
        (Format.brat, "one.ann"),
    ]:
        convert(str(tagged), str(tmp_path / name), to=to)
        back = convert(str(tmp_path / name), str(tmp_path / "back.jsonl"))
        assert back.read_as is to
        first = json.loads((tmp_path / "back.jsonl").read_text(encoding="utf-8").split("\n")[0])
        spans = [(one["label"], one["text"]) for one in first["entities"]]
        assert spans == [("PER", "Angela Merkel"), ("ORG", "U.N.")]
        if to is not Format.brat:
            assert (first["id"], first["lang"]) == ("a", "en")
    assert {path.name for path in (tmp_path / "brat").iterdir()} == {"tagged.txt", "tagged.ann"}
    with pytest.raises(BadInput, match=r"the suffix '\.doc'"):
        format_of("x.doc")
    with pytest.raises(BadInput, match="expected a format that holds labels"):
        convert(str(tagged), str(tmp_path / "x.txt"))
    with pytest.raises(BadInput, match="the input itself"):
        convert(str(tagged), str(tagged))


def test_words_of_a_column_file_survive_a_tool(tmp_path: Path) -> None:
    text = "doesn\tO\n't\tO\nlike\tO\nNew York\tB-LOC\n''\tO\n\n"  # cut otherwise than here
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    for name in ("a.json", "a.jsonl", "a.conllu"):
        convert(str(tmp_path / "a.conll"), str(tmp_path / name))
        convert(str(tmp_path / name), str(tmp_path / "b.conll"))
        assert (tmp_path / "b.conll").read_text(encoding="utf-8") == text, name


def test_words_that_mean_something_in_columns(tmp_path: Path) -> None:
    record = {"tokens": ["-DOCSTART-", "#", "a\tb", "x\u0007y", "\u0007"], "entities": [
        {"start_token": 0, "end_token": 1, "label": "X"}]}  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\ufeff" + json.dumps(record), encoding="utf-8")
    done = convert(str(tmp_path / "a.jsonl"), str(tmp_path / "a.conll"))
    assert (tmp_path / "a.conll").read_text(encoding="utf-8") == (
        "-\tB-X\nDOCSTART\tI-X\n-\tI-X\n#\tO\na\tO\nb\tO\nxy\tO\n\ufffd\tO\n\n"
    )
    assert conll.read(str(tmp_path / "a.conll")).docstarts == 0
    assert [kind.count for kind in done.told.lost.values()] == [2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"text": "a", "entities": [{"start": 0, "end": 2, "label": "X"}]}',
            "found an entity at 0:2",
        ),
        ('{"text": "a", "entities": [{"start": 0, "end": 1}]}', "found the type None"),
        ('{"text": "a", "entities": [{"start": 0.0, "end": 1, "label": "X"}]}', "two whole numbers"),
        (
            '{"text": "äb", "entities": [{"start": 1, "end": 2, "label": "X", "text": "ä"}]}',
            "expected 'ä'",
        ),
        ('{"text": "a", "tokens": ["a"]}', "found both `text` and `tokens`"),
        ('{"text": 1}', "found a text that is int"),
        ('{"text": "\\ud800"}', "half a surrogate pair"),
        ('{"text": "ab", "words": [[0, 2], [1, 2]]}', "found a word at 1:2"),
        ('{"text": NaN}', "broken JSON"),
        ("[1]", None),
        ('"x"', "found JSON str"),
        ('{"text": "a", "entities": 3}', "found entities that are int"),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path: Path, line: str, message: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(BadData) as error:
        convert(str(path), str(tmp_path / "b.json"))
    assert f"{path}:2: " in str(error.value)
    assert message is None or message in str(error.value)


def test_the_command(tagged: Path) -> None:
    out = str(tagged.with_name("t.json"))
    done = CliRunner().invoke(app, ["convert", str(tagged), out])
    assert done.exit_code == 0, done.output
    assert done.output.replace("\n", " ").startswith("3 records with 6 entities, jsonl to label-studio: ")


def test_spacy_is_named_where_it_is_missing(
    tagged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(SystemExit) as end:
        main(["convert", str(tagged), str(tagged.with_name("t.spacy"))])
    assert end.value.code == 2
    assert capsys.readouterr().err == "tofner: spacy is not installed: pip install 'tofner[spacy]'\n"

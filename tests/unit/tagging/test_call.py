"""A tagger as people call it from Python: `tofner.load(model)("text")`."""

import html.parser
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tofner
from tests.tiny_tagger import publish_tiny
from tofner.tagging import Entity, Result, Tagger, tag_job
from tofner.tagging.engine import tagger as engine

TEXTS = ["Angela Merkel met Obama in New York.", "", "  ", "Größe 漢字 🙂 <b>&amp;</b>!", "Ajax " * 100, "Madrid"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Tagger:
    return tofner.load(folder, threads=1)


def test_the_package_alone_is_light() -> None:
    heavy = "{'torch', 'onnxruntime', 'numpy', 'transformers', 'boto3', 'pyarrow', 'tokenizers'}"
    code = f"import sys, tofner; print(sorted({heavy} & set(sys.modules)), callable(tofner.load))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[] True\n"


def test_entities_are_those_of_the_command(folder: Path, tagger: Tagger, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    tag_job(str(folder), str(source), str(tmp_path / "out"), quiet=True, threads=1)
    rows = [json.loads(line) for line in (tmp_path / "out/in.jsonl").read_text().splitlines()]
    found = tagger(TEXTS)
    assert [{"text": one.text, "entities": [e.as_record() for e in one.entities]} for one in found] == rows
    assert sum(len(one.entities) for one in found) > 3
    for one in found:
        assert [one.text[e.start : e.end] for e in one.entities] == [e.text for e in one.entities]
        assert [e.type for e in one.entities] == [e.label for e in one.entities]


def test_a_text_gives_a_result_a_list_a_list_an_iterator_a_stream(tagger: Tagger) -> None:
    whole = [tagger(text) for text in TEXTS]
    assert all(isinstance(one, Result) for one in whole)
    assert tagger(TEXTS) == whole == tagger(tuple(TEXTS))
    assert tagger([]) == []
    stream = tagger(iter(TEXTS))
    assert isinstance(stream, Iterator)
    assert list(stream) == whole


@pytest.mark.parametrize("text", ["Ajax Madrid", ""])
def test_a_stream_is_read_as_it_is_asked_for(text: str, tagger: Tagger) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield text

    stream = tagger(endless())
    assert read == 0
    next(stream)
    assert 0 < read <= 2 * engine.STREAM_WORDS
    for _ in range(5 * engine.STREAM_WORDS):
        next(stream)
    assert read <= 8 * engine.STREAM_WORDS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "found None, expected a text, a list of texts or an iterator of texts"),
        (7, "found int, expected a text"),
        (b"Obama", "found bytes, expected a text.*decode it first"),
        ({"text": "Obama"}, r"found dict, expected a text.*record\['text'\]"),
        ({"Obama"}, "found set"),
        (["Obama", None], r"text 1 \(from 0\): found None, expected a str"),
        ([{"text": "Obama"}], r"text 0 \(from 0\): found dict, expected a str; give its text"),
        ([["Obama", "in"]], r"text 0 \(from 0\): found list, expected a str; words .* go to tag\(\[words\]\)"),
        (iter([b"x"]), r"text 0 \(from 0\): found bytes"),
    ],
)
def test_what_is_no_text_is_told(given: Any, said: str, tagger: Tagger) -> None:
    with pytest.raises(TypeError, match=said):
        list(tagger(given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Angela Merkel met Obama.", r"found one str, expected a list of texts; .*tagger\(text\), or tag\(\[text\]\)"),
        (b"Obama", "found bytes, expected a list of texts, or of lists of words"),
        ({"text": "x"}, "found dict"),
        ([{"text": "x"}], "text 0 .*found dict, expected a str or a list of words"),
        ([["Obama", 3]], "text 0 .*a list that holds other things than words"),
        (["ok", None], "text 1 .*found None"),
    ],
)
def test_tag_takes_many_texts_alone(given: Any, said: str, tagger: Tagger) -> None:
    with pytest.raises(TypeError, match=said):
        tagger.tag(given)


def test_half_a_character_is_told(tagger: Tagger) -> None:
    with pytest.raises(ValueError, match=r"text 1 \(from 0\): found half a surrogate pair at character 2"):
        tagger(["ok", "ab\ud83d"])


MERKEL = Result(
    "Merkel <met> Obama & co.",
    [Entity(0, 6, "PER", 0.98, "Merkel"), Entity(13, 18, "A<B", 0.5, "Obama")],
    ["A<B", "PER"],
)


def test_it_prints_plainly() -> None:
    assert repr(MERKEL) == (
        "Result(text='Merkel <met> Obama & co.', entities=["
        "Entity(start=0, end=6, label='PER', score=0.98, text='Merkel'), "
        "Entity(start=13, end=18, label='A<B', score=0.5, text='Obama')])"
    )
    assert str(MERKEL) == "[Merkel PER] <met> [Obama A<B] & co."


class _Reader(html.parser.HTMLParser):
    """Text, tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", list[tuple[str, dict[str, str | None]]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_shows_it_in_colours_and_loads_nothing() -> None:
    page = MERKEL._repr_html_()
    reader = _Reader()
    reader.feed(page)
    assert reader.text == "MerkelPER <met> ObamaA<B & co."
    assert {tag for tag, _ in reader.tags} == {"div", "mark", "small"}
    assert {name for _, attributes in reader.tags for name in attributes} == {"style", "title"}
    marks = [attributes for tag, attributes in reader.tags if tag == "mark"]
    assert [one["title"] for one in marks] == ["0.9800", "0.5000"]
    assert "hsl(140 " in str(marks[0]["style"])  # the second of the types
    assert "hsl(210 " in str(marks[1]["style"])
    assert "url(" not in page
    assert "//" not in page


def test_a_colour_belongs_to_the_type_and_not_to_the_text() -> None:
    alone = Result("Obama", [Entity(0, 5, "PER", 0.5, "Obama")], ["LOC", "ORG", "PER"])
    assert "hsl(30 " in alone._repr_html_()

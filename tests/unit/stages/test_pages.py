"""The pages of a run's report: nothing from outside, every text as it is, drawings where the numbers are."""

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tofner.stages import gather
from tofner.stages.pages.curves import drawing
from tofner.stages.pages.render import model_card, plain, render_html, render_markdown

NUMBERS = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": 4}
SCORES = {"types": {"PER": NUMBERS}, "micro": NUMBERS, "macro": NUMBERS, "spans": NUMBERS}


def row(name: str, f1: float | None) -> dict[str, Any]:
    told = {"precision": f1, "recall": f1, "span_f1": f1, "seconds": 1.5, "dev": None, "uri": f"u/{name}"}
    return {"name": name, "f1": f1, **told}


def run_json() -> dict[str, Any]:
    """As stage `report` writes it."""
    curve: dict[str, Any] = {
        "measure": "F1 on held-out sentences",
        "loss": [[1, 2.0], [2, 1.0]],
        "score": [[1.0, 0.25], [2.0, 0.75]],
        "steps": 2,
        "seconds": 3.0,
    }
    example = {"tokens": ["in", "Oslo"], "spans": [[1, 2, "LOC"]], "scores": [0.875], "certainty": 0.8125}
    label = {"sentences": 9, "dropped": 1, "mean_score": 0.75, "entities": {"PER": 3}, "examples": [example]}
    return {
        "verdict": "The tagger reaches F1 33.33 on t/test.",
        "effect": None,
        "helped": "The method helped: ner 1 against ner.",
        "alarms": ["type LOC has vanished"],
        "unlabelled": {
            "sentences": 9, "words": 900, "histogram": [0, 0, 0, 0, 0, 0, 1, 0, 3, 2], "examples": [example],
            "rates": [{"type": "LOC", "source": 31.25, "target": 0.0, "found": 0, "change": "vanished"}],
            "agreement": [{"first": "ner", "second": "ner 1", "share": 0.875, "changed": 0.0625}],
        },
        "run": {
            "preset": "p", "description": "news to posts", "encoder": "enc", "iterations": 1, "seed": 2,
            "overrides": [], "machine": {"device": "cpu", "threads": 2, "precision": "fp32"},
            "target_language": "en", "model_name": "m",
            "roles": {"target_test": ["t/test"], "source_ner": {"train": ["s/train"]}, "target_text": ["t/train"],
                      "target_mrc": {"train": []}, "source_mrc": {"train": []}},
        },
        "transductive": False,
        "rows": [row("prepare", None), row("ner", 0.25), row("ner 1", 1 / 3)],
        "model": {"uri": "u", "digest": "d" * 64, "export": "e", "published": "s3://b/models/m/v1"},
        "final": {
            "metrics": {"f1": 1 / 3},
            "confusion": {"labels": ["PER", "LOC", "none"], "matrix": [[1, 0, 2], [0, 0, 0], [4, 0, 0]]},
            "details": {
                "scores": SCORES,
                "errors": [{"tokens": ["Tom", "ran"], "gold": [[0, 1, "PER"]], "predicted": [[0, 2, "LOC"]],
                            "scores": [0.625]}],
            },
        },
        "types": ["PER", "LOC"],
        "curves": [{"name": "ner", "best_epoch": 2.0, "examples_per_second": 4.0, **curve}],
        "labels": [{"name": "pseudo_label", "changed": None, **label},
                   {"name": "pseudo_label 1", "changed": 0.125, **label}],
        "sets": [{"part": "source_ner", "set": "s/train", "sentences": 20, "words": 99, "questions": 0, "answers": 0,
                  "entities": {"PER": 4}, "mended": {"repaired_tags": 7}}],
        "overlaps": [{"first": "source_text", "second": "target_text", "shared": 3, "of": 11}],
        "times": [{"name": "ner", "seconds": 60.0}, {"name": "export", "seconds": 15.0}],
        "seconds": 75.0,
        "export": {"sizes": {"model.onnx": 2_500_000}, "int8": "int8 is not published"},
        "parity": {"max_difference": 1e-6},
        "notes": ["a note"],
        "code": "c0de",
        "libraries": {"torch": "2"},
        "python": "3",
    }  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_nothing_from_outside_and_leads_nowhere() -> None:
    html = render_html(run_json())
    names = {tag for tag, _ in Page(html).tags}
    assert not names & {"a", "script", "link", "img", "iframe", "object", "base", "form"}
    assert not re.search(r"https?:|url\(|@import|src=|href=", html)


def test_the_verdict_comes_first() -> None:
    body = Page(render_html(run_json()).partition("<body>")[2])
    assert body.tags[0][0] == "h1"
    assert body.text.strip().startswith("The tagger reaches F1 33.33 on t/test.")
    assert render_markdown(run_json()).split("\n")[2] == "**The tagger reaches F1 33.33 on t/test.**"


@pytest.mark.parametrize(
    "told",
    ["33.33", "25.00", "50.00", "a note", "news to posts", "1 min 15 s", "12.50 % of the words", "repaired tags 7",
     "type LOC has vanished", "31.25", "6.25", "87.50",
     "3 of 11 in target_text stand in source_text too", "best epoch 2", "4.0 examples a second", "LOC 0.62", "LOC 0.88",
     "int8 is not published", "2.5 MB", "PER 4"],
)  # fmt: skip
def test_what_was_gathered_stands_in_the_page(told: str) -> None:
    assert told in " ".join(Page(render_html(run_json())).text.split())


def test_bars_are_as_long_as_the_numbers() -> None:
    bars = [one["style"] or "" for one in Page(render_html(run_json())).all("i") if "style" in one]
    widths = [float(re.findall(r"[\d.]+", style)[0]) for style in bars if style.startswith("width")]
    heights = [float(re.findall(r"[\d.]+", style)[0]) for style in bars if style.startswith("height")]
    assert heights == pytest.approx([0, 0, 0, 0, 0, 0, 33.3, 0, 100, 66.7])  # entities by score
    # F1 of two stages, one change of labels, two times: of 80 % of the track.
    assert widths == pytest.approx([0.8 * 25, 0.8 * 33.3, 0.8 * 12.5, 0.8 * 80, 0.8 * 20], abs=0.05)


def test_types_have_colours_of_their_own() -> None:
    marks = [one["class"] for one in Page(render_html(run_json())).all("mark")]
    assert marks == [
        "c0",
        "c0",
        "c1",
        "c1",
        "c1",
        "c1",
    ]  # PER by type and of gold, then LOC alone


NASTY = "<b>|x</b> `y` *z* [l](m) & \"q\" 'r' <script>\n{{ 7 }}"


def nasty(value: Any, inside: bool = False) -> Any:
    """Every text that comes from users made nasty: sentences, names of types and sets, notes, settings."""
    if isinstance(value, dict):
        return {key: nasty(part, inside or key in USERS) for key, part in value.items()}
    if isinstance(value, list):
        return [nasty(part, inside) for part in value]
    return value + NASTY if inside and isinstance(value, str) else value


USERS = {
    "verdict",
    "alarms",
    "rates",
    "agreement",
    "helped",
    "run",
    "notes",
    "labels",
    "sets",
    "errors",
    "types",
    "name",
    "int8",
    "code",
}


def test_nasty_text_is_text_in_the_page() -> None:
    value = nasty(copy.deepcopy(run_json()))
    html, clean = render_html(value), render_html(run_json())
    assert [tag for tag, _ in Page(html).tags] == [tag for tag, _ in Page(clean).tags]
    assert Page(html).text.count("<script>") > 10
    assert "a note" + NASTY in Page(html).text


def test_nasty_text_is_text_in_markdown() -> None:
    value = nasty(copy.deepcopy(run_json()))
    for text, clean in (
        (render_markdown(value), render_markdown(run_json())),
        (model_card("n", "v", value).partition("---\n# ")[2], model_card("n", "v", run_json()).partition("---\n# ")[2]),
    ):
        assert "<" not in text
        assert [line.count("|") for line in text.splitlines()] == [line.count("|") for line in clean.splitlines()]
        for special in "`*[":
            assert text.count(special) == clean.count(special)


def test_markdown_reads_as_the_text_itself() -> None:
    import html

    assert html.unescape(str(plain(NASTY))) == NASTY.replace("\n", " ")


def test_a_run_without_rounds_labels_and_errors_has_its_pages() -> None:
    value = {**run_json(), "labels": [], "curves": [], "overlaps": [], "notes": []}
    value["final"]["details"]["errors"] = []
    value["export"] = {"sizes": None, "int8": None}
    assert "None." in Page(render_html(value)).text
    assert "Pseudo-labels" not in render_html(value) + render_markdown(value)


# Curves


def test_a_curve_is_drawn_where_its_numbers_are() -> None:
    curve = drawing([[10, 1.0], [20, 3.0], [50, 2.0]], best=20)
    assert (curve["low"], curve["high"]) == (1.0, 3.0)
    assert [(dot["x"], dot["y"]) for dot in curve["dots"]] == [(5.0, 67.0), (62.5, 5.0), (235.0, 36.0)]
    assert curve["line"] == "5.0,67.0 62.5,5.0 235.0,36.0"
    assert [dot["best"] for dot in curve["dots"]] == [False, True, False]


def test_flat_and_short_curves_can_be_drawn() -> None:
    assert [(dot["x"], dot["y"]) for dot in drawing([[1, 0.5], [2, 0.5]])["dots"]] == [(5.0, 36.0), (235.0, 36.0)]
    assert [(dot["x"], dot["y"]) for dot in drawing([[1, 0.5]])["dots"]] == [(120.0, 36.0)]
    assert drawing([])["dots"] == []


# The verdict


@pytest.mark.parametrize(
    ("f1", "words"),
    [
        ([0.5], "The tagger reaches F1 50.00 on t/test."),
        ([0.5, 0.625], "The tagger reaches F1 62.50 on t/test, 12.50 more than the first one, ner."),
        ([0.5, 0.25], "The tagger reaches F1 25.00 on t/test, 25.00 less than the first one, ner."),
        ([0.5, 0.5], "The tagger reaches F1 50.00 on t/test, as much as the first one, ner."),
        (
            [0.5, 0.75, 0.625],
            "The tagger reaches F1 62.50 on t/test, 12.50 more than the first one, ner; pseudo_ner had been better "
            "with 75.00.",
        ),
        ([0.5, 0.0], "The tagger finds no entity of t/test with the right type and both ends."),
    ],
)
def test_the_verdict_says_how_good_and_since_when(f1: list[float], words: str) -> None:
    names = ("ner", "pseudo_ner", "ner 1")
    rows = [row("prepare", None), *(row(name, one) for name, one in zip(names, f1, strict=False))]
    assert gather.verdict(rows, {"metrics": {"f1": f1[-1]}}, ["t/test"]) == words


def test_the_page_begins_with_the_verdict_and_the_models_address() -> None:
    text = " ".join(Page(render_html(run_json()).partition("<body>")[2]).text.split())
    assert text.startswith(
        "The tagger reaches F1 33.33 on t/test. The method helped: ner 1 against ner. s3://b/models/"
    )


def test_the_card_names_the_pipeline_run_where_there_is_one() -> None:
    assert "Published by the pipeline run 3b9c-1." in model_card("n", "v", run_json(), "3b9c-1")
    assert "pipeline run" not in model_card("n", "v", run_json())


@pytest.mark.parametrize(
    ("sets", "dictionary", "told"),
    [
        (["es/train"], None, "es/train"),
        ([], "en-es", "word by word with dictionary en-es"),
        (["es/train"], "en-es", "es/train; word by word with dictionary en-es"),
    ],
)
def test_the_card_names_what_the_source_was_translated_with(sets: list[str], dictionary: str | None, told: str) -> None:
    value = run_json()
    assert "translated source" not in model_card("n", "v", value)
    value["run"]["translate"] = {"sets": sets, "dictionary": dictionary}
    assert f"| translated source | {told} |\n| target questions |" in model_card("n", "v", value)

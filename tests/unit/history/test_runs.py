"""The runs of a store: listed, told, summed up over seeds and compared, on a store made by hand."""

import json
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tofner import cli, records, storage
from tofner.corpora.corpus import write_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadInput
from tofner.history import book, seeds, view
from tofner.history.compare import compare, of_task
from tofner.words import bootstrap
from tofner.words.scores import score_tags

Rows = list[list[str]]
WORDS = [["Tom", "met", "Acme"], ["in", "New", "York"], ["nobody"], ["Ann", "left"], ["Bo"]]
GOLD: Rows = [["B-PER", "O", "B-ORG"], ["O", "B-LOC", "I-LOC"], ["O"], ["B-PER", "O"], ["B-PER"]]
NOTHING: Rows = [["O"] * len(words) for words in WORDS]
PART: Rows = [["B-PER", "O", "O"], ["O", "B-LOC", "I-LOC"], ["B-ORG"], ["O", "O"], ["B-ORG"]]
OTHER: Rows = [["B-PER", "O", "B-ORG"], ["O", "B-LOC", "O"], ["O"], ["B-PER", "O"], ["B-ORG"]]
MACHINE = {"device": "cpu", "threads": 2, "precision": "fp32"}


class Store:
    """A store with runs of two taggers, as stages leave them."""

    def __init__(self, root: Path) -> None:
        self.root, self.uri, self.made = root, str(root / "store"), 0

    def put(self, name: str, files: dict[str, str], manifest: dict[str, Any], gold: Rows | None = None) -> str:
        self.made += 1
        folder = self.root / "made" / str(self.made)
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        if gold is not None:
            rows = [Sentence(str(i), words, tags) for i, (words, tags) in enumerate(zip(WORDS, gold, strict=True))]
            write_ner(folder / "target_test.parquet", rows)
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        uri = f"{self.uri}/work/{name}"
        if storage.folder_index(uri) is None:
            storage.store_folder(folder, uri)
        return uri

    def run(
        self,
        key: str,
        seed: int,
        taggers: Sequence[Rows] = (NOTHING, PART),
        gold: Rows = GOLD,
        told: dict[str, Any] | None = None,
        ner: dict[str, Any] | None = None,
        measured: bool = True,
    ) -> str:
        """The address of its report."""
        name = f"gold/{'g' if gold is GOLD else 'other'}"
        place = self.put(name, {}, {"stage": "gold"}, gold)
        stages, scores, rows = ("ner", "pseudo_ner"), [], []
        for stage, tags in zip(stages, taggers, strict=False):
            settings = {"seed": seed, "code": "c", "machine": MACHINE, "labels": ["O"], "training": {"epochs": 3}}
            settings |= ner if ner and stage == "ner" else {}
            model = self.put(f"ner/{key}-{stage}", {}, {"stage": "ner", "settings": settings})
            scored = score_tags(gold, tags)
            pairs = [zip(*two, strict=True) for two in zip(WORDS, tags, strict=True)]
            column = "".join("".join(f"{word}\t{tag}\n" for word, tag in two) + "\n" for two in pairs)
            about = {"seed": seed, "code": "e", "machine": MACHINE, "evaluate": {"max_examples": None}}
            files = {"predicted.conll": column} if measured else {}
            inputs = {"gold": place, "model": model}
            scores.append(self.put(f"evaluate/{key}-{stage}", files, {"settings": about, "inputs": inputs}))
            micro = {name: scored["micro"][name] if measured else None for name in ("f1", "precision", "recall")}
            span = scored["spans"]["f1"] if measured else None
            rows.append({"name": stage, "stage": stage, "iteration": 0, "uri": model, **micro, "span_f1": span})
        details = {"scores": scored, "types": ["PER"]} if measured else {"types": ["PER"]}
        run = {
            "preset": "tiny", "description": "news to posts", "encoder": "/e/encoder", "encoder_digest": "d" * 64,
            "iterations": 0, "seed": seed, "overrides": ["use.mlm=false"], "machine": MACHINE, "compute": {},
            "use": {"mlm": False}, "roles": {"target_test": ["t/test"]}, "model_name": "m", "absent": [],
        }  # fmt: skip
        value = {
            "verdict": "v", "helped": "h", "run": run | (told or {}), "transductive": False, "rows": rows,
            "model": {"published": f"{self.uri}/models/m/{key}"}, "seconds": 90.0 + seed,
            "revision": "0123456789abcdef",
            "final": {"metrics": {"f1": rows[-1]["f1"]} if measured else {}, "details": details},
        }  # fmt: skip
        manifest = {
            "stage": "report",
            "inputs": {"model": rows[-1]["uri"], "export": "x", "scores": " ".join(scores)},
            "finished_at": f"2026-11-{10 + seed:02d}T10:20:30.000+00:00",
        }
        return self.put(f"report/{key}", {"run.json": json.dumps(value), "report.html": "<p>"}, manifest)

    def read(self, key: str, seed: int, taggers: Sequence[Rows] = (NOTHING, PART), **more: Any) -> book.Run:
        """The run with twenty times this letter as key."""
        return book.read_run(self.run(key * 20, seed, taggers, **more))


A, B, C = "a" * 20, "b" * 20, "abc" + "0" * 17


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def call(*words: str) -> str:
    done = CliRunner(env={"NO_COLOR": "1"}).invoke(cli.app, ["runs", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_runs_are_listed_with_what_they_brought_and_those_that_failed(store: Store) -> None:
    store.run(B, 2, measured=False)
    report = store.run(A, 1)
    with records.kept(store.uri, "on-kubeflow", "report", lambda: 5.0) as record:
        record.of("done", "report", report, {})
    with pytest.raises(BadInput), records.kept(store.uri, "failed", "line 2: mlm", lambda: 1.0):
        raise BadInput("no text")
    heading, *lines = call(store.uri).splitlines()
    assert heading.split()[:3] == ["run", "status", "finished"]
    assert [line.split()[:2] for line in lines] == [
        ["failed", "failed"], ["on-kubeflow", "running"], ["b" * 12, "succeeded"]
    ]  # fmt: skip
    f1 = score_tags(GOLD, PART)["micro"]["f1"]
    told = ["2026-11-11 10:20", "tiny", "use.mlm=false", f"ner 0.00, pseudo_ner {100 * f1:.2f}", "1 min 31 s"]
    for part in (*told, "CPU (2 threads, fp32)", "01234567", A):
        assert part in lines[1], part
    assert "not measured" in lines[2]
    found = json.loads(call(store.uri, "--json"))
    assert found["on-kubeflow"]["stages"] == {"ner": 0.0, "pseudo_ner": f1}
    assert found["b" * 12]["f1"] is None


def test_a_run_is_told_and_its_report_copied(store: Store, tmp_path: Path) -> None:
    uri = store.run(A, 1)
    shown = call(store.uri, "aaaa", "--report", str(tmp_path / "copy"))
    assert "preset   tiny, T = 0, seed 1; changed: use.mlm=false" in shown
    assert f"report   {uri}" in shown
    assert (tmp_path / "copy" / "report.html").read_text() == "<p>"
    assert json.loads(call(store.uri, "aaaa", "--json"))["report"] == uri
    with pytest.raises(BadInput, match="something there"):
        call(store.uri, "aaaa", "--report", str(tmp_path / "copy"))
    for words in (("--report", "x"), ("a", "b", "--report", "x")):
        with pytest.raises(BadInput, match="one run, whose report it is"):
            call(store.uri, *words)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("c", "no such run"),
        ("a", "2 runs whose names begin so"),
        ("", "a run without a name: found no such run"),
        ("open", "no report; expected a run that has made its report; its status is running"),
    ],
)
def test_what_names_no_run_is_refused(store: Store, name: str, said: str) -> None:
    for key in (A, C):
        store.run(key, 1)
    with records.kept(store.uri, "open", "prepare", lambda: 5.0):
        pass
    with pytest.raises(BadInput, match=re.escape(said)):
        book.find(store.uri, name)


def test_runs_are_found_by_beginning_address_and_list(store: Store) -> None:
    for key, seed in ((A, 3), (C, 1)):
        store.run(key, seed)
    assert book.find(store.uri, "ab").seed == 1
    assert book.find("elsewhere", f"{store.uri}/work/report/{A}").seed == 3
    assert [one.seed for one in book.find_all(store.uri, "aa, ab")] == [1, 3]
    with pytest.raises(BadInput, match="twice"):
        book.find_all(store.uri, f"aa,{A}")


def test_a_place_without_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no runs"):
        call(str(tmp_path / "nowhere"))
    (tmp_path / "work").mkdir()
    assert "no runs" in call(str(tmp_path))


def test_seeds_are_summed_up_by_the_plain_formulas(store: Store, tmp_path: Path) -> None:
    firsts, lasts = [NOTHING, PART, NOTHING], [PART, GOLD, OTHER]
    runs = [store.read(key, i, two) for i, (key, *two) in enumerate(zip("def", firsts, lasts, strict=True))]
    value = seeds.summarise(runs, tmp_path / "cache")
    f1 = [[score_tags(GOLD, rows)["micro"]["f1"] for rows in side] for side in (firsts, lasts)]
    for stage, values in zip(value["stages"], f1, strict=True):
        assert stage["f1"]["values"] == values
        assert stage["f1"]["mean"] == pytest.approx(sum(values) / 3)
        assert stage["f1"]["sd"] == pytest.approx(statistics.stdev(values))
    assert value["stages"][1]["span_f1"]["values"] == [score_tags(GOLD, rows)["spans"]["f1"] for rows in lasts]
    (per,) = [row for row in value["types"] if row["type"] == "PER"]
    assert per["support"] == 3
    assert per["f1"]["values"] == [score_tags(GOLD, rows)["types"]["PER"]["f1"] for rows in lasts]
    alone = bootstrap.compare_seeds(GOLD, lasts, firsts, confidence=0.975, seed=0)
    assert value["effect"]["exact"] == vars(alone)
    assert value["helped"].startswith("The method helped: pseudo_ner against ner, F1 ") == (alone.low > 0)
    assert value["verdict"] == (
        f"The tagger reaches F1 {100 * sum(f1[1]) / 3:.2f} ± {100 * statistics.stdev(f1[1]):.2f} with 3 seeds."
    )
    page, text, data = (path.read_text("utf-8") for path in reversed(seeds.save(value, tmp_path / "out")))
    assert json.loads(data) == value
    assert "<script" not in page
    assert "http" not in page
    for shown in (page, text):
        assert value["verdict"] in shown
        assert f"{100 * f1[1][2]:.2f}" in shown
        assert "seed 2" in shown
    console = Console(record=True, width=120)
    view.show_seeds(value, console)
    assert f"{100 * sum(f1[1]) / 3:.2f} ± {100 * statistics.stdev(f1[1]):.2f}" in console.export_text()


def test_seeds_without_labels_are_not_measured(store: Store, tmp_path: Path) -> None:
    runs = [store.read(key, i, measured=False) for i, key in enumerate("de")]
    value = seeds.summarise(runs, tmp_path)
    assert (value["stages"], value["types"], value["effect"]) == ([], [], None)
    assert "was not measured with 2 seeds" in value["verdict"]
    for path in seeds.save(value, tmp_path / "out")[1:]:
        shown = path.read_text("utf-8")
        assert "was not measured" in shown
        assert not re.search(r"F1[^|\n]{0,20}\b0[.]0", shown)


def test_one_tagger_alone_and_other_sentences_are_not_compared(store: Store, tmp_path: Path) -> None:
    one = [store.read(key, i, (PART,)) for i, key in enumerate("de")]
    assert "one tagger alone" in seeds.summarise(one, tmp_path)["helped"]
    two = [store.read("a", 1), store.read("f", 3, gold=OTHER)]
    assert "labelled otherwise" in seeds.summarise(two, tmp_path)["helped"]


def test_two_runs_are_compared_on_the_same_sentences(store: Store, tmp_path: Path) -> None:
    a = [store.read("a", 1)]
    longer = {"training": {"epochs": 5}, "labels": ["O", "B-PER"]}
    b = [
        book.read_run(store.run(B, 1, (NOTHING, OTHER), told={"preset": "own.yaml", "use": {"mlm": True}}, ner=longer))
    ]
    value = compare(a, b, tmp_path)
    assert value["settings"] == [
        {"name": "preset", "a": "tiny", "b": "own.yaml"},
        {"name": "use.mlm", "a": "false", "b": "true"},
        {"name": "ner.labels", "a": "O", "b": "O, B-PER"},
        {"name": "stages.ner.epochs", "a": "3", "b": "5"},
    ]
    alone = bootstrap.compare(GOLD, OTHER, PART, confidence=0.975, seed=1)
    assert value["effect"]["exact"] == vars(alone)
    f1 = [100 * score_tags(GOLD, rows)["micro"]["f1"] for rows in (PART, OTHER)]
    assert f"B against A, F1 {f1[0]:.2f} to {f1[1]:.2f}" in value["said"]
    # By hand. PART misses Acme and Ann, which OTHER finds, and calls "nobody" an ORG; OTHER cuts New York short. Both
    # take Bo for an ORG, so that is no error of one alone.
    assert value["errors"]["a"]["missed"] == {"ORG": 1, "PER": 1}
    assert value["errors"]["a"]["invented"] == {"ORG": 1}
    assert value["errors"]["a"]["sentences"] == 3
    assert value["errors"]["b"] == {
        "missed": {"LOC": 1},
        "invented": {"LOC": 1},
        "sentences": 1,
        "examples": [{"tokens": WORDS[1], "gold": [[1, 3, "LOC"]], "found": [[1, 2, "LOC"]], "other": [[1, 3, "LOC"]]}],
    }
    shown = call(store.uri, A, B)
    for part in ("stages.ner.epochs", "own.yaml", value["said"], "Errors of A alone, in 3 sentences", "[New LOC] York"):
        assert part in shown, part
    assert f"{f1[1] - f1[0]:+.2f}" in shown
    assert json.loads(call(store.uri, A, B, "--json")) == value


def test_settings_have_the_names_by_which_they_are_set() -> None:
    told = {"seed": 1, "code": "c", "machine": MACHINE, "encoder_digest": "d"}
    corpora = {"types": ["PER", "ORG"], "label_map": {"GPE": "LOC", "MISC": None}, "question_types": [], "notes": ["n"]}
    assert of_task("prepare", told | corpora | {"target_text": ["t/train"], "data_digest": "0a1b"}) == {
        "types": "PER, ORG",
        "label_map.GPE": "LOC",
        "label_map.MISC": "none",
        "ner_as_mrc.types": "none",
        "contents of the data": "0a1b",
        "code of prepare": "c",
    }
    assert of_task("loop_mrc", told | {"training": {"trust": "all"}, "target_queries": {"PER": "Who?"}}) == {
        "stages.loop_mrc.trust": "all",
        "loop_mrc.target_queries.PER": "Who?",
        "code of loop_mrc": "c",
    }
    labelling = of_task("pseudo_label", told | {"pseudo_label": {"batch_size": 8}, "queries": [["PER", "Who?"]]})
    assert labelling["stages.pseudo_label.batch_size"] == "8"
    assert labelling["pseudo_label.queries"] == '["PER", "Who?"]'


def test_sides_of_several_seeds_are_compared_by_their_means(store: Store, tmp_path: Path) -> None:
    a = [store.read(key, i, (NOTHING, rows)) for i, (key, rows) in enumerate((("1", PART), ("2", OTHER)))]
    b = [store.read(key, i, (NOTHING, rows)) for i, (key, rows) in enumerate((("3", GOLD), ("4", PART)))]
    value = compare(a, b, tmp_path)
    assert value["settings"] == []
    assert value["effect"]["exact"] == vars(
        bootstrap.compare_seeds(GOLD, [GOLD, PART], [PART, OTHER], confidence=0.975, seed=0)
    )
    assert "means of 2 seeds" in value["said"]
    (last,) = [row for row in value["stages"] if row["name"] == "pseudo_ner"]
    for side, rows in (("a", (PART, OTHER)), ("b", (GOLD, PART))):
        assert last[side]["f1"]["mean"] == pytest.approx(sum(score_tags(GOLD, r)["micro"]["f1"] for r in rows) / 2)
    uneven = compare(a, b[:1], tmp_path)
    assert (uneven["effect"], uneven["said"]) == (None, "Not compared: 2 runs on one side and 1 on the other.")
    with pytest.raises(BadInput, match="the same run on both sides"):
        compare(a, a[:1], tmp_path)


def test_a_stage_of_one_side_is_one_line_and_what_is_gone_is_said(store: Store, tmp_path: Path) -> None:
    a, b = store.read("a", 1, (PART,)), store.read("b", 1)
    value = compare([a], [b], tmp_path)
    assert value["settings"] == [{"name": "pseudo_ner", "a": "off", "b": "ran"}]
    assert [row["a"] is None for row in value["stages"]] == [False, True]
    storage.remove_folder(b.told["rows"][0]["uri"])
    storage.remove_folder(b.scores[0])
    again = compare([a], [b], tmp_path)
    assert again["notes"] == [
        f"{b.name}: what {task} was told is no longer stored, and not compared" for task in ("ner", "evaluate")
    ]
    assert again["settings"] == value["settings"]
    assert again["said"] == (
        f"Not compared: {b.name} cannot be compared: the sentences that it was measured on are no longer stored."
    )

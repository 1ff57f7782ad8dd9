"""`tofner init`: what it writes passes the check, and says what was chosen and what is missing."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tofner import cli
from tofner.begin.init import NO_QUESTIONS, NO_TEST, Given, Made, found_in, init
from tofner.begin.rules import Resources
from tofner.check.run import check_data
from tofner.corpora import conll
from tofner.errors import BadData, BadSettings
from tofner.presets import load_preset, queries_of

CPU = Resources(2, 64 << 30, False)
SENTENCE = "Anna B-PER\nBerg I-PER\nhas O\nflu B-DISEASE\nin O\nOslo B-LOC\n. O\n\n"
TEXT = "Tom has a cold.\n\nNobody is ill in Rome.\n"
SQUAD = {"data": [{"title": "t", "paragraphs": [{"context": "Tom is ill .", "qas": [
    {"id": "1", "question": "Who is ill ?", "answers": [{"text": "Tom", "answer_start": 0}]}]}]}]}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in ("news.conll", "notes.txt", "qa.json", "test.conll")}
    found["news.conll"].write_text(SENTENCE * 40)
    found["notes.txt"].write_text(TEXT)
    found["qa.json"].write_text(json.dumps(SQUAD))
    found["test.conll"].write_text(SENTENCE * 3)
    return found


def made(files: dict[str, Path], folder: Path, **more: Any) -> Made:
    given = {"texts": [files["notes.txt"]], "corpora": [files["news.conll"]], **more}
    folder.mkdir(exist_ok=True)
    return init(folder, Given(**given), CPU)


def test_what_it_writes_passes_the_check(files: dict[str, Path], tmp_path: Path) -> None:
    found = made(files, tmp_path / "My Clinic 2", questions=[files["qa.json"]], tests=[files["test.conll"]])
    assert found.preset.name == "my-clinic-2.yaml"
    settings = load_preset(str(found.preset))
    report = check_data(settings, str(found.data))
    assert report.problems == []
    read = {file.role: file.sentences for file in report.files}
    expected = {"source_ner.train": 36, "source_ner.dev": 4, "target_text": 2, "target_test": 3, "target_mrc.train": 1}
    assert read == expected
    assert sorted(settings.types) == ["DISEASE", "LOC", "PER"]
    assert found.types == {"PER": 40, "DISEASE": 40, "LOC": 40}
    assert (settings.use.mrc, found.iterations, found.notes) == (True, 1, ["Types with few examples, which a tagger "
            "can hardly learn: PER (40), DISEASE (40), LOC (40)."])  # fmt: skip
    queries = queries_of(settings, 1)
    assert queries.target["DISEASE"] == queries.source["DISEASE"] == "Which diseases or disorders are named?"


def test_without_questions_the_mrc_model_is_off_and_it_says_what_that_costs(
    files: dict[str, Path], tmp_path: Path
) -> None:
    found = made(files, tmp_path / "a", language="no")
    settings = load_preset(str(found.preset))
    assert check_data(settings, str(found.data)).problems == []
    assert (settings.use.mrc, found.iterations, settings.target_language) == (False, 0, "no")
    assert found.notes[:2] == [NO_QUESTIONS, NO_TEST]
    comments = " ".join(line.strip("# ") for line in found.preset.read_text().splitlines() if line.startswith("#"))
    for note in (NO_QUESTIONS, NO_TEST, *found.chosen.why):
        assert note in comments
    assert "English" in found.notes[-1]


def test_the_settings_are_those_that_the_rules_chose(files: dict[str, Path], tmp_path: Path) -> None:
    found = made(files, tmp_path / "a", questions=[files["qa.json"]])
    stages = load_preset(str(found.preset)).stages
    chosen = found.chosen
    assert (stages.ner.epochs, stages.ner.batch_size) == (chosen.epochs, chosen.batch_size) == (10, 16)
    tasks = {name: getattr(stages, name) for name in chosen.rates}
    assert {name: task.learning_rate for name, task in tasks.items()} == chosen.rates
    assert (stages.mlm.maskings, stages.mlm.max_train_examples) == (2, 2000)
    assert (stages.mrc.max_train_examples, stages.mrc.head_learning_rate) == (500, 1e-3)


def test_types_can_be_chosen_and_described(files: dict[str, Path], tmp_path: Path) -> None:
    found = made(files, tmp_path / "a", types={"DISEASE": "illnesses", "PER": ""})
    settings = load_preset(str(found.preset))
    assert settings.types == ["DISEASE", "PER"]
    assert settings.label_map == {"LOC": None}
    queries = yaml.safe_load((found.preset.parent / "queries.en.yaml").read_text())
    assert queries["types"] == {
        "DISEASE": "Which illnesses are named?",
        "PER": "Which people, fictional characters or animals are named?",
    }
    with pytest.raises(BadSettings, match=r"GENE, of which there is none.*the corpus has PER 40"):
        made(files, tmp_path / "b", types={"GENE": ""})


def test_a_dev_file_is_taken_as_it_is_and_else_one_in_ten_is_held_out(files: dict[str, Path], tmp_path: Path) -> None:
    rows = [SENTENCE.replace("flu", f"flu{i}") for i in range(40)]
    files["news.conll"].write_text("".join(rows))
    found = made(files, tmp_path / "a")
    parts = {name: conll.read(str(found.data / f"ner/source/{name}.conll")).sentences for name in ("train", "dev")}
    words = {name: [one.tokens[3] for one in part] for name, part in parts.items()}
    assert words["dev"] == ["flu9", "flu19", "flu29", "flu39"]
    assert sorted(words["train"] + words["dev"]) == sorted(f"flu{i}" for i in range(40))
    dev = tmp_path / "news.dev.conll"
    dev.write_text(SENTENCE * 2)
    found = made(files, tmp_path / "b", corpora=[files["news.conll"], dev])
    assert found.sizes.source == 40
    assert len(conll.read(str(found.data / "ner/source/dev.conll")).sentences) == 2


def test_files_of_the_folder_are_found_packed_ones_too(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "more.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    texts, corpora = found_in(tmp_path)
    assert [path.name for path in texts] == ["more.txt.gz", "notes.txt"]
    assert [path.name for path in corpora] == ["news.conll", "test.conll"]
    found = made(files, tmp_path / "a", texts=texts)
    assert load_preset(str(found.preset)).roles.target_text == ["target/train1", "target/train2"]
    assert (found.data / "text/target/train1.txt").read_text() == TEXT


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"texts": []}, BadSettings, "--text: found nothing; expected plain text"),
        ({"corpora": []}, BadSettings, "--corpus: found nothing"),
        ({"tests": [Path("nowhere.conll")]}, BadSettings, "nowhere.conll: found no such file"),
    ],
)
def test_what_is_missing_is_told(
    change: dict[str, Any], kind: type[Exception], said: str, files: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        made(files, tmp_path / "a", **change)


def test_nothing_is_written_over_and_a_corpus_must_have_entities(files: dict[str, Path], tmp_path: Path) -> None:
    made(files, tmp_path / "a")
    with pytest.raises(BadSettings, match="a file that is there already"):
        made(files, tmp_path / "a")
    files["news.conll"].write_text("a O\n\n" * 40)
    with pytest.raises(BadData, match="no entity"):
        made(files, tmp_path / "b")
    files["news.conll"].write_text(SENTENCE * 3)
    with pytest.raises(BadData, match="20 labelled sentences or more"):
        made(files, tmp_path / "c")


def test_the_command_takes_what_lies_in_the_folder(files: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("news.conll", "notes.txt"):
        files[name].rename(folder / name)
    shown = CliRunner().invoke(cli.app, ["init", str(folder), "--types", "PER,DISEASE=illnesses"])
    assert shown.exit_code == 0, shown.output
    assert f"{folder / 'own.yaml'}: PER 40, DISEASE 40" in shown.output
    assert f"tofner run --preset {folder / 'own.yaml'} --data {folder / 'data'} --iterations 0" in shown.output
    again = CliRunner().invoke(cli.app, ["init", str(tmp_path / "empty")])
    assert isinstance(again.exception, BadSettings)  # no terminal: nobody is asked


def test_on_a_terminal_it_asks_for_what_is_missing(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_on_terminal", lambda: True)
    answers = f"{files['notes.txt']}\n{files['news.conll']}\n"
    shown = CliRunner().invoke(cli.app, ["init", str(tmp_path / "asked")], input=answers)
    assert shown.exit_code == 0, shown.output
    assert load_preset(str(tmp_path / "asked/asked.yaml")).types == ["PER", "DISEASE", "LOC"]

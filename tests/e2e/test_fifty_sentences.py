"""docs/fifty-sentences.md, command by command, on the sample data: the correction is taken from the sample's labels."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tiny_encoder import PRESET, make_encoder
from tofner.corpora import conll
from tofner.corpora.jsonl import Entity
from tofner.presets.load import PRESETS
from tofner.sample.generate import write_sample
from tofner.words.offsets import join_words
from tofner.words.spans import tags_to_spans

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).resolve().parents[2] / "docs" / "fifty-sentences.md"
CAPS = {"mlm": 20, "ner": 100, "pseudo_ner": 40, "loop_ner": 40}
TEXTS = 300
SKIPPED = 2  # tasks that the corrector cannot decide
UNSEEN = 1  # tasks that nobody opens


def commands() -> list[str]:
    """What stands in the page's blocks without a language, in order."""
    blocks = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    return [line for language, block in blocks if not language for line in block.splitlines() if line]


def run(command: str, folder: Path) -> str:
    words = shlex.split(command)
    if words[0] == "tofner":
        words = [sys.executable, "-m", "tofner.cli", *words[1:]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
    environment |= {"COLUMNS": "120", "OMP_NUM_THREADS": "1"}  # threads bring so small an encoder nothing
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, command + "\n" + done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def posts(data: Path) -> dict[str, list[Entity]]:
    """Texts of the sample's target, with the entities that a person would find in them."""
    gold: dict[str, list[Entity]] = {}
    for one in conll.read(str(data / "ner" / "sample-microblog" / "train.conll")).sentences[:TEXTS]:
        text, offsets = join_words(one.tokens)
        spans = tags_to_spans(one.tags or [])
        gold[text] = [Entity(offsets[span.start][0], offsets[span.end - 1][1], span.type) for span in spans]
    return gold


def correct(tasks: list[dict[str, Any]], gold: dict[str, list[Entity]]) -> list[dict[str, Any]]:
    """What Label Studio exports after a person has worked through the tasks."""
    exported = []
    for number, task in enumerate(tasks, start=1):
        text = task["data"]["text"]
        results = [
            {
                "id": f"r{i}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "origin": "manual",
                "value": {"start": e.start, "end": e.end, "text": text[e.start : e.end], "labels": [e.type]},
            }
            for i, e in enumerate(gold[text])
        ]
        skipped = number <= SKIPPED
        annotation = {"id": number, "was_cancelled": skipped, "result": [] if skipped else results, "lead_time": 7.5}
        unseen = len(tasks) - number < UNSEEN
        exported.append({"id": number, "annotations": [] if unseen else [annotation], "inner_id": number, **task})
    return exported


def preset(encoder: Path) -> dict[str, Any]:
    """The sample's sets for a tiny encoder that cuts words into letters; without an MRC model, to take minutes."""
    made: dict[str, Any] = yaml.safe_load((PRESETS / "sample.yaml").read_text(encoding="utf-8"))
    made["roles"] |= {"target_text": ["my-posts/train"], "target_test": []}
    tiny = yaml.safe_load(PRESET.format(encoder=encoder))["stages"]
    for name, stage in tiny.items():
        if name in CAPS:
            stage |= {"max_train_examples": CAPS[name], "max_dev_examples": 20, "max_pieces": 96}
            stage |= {"epochs": min(stage["epochs"], 4)}
    return made | {"encoder": str(encoder), "use": {"mrc": False}, "stages": tiny}


def test_every_command_of_the_page(tmp_path: Path) -> None:
    write_sample(tmp_path / "data")
    gold = posts(tmp_path / "data")
    (tmp_path / "posts.txt").write_text("".join(f"{text}\n" for text in gold), encoding="utf-8")
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(preset(make_encoder(tmp_path / "encoder"))), encoding="utf-8")
    told: dict[str, str] = {}
    for command in commands():
        if command.startswith("tofner convert"):
            tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
            (tmp_path / "corrected.json").write_text(json.dumps(correct(tasks, gold)), encoding="utf-8")
        told[command] = run(command, tmp_path)
    names = [shlex.split(command)[:2] for command in told]
    assert [two[1] for two in names if two[0] == "tofner"] == "check run tag choose convert check run choose".split()

    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert len(tasks) == 50
    assert all(task["data"]["reason"].startswith("uncertain") for task in tasks)
    convert = next(text for command, text in told.items() if command.startswith("tofner convert"))
    number = 50 - SKIPPED - UNSEEN
    assert convert.startswith(f"{number} records with ")
    assert f"{SKIPPED + UNSEEN} tasks were skipped or not annotated, and left out" in convert
    corrected = (tmp_path / "data/ner/my-posts/corrected.jsonl").read_text(encoding="utf-8").splitlines()
    for line in corrected:
        record = json.loads(line)
        assert [(e["start"], e["end"], e["label"]) for e in record["entities"]] == [
            (e.start, e.end, e.type) for e in gold[record["text"]]
        ]
    report = json.loads((tmp_path / ".tofner/out/report/run.json").read_text(encoding="utf-8"))
    half = round(number / 2)
    assert any(note.startswith(f"{half} labelled target sentences are trained on") for note in report["notes"])
    assert any("transductive" in note for note in report["notes"])
    assert report["final"]["counts"]["sentences"] == number - half
    assert "my-posts/corrected (the 50 % that is not trained on)" in report["verdict"]
    first = (tmp_path / "first/model.onnx").read_bytes()
    assert first != (tmp_path / ".tofner/out/model/model.onnx").read_bytes()
    more = json.loads((tmp_path / "more.json").read_text(encoding="utf-8"))
    seen = {json.loads(line)["text"] for line in corrected}
    assert not {task["data"]["text"] for task in more} & seen
    assert more[0]["data"]["reason"].startswith("disputed")

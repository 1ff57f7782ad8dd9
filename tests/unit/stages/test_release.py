"""Which tagger becomes the latest: real store, pointer, gate and corpora; the tags of both taggers are made by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tofner import storage
from tofner.corpora.corpus import read_ner, write_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadModel, Problem
from tofner.model import versions
from tofner.stages import release as module
from tofner.stages.plan import Plan
from tofner.stages.release import judge_both, release

SENTENCES = 300
RIGHT, WRONG = ["B-PER", "O", "B-LOC"], ["O", "O", "O"]
Tags = Callable[[int], list[str]]


def sentences(tags: Tags, count: int = SENTENCES) -> list[Sentence]:
    return [Sentence(f"s{i}", ["Tom", "in", "Oslo"], tags(i)) for i in range(count)]


def folder(path: Path, **files: list[Sentence]) -> str:
    path.mkdir(parents=True)
    for name, rows in files.items():
        write_ner(path / f"{name}.parquet", rows)
    return str(path)


class Home:
    """A planned run, a store with versions `old` and `new`, and what each tagger finds."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.store = root, str(root / "store")
        seed, name = json.dumps({"seed": 1}), json.dumps({"model_name": "tiny"})
        settings = {"prepare": "", "gold": "", "judge": seed, "publish": name}
        switches = {"use_mlm": True, "use_mrc": True, "use_pseudo": True, "order": "mlm-mrc"}
        self.plan = Plan(settings, "data", self.store, "encoder", **switches, gate={}, iterations=1, rounds=1, gpus=0)
        self.place = f"{self.store}/models/tiny"
        for version in ("old", "new", "newer"):
            self.version(version)
        self.corpora = folder(root / "corpora", source_ner_dev=sentences(lambda i: RIGHT))
        self.gold = folder(root / "gold", target_test=[])
        self.finds: dict[str, Tags] = {"candidate": lambda i: RIGHT, "old": lambda i: RIGHT}
        self.judged: list[str] = []
        patch.setattr(module, "run_stage", self.run_stage)
        patch.setattr(module, "place_of", lambda _, stage: self.corpora if stage == "prepare" else self.gold)

    def version(self, name: str) -> None:
        made = self.root / f"made {name}"
        made.mkdir()
        for file in ("model.onnx", "tokenizer.json", "labels.json", "tagger.json"):
            (made / file).write_text(file)
        storage.store_folder(made, f"{self.place}/{name}")

    def run_stage(self, stage: str, store: str, settings: str, inputs: dict[str, str], run_id: str) -> Any:
        assert (stage, inputs["corpora"], inputs["gold"]) == ("judge", self.corpora, self.gold)
        model = inputs["model"].removeprefix(f"{self.place}/").removesuffix("/checkpoint")
        self.judged.append(model)
        if model not in self.finds:
            raise BadModel(Problem(model, "no labels.json", "a checkpoint of the ner stage"))
        tags = self.finds[model]
        made = Path(self.root, f"judged {model} {len(self.judged)}")
        sets = {"source_ner_dev": sentences(tags), "target_text": sentences(tags)}
        if Path(self.gold, "target_dev.parquet").is_file():
            sets["target_dev"] = sentences(self.finds.get(f"{model} target", tags))
        return SimpleNamespace(uri=folder(made, **sets))

    def release(self, version: str = "new", gate: dict[str, Any] | None = None) -> dict[str, Any]:
        return release(replace(self.plan, gate=gate or {}), "candidate", version, "run-1")

    @property
    def latest(self) -> str | None:
        return versions.read(self.place).version


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path, monkeypatch)


@pytest.fixture
def second(home: Home) -> Home:
    """With a champion, `old`."""
    versions.promote(home.place, "old", why="first")
    return home


def test_the_first_version_is_the_latest_and_nothing_is_compared(home: Home) -> None:
    assert judge_both(home.plan, "candidate") == {}
    assert home.release("old")["promoted"]
    assert (home.latest, home.judged) == ("old", [])


def test_a_type_that_the_report_says_is_lost_can_hold_the_first_version_back(home: Home, tmp_path: Path) -> None:
    row = {"type": "PER", "source": 36.8, "target": 0.5, "found": 1}
    known = {"rates": [{**row, "change": "vanished"}, {**row, "type": "LOC", "change": "multiplied"}]}
    (tmp_path / "report").mkdir()
    (tmp_path / "report/run.json").write_text(json.dumps({"unlabelled": known}))
    report = str(tmp_path / "report")
    told = release(replace(home.plan, gate={"lost_types": "hold"}), "candidate", "old", "run-1", report)
    assert (told["promoted"], home.latest) == (False, None)
    assert "type PER has vanished" in told["gate"]
    assert "LOC" not in told["gate"]
    assert release(replace(home.plan, gate={}), "candidate", "old", "run-1", report)["promoted"]


def test_an_equal_tagger_takes_the_place(second: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told = second.release()
    assert told["promoted"]
    assert "not worse by more than 0.50 F1 points than old on source_ner_dev" in told["gate"]
    assert second.latest == "new"
    move = versions.read(second.place).history[-1]
    assert (move.version, move.why, move.run) == ("new", told["gate"], "run-1")
    said = capsys.readouterr().err
    assert "**Promoted**" in said
    assert "900 words: 100.0 % agreement" in said
    assert sorted(second.judged) == ["candidate", "old"]


def test_a_worse_tagger_is_held_back(second: Home) -> None:
    second.finds["candidate"] = lambda i: WRONG if i % 3 == 0 else RIGHT
    told = second.release()
    assert not told["promoted"]
    assert told["gate"].startswith("source_ner_dev: worse by more than 0.50 F1 points")
    assert second.latest == "old"


def test_a_type_that_has_vanished_holds_it_back(second: Home) -> None:
    second.corpora = folder(second.root / "c2", source_ner_dev=sentences(lambda i: ["B-PER", "O", "O"]))
    second.finds["candidate"] = lambda i: ["B-PER", "O", "O"]
    told = second.release()
    assert not told["promoted"]
    assert "target_text: LOC has vanished, the champion finds it 300 times" in told["gate"]


def test_labelled_target_sentences_decide(second: Home) -> None:
    second.gold = folder(second.root / "g2", target_dev=sentences(lambda i: RIGHT))
    second.finds["candidate"] = lambda i: WRONG if i % 3 == 0 else RIGHT  # worse on the source
    second.finds["candidate target"] = lambda i: RIGHT
    second.finds["old target"] = lambda i: WRONG if i % 2 else RIGHT
    told = second.release()
    assert told["promoted"]
    assert "on target_dev" in told["gate"]


def test_the_settings_of_the_gate_are_heeded(second: Home) -> None:
    assert not second.release(gate={"promote": "better"})["promoted"]
    assert not second.release(gate={"min_sentences": SENTENCES + 1})["promoted"]
    assert not second.release(gate={"promote": "never"})["promoted"]
    second.finds["candidate"] = lambda i: WRONG
    assert second.release(gate={"promote": "always"})["promoted"]


def test_the_same_version_again_changes_nothing(second: Home) -> None:
    before = Path(second.place, "latest.json").read_bytes()
    assert second.release("old") == {"promoted": True, "gate": "it is the latest already"}
    assert Path(second.place, "latest.json").read_bytes() == before
    assert second.judged == []


def test_nothing_is_tagged_where_the_latest_was_made_of_this_tagger(second: Home) -> None:
    """A version's manifest is that of its export, and names what was exported."""
    assert sorted(judge_both(second.plan, "candidate")) == ["candidate", "champion"]
    Path(second.place, "old", "manifest.json").write_text(json.dumps({"inputs": {"model": "candidate"}}))
    second.judged.clear()
    assert judge_both(second.plan, "candidate") == {}
    assert second.judged == []


def test_the_same_tagger_exported_anew_is_compared_all_the_same(second: Home) -> None:
    """Another setting of the export gives another version of one tagger."""
    second.version("again")
    Path(second.place, "old", "manifest.json").write_text(json.dumps({"inputs": {"model": "candidate"}}))
    assert second.release("again")["promoted"]
    assert second.latest == "again"


def test_what_was_rolled_back_does_not_come_back_by_itself(second: Home) -> None:
    second.release()
    versions.rollback(second.place, why="misses places")
    told = second.release()
    assert not told["promoted"]
    assert "misses places" in told["gate"]
    assert second.latest == "old"


def test_who_is_overtaken_leaves_the_others_version_and_says_so(second: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between comparing and moving the pointer somebody else promotes."""
    real = module.decide

    def decide(*arguments: Any) -> Any:
        versions.promote(second.place, "newer", why="by hand")
        return real(*arguments)

    monkeypatch.setattr(module, "decide", decide)
    told = second.release()
    assert not told["promoted"]
    assert "another publisher was faster" in told["gate"]
    assert "newer" in told["gate"]
    assert second.latest == "newer"


def test_a_champion_that_cannot_be_run_is_not_replaced_unseen(second: Home, capsys: pytest.CaptureFixture[str]) -> None:
    del second.finds["old"]
    told = second.release()
    assert not told["promoted"]
    assert "cannot be compared" in told["gate"]
    assert "note: the latest version old cannot be compared with: old: found no labels.json" in capsys.readouterr().err
    second.finds = {"old": lambda i: RIGHT}
    with pytest.raises(BadModel):
        second.release()


def test_judge_tags_with_a_trained_tagger(tmp_path: Path) -> None:
    """The stage itself, on a real tiny tagger: what it writes is what `predict_tags` finds."""
    from tests.tiny_stages import make_chain
    from tofner.training import checkpoint
    from tofner.training.ner import predict_tags

    chain = make_chain(tmp_path)
    planned = chain.planned("roles.target_dev=[tgt/dev]", "stages.judge.text_sentences=9")
    gold = chain.do_with(planned.settings["gold"], "gold", data=str(chain.data)).uri
    made = chain.do_with(planned.settings["judge"], "judge", corpora=chain.prepare.uri, gold=gold, model=chain.ner.uri)
    assert made.counts == {"source_ner_dev": 10, "target_dev": 14, "target_text": 9}
    model, labels, about = checkpoint.load_trained_tagger(chain.ner.folder)
    for name, read in (("source_ner_dev", chain.prepare.folder), ("target_dev", Path(gold))):
        truth = list(read_ner(read / f"{name}.parquet"))
        sizes = (about["max_pieces"], about["overlap_pieces"])
        words = [one.tokens for one in truth]
        found = predict_tags(model, checkpoint.piece_encoder(chain.ner.folder), words, labels, *sizes, 64)
        assert [one.tags for one in read_ner(made.folder / f"{name}.parquet")] == [one.tags for one in found]

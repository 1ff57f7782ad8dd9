"""The whole of Algorithm 1 by its stages, on a tiny encoder and tiny corpora: no orchestrator, real everything else."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner import storage
from tofner.stages import Plan, execute, plan
from tofner.stages.release import release
from tofner.stages.runtime import lineage, read_json

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("algorithm")
    encoder = make_encoder(root / "encoder")
    make_preset(root / "preset.yaml", encoder)
    make_data(root / "data")
    make_data(root / "scrambled", scramble_target=True)
    return root


class Chain:
    """Algorithm 1 as a chain of `execute` calls, the order of the graph."""

    def __init__(self, planned: Plan, data: str, store: str) -> None:
        self.plan, self.data, self.store = planned, data, store
        self.models: dict[str, str] = {}
        self.scores: dict[str, str] = {}

    def do(self, stage: str, task: str = "", **inputs: str) -> str:
        return execute(stage, self.store, self.plan.settings[task or stage], inputs).uri

    def score(self, name: str, model: str) -> None:
        self.models[name] = model
        self.scores[name] = self.do("evaluate", gold=self.gold, model=model)

    def run(self) -> "Chain":
        p = self.plan
        corpora = self.do("prepare", data=self.data)
        self.gold = self.do("gold", data=self.data)
        model, head = p.encoder, ""
        if p.use_mlm:
            model = self.do("mlm", corpora=corpora, model=model)
        if p.use_mrc:
            model = head = self.do("mrc", corpora=corpora, model=model)
        model = self.do("ner", corpora=corpora, model=model)
        self.score("ner", model)
        if p.use_pseudo:
            labels = self.do("pseudo_label", corpora=corpora, model=model)
            model = self.do("ner", "pseudo_ner", corpora=corpora, model=model, pseudo=labels, head=model)
            self.score("pseudo", model)
        for i in range(p.iterations):
            labels = self.do("pseudo_label", corpora=corpora, model=model)
            head = self.do("mrc", "loop_mrc", corpora=corpora, model=model, pseudo=labels, head=head)
            model = self.do("ner", "loop_ner", corpora=corpora, model=head, pseudo=labels, head=model)
            self.score(f"round {i + 1}", model)
        self.corpora = corpora
        self.export = self.do("export", corpora=corpora, model=model)
        scores = " ".join(self.scores.values())
        self.report = self.do("report", model=model, export=self.export, scores=scores)
        self.published = self.do("publish", export=self.export, model=model, report=self.report)
        self.released = release(self.plan, model, self.published.rpartition("/")[2])
        return self

    def digests(self) -> dict[str, str]:
        return {name: digest(uri) for name, uri in self.models.items()}


def digest(uri: str) -> str:
    return str(read_json(storage.join(uri, "manifest.json"))["digest"])


def chain(
    home: Path, store: str, iterations: int = 1, data: str = "data", seed: int = 2019, overrides: tuple[str, ...] = ()
) -> Chain:
    root = str(home / data)
    planned = plan(str(home / "preset.yaml"), root, store, iterations=iterations, seed=seed, overrides=overrides)
    return Chain(planned, root, store).run()


@pytest.fixture(scope="module")
def first(home: Path) -> Chain:
    return chain(home, str(home / "store"))


def test_every_tagger_is_scored_and_told(first: Chain) -> None:
    assert list(first.scores) == ["ner", "pseudo", "round 1"]
    told = read_json(storage.join(first.report, "run.json"))
    rows = {row["name"]: row for row in told["rows"]}
    assert list(rows) == [
        "prepare", "mlm", "mrc", "ner", "pseudo_label", "pseudo_ner", "pseudo_label 1", "mrc 1", "ner 1", "export"
    ]  # fmt: skip
    assert [name for name, row in rows.items() if row["f1"] is not None] == ["ner", "pseudo_ner", "ner 1"]
    report = (Path(first.report) / "report.html").read_text(encoding="utf-8")
    assert "<script" not in report
    assert "http" not in report.replace("http-equiv", "")
    assert "ner 1" in (Path(first.report) / "report.md").read_text(encoding="utf-8")


def test_the_tagger_learned_the_source(first: Chain) -> None:
    report = read_json(storage.join(first.models["ner"], "report.json"))
    assert report["metrics"]["dev_f1"] > 0.5


def test_published_model_is_whole_and_loads_in_transformers(first: Chain) -> None:
    from transformers import pipeline

    name, version = first.published.split("/")[-2:]
    index = storage.folder_index(first.published)
    assert index is not None
    assert {
        "model.onnx",
        "tokenizer.json",
        "labels.json",
        "tagger.json",
        "README.md",
        "manifest.json",
        "reports/report.html",
    } <= set(index.files)
    pointer = storage.read_pointer(storage.join(first.store, "models", name, "latest.json"))
    assert pointer is not None
    assert pointer[0]["version"] == version
    tag = pipeline("token-classification", f"{first.published}/checkpoint", aggregation_strategy="first")
    found = tag("Tom flew to Oslo on Monday .")
    assert {entity["entity_group"] for entity in found} <= {"PER", "ORG", "LOC"}


def test_rounds_share_their_prefix(home: Path, first: Chain) -> None:
    none, two = (chain(home, str(home / "store"), iterations=t) for t in (0, 2))
    assert none.models == {name: first.models[name] for name in ("ner", "pseudo")}
    assert {name: two.models[name] for name in first.models} == first.models
    assert "round 2" in two.models
    # T = 0 has no round in its history, so nothing of one was run for it.
    stages = [manifest["stage"] for _, manifest, _ in lineage(none.models["pseudo"])]
    assert sorted(stages) == ["mlm", "mrc", "ner", "ner", "prepare", "pseudo_label"]


def test_same_seed_same_checksum_elsewhere(home: Path, first: Chain, tmp_path: Path) -> None:
    again = chain(home, str(tmp_path / "elsewhere"))
    assert again.digests() == first.digests()
    assert digest(again.export) == digest(first.export)
    other = chain(home, str(tmp_path / "elsewhere"), iterations=0, seed=7)
    assert other.digests()["ner"] != first.digests()["ner"]


def test_target_labels_cannot_leak(home: Path, first: Chain, tmp_path: Path) -> None:
    """Nonsense for every target label of train and dev: every byte that is trained or published stays as it was."""
    scrambled = chain(home, str(tmp_path / "scrambled"), data="scrambled")
    assert digest(scrambled.corpora) == digest(first.corpora)
    assert scrambled.digests() == first.digests()
    assert digest(scrambled.export) == digest(first.export)


def test_changed_settings_redo_what_they_touch_and_nothing_else(home: Path, first: Chain) -> None:
    other = chain(home, str(home / "store"), overrides=("stages.loop_ner.learning_rate=2e-3",))
    assert other.corpora == first.corpora
    assert {name: other.models[name] for name in ("ner", "pseudo")} == {
        name: first.models[name] for name in ("ner", "pseudo")
    }
    assert other.models["round 1"] != first.models["round 1"]


def test_baselines_are_settings(home: Path) -> None:
    direct = chain(home, str(home / "store"), 0, overrides=("use.mlm=false", "use.mrc=false", "use.pseudo=false"))
    assert [m["stage"] for _, m, _ in lineage(direct.models["ner"])] == ["ner", "prepare"]
    adapta = chain(home, str(home / "store"), 0, overrides=("use.mrc=false", "use.pseudo=false"))
    assert [m["stage"] for _, m, _ in lineage(adapta.models["ner"])] == ["ner", "prepare", "mlm"]


KILLED = """
import os, signal, sys
from tofner import storage
from tofner.stages import execute
from tofner.training import fit
stored = storage.store_folder
def store(path, uri, *rest):
    found = stored(path, uri, *rest)
    if "/state/" in uri:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
if sys.argv[1] == "kill":
    storage.store_folder = store
print(execute("ner", sys.argv[2], sys.argv[3], {"corpora": sys.argv[4], "model": sys.argv[5]}).uri)
"""


def test_killed_training_goes_on_from_its_state_to_the_same_model(home: Path, first: Chain, tmp_path: Path) -> None:
    """kill -9 right after the first epoch's state is stored; the second try goes on and ends with the same bytes."""
    settings = first.plan.settings["ner"]
    model = next(m["inputs"]["model"] for uri, m, _ in lineage(first.models["ner"]) if uri == first.models["ner"])
    store = str(tmp_path / "store")

    def attempt(how: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", KILLED, how, store, settings, first.corpora, model]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)

    dead = attempt("kill")
    assert dead.returncode == -signal.SIGKILL
    assert storage.list_files(f"{store}/state/ner")
    assert not Path(f"{store}/work").exists()
    alive = attempt("go on")
    assert alive.returncode == 0, alive.stderr
    assert "going on from checkpoint-" in alive.stderr
    assert digest(alive.stdout.strip()) == digest(first.models["ner"])
    assert storage.list_files(f"{store}/state") == []

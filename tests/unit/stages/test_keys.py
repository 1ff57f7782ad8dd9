"""What changes which key: one byte of data, encoder, code or a setting, and exactly the tasks that it reaches do anew.

`prepare` and `gold` run for real. Of the other tasks only the keys are made, by the functions that runs use; what a
task would make is stood for by its key, so that a new key goes on to whoever reads the result.
"""

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner.presets import load_preset
from tofner.settings import known_keys
from tofner.stages import execute, plan, revision, runtime
from tofner.stages.config import config_type

TASKS = (
    "prepare gold mlm mrc ner pseudo_label pseudo_ner label_1 loop_mrc loop_ner evaluate judge export report publish"
).split()
MODELS = TASKS[TASKS.index("mlm") : TASKS.index("evaluate")]
END = {"evaluate", "judge", "export", "report", "publish"}
SYMBOL = "made by "
ROOT = Path(revision.__file__).parents[1]
PLANNING = importlib.import_module("tofner.stages.plan")  # the package's own `plan` is its function


def after(task: str) -> set[str]:
    """The task, all models that come from it, and all that is made of them."""
    return {*MODELS[MODELS.index(task) :], *END}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("keys")
    make_data(root / "data")
    make_encoder(root / "encoder")
    (root / "data/dict").mkdir()
    (root / "data/dict/en-es.txt").write_text("flew voló\nflew volaba\non on\non el\nwhere dónde\n", encoding="utf-8")
    queries = root / "queries"
    queries.mkdir()
    text = "types:\n  PER: Who is it?\n  ORG: Which company is it?\n  LOC: Where is it?\n"
    (queries / "en.yaml").write_text(text, encoding="utf-8")
    return root


class Setup:
    """A data root, an encoder and queries that a test may change, and the keys of a run on them."""

    def __init__(self, root: Path, store: Path) -> None:
        self.root, self.store = root, store
        make_preset(root / "preset.yaml", root / "encoder")

    def keys(self, *overrides: str, seed: int = 2019, code: Callable[[str], str] | None = None) -> dict[str, str]:
        own = (f"queries={self.root / 'queries'}", f"ner_as_mrc.queries={self.root / 'queries'}", *overrides)
        with pytest.MonkeyPatch.context() as patch:
            if code is not None:
                patch.setattr(PLANNING, "code_revision", code)
            return self._keys(own, seed)

    def _keys(self, overrides: tuple[str, ...], seed: int) -> dict[str, str]:
        data, store = str(self.root / "data"), str(self.store)
        planned = plan(str(self.root / "preset.yaml"), data, store, seed=seed, overrides=overrides)
        keys: dict[str, str] = {}

        def do(name: str, stage: str, task: str = "", **inputs: str) -> str:
            given = {key: uri for key, uri in inputs.items() if uri}
            if stage == "pseudo_label" and json.loads(planned.settings[task])["queries"]:
                given["mrc"] = head
            config = config_type(stage, given).model_validate_json(planned.settings[task or stage])
            keys[name] = runtime.stage_key(stage, config, runtime.input_digests(config, given))
            return SYMBOL + keys[name]

        corpora, gold = (execute(s, store, planned.settings[s], {"data": data}).uri for s in ("prepare", "gold"))
        do("prepare", "prepare", data=data)
        do("gold", "gold", data=data)
        model, head = planned.encoder, ""
        if planned.use_mlm:
            model = do("mlm", "mlm", corpora=corpora, model=model)
        if planned.use_mrc:
            model = head = do("mrc", "mrc", corpora=corpora, model=model)
        model = do("ner", "ner", corpora=corpora, model=model)
        if planned.use_pseudo:
            labels = do("pseudo_label", "pseudo_label", "pseudo_label", corpora=corpora, model=model)
            model = do("pseudo_ner", "ner", "pseudo_ner", corpora=corpora, model=model, pseudo=labels, head=model)
            labels = do("label_1", "pseudo_label", "loop_label", corpora=corpora, model=model, earlier=labels)
            head = do("loop_mrc", "mrc", "loop_mrc", corpora=corpora, model=model, pseudo=labels, head=head)
            model = do("loop_ner", "ner", "loop_ner", corpora=corpora, model=head, pseudo=labels, head=model)
        scores = do("evaluate", "evaluate", gold=gold, model=model)
        do("judge", "judge", corpora=corpora, gold=gold, model=model)
        export = do("export", "export", corpora=corpora, model=model)
        report = do("report", "report", model=model, export=export, scores=scores.replace(" ", "-"))
        do("publish", "publish", export=export, model=model, report=report)
        return keys


@pytest.fixture(scope="module", autouse=True)
def symbols() -> Any:
    """What stands for a result that was not made has no contents: its digest is its key."""
    real = runtime._digest

    def digest(uri: str, files: tuple[str, ...] | None) -> Any:
        if not uri.startswith((SYMBOL, SYMBOL.replace(" ", "-"))):
            return real(uri, files)
        return uri if files is None else dict.fromkeys(files, uri)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "_digest", digest)
        yield


@pytest.fixture(scope="module")
def shared(home: Path) -> Setup:
    """For tests that change no file."""
    return Setup(home, home / "store")


@pytest.fixture(scope="module")
def before(shared: Setup) -> dict[str, str]:
    """The keys of the run that nothing was changed of."""
    return shared.keys()


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Setup:
    """For tests that change files; results that exist already are found in the shared store."""
    for name in ("data", "encoder", "queries"):
        shutil.copytree(home / name, tmp_path / name)
    return Setup(tmp_path, home / "store")


def changed(before: dict[str, str], now: dict[str, str]) -> set[str]:
    return {task for task in before.keys() | now.keys() if before.get(task) != now.get(task)}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("ner/src/train.conll", "Monday", "Mondai", {"prepare"} | after("mlm")),
        ("ner/src/dev.conll", "Monday", "Mondai", {"prepare"} | after("mrc")),
        ("ner/tgt/train.conll", "lol", "lel", {"prepare"} | after("mlm")),
        ("ner/tgt/train.conll", "B-PER", "B-LOC", {"prepare"}),  # a target label: nothing that is trained sees it
        ("ner/tgt/test.conll", "lol", "lel", {"gold", "evaluate", "report", "publish"}),
        ("ner/tgt/test.conll", "B-PER", "B-LOC", {"gold", "evaluate", "report", "publish"}),
        ("mrc/tgt-qa/train.json", "Who is named?", "Who is it?", {"prepare"} | after("mrc")),
        ("mrc/tgt-qa/dev.json", "Who is named?", "Who is it?", {"prepare"} | after("mrc")),
        ("mrc/src-qa/train.json", "Who is named?", "Who is it?", {"prepare"} | after("mrc")),
        ("mrc/src-qa/dev.json", "Who is named?", "Who is it?", {"prepare"} | after("mrc")),
    ],
)
def test_a_changed_corpus_reaches_who_reads_it(own: Setup, file: str, old: str, new: str, expected: set[str]) -> None:
    before = own.keys()
    assert set(before) == set(TASKS)
    replace(own.root / "data" / file, old, new)
    assert changed(before, own.keys()) == expected


def test_a_label_of_a_target_sentence_reaches_the_taggers_that_learn_it(own: Setup) -> None:
    role = ("roles.target_ner.sets=[tgt/dev]", "roles.target_text=[tgt/train]")
    before = own.keys(*role)
    replace(own.root / "data/ner/tgt/dev.conll", "B-PER", "B-LOC")
    assert changed(before, own.keys(*role)) == {"prepare"} | after("ner")


def test_another_wording_of_a_question_keeps_the_corpora_and_the_mlm(own: Setup) -> None:
    before = own.keys()
    replace(own.root / "queries" / "en.yaml", "Who is it", "Which person is it")
    assert changed(before, own.keys()) == after("mrc")


def test_one_byte_of_the_encoder_changes_every_model(own: Setup) -> None:
    before = own.keys()
    path = own.root / "encoder" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert changed(before, own.keys()) == after("mlm")


def test_addresses_are_in_no_key_but_that_of_the_report(own: Setup) -> None:
    """Data root, encoder and store moved elsewhere: the same contents, so the same results. The report names them."""
    before = own.keys()
    moved = own.root / "elsewhere"
    moved.mkdir()
    for name in ("data", "encoder", "queries"):
        (own.root / name).rename(moved / name)
    make_preset(moved / "preset.yaml", moved / "encoder")
    own.root, own.store = moved, moved / "other store"
    assert changed(before, own.keys()) <= {"report", "publish"}


def test_the_seed_is_in_the_key_of_all_that_is_trained_and_in_none_of_what_is_read(
    shared: Setup, before: dict[str, str]
) -> None:
    assert changed(before, shared.keys(seed=1)) == set(TASKS) - {"prepare", "gold"}


# Settings outside `stages`: a value that differs from the tiny preset's, and the tasks that it reaches.
SETTINGS: dict[str, tuple[str, set[str]]] = {
    "description": ("other words", {"report", "publish"}),
    "encoder": ("", set()),  # by its contents, above
    "source_language": ("", set()),  # by the questions that it chooses, above
    "target_language": ("", set()),
    "queries": ("", set()),
    "types": ("", set()),  # needs a question more: below
    "label_map": ("{MISC: null}", {"prepare", "gold"}),  # maps a type that these corpora lack
    "ner_as_mrc.types": ("[PER, ORG, LOC]", {"prepare"} | after("mrc")),
    "ner_as_mrc.queries": ("", set()),  # of those types: test_choices
    "ner_as_mrc.label_map": ("", set()),
    "translate.dictionary": ("en-es", {"prepare"} | after("mlm")),
    "translate.choose": ("other", set()),  # nothing without a dictionary: below
    "translate.data": ("[mrc]", set()),
    "translate.queries": ("", set()),
    "roles.source_ner.train": ("[src/train, src/dev]", {"prepare"} | after("mlm")),
    "roles.source_ner.dev": ("[src/test]", {"prepare"} | after("mrc")),
    "roles.translated_ner.train": ("[src/test]", {"prepare"} | after("mlm")),
    "roles.translated_ner.optional": ("false", {"report", "publish"}),
    "roles.target_text": ("[tgt/train]", {"prepare"} | after("mlm")),
    "roles.target_test": ("[tgt/test, tgt/dev]", {"gold", "evaluate", "report", "publish"}),
    "roles.target_mrc.train": ("[tgt-qa/dev]", {"prepare"} | after("mrc")),
    "roles.target_mrc.dev": ("[]", {"prepare"} | after("mrc")),
    "roles.source_mrc.train": ("[src-qa/dev]", {"prepare"} | after("mrc")),
    "roles.source_mrc.dev": ("[]", {"prepare"} | after("mrc")),
    "roles.target_dev": ("[tgt/dev]", {"gold", "judge"}),
    "roles.target_ner.sets": ("[tgt/dev]", {"prepare"} | after("ner")),
    "roles.target_ner.train_share": ("0.5", set()),  # nothing without sets
    "roles.target_ner.split_seed": ("3", set()),
    "roles.target_ner.weight": ("3", set()),
    "gate.promote": ("better", set()),  # heeded anew each time that a model is published
    "gate.margin": ("1", set()),
    "gate.confidence": ("0.9", set()),
    "gate.samples": ("2000", set()),
    "gate.min_sentences": ("7", set()),
    "gate.min_entities": ("7", set()),
    "gate.vanished": ("7", set()),
    "gate.lost_types": ("hold", set()),
    "compute.device": ("cpu", set()),  # as auto finds it where no GPU is
    "compute.threads": ("7", after("mlm")),
    "compute.precision": ("bf16", after("mlm")),
    "use.order": ("mrc-mlm", set()),  # by what each stage is given: test_backend_rules
    "use.mlm": ("false", after("mlm")),
    "use.mrc": ("false", after("mrc")),
    "use.pseudo": ("false", after("pseudo_label")),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, (value, _) in SETTINGS.items() if value])
def test_a_changed_setting_reaches_who_reads_it(
    shared: Setup, before: dict[str, str], key: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key == "use.pseudo":
        monkeypatch.setattr("tofner.check.asked._ranges", lambda *_: [])  # rounds without labels; `plan` refuses them
    # The report's settings name roles, switches and overrides.
    assert changed(before, shared.keys(f"{key}={value}")) == SETTINGS[key][1] | {"report", "publish"}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("translate.choose=other", {"prepare"} | after("mlm")),
        ("translate.data=[mrc, ner_as_mrc]", {"prepare"} | after("mlm")),
        ("translate.data=[ner, ner_as_mrc]", {"prepare"} | after("mrc")),
        ("translate.data=[ner, mrc]", {"prepare"} | after("mrc")),
        ("translate.queries=words", after("mrc")),
        ("stages.loop_ner.choose_by=source+translated", {"prepare"} | after("loop_ner")),
    ],
)
def test_a_way_to_translate_reaches_who_reads_it(shared: Setup, setting: str, expected: set[str]) -> None:
    on = "translate.dictionary=en-es"
    assert changed(shared.keys(on), shared.keys(on, setting)) == expected | {"report", "publish"}


def test_a_line_of_the_dictionary_reaches_all_that_read_translations(own: Setup) -> None:
    on = "translate.dictionary=en-es"
    before = own.keys(on), own.keys(on, "translate.data=[mrc]"), own.keys(on, "translate.data=[]"), own.keys()
    replace(own.root / "data/dict/en-es.txt", "voló", "vuela")
    after_ = own.keys(on), own.keys(on, "translate.data=[mrc]"), own.keys(on, "translate.data=[]"), own.keys()
    found = [changed(one, other) for one, other in zip(before, after_, strict=True)]
    assert found == [{"prepare"} | after("mlm"), {"prepare"} | after("mrc"), {"prepare"}, set()]


def test_a_type_more_reaches_all_but_the_mlm(own: Setup) -> None:
    with (own.root / "queries" / "en.yaml").open("a", encoding="utf-8") as file:
        file.write("  MISC: What else is it?\n")
    before = own.keys()  # a question without a type is no change
    assert changed(before, own.keys("types=[PER, ORG, LOC, MISC]")) == {"prepare", "gold"} | after("mrc")


def test_the_table_of_settings_is_whole() -> None:
    assert {key for key, _ in known_keys() if not key.startswith("stages.")} == set(SETTINGS)


def other(annotation: Any, default: Any) -> Any:
    """A value that a setting of this type may have and that is not its default."""
    if get_origin(annotation) is Literal:
        return next(value for value in get_args(annotation) if value != default)
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    if kinds[0] is bool:
        return not default
    if kinds[0] is int:
        return 19 if default is None or default > 19 else default + 1
    return 0.37


@pytest.mark.parametrize("key", [key for key, _ in known_keys() if key.startswith("stages.")])
def test_a_setting_of_a_stage_is_in_its_key_and_in_none_before(shared: Setup, before: dict[str, str], key: str) -> None:
    _, task, name = key.split(".")
    now = getattr(getattr(load_preset(str(shared.root / "preset.yaml")).stages, task), name)
    fitting = {"max_pieces": 61 if "mrc" in task else 31, "overlap_pieces": 7}
    value = fitting.get(name, other(dict(known_keys())[key].annotation, now))
    first = {"pseudo_label": after("pseudo_label"), "evaluate": {"evaluate"}, "judge": {"judge"}, "export": {"export"}}
    # Words on which two teachers differ are found as the text is labelled.
    told_before = {"pseudo_ner.trust": "pseudo_label", "loop_mrc.trust": "label_1", "loop_ner.trust": "label_1"}
    if key == "stages.export.priors":
        first["export"] = {"evaluate", "judge", "export"}  # the tagger is scored and judged as it is exported
    expected = first.get(task) or after(told_before.get(f"{task}.{name}", task))
    assert changed(before, shared.keys(f"{key}={str(value).lower()}")) == expected | {"report", "publish"}


EVERYTHING = set(TASKS)
CODE = {
    "stages/prepare.py": {"prepare", "gold"},  # gold reads labelled files as prepare does
    "stages/gold.py": {"gold"},
    "stages/mlm.py": {"mlm"},
    "stages/mrc.py": {"mrc", "loop_mrc"},
    "stages/ner.py": {"ner", "pseudo_ner", "loop_ner"},
    "stages/pseudo_label.py": {"pseudo_label", "label_1"},
    "stages/translated.py": {"prepare", "gold"},
    "corpora/translate.py": {"prepare", "gold"},
    "stages/sets.py": {"prepare", "gold"},
    "stages/sentences.py": {"pseudo_label", "label_1", "evaluate"},
    "stages/gather.py": {"report"},
    "stages/pages/templates/report.html.j2": {"report", "publish"},
    "stages/pages/curves.py": {"report", "publish"},
    "stages/pages/lines.py": set(),  # what is told in the log
    "stages/pages/render.py": {"report", "publish"},
    "training/mlm.py": {"mlm"},
    "training/fit.py": {"mlm", "mrc", "loop_mrc", "ner", "pseudo_ner", "loop_ner"},
    "model/hub.py": set(),
    "words/windows.py": EVERYTHING - {"prepare", "gold", "report", "publish"},
    "corpora/squad.py": {"prepare", "gold"},
    "onnx/quantise.py": {"export"},
    "onnx/triton.py": set(),
    "tagging/engine/tagger.py": {"export"},
    "tagging/serve.py": set(),
    "tagging/job/run.py": set(),
    "sample/news.py": set(),
    "check/files.py": set(),
    "storage/s3.py": set(),
    "settings.py": set(),  # its values are in the keys
    "cli.py": set(),
}


@pytest.mark.parametrize("file", CODE)
def test_a_line_of_code_reaches_the_stages_that_it_makes(
    shared: Setup, before: dict[str, str], file: str, tmp_path: Path
) -> None:
    root = tmp_path / "code"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / file).write_bytes((root / file).read_bytes() + b"\n")
    now = shared.keys(code=lambda stage: revision.code_revision.__wrapped__(stage, root))
    made = CODE[file]
    first = next((task for task in MODELS if task in made), None)
    told = {"report", "publish"} if made & (set(MODELS) | END) else set()
    assert changed(before, now) == made | (after(first) if first else set()) | told


def test_only_the_libraries_that_a_stage_uses_are_in_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = ("prepare", "mlm", "mrc", "ner", "evaluate", "export")

    def revisions() -> dict[str, str]:
        return {stage: revision.code_revision.__wrapped__(stage) for stage in stages}

    before = revisions()
    real = revision.library_versions()
    for library, expected in (
        ("torch", {"mlm", "mrc", "ner", "evaluate", "export"}),
        ("onnxruntime", {"export"}),
        ("seqeval", {"ner", "evaluate", "export"}),
        ("pyarrow", set(before)),
    ):
        monkeypatch.setattr(revision, "library_versions", lambda name=library: {**real, name: "0"})
        assert {stage for stage, one in revisions().items() if one != before[stage]} == expected, library


# An import in each kind of statement that can hold one.
EVERY_KIND = """
for one in ():
    with one:
        import numpy
try:
    import torch
except ImportError:
    import transformers
else:
    import datasets
finally:
    import tokenizers
match one:
    case 1 if (lambda: one)():
        while one:
            import seqeval
class A:
    if one:
        pass
    else:
        import onnxruntime
"""


def test_imports_inside_functions_are_followed(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "one.py").write_text(
        "def run() -> None:\n    from tofner.words import late\n    import onnx\n"
    )
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "late.py").write_text(EVERY_KIND)
    libraries = ["datasets", "numpy", "onnx", "onnxruntime", "seqeval", "tokenizers", "torch", "transformers"]
    assert revision.made_by("one", tmp_path) == (["tofner.stages.one", "tofner.words.late"], libraries)


def test_the_key_leaves_out_what_is_told_to_orchestrators_alone(shared: Setup) -> None:
    """An orchestrator that caches by arguments must see that an encoder has changed in its place."""
    planned = plan(str(shared.root / "preset.yaml"), str(shared.root / "data"), str(shared.store))
    config = config_type("ner", ()).model_validate_json(planned.settings["ner"])
    assert len(config.encoder_digest) == 64
    other_encoder = config.model_copy(update={"encoder_digest": "0" * 64})
    assert runtime.stage_key("ner", other_encoder, {}) == runtime.stage_key("ner", config, {})


@pytest.mark.parametrize("task", ["mlm", "mrc", "ner", "pseudo_label", "pseudo_ner", "loop_mrc", "loop_ner", "export"])
@pytest.mark.parametrize("switched", [False, True])
def test_what_a_stage_opens_is_in_its_key(shared: Setup, task: str, switched: bool, tmp_path: Path) -> None:
    """Every file that a stage's module may open of its corpora, by the names that it reads them under."""
    turned = {
        "mlm": ["stages.mlm.source_text=false"],
        "mrc": ["stages.mrc.sources=false", "stages.mrc.targets=false", "stages.mrc.ner_as_mrc=false"],
        "pseudo_ner": ["stages.pseudo_ner.mix=pseudo+source"],
        "loop_mrc": ["stages.loop_mrc.mix=all"],
        "loop_ner": ["stages.loop_ner.mix=source+pseudo"],
        "export": ["stages.export.int8=true"],
    }
    overrides = turned.get(task, []) if switched else []
    preset = str(shared.root / "preset.yaml")
    planned = plan(preset, str(shared.root / "data"), str(shared.store), overrides=overrides)
    stage = {"pseudo_ner": "ner", "loop_ner": "ner", "loop_mrc": "mrc"}.get(task, task)
    pseudo = {"pseudo": ""} if task in ("pseudo_ner", "loop_ner", "loop_mrc") else {}
    config = config_type(stage, pseudo).model_validate_json(planned.settings[task])
    ner, questions = ("source_ner", "translated_ner"), ("target_mrc", "source_mrc", "translated_mrc")
    expected = {
        ("mlm", False): {"target_text", "source_text"},
        ("mlm", True): {"target_text"},
        ("mrc", False): {"source_ner", *questions, "source_ner_dev", "target_mrc_dev", "source_mrc_dev"},
        ("mrc", True): {"translated_mrc", "source_ner_dev", "target_mrc_dev", "source_mrc_dev"},
        ("ner", False): {*ner, "source_ner_dev"},
        ("pseudo_label", False): {"target_text"},
        ("pseudo_ner", False): {"source_ner_dev"},
        ("pseudo_ner", True): {*ner, "source_ner_dev"},
        ("loop_mrc", False): {"target_mrc", "source_ner_dev", "target_mrc_dev", "source_mrc_dev"},
        ("loop_mrc", True): {"source_ner", *questions, "source_ner_dev", "target_mrc_dev", "source_mrc_dev"},
        ("loop_ner", False): {"source_ner_dev"},
        ("loop_ner", True): {*ner, "source_ner_dev"},
        ("export", False): {"target_text"},
        ("export", True): {"target_text", "source_ner_dev"},
    }
    wanted = expected.get((task, switched), expected[task, False])
    reads = config.reads(pseudo)
    assert {name.removesuffix(".parquet") for name in reads["corpora"]} == wanted
    assert reads.get("pseudo", ("pseudo_ner.parquet",)) == ("pseudo_ner.parquet",)


@pytest.mark.parametrize(("task", "stage"), [("pseudo_ner", "ner"), ("loop_mrc", "mrc"), ("loop_ner", "ner")])
def test_an_opinion_is_in_the_key_of_who_reads_it(shared: Setup, task: str, stage: str) -> None:
    told = (str(shared.root / "preset.yaml"), str(shared.root / "data"), str(shared.store))
    planned = plan(*told, overrides=[f"stages.{task}.trust=agree", f"queries={shared.root / 'queries'}"])
    config = config_type(stage, {"pseudo": ""}).model_validate_json(planned.settings[task])
    assert config.reads({"pseudo": ""})["pseudo"] == ("pseudo_ner.parquet", "second_opinion.parquet")

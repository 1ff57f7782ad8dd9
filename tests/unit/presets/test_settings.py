"""Presets, overrides and their errors."""

import ast
from pathlib import Path

import pytest

from tofner import settings
from tofner.errors import BadSettings
from tofner.presets.load import load_preset, preset_names
from tofner.settings import known_keys

LIBRARY = Path(settings.__file__).parent
# Zhang et al., Table 6: MRC and NER of MRC-enhancing, NER of pseudo data, MRC and NER of continual learning.
TABLE_6 = {
    "es": (2e-6, 5e-5, 2e-5, 5e-5, 5e-5),
    "nl": (1e-6, 2e-5, 1e-5, 2e-6, 5e-6),
    "de": (1e-6, 2e-5, 1e-5, 2e-5, 1e-6),
    "cbs": (2e-5, 5e-5, 8e-5, 8e-6, 3e-5),
    "twitter": (2e-5, 2e-5, 1e-6, 3e-5, 5e-6),
    "wnut16": (2e-5, 5e-5, 1e-6, 1e-6, 2e-6),
}


@pytest.mark.parametrize("name", TABLE_6)
def test_paper_presets_carry_table_6_and_appendix_b(name: str) -> None:
    stages = load_preset(name).stages
    tasks = (stages.mrc, stages.ner, stages.pseudo_ner, stages.loop_mrc, stages.loop_ner)
    assert tuple(task.learning_rate for task in tasks) == TABLE_6[name]
    assert [task.epochs for task in tasks] == [6] * 5
    assert [task.batch_size for task in tasks] == [16, 64, 64, 16, 64]
    assert (stages.mlm.learning_rate, stages.mlm.epochs, stages.mlm.batch_size, stages.mlm.maskings) == (
        5e-5,
        3,
        32,
        10,
    )


def test_every_shipped_preset_loads() -> None:
    assert preset_names() == ["cbs", "de", "es", "nl", "sample", "twitter", "wnut16"]
    for name in preset_names():
        load_preset(name)


def test_only_cbs_is_transductive() -> None:
    assert [name for name in preset_names() if load_preset(name).transductive] == ["cbs"]


def test_the_source_is_translated_where_the_paper_does_it() -> None:
    found = {name: load_preset(name).translate.dictionary for name in preset_names()}
    languages = {name: f"en-{name}" for name in ("de", "es", "nl")}
    assert found == dict.fromkeys(preset_names()) | languages
    assert load_preset("es", ["translate.dictionary=null"]).translate.dictionary is None


def test_wnut16_is_span_detection() -> None:
    assert load_preset("wnut16").labels == ["O", "B-ENTITY", "I-ENTITY"]


def test_overrides_are_yaml_and_reach_groups() -> None:
    settings = load_preset(
        "es",
        [
            "stages.ner.learning_rate=3e-5",
            "roles.target_mrc.train=[]",
            "use.mlm=false",
            "stages.*.max_train_examples=7",
        ],
    )
    assert settings.stages.ner.learning_rate == 3e-5
    assert settings.roles.target_mrc.train == []
    assert settings.use.mlm is False
    assert {s.max_train_examples for s in (settings.stages.mlm, settings.stages.mrc, settings.stages.loop_ner)} == {7}


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("stages.ner.epoch=3", ["--set stages.ner.epoch", "unknown key", "did you mean stages.ner.epochs?"]),
        ("stages.ner.epochs=-1", ["--set stages.ner.epochs", "-1", "greater than 0"]),
        ("stages.ner.epochs=many", ["--set stages.ner.epochs", "'many'", "number"]),
        ("stages.ner.epochs", ["--set", "key=value"]),
        ("stages.ner.epochs.more=1", ["--set stages.ner.epochs.more", "group"]),
        ("roles.source_ner.train=[conll03]", ["--set roles.source_ner.train", "SET/SPLIT"]),
        ("roles.source_ner.dev=[]", ["roles.source_ner needs a train and a dev set"]),
        ("types=[PER]", ["types"]),
        ("translate.dictionary=dict/en-es.txt", ["--set translate.dictionary", "a name such as en-es"]),
        ("translate.data=[text]", ["translate.data", "'ner', 'mrc' or 'ner_as_mrc'"]),
        ("stages.ner.overlap_pieces=100", ["overlap_pieces 100", "half of max_pieces"]),
        ("stages.mlm={", ["--set stages.mlm", "YAML"]),
    ],
)
def test_bad_overrides_name_the_place(override: str, parts: list[str]) -> None:
    preset = "wnut16" if override.startswith("types") else "es"
    with pytest.raises(BadSettings) as error:
        load_preset(preset, [override])
    assert error.value.exit_code == 2
    for part in parts:
        assert part in str(error.value)


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(BadSettings, match="did you mean wnut16"):
        load_preset("wnut-16")


def test_own_preset_file_with_two_mistakes_lists_both(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("description: x\nencoder: y\ntypes: []\nrolls: {}\n")
    with pytest.raises(BadSettings) as error:
        load_preset(str(path))
    assert "types" in str(error.value)
    assert "did you mean roles" in str(error.value)


def test_every_setting_is_described() -> None:
    assert [key for key, field in known_keys() if not field.description] == []


def test_every_setting_is_read_by_the_code() -> None:
    """Each one's effect on keys and results has tests of its own; this one finds a setting that nothing looks at."""
    read: set[str] = set()
    for path in LIBRARY.rglob("*.py"):
        if path.name != "settings.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    own = ("Settings.parts", "Settings.labels", "Settings.transductive", "Settings.tagger_type")  # read for the others
    own += ("Mrc.learns_sources", "Mrc.learns_ner", "LoopMrc.learns_ner", "Export.corrected_on")
    tree = ast.parse((LIBRARY / "settings.py").read_text(encoding="utf-8"))
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in kind.body:
            if isinstance(node, ast.FunctionDef) and f"{kind.name}.{node.name}" in own:
                read |= {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
    assert [key for key, _ in known_keys() if key.rpartition(".")[2] not in read] == []


@pytest.mark.parametrize("text", ["[" * 1200, "types: 2020-13-45", "\xff", "- a", "a: &b *c"])
def test_an_own_preset_that_is_no_settings_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BadSettings, match=r"own.yaml: found"):
        load_preset(str(path))


def test_an_override_that_is_nested_without_end_is_told() -> None:
    with pytest.raises(BadSettings, match="--set types: found"):
        load_preset("es", ["types=" + "[" * 1200])

"""Bad input of every kind: exit code 2, a message that names the place, and nothing half-written."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset
from tofner import storage
from tofner.cli import main
from tofner.errors import BadInput
from tofner.stages import execute, plan
from tofner.storage import LocalStore

TRAIN, QUESTIONS = "ner/src/train.conll", "mrc/tgt-qa/train.json"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    make_data(root / "data")
    make_preset(root / "preset.yaml", make_encoder(root / "encoder"))
    return root


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "home")
    return tmp_path / "home"


def edit(home: Path, name: str, change: Callable[[str], str]) -> None:
    path = home / "data" / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def answer(content: str, **changes: object) -> str:
    value = json.loads(content)
    value["data"][0]["paragraphs"][0]["qas"][0]["answers"][0].update(changes)
    return json.dumps(value)


def swap(old: str, new: str) -> Callable[[Path], None]:
    """Replaces the first `old` in the training file."""
    return lambda home: edit(home, TRAIN, lambda text: text.replace(old, new, 1))


FILES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "missing column": (swap("flew O", "flew"), ["train.conll:", "flew"]),
    "ragged columns": (swap("flew O", "flew X O"), ["train.conll:", "3 columns"]),
    "unknown tag": (swap("B-PER", "Q-PER"), ["train.conll:1", "Q-PER"]),
    "unknown type": (swap("B-PER", "B-PRE"), ["train.conll:1", "PRE", "did you mean PER"]),
    "empty split": (lambda h: edit(h, TRAIN, lambda _: ""), ["train.conll", "no sentence"]),
    "control character": (swap("flew", "fl\x00ew"), ["train.conll:", "U+0000"]),
    "missing file": (
        lambda h: (h / "data" / TRAIN).unlink(),
        ["no ner file of src/train", "src has the splits dev, test"],
    ),
    "missing set": (lambda h: shutil.rmtree(h / "data/mrc/tgt-qa"), ["no mrc file of tgt-qa/train", "src-qa"]),
    "broken JSON": (lambda h: edit(h, QUESTIONS, lambda t: t[:-40]), ["train.json:1", "JSON"]),
    "another schema": (lambda h: edit(h, QUESTIONS, lambda _: '{"questions": []}'), ["train.json", "data"]),
    "answer outside its context": (
        lambda h: edit(h, QUESTIONS, lambda t: answer(t, answer_start=9999)),
        ["train.json", "posts-", "9999"],
    ),
    "answer with another text": (
        lambda h: edit(h, QUESTIONS, lambda t: answer(t, text="Zoe")),
        ["train.json", "'Zoe'", "does not hold this text"],
    ),
    "wrong encoding": (
        lambda h: (h / "data" / QUESTIONS).write_bytes(b'{"data": "\xe9"}'),
        ["train.json:1", "UTF-8"],
    ),
    "broken gzip": (
        lambda h: (
            (h / "data" / TRAIN).unlink(),
            (h / "data" / f"{TRAIN}.gz").write_bytes(gzip.compress(b"a O\n" * 999)[:-20]),
        )[0],
        ["train.conll.gz", "gzip"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_bad_files(name: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, parts = FILES[name]
    spoil(home)
    preset, data = str(home / "preset.yaml"), str(home / "data")
    with pytest.raises(SystemExit) as checked:
        main(["check", "--preset", preset, "--data", data])
    assert checked.value.code == 2
    told = " ".join(capsys.readouterr().out.split())
    for part in parts:
        assert part in told

    # The same file stops a run before anything is trained, and leaves no result.
    store = tmp_path / "store"
    try:
        planned = plan(preset, data, str(store))
    except BadInput as error:
        told = str(error)
    else:
        with pytest.raises(SystemExit) as stopped:
            execute("prepare", str(store), planned.settings["prepare"], {"data": data})
        assert stopped.value.code == 2
        told = capsys.readouterr().err
    for part in parts:
        assert part in " ".join(told.split())
    assert not (store / "work").exists()


SETTINGS: dict[str, tuple[dict[str, object], list[str]]] = {
    "unknown override": ({"overrides": ["stages.ner.lr=1"]}, ["stages.ner.lr", "unknown key"]),
    "override out of range": ({"overrides": ["stages.ner.epochs=0"]}, ["stages.ner.epochs", "greater than 0"]),
    "too many rounds": ({"iterations": 9, "max_iterations": 2}, ["iterations", "9", "0 to 2", "--max-iterations"]),
    "fewer than no rounds": ({"iterations": -1}, ["iterations", "-1", "0 or more"]),
    "rounds without pseudo-labels": ({"overrides": ["use.pseudo=false"]}, ["use.pseudo"]),
    "no such encoder folder": ({"encoder": "/no/such/encoder"}, ["/no/such/encoder", "existing local folder"]),
    "encoder folder without a model": ({"encoder": "."}, ["config.json"]),
    "bad model name": ({"model_name": "My Model"}, ["model_name", "'My Model'"]),
    "bad seed": ({"seed": -1}, ["seed", "-1"]),
    "unknown language": ({"overrides": ["target_language=xx"]}, ["xx"]),
    "type without a query": ({"overrides": ["types=[PER, ORG, LOC, FISH]"]}, ["FISH", "quer"]),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_parameters(name: str, home: Path, tmp_path: Path) -> None:
    changes, parts = SETTINGS[name]
    with pytest.raises(BadInput) as error:
        plan(str(home / "preset.yaml"), str(home / "data"), str(tmp_path / "store"), **changes)  # type: ignore[arg-type]
    assert error.value.exit_code == 2
    for part in parts:
        assert part in str(error.value)
    assert not (tmp_path / "store" / "work").exists()


def test_unreadable_bucket(home: Path, s3: LocalStore) -> None:
    with pytest.raises(BadInput, match="no-such-bucket"):
        plan(str(home / "preset.yaml"), "s3://no-such-bucket/data", "s3://no-such-bucket/store")


def test_wrong_credentials(home: Path, s3: LocalStore, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(BadInput, match=r"AWS_SECRET_ACCESS_KEY|credentials"):
        plan(str(home / "preset.yaml"), str(home / "data"), prefix)


def test_missing_key(home: Path, prefix: str) -> None:
    with pytest.raises(BadInput, match="no ner file of src/train"):
        plan(str(home / "preset.yaml"), f"{prefix}/data", prefix)


def test_missing_model_to_tag_with(prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "Oslo"}\n')
    with pytest.raises(SystemExit) as error:
        main(
            [
                "tag",
                "--model",
                f"{prefix}/models/none",
                "--input",
                str(tmp_path / "in.jsonl"),
                "--output",
                str(tmp_path / "out"),
            ]
        )
    assert error.value.code == 2
    assert f"{prefix}/models/none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scoring_files_that_do_not_match(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gold.conll").write_text("Oslo B-LOC\n")
    (tmp_path / "pred.conll").write_text("Bergen B-LOC\n")
    with pytest.raises(SystemExit) as error:
        main(["evaluate", "--gold", str(tmp_path / "gold.conll"), "--pred", str(tmp_path / "pred.conll")])
    assert error.value.code == 2
    assert "pred.conll:1" in capsys.readouterr().err


def test_a_stage_that_fails_stores_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "store")
    planned = plan(str(home / "preset.yaml"), str(home / "data"), store)
    with pytest.raises(SystemExit) as error:
        execute("ner", store, planned.settings["ner"], {"corpora": str(home / "data"), "model": planned.encoder})
    assert error.value.code == 2
    assert "source_ner" in capsys.readouterr().err
    assert storage.list_files(store) == [f for f in storage.list_files(store) if f.path in (".tofner", "..tofner.lock")]

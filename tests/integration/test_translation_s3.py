"""A dictionary, and all that is translated with it, in a bucket as in a folder."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.tiny_encoder import make_data, make_preset, make_shell
from tofner import storage
from tofner.check.run import check_run
from tofner.cli import app
from tofner.corpora.corpus import read_mrc, read_ner
from tofner.errors import BadData
from tofner.stages import plan
from tofner.stages.runtime import run_stage

pytestmark = pytest.mark.integration
WORDS = {"flew": "voló", "to": "a", "monday": "lunes", "said": "dijo", "is": "es"}
ON = ["translate.dictionary=en-es"]


def upload(folder: Path, prefix: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            storage.write_bytes(storage.join(prefix, path.relative_to(folder).as_posix()), path.read_bytes())


def test_a_run_translates_with_a_dictionary_of_the_bucket(prefix: str, tmp_path: Path) -> None:
    data, store = storage.join(prefix, "data"), storage.join(prefix, "store")
    upload(make_data(tmp_path / "data"), data)
    preset = str(make_preset(tmp_path / "tiny.yaml", make_shell(tmp_path / "encoder")))
    (problem,) = check_run(preset, data, overrides=ON).problems
    with pytest.raises(BadData) as told:
        plan(preset, data, store, overrides=ON)
    assert [str(one) for one in told.value.problems] == [str(problem)]
    assert "dict/en-es.txt or dict/en-es.txt.gz" in str(problem)
    lines = "".join(f"{word} {other}\n" for word, other in WORDS.items())
    storage.write_bytes(storage.join(data, "dict/en-es.txt"), lines.encode())
    (other,) = check_run(preset, data, overrides=["translate.dictionary=en-xx"]).problems
    assert "the dictionaries here are en-es" in str(other)
    assert not check_run(preset, data, overrides=ON).problems
    settings = plan(preset, data, store, overrides=ON).settings["prepare"]
    done = run_stage("prepare", store, settings, {"data": data})
    storage.fetch_folder(done.uri, tmp_path / "corpora")

    def by_hand(tokens: list[str]) -> list[str]:
        return ["Lunes" if word == "Monday" else WORDS.get(word, word) for word in tokens]

    for name, read in (("ner", read_ner), ("mrc", read_mrc)):
        source, found = (list(read(tmp_path / f"corpora/{part}_{name}.parquet")) for part in ("source", "translated"))
        assert [one.tokens for one in found] == [by_hand(one.tokens) for one in source]
        assert found[0].tokens != source[0].tokens


def test_the_command_from_a_bucket_into_it(prefix: str) -> None:
    places = [storage.join(prefix, name) for name in ("in.conll", "out.conll.gz", "en-es.txt")]
    storage.write_bytes(places[0], b"Anna B-PER\nflew O\n")
    storage.write_bytes(places[2], "flew voló\n".encode())
    done = CliRunner().invoke(app, ["translate", places[0], places[1], "--dictionary", places[2]])
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(app, ["translate", places[1], places[0], "--dictionary", places[2]])
    assert again.exit_code == 0, again.output
    assert storage.read_bytes(places[0]).decode() == "Anna\tB-PER\nvoló\tO\n\n"

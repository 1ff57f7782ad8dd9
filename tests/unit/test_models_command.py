"""`tofner models`: what it prints, with which exit code it ends, and that it needs no extra."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.registry_server import RegistryServer
from tests.tiny_tagger import publish_tiny
from tests.unit.test_dependencies import light
from tofner import cli, storage
from tofner.errors import BadInput


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with the model `tiny` in versions v1 and v2, of which none is the latest."""
    for seed in (1, 2):
        folder = publish_tiny(tmp_path / f"made {seed}", seed=seed)
        storage.store_folder(folder, str(tmp_path / "store" / "models" / "tiny" / f"v{seed}"))
    return str(tmp_path / "store")


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "LOGNAME": "ann"}).invoke(cli.app, ["models", *arguments])


def ends(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """Exit code and stderr, as the console script has them."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["models", *arguments])
    return ended.value.code, capsys.readouterr().err


def test_a_version_is_promoted_and_rolled_back(store: str) -> None:
    root = f"{store}/models/tiny"
    assert invoke("promote", root, "v1").exit_code == 0
    promoted = invoke("promote", root, "v2", "--why", "better on names")
    assert re.fullmatch(
        rf"{re.escape(root)}: the latest is v2, at \S+, by ann, because better on names\n", promoted.stdout
    )
    assert invoke("promote", root, "v2").stdout == f"{root}: the latest is v2 already\n"
    back = invoke("rollback", root, "--why", "worse on places")
    assert re.fullmatch(
        rf"{re.escape(root)}: the latest is v1, rolled back from v2, at \S+, by ann, because worse on places\n",
        back.stdout,
    )
    assert back.exit_code == 0
    moves = json.loads(storage.read_bytes(f"{root}/latest.json"))["history"]
    assert [(move["version"], move["by"]) for move in moves] == [("v1", "ann"), ("v2", "ann"), ("v1", "ann")]


def test_versions_are_listed_for_people_and_programs(store: str) -> None:
    root = f"{store}/models/tiny"
    invoke("promote", root, "v1", "--why", "first")
    for place in (root, store):
        shown = invoke("list", place)
        assert shown.exit_code == 0
        assert re.search(r"│ v1 .*│ latest", shown.stdout)
        assert re.search(r"│ v2 ", shown.stdout)
        assert re.search(r"(?m)^latest: v1, at \S+, by ann, because first$", shown.stdout)
        (model,) = json.loads(invoke("list", place, "--json").stdout)
        assert (model["root"], model["latest"]) == (root, "v1")
        assert [(one["version"], one["latest"]) for one in model["versions"]] == [("v2", False), ("v1", True)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "nowhere"), "nowhere: found no published model"),
        (("promote", "nowhere", "v1"), "nowhere/v1: found no _index.json"),
        (("promote", "ROOT", "v3"), "tiny/v3: found no _index.json; expected a version that is whole: v1, v2"),
        (("rollback", "nowhere"), "latest.json: found nothing"),
        (("rollback", "ROOT"), "latest.json: found nothing"),
    ],
)
def test_unknown_roots_and_versions_end_with_2(
    arguments: tuple[str, ...], said: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = ends(*(one.replace("ROOT", f"{store}/models/tiny") for one in arguments), capsys=capsys)
    assert code == 2
    assert said in shown
    assert shown.count("\n") == 1
    assert not Path("nowhere").exists()


def test_who_has_no_name_is_a_number(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As user 10001 of the images."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert f"by user {os.getuid()}" in invoke("promote", f"{store}/models/tiny", "v1").stdout


def test_it_needs_no_extra(store: str) -> None:
    root = f"{store}/models/tiny"
    for arguments in (("promote", root, "v1"), ("list", root)):
        done = light("-", "models", *arguments)
        assert done.returncode == 0, done.stderr


def test_a_version_is_registered_by_hand(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOFNER_MODEL_REGISTRY", raising=False)
    root = f"{store}/models/tiny"
    with RegistryServer() as server:
        shown = invoke("register", root, "v2", "--registry", server.endpoint)
        assert shown.stdout == f"tiny v2: registered at {server.endpoint}\n"
        again = invoke("register", root, "v2", "--registry", server.endpoint)
        assert again.stdout == f"tiny v2: registered already at {server.endpoint}\n"
        assert [one["uri"] for one in server.artifacts] == [f"{root}/v2"]
        with pytest.raises(BadInput, match="no whole version v9"):
            cli.app(["models", "register", root, "v9", "--registry", server.endpoint], standalone_mode=False)
        assert len(server.versions) == 1

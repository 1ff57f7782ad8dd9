"""A Kubeflow server that answers, time that moves when somebody sleeps, and a compiled pipeline."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from tests.fake_clock import FakeClock
from tests.kfp_server import ANSWERS, KfpServer
from tofner import cli
from tofner_kubeflow.pipelines import backend, retrain_command, server_commands
from tofner_kubeflow.pipelines.backend import Backend

VARIABLES = ("KF_TOKEN", "KF_PIPELINES_ENDPOINT", "KF_PIPELINES_SA_TOKEN_PATH", "TOFNER_KUBEFLOW_PATIENCE_S")
VARIABLES += ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def kfp(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    """The server; nothing of the developer's own settings reaches it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for scheme in ("http", "https", "all"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(backend, "POD_TOKEN", "/nowhere/token")
    with KfpServer() as server:
        yield server


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(kfp: KfpServer, time: FakeClock) -> Callable[..., Backend]:
    """A client of the server by the fake clock; more arguments are those of `Backend`."""

    def make(**more: object) -> Backend:
        settings: dict[str, object] = {"clock": time.clock, **more}
        return Backend(kfp.endpoint, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The pipeline that the answers were recorded with, as its compiler wrote it: 1.0 where the server says 1."""
    path = tmp_path / "hello.yaml"
    spec = ANSWERS["run-create-from-file"]["request"]["body"]["pipeline_spec"]
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


@pytest.fixture
def command(kfp: KfpServer, time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A command of a server with its `--host`, by the fake clock; exit codes are those of `tofner.cli.main`."""
    monkeypatch.setattr(backend, "Clock", lambda: time.clock)

    def call(*words: str) -> Result:
        app = typer.Typer()
        app.command(name="submit")(server_commands.submit)
        app.command(name="schedule")(server_commands.schedule)
        app.command(name="retrain")(retrain_command.retrain)
        monkeypatch.setattr(cli, "app", app)
        monkeypatch.setattr(cli, "add_commands", lambda _: None)
        main = typer.Typer()
        main.command(context_settings={"ignore_unknown_options": True})(_main)
        return CliRunner().invoke(main, [*words, "--host", kfp.endpoint])

    return call


def _main(words: list[str]) -> None:
    cli.main(words)

"""Published versions in a model registry, by its own client, against a server that answers as its OpenAPI says."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.registry_server import RegistryServer
from tofner.errors import BadSettings, PassingFault
from tofner.release.registry import ADDRESS, register, register_if_configured

MODEL = {
    "name": "es", "version": "1f3c", "uri": "s3://b/models/es/1f3c", "f1": 0.5, "encoder": "enc", "bytes": 7,
    "promoted": False, "gate": "F1 fell",
}  # fmt: skip


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    monkeypatch.delenv("KF_PIPELINES_SA_TOKEN_PATH", raising=False)
    with RegistryServer() as server:
        yield server


def custom(one: dict[str, Any]) -> dict[str, Any]:
    return {key: next(v for k, v in value.items() if k != "metadataType") for key, value in one.items()}


def test_a_version_is_registered_once_with_what_is_known_of_it(server: RegistryServer) -> None:
    assert register(server.endpoint, MODEL, "run-7")
    assert not register(server.endpoint, MODEL, "run-7")
    (model,), (version,), (artifact,) = server.models, server.versions, server.artifacts
    assert model["name"] == "es"
    assert (version["name"], version["registeredModelId"]) == ("1f3c", model["id"])
    said = custom(version["customProperties"])
    assert said == {"f1": 0.5, "encoder": "enc", "promoted": False, "gate": "F1 fell", "run": "run-7"}
    assert (artifact["uri"], artifact["modelFormatName"]) == ("s3://b/models/es/1f3c", "onnx")
    assert artifact["modelVersionId"] == version["id"]


def test_another_version_goes_under_the_same_name(server: RegistryServer) -> None:
    register(server.endpoint, MODEL)
    assert register(server.endpoint, MODEL | {"version": "2e4d"})
    assert [one["name"] for one in server.models] == ["es"]
    assert [one["name"] for one in server.versions] == ["1f3c", "2e4d"]


def test_a_registry_that_is_down_is_a_passing_fault(server: RegistryServer) -> None:
    server.status = 500
    with pytest.raises(PassingFault, match=r"http://127.*: es 1f3c was not registered: .*500"):
        register(server.endpoint, MODEL)
    with pytest.raises(PassingFault, match="was not registered"):
        register("http://127.0.0.1:9", MODEL)
    with pytest.raises(BadSettings, match="http:// or https://"):
        register("model-registry:8080", MODEL)


def test_a_run_says_what_came_of_it_and_goes_on(server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    assert register_if_configured(MODEL) == ""
    monkeypatch.setenv(ADDRESS, server.endpoint)
    assert register_if_configured(MODEL) == f"registry: registered at {server.endpoint}"
    assert register_if_configured(MODEL) == f"registry: registered already at {server.endpoint}"
    server.status = 503
    said = register_if_configured(MODEL)
    assert said.startswith("note: http://127")
    assert said.endswith("tofner models register does it again")

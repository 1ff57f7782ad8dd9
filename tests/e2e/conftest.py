"""The images of the tests of containers: built once a session, or the reason why they cannot be."""

import shutil

import pytest

from tests.images import BASE, ROOT, build, docker


@pytest.fixture(scope="session")
def base() -> str:
    """The base image's name, once it is there."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command")
    answer = docker("version", "--format", "{{.Server.Version}}", check=False)
    if answer.returncode:
        pytest.skip(f"no Docker daemon answers: {answer.stderr.strip()}")
    if docker("image", "inspect", BASE, check=False).returncode and docker("pull", BASE, check=False).returncode:
        pytest.skip(f"the base image {BASE} is neither here nor in a registry within reach; set TOFNER_TEST_BASE")
    return BASE


@pytest.fixture(scope="session")
def tagger(base: str) -> str:
    return build("tagger", base)


@pytest.fixture(scope="session")
def trainer(base: str) -> str:
    if not list((ROOT / "docker" / "wheels").glob("torch-*+cpu-*.whl")):
        pytest.skip("no CPU build of torch in docker/wheels, and that for CUDA is gigabytes; see docs/deploy.md")
    return build("trainer", base)

"""One tiny run of Algorithm 1 for all tests of the stages."""

from collections.abc import Iterator

import pytest
import torch

from tests.tiny_stages import Chain, make_chain


@pytest.fixture(autouse=True)
def _other_tests_are_free() -> Iterator[None]:
    """Stages ask torch for deterministic kernels, of the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Runs a stage when a test first asks for it."""
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="session")
def scrambled(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The same, over a data root whose target labels and target dev answers are nonsense."""
    return make_chain(tmp_path_factory.mktemp("scrambled"), scrambled=True)

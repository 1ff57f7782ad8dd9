"""Which seeds `tofner run` is asked for."""

import re

import pytest
from typer.testing import CliRunner

from tests.unit.test_cli import everything
from tofner.errors import BadSettings
from tofner_kubeflow.pipelines.seeds import seeds_of


@pytest.mark.parametrize(
    ("seed", "seeds", "expected"),
    [
        (None, "", [2019]),
        (7, "", [7]),
        (0, "", [0]),
        (None, "3", [3]),
        (None, "1-5", [1, 2, 3, 4, 5]),
        (None, "7,1,3", [7, 1, 3]),
        (None, " 1 - 2, 9 ", [1, 2, 9]),
        (None, "4294967295", [4294967295]),
        (None, "1-1000", list(range(1, 1001))),
    ],
)
def test_seeds_that_are_asked_for(seed: int | None, seeds: str, expected: list[int]) -> None:
    assert seeds_of(seed, seeds) == expected


@pytest.mark.parametrize(
    ("seed", "seeds", "said"),
    [
        (2019, "1-5", "--seeds: found --seed 2019 too; expected one of them"),
        (0, "1-5", "--seeds: found --seed 0 too; expected one of them"),
        (None, "1..5", "--seeds: found '1..5'; expected numbers and ranges of 0 to 4294967295, such as 1-5 or 1,3,7"),
        (None, "1,", "found '1,'"),
        (None, "-1", "found '-1'"),
        (None, "1.5", "found '1.5'"),
        (None, "²", "found '²'"),
        (None, "5-1", "found 5-1, which goes down"),
        (None, "4294967296", "found 4294967296; expected numbers and ranges of 0 to 4294967295"),
        (None, "0-4294967295", "more than 1000 seeds"),
        (None, "1-1001", "more than 1000 seeds in '1-1001'; expected 1000 at most"),
        (None, "1-3,2,3", "found 2, 3 twice in '1-3,2,3'; expected each seed once"),
    ],
)
def test_what_is_no_list_of_seeds_is_one_problem(seed: int | None, seeds: str, said: str) -> None:
    with pytest.raises(BadSettings, match=re.escape(said)) as raised:
        seeds_of(seed, seeds)
    assert len(raised.value.problems) == 1


def test_the_command_refuses_them_before_anything_else() -> None:
    for words in (("--seeds", "x"), ("--seeds", "1-2", "--seed", "1")):
        done = CliRunner().invoke(everything(), ["run", "--preset", "no such preset", *words])
        assert isinstance(done.exception, BadSettings)
        assert "--seeds" in str(done.exception)

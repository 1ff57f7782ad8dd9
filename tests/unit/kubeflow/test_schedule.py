"""Recurring runs: one of a name, replaced without a gap, with the modes that the server would choose badly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.kfp_server import KfpServer, recorded
from tofner.errors import BadInput, PassingFault
from tofner_kubeflow.pipelines import schedule
from tofner_kubeflow.pipelines.backend import Backend
from tofner_kubeflow.pipelines.uploads import Uploaded

Client = Callable[..., Backend]
Command = Callable[..., Result]
NIGHTLY = ("--name", "nightly", "--cron", "30 2 * * *", "--param", "name=w")


def wanted(cron: str = "0 30 2 * * *", **more: Any) -> dict[str, Any]:
    made = schedule.content(
        "nightly", "e0", Uploaded("p0", "v0", "hello-1", True), {"times": 1}, schedule.by_cron(cron)
    )
    return made | more


def creates(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/recurringruns")


def deletes(method: str, path: str) -> bool:
    return method == "DELETE"


def test_the_body_is_what_a_server_was_seen_to_take() -> None:
    """Recorded: the same keys and spellings; `mode`, `max_concurrency` and `no_catchup` have bad defaults there."""
    by_cron, by_period = recorded("recurring-create-cron"), recorded("recurring-create-periodic")
    assert wanted()["trigger"] == by_cron["trigger"]
    assert schedule.by_period(60) == by_period["trigger"]
    for key in ("mode", "max_concurrency", "no_catchup"):
        assert wanted()[key] == by_period[key]
    assert set(wanted()) <= set(by_period)


def test_a_second_call_changes_nothing(kfp: KfpServer, client: Client) -> None:
    assert schedule.keep(client(), wanted()) == [
        f"schedule nightly created: {kfp.endpoint}/#/recurringrun/details/s1"
    ]  # fmt: skip
    assert schedule.keep(client(), wanted())[0].startswith("schedule nightly is as asked for")
    assert list(kfp.schedules) == ["s1"]
    assert len(kfp.asked("POST", "/recurringruns")) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"trigger": schedule.by_cron("0 31 2 * * *")},
        {"trigger": schedule.by_period(86_400)},
        {"runtime_config": {"parameters": {"times": 2}}},
        {"pipeline_version_reference": {"pipeline_id": "p0", "pipeline_version_id": "v1"}},
        {"service_account": "trainer"},
    ],
)
def test_another_content_is_made_before_the_old_one_goes(kfp: KfpServer, client: Client, other: dict[str, Any]) -> None:
    schedule.keep(client(), wanted())
    lines = schedule.keep(client(), wanted(**other))
    assert lines[0].startswith("schedule nightly replaced: ")
    assert lines[1:] == ["deleted the one before it: s1"]
    (left,) = kfp.schedules.values()
    assert {key: left[key] for key in other} == other
    changes = [method for method, *_ in kfp.bodies if method != "GET"]
    assert changes == ["POST", "POST", "DELETE"]


def test_what_the_server_adds_is_no_difference(kfp: KfpServer, client: Client) -> None:
    """A schedule as the server gives it after a run, with its own account and dates."""
    there = recorded("recurring-get-after-a-run")
    reference = there["pipeline_version_reference"]
    uploaded = Uploaded(reference["pipeline_id"], reference["pipeline_version_id"], "", True)
    parameters, experiment = there["runtime_config"]["parameters"], there["experiment_id"]
    same = schedule.content("empties", experiment, uploaded, parameters, schedule.by_period(60))
    assert schedule.same(there, same)
    assert not schedule.same(there, same | {"max_concurrency": "2"})
    assert not schedule.same({**there, "no_catchup": False}, same)


@pytest.mark.parametrize("fault", ["lost", "cut", "502"])
def test_a_lost_answer_makes_no_second_schedule(kfp: KfpServer, client: Client, fault: str) -> None:
    schedule.keep(client(), wanted())
    kfp.break_next(fault, matches=creates)
    kfp.break_next("lost", matches=deletes)
    schedule.keep(client(), wanted("0 0 3 * * *"))
    (left,) = kfp.schedules.values()
    assert left["trigger"] == schedule.by_cron("0 0 3 * * *")


def test_what_a_call_left_over_goes_with_the_next(
    kfp: KfpServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule.keep(client(), wanted())
    monkeypatch.setenv("TOFNER_KUBEFLOW_PATIENCE_S", "0")
    kfp.break_next("reset", matches=deletes)
    with pytest.raises(PassingFault):
        schedule.keep(client(), wanted("0 0 3 * * *"))
    assert list(kfp.schedules) == ["s1", "s2"]
    assert schedule.keep(client(), wanted("0 0 3 * * *"))[1:] == ["deleted the one before it: s1"]
    assert list(kfp.schedules) == ["s2"]


def test_the_old_one_stays_when_the_new_one_is_refused(kfp: KfpServer, client: Client) -> None:
    schedule.keep(client(), wanted())
    with pytest.raises(BadInput, match="Schedule cron is not a supported format"):
        schedule.keep(client(), wanted("tomorrow"))
    assert list(kfp.schedules) == ["s1"]


def test_other_schedules_are_left_alone(kfp: KfpServer, client: Client) -> None:
    for more in ({"display_name": "weekly"}, {"experiment_id": "e1"}):
        schedule.keep(client(), wanted(**more))
    schedule.keep(client(), wanted())
    schedule.keep(client(), wanted("0 0 3 * * *"))
    left = [(one["display_name"], one["experiment_id"]) for one in kfp.schedules.values()]
    assert left == [("weekly", "e0"), ("nightly", "e1"), ("nightly", "e0")]


def test_paused_stays_paused(kfp: KfpServer, client: Client) -> None:
    schedule.keep(client(), wanted())
    assert schedule.switch(client(), "nightly", "e0", "pause") == ["schedule nightly paused: s1"]
    assert kfp.schedules["s1"]["mode"] == "DISABLE"
    assert "paused; --resume starts it" in schedule.keep(client(), wanted())[0]
    assert "paused; --resume starts it" in schedule.keep(client(), wanted("0 0 3 * * *"))[0]
    (left,) = kfp.schedules.values()
    assert left["mode"] == "DISABLE"
    assert schedule.switch(client(), "nightly", "e0", "resume") == ["schedule nightly resumed: s2"]
    assert left["mode"] == "ENABLE"
    assert schedule.switch(client(), "nightly", "e0", "delete") == ["schedule nightly deleted: s2"]
    assert kfp.schedules == {}


def test_the_command_makes_and_switches(command: Command, kfp: KfpServer, package: Path) -> None:
    made = command("schedule", str(package), *NIGHTLY)
    assert made.exit_code == 0, made.output
    assert made.stdout.splitlines()[0] == "version: hello-stub (uploaded)"
    assert "schedule nightly created" in made.stdout
    (one,) = kfp.schedules.values()
    assert one["trigger"] == {"cron_schedule": {"cron": "0 30 2 * * *"}}
    assert one["runtime_config"]["parameters"] == {"name": "w", "times": 1, "items": [], "sleep": 0.0}
    assert (one["mode"], one["max_concurrency"], one["no_catchup"]) == ("ENABLE", "1", True)
    every = command("schedule", str(package), "--name", "nightly", "--every", "24h", "--param", "name=w")
    assert "schedule nightly replaced" in every.stdout
    assert "version: hello-stub (was there)" in every.stdout
    (one,) = kfp.schedules.values()
    assert one["trigger"] == {"periodic_schedule": {"interval_second": "86400"}}
    assert "nightly deleted" in command("schedule", "--name", "nightly", "--delete").stdout
    assert kfp.schedules == {}
    gone = command("schedule", "--name", "nightly", "--delete")
    assert gone.exit_code == 2
    assert "no schedule of this name" in gone.output


@pytest.mark.parametrize("action", ["--pause", "--delete"])
def test_switching_makes_no_experiment(command: Command, kfp: KfpServer, action: str) -> None:
    assert command("schedule", "--name", "nightly", action, "--experiment", "typo").exit_code == 2
    assert kfp.experiments == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cron", "0 30 2 * * *", "--param", "name=w"), "6 fields"),
        (("--cron", "* 25 * * *", "--param", "name=w"), "--cron, hour"),
        (("--every", "10s", "--param", "name=w"), "--every"),
        (("--cron", "* * * * *", "--every", "1h"), "one of --cron, --every"),
        ((), "one of --cron, --every"),
        (("--pause", "--resume"), "one of --cron, --every"),
        (("--pause",), "--pause: found a pipeline or parameters too"),
        (("--cron", "* * * * *", "--param", "times=1.5"), "--param times"),
    ],
)
def test_wrong_input_ends_with_2_before_the_server_is_asked(
    command: Command, kfp: KfpServer, package: Path, words: tuple[str, ...], said: str
) -> None:
    shown = command("schedule", str(package), "--name", "nightly", *words)
    assert shown.exit_code == 2
    assert said in shown.output
    assert kfp.seen == []

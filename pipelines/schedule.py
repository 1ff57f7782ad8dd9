"""Recurring runs of a Kubeflow server: one of a name and experiment, with the content that was asked for.

The server lets names repeat, takes a schedule without `mode` as switched off and one without `max_concurrency` not at
all, and changes no schedule: another content is a new one. The new one is made before the old one is deleted, so that
none is missing when the second request fails; the next call then finds the old one as left over and deletes it.
"""

from collections.abc import Mapping
from typing import Any

from tofner.errors import BadSettings, PassingFault, Problem
from tofner_kubeflow.pipelines.backend import Backend, Lost, equals
from tofner_kubeflow.pipelines.uploads import Uploaded

PATH = "/recurringruns"


def content(
    name: str,
    experiment: str,
    uploaded: Uploaded,
    parameters: Mapping[str, Any],
    trigger: Mapping[str, Any],
    service_account: str = "",
    about: str = "",
) -> dict[str, Any]:
    """What a recurring run is made of; the modes that the server would choose badly are always said."""
    body: dict[str, Any] = {
        "display_name": name,
        "experiment_id": experiment,
        "pipeline_version_reference": uploaded.reference,
        "runtime_config": {"parameters": dict(parameters)},
        "trigger": dict(trigger),
        "mode": "ENABLE",
        "max_concurrency": "1",  # a training that takes longer than its period is not started a second time
        "no_catchup": True,  # nor are the runs that a stopped controller has missed
    }
    body |= {"description": about} if about else {}
    return body | ({"service_account": service_account} if service_account else {})


def by_cron(six: str) -> dict[str, Any]:
    """A trigger of KFP's six fields."""
    return {"cron_schedule": {"cron": six}}


def by_period(seconds: int) -> dict[str, Any]:
    """A trigger every so many seconds."""
    return {"periodic_schedule": {"interval_second": str(seconds)}}


def named(backend: Backend, name: str, experiment: str) -> list[dict[str, Any]]:
    """The recurring runs of this name in the experiment, oldest first."""
    query = {"experiment_id": experiment, "filter": equals("display_name", name)}
    found = [one for one in backend.pages(PATH, "recurringRuns", **query) if one.get("display_name") == name]
    return sorted(found, key=lambda one: str(one.get("created_at")))


def same(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a recurring run does what is wanted; paused or not is no part of it, nor is the description."""
    of = ["pipeline_version_reference", "trigger", "max_concurrency", "no_catchup", "experiment_id"]
    of += ["service_account"] if "service_account" in wanted else []  # else the server's own choice

    def parameters(one: Mapping[str, Any]) -> Any:
        return (one.get("runtime_config") or {}).get("parameters") or {}

    return all(there.get(key) == wanted[key] for key in of) and parameters(there) == parameters(wanted)


def keep(backend: Backend, wanted: dict[str, Any]) -> list[str]:
    """Makes the schedule what is wanted, and returns what was done, a line each.

    A schedule that somebody has paused stays paused.

    Raises:
        BadInput: the server refuses it.
        PassingFault: the server cannot be used now; the same call goes on from there.
    """
    name, experiment = wanted["display_name"], wanted["experiment_id"]
    there = named(backend, name, experiment)
    right = [one for one in there if same(one, wanted)]
    if right:
        kept = next((one for one in right if not _paused(one)), right[0])
        lines = [f"schedule {name} is as asked for: {_place(backend, kept)}{_note(kept)}"]
    else:
        if there and all(map(_paused, there)):
            wanted = wanted | {"mode": "DISABLE"}
        kept = _create(backend, wanted, {one["recurring_run_id"] for one in there})
        lines = [f"schedule {name} {'replaced' if there else 'created'}: {_place(backend, kept)}{_note(kept)}"]
    for one in there:
        if one["recurring_run_id"] != kept["recurring_run_id"]:
            backend.delete(f"{PATH}/{one['recurring_run_id']}")
            lines.append(f"deleted the one before it: {one['recurring_run_id']}")
    return lines


def _create(backend: Backend, wanted: dict[str, Any], before: set[str]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = named(backend, wanted["display_name"], wanted["experiment_id"])
        return next((one for one in found if one["recurring_run_id"] not in before and same(one, wanted)), None)

    try:
        return backend.create_once(PATH, wanted, look)
    except Lost as error:
        raise PassingFault(f"{error}. The same command looks whether it was made, and goes on from there") from error


def switch(backend: Backend, name: str, experiment: str, action: str) -> list[str]:
    """Does `pause`, `resume` or `delete` to every recurring run of the name; returns what was done.

    Raises:
        BadSettings: there is none.
    """
    there = named(backend, name, experiment) if experiment else []
    if not there:
        problem = Problem(f"--name {name}", "no schedule of this name", "one in the experiment", "look at --experiment")
        raise BadSettings(problem)
    lines = []
    for one in there:
        place = f"{PATH}/{one['recurring_run_id']}"
        if action == "delete":
            backend.delete(place)
        else:
            backend.post(f"{place}:{'disable' if action == 'pause' else 'enable'}")
        lines.append(f"schedule {name} {action}d: {one['recurring_run_id']}")
    return lines


def _paused(one: Mapping[str, Any]) -> bool:
    return one.get("mode") == "DISABLE"


def _note(one: Mapping[str, Any]) -> str:
    return " (paused; --resume starts it)" if _paused(one) else ""


def _place(backend: Backend, one: Mapping[str, Any]) -> str:
    return backend.page("recurringrun", "details", str(one["recurring_run_id"]))

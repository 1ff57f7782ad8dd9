"""The runs of a store, read from what they leave there anyway: a finished run is its report.

    STORE/work/report/KEY    run.json: settings, F1 after each stage, times, machine, code; manifest.json: when, of what
    STORE/runs/RUN           of Kubeflow's runs the records of their steps (`tofner.records`), failed ones too

KEY follows from data, settings and code, so a run that is started again is the same run and has the same name.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tofner import records, storage
from tofner.errors import BadInput, Problem
from tofner.model.layout import MANIFEST

REPORTS = "work/report"  # below a store
NAMED = 12  # hex digits of a key that are shown as a run's name


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: the first digits of its report's key.
        uri: of its report.
        told: the report's `run.json`.
        inputs: of the report: addresses of `model`, `export` and, separated by spaces, `scores`.
    """

    name: str
    uri: str
    told: dict[str, Any]
    inputs: dict[str, str]
    finished_at: str

    @property
    def seed(self) -> int:
        return int(self.told["run"]["seed"])

    @property
    def scores(self) -> list[str]:
        """Results of `evaluate`, of the first tagger to the last."""
        return self.inputs["scores"].split()

    @property
    def scored(self) -> list[dict[str, Any]]:
        """Rows of the stages that were measured, in order."""
        return [row for row in self.told["rows"] if row["f1"] is not None]

    def facts(self) -> dict[str, Any]:
        """What a list of runs says of it."""
        run = self.told["run"]
        return {
            "finished_at": self.finished_at,
            "preset": run["preset"],
            "encoder": run["encoder"],
            "iterations": run["iterations"],
            "seed": run["seed"],
            "changed": run["overrides"],
            "stages": {row["name"]: row["f1"] for row in self.scored},
            "seconds": self.told["seconds"],
            "machine": run["machine"],
            "code": self.told.get("revision", ""),
            "published": self.told["model"]["published"],
            "report": self.uri,
        }


def name_of(report: str) -> str:
    """A run's name, by the address of its report."""
    return report.rstrip("/").rpartition("/")[2][:NAMED]


def read_run(uri: str) -> Run:
    """The run whose report lies at `uri`.

    Raises:
        BadInput: there is no whole report.
    """
    index = storage.folder_index(uri)
    if index is None or "run.json" not in index.files:
        raise BadInput(Problem(uri, "no report", "the report of a finished run", "see tofner runs"))
    told, manifest = (json.loads(storage.read_bytes(storage.join(uri, name))) for name in ("run.json", MANIFEST))
    return Run(name_of(uri), uri, told, manifest["inputs"], manifest["finished_at"])


def read_runs(store: str) -> list[Run]:
    """The finished runs of a store, the oldest first."""
    root = storage.join(store, REPORTS)
    files = [info.path.split("/") for info in storage.list_files(root)]
    whole = sorted({key for key, *name in files if name == [storage.INDEX]})
    return sorted((read_run(storage.join(root, key)) for key in whole), key=lambda one: (one.finished_at, one.name))


def told(store: str, name: str) -> dict[str, Any]:
    """One run as `listed` has it.

    Raises:
        BadInput: as `find`.
    """
    if name in records.list_runs(store):
        summary = records.summarise(storage.join(store, records.RUNS, name))
        there = summary["report"] and storage.folder_index(summary["report"]) is not None
        return summary | (read_run(summary["report"]).facts() if there else {})
    return _of_itself(find(store, name))


def listed(store: str) -> dict[str, dict[str, Any]]:
    """Every run of a store by its name, the oldest first: `status`, what its steps recorded, what its report says.

    A run of Kubeflow has Kubeflow's name, any other one the first digits of its report's key.
    """
    runs = {one.uri: one for one in read_runs(store)}
    found: dict[str, dict[str, Any]] = {}
    for name in records.list_runs(store):
        summary = records.summarise(storage.join(store, records.RUNS, name))
        one = runs.get(summary["report"])
        found[name] = summary | (one.facts() if one else {})
    known = {summary.get("report") for summary in found.values()}
    found |= {one.name: _of_itself(one) for one in runs.values() if one.uri not in known}
    return dict(sorted(found.items(), key=lambda item: _ended(item[1])))


def find(store: str, name: str) -> Run:
    """The finished run of this name: as it is listed, more or fewer digits of its report's key, or that's address.

    Raises:
        BadInput: there is none, there are several, or it has left no report.
    """
    if f"/{REPORTS}/" in name:
        return read_run(storage.absolute(name))
    if name in records.list_runs(store):
        summary = records.summarise(storage.join(store, records.RUNS, name))
        if not summary["report"]:
            fix = f"its status is {summary['status']}: tofner runs {store} {name}"
            raise BadInput(Problem(name, "no report", "a run that has made its report", fix))
        return read_run(summary["report"])
    keys = {info.path.split("/")[0] for info in storage.list_files(storage.join(store, REPORTS))}
    fitting = sorted(key for key in keys if name and key.startswith(name))
    if len(fitting) != 1:
        found = f"{len(fitting)} runs whose names begin so" if fitting else "no such run"
        raise BadInput(Problem(f"{store}: {name or 'a run without a name'}", found, "one that tofner runs lists"))
    return read_run(storage.join(store, REPORTS, fitting[0]))


def find_all(store: str, names: str) -> list[Run]:
    """The runs of these names, which are separated by commas, in the order of their seeds.

    Raises:
        BadInput: as `find`, or one is there twice.
    """
    runs = sorted((find(store, name.strip()) for name in names.split(",")), key=lambda one: (one.seed, one.name))
    twice = [one.name for number, one in enumerate(runs) if one.uri in {other.uri for other in runs[:number]}]
    if twice:
        raise BadInput(Problem(names, f"{twice[0]} twice", "each run once"))
    return runs


def copy_report(run: Run, folder: Path) -> None:
    """A local copy of a run's report: `report.html`, `report.md`, `run.json`.

    Raises:
        BadInput: the folder holds something else.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(Problem(str(folder), "something there", "a new or an empty folder"))
    fetched = storage.fetch_folder(run.uri, folder)
    if fetched != folder:  # a store on this machine is read as it is
        shutil.copytree(fetched, folder, dirs_exist_ok=True)


def _of_itself(one: Run) -> dict[str, Any]:
    """What is known of a run that nobody recorded: that it was finished."""
    return {"status": "succeeded", "f1": one.told["final"]["metrics"].get("f1"), **one.facts()}


def _ended(entry: dict[str, Any]) -> str:
    """When a run ended as far as anybody knows, ISO 8601, for order alone."""
    if "finished_at" in entry:
        return str(entry["finished_at"])
    last = max((one["ended"] or one["started"] for one in entry["steps"]), default=0.0)
    return datetime.fromtimestamp(last, UTC).isoformat()

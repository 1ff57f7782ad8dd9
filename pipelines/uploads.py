"""What a run needs on the server before it can be created: an experiment, and the pipeline in the version of the code.

All of it is found by name and made where it is missing, so a second call changes nothing.
"""

from dataclasses import dataclass
from typing import Any

from tofner.errors import BadInput, Problem
from tofner_kubeflow.pipelines.backend import Backend, NotThere, Taken, equals, segment
from tofner_kubeflow.pipelines.package import Package, same_pipeline


@dataclass(frozen=True)
class Uploaded:
    """A pipeline's version on the server; `fresh` if it has just been put there."""

    pipeline_id: str
    version_id: str
    name: str
    fresh: bool

    @property
    def reference(self) -> dict[str, str]:
        """As requests name it."""
        return {"pipeline_id": self.pipeline_id, "pipeline_version_id": self.version_id}


def find_experiment(backend: Backend, name: str, namespace: str) -> str:
    """Id of the experiment of this name; empty if there is none."""
    query = {"filter": equals("display_name", name), "namespace": namespace}
    found = backend.pages("/experiments", "experiments", **query)
    return next((str(one["experiment_id"]) for one in found if one.get("display_name") == name), "")


def experiment_id(backend: Backend, name: str, namespace: str) -> str:
    """Id of the experiment of this name, made if there is none."""
    if there := find_experiment(backend, name, namespace):
        return there
    body = {"display_name": name} | ({"namespace": namespace} if namespace else {})
    try:
        return str(backend.post("/experiments", body)["experiment_id"])
    except Taken:  # somebody else's request, or ours whose answer was lost
        if there := find_experiment(backend, name, namespace):
            return there
        raise


def upload(backend: Backend, package: Package, revision: str, about: str, namespace: str) -> Uploaded:
    """The package as version NAME-REVISION of pipeline NAME. A version that is there and has the same content is used.

    The first upload of a pipeline makes a first version of the pipeline's own name too; that is the server's way.

    Raises:
        BadInput: the version is there with another content, or the server refuses the package.
    """
    pipeline = _pipeline_id(backend, package, about, namespace)
    version = f"{package.name}-{revision}"
    query = {"name": version, "display_name": version, "pipelineid": pipeline, "description": about}
    try:
        made = backend.upload("/pipelines/upload_version", package.data, **query)
    except Taken:
        there = _version(backend, pipeline, version)
        if there is None:
            raise
        if not same_pipeline(package, there.get("pipeline_spec") or {}):
            fix = "give another --version; two builds of one revision differ in their options or in uncommitted changes"
            found = f"version {version} of pipeline {package.name} with another content"
            raise BadInput(Problem(backend.host, found, f"that of {package.place}", fix)) from None
        return Uploaded(pipeline, str(there["pipeline_version_id"]), version, fresh=False)
    return Uploaded(pipeline, str(made["pipeline_version_id"]), version, fresh=True)


def _pipeline_id(backend: Backend, package: Package, about: str, namespace: str) -> str:
    path = f"/pipelines/names/{segment(package.name)}"
    try:
        return str(backend.get(path, namespace=namespace)["pipeline_id"])
    except NotThere:
        query = {"name": package.name, "display_name": package.name, "description": about}
        query |= {"namespace": namespace} if namespace else {}
    try:
        return str(backend.upload("/pipelines/upload", package.data, **query)["pipeline_id"])
    except Taken:
        return str(backend.get(path, namespace=namespace)["pipeline_id"])


def _version(backend: Backend, pipeline: str, name: str) -> dict[str, Any] | None:
    query: dict[str, str | int] = {"filter": equals("display_name", name), "page_size": 10}  # each holds its pipeline
    found = backend.pages(f"/pipelines/{pipeline}/versions", "pipeline_versions", **query)
    return next((one for one in found if name in (one.get("name"), one.get("display_name"))), None)

"""Starts a run of a compiled pipeline on a Kubeflow server, once, with every parameter said."""

import secrets
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from tofner.errors import PassingFault
from tofner_kubeflow.pipelines.backend import Backend, Lost, equals
from tofner_kubeflow.pipelines.package import Package, read_package
from tofner_kubeflow.pipelines.uploads import Uploaded


def start(
    backend: Backend,
    uploaded: Uploaded,
    experiment: str,
    name: str,
    parameters: Mapping[str, Any],
    service_account: str = "",
    about: str = "",
    mark: str = "",
) -> dict[str, Any]:
    """Creates a run; returns it as the server gives it.

    The run's name is `name` and a mark of its own: where the answer is lost, the run is looked for by it before it is
    asked for again, since names may repeat on the server and nothing else would tell two runs apart.

    Raises:
        BadInput: the server refuses the run.
        PassingFault: no answer; whether there is a run is not known.
    """
    display = f"{name}-{mark or secrets.token_hex(4)}"
    body: dict[str, Any] = {
        "display_name": display,
        "experiment_id": experiment,
        "pipeline_version_reference": uploaded.reference,
        "runtime_config": {"parameters": dict(parameters)},
    }
    body |= {"description": about} if about else {}
    body |= {"service_account": service_account} if service_account else {}

    def look() -> dict[str, Any] | None:
        found = backend.pages("/runs", "runs", experiment_id=experiment, filter=equals("display_name", display))
        return next((one for one in found if one.get("display_name") == display), None)

    try:
        return backend.create_once("/runs", body, look)
    except Lost as error:
        page = backend.page("experiments", "details", experiment)
        raise PassingFault(f"{error}. Before you try again, look whether there is a run {display}: {page}") from error


def compiled_now(folder: Path, revision: str, registry: str, profile: str) -> Package:
    """The training graph of this installation, compiled into `folder` for a kind of cluster."""
    from tofner_kubeflow.pipelines.cluster import load_cluster
    from tofner_kubeflow.pipelines.compile import compile_tof

    cluster = load_cluster(profile, (), revision=revision, registry=registry)
    return read_package(compile_tof(folder / "tof.yaml", cluster))


def revision_here() -> str:
    """The git revision of the source tree that this is, as the Makefile tags images; else the package's version."""
    root = Path(__file__).resolve().parents[1]
    describe = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        if (root / ".git").exists():
            return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return metadata.version("tofner")

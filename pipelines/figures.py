"""How large a compiled graph is for Kubernetes and for whoever looks at it, computed from its YAML alone.

Kubeflow's page goes blind when Argo's node status passes 1 MB: Argo then compresses it, and the API keeps showing tasks
as running. There every task's pod spec stands six times and the rest of it twice (counted in node statuses of Kubeflow
Pipelines 2.17.0); a pod spec holds what the launcher adds by itself, the task's inputs as they are when it starts, its
component, and its container with the environment. So the size is an estimate.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tofner_kubeflow.pipelines.picture import ranks_of, read_graph

NODES = 4500  # bytes of a task's six or seven nodes that are Argo's own: names, times, phases, children
LAUNCHER = 1600  # bytes of a pod spec that are the launcher's own
ADDRESS = 90  # bytes of a value that a task is given when it runs: an address in a bucket


@dataclass(frozen=True)
class Figures:
    """Pods and Argo's steps of a run, longest path, artifacts, edges out of the busiest task, sizes in bytes."""

    tasks: int
    pods: int
    steps: int
    ranks: int
    artifacts: int
    edges: int
    yaml: int
    status: int


def measure(compiled: Path) -> Figures:
    """The figures of a flat graph."""
    text = compiled.read_text(encoding="utf-8")
    spec, *platform = list(yaml.safe_load_all(text))
    tasks = spec["root"]["dag"]["tasks"]
    nodes = read_graph(spec)
    out = {key: sum(key in task.get("dependentTasks", ()) for task in tasks.values()) for key in tasks}
    components = [spec["components"][task["componentRef"]["name"]] for task in tasks.values()]
    artifacts = sum(len(one.get("outputDefinitions", {}).get("artifacts", {})) for one in components)
    return Figures(
        tasks=len(tasks),
        pods=2 * len(tasks) + 1,
        steps=2 * len(tasks),
        ranks=max(ranks_of(nodes).values()) + 1,
        artifacts=artifacts,
        edges=max(out.values()),
        yaml=len(text.encode()),
        status=sum(6 * _pod(spec, platform, task) + 2 * _size(task) + NODES for task in tasks.values()),
    )


def _pod(spec: dict[str, Any], platform: list[dict[str, Any]], task: dict[str, Any]) -> int:
    component = spec["components"][task["componentRef"]["name"]]
    label = component["executorLabel"]
    container = spec["deploymentSpec"]["executors"][label]["container"]
    extra = [one["platforms"]["kubernetes"]["deploymentSpec"]["executors"].get(label, {}) for one in platform]
    given = ADDRESS * len(task.get("inputs", {}).get("parameters", {}))
    return LAUNCHER + _size(component) + _size(container) + sum(map(_size, extra)) + given


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))

"""Compiles the graphs to the YAML that a KFP API server, or `kfp.local`, takes."""

import sys
from pathlib import Path
from typing import Any

from kfp import compiler

from tofner_kubeflow.pipelines import picture, tagging, tof
from tofner_kubeflow.pipelines.cluster import Cluster, load_cluster

REPOSITORY = Path(__file__).resolve().parents[1]
GOLDEN = REPOSITORY / "tests" / "golden" / "tof.yaml"
GOLDEN_TAGGING = GOLDEN.with_name("tagging.yaml")
PICTURE = REPOSITORY / "docs" / "pipeline.svg"
GOLDEN_CLUSTER = load_cluster("gpu", (), revision="golden")
MAX_BYTES = 1 << 20  # etcd refuses objects over 1.5 MiB, and the workflow made of the YAML is somewhat larger


def compile_tof(path: Path, cluster: Cluster) -> Path:
    """The training graph, see `write`."""
    return write(tof.make(cluster), path)


def compile_tagging(path: Path, cluster: Cluster) -> Path:
    """The tagging graph, see `write`."""
    return write(tagging.make(cluster), path)


def write(graph: Any, path: Path) -> Path:
    """Writes a compiled graph; the same cluster gives the same bytes.

    Raises:
        ValueError: the YAML is too large for a cluster to store.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(graph, str(path))
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path}: {size} bytes compiled, more than {MAX_BYTES}; keep component bodies small")
    return path


def regenerate() -> None:
    """Writes the golden files and the picture of the graph anew; `make golden` does this."""
    compile_tof(GOLDEN, GOLDEN_CLUSTER)
    compile_tagging(GOLDEN_TAGGING, GOLDEN_CLUSTER)
    PICTURE.write_text(picture.draw(GOLDEN), encoding="utf-8")


if __name__ == "__main__":
    regenerate()
    print(f"wrote {GOLDEN}\nwrote {GOLDEN_TAGGING}\nwrote {PICTURE}", file=sys.stderr)

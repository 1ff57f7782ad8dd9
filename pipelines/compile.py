"""Compiles the graph to the YAML that a KFP API server, or `kfp.local`, takes."""

import sys
from pathlib import Path

from kfp import compiler

from pipelines import picture
from pipelines.cluster import Cluster
from pipelines.tof import make

REPOSITORY = Path(__file__).resolve().parents[1]
GOLDEN = REPOSITORY / "tests" / "golden" / "tof.yaml"
PICTURE = REPOSITORY / "docs" / "pipeline.svg"
GOLDEN_CLUSTER = Cluster(revision="golden")
MAX_BYTES = 1 << 20  # etcd refuses objects over 1.5 MiB, and the workflow made of the YAML is somewhat larger


def compile_tof(path: Path, cluster: Cluster) -> Path:
    """Writes the compiled graph; the same cluster gives the same bytes.

    Raises:
        ValueError: the YAML is too large for a cluster to store.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(make(cluster), str(path))
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path}: {size} bytes compiled, more than {MAX_BYTES}; keep component bodies small")
    return path


def regenerate() -> None:
    """Writes the golden file and the picture of the graph anew; `make golden` does this."""
    compile_tof(GOLDEN, GOLDEN_CLUSTER)
    PICTURE.write_text(picture.draw(GOLDEN), encoding="utf-8")


if __name__ == "__main__":
    regenerate()
    print(f"wrote {GOLDEN}\nwrote {PICTURE}", file=sys.stderr)

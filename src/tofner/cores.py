"""How many CPU cores this process may use: the pod's limit, not the node's core count.

cgroup v2: `cpu.max` holds "QUOTA PERIOD" in microseconds, or "max PERIOD" (kernel: admin-guide/cgroup-v2).
cgroup v1: `cpu.cfs_quota_us` (-1: none) and `cpu.cfs_period_us` (kernel: scheduler/sched-bwc).
A limit may stand on any ancestor of the process's group, so all of them are read and the smallest holds.
"""

import math
import os
from pathlib import Path, PurePosixPath


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The cgroup CPU limit in cores, or None without one. `root` is the file system root (tests use another)."""
    groups = _groups(root)
    limits = [
        limit
        for controller, group in groups
        for directory in _with_ancestors(group)
        if (limit := _limit(root, controller, directory)) is not None
    ]
    return min(limits) if limits else None


def usable_cores(root: Path = Path("/")) -> int:
    """Whole cores for this process: affinity mask and cgroup limit, at least 1; a limit of 1.5 cores gives 2.

    A fraction is rounded up: with 1.5 cores two threads are throttled now and then, but one leaves a third unused.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, min(cores, math.ceil(quota))) if quota else max(1, cores)


def _groups(root: Path) -> list[tuple[str, PurePosixPath]]:
    """This process's groups that may limit CPU, as ("v1" or "v2", path), from /proc/self/cgroup."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return [("v2", PurePosixPath("/")), ("v1", PurePosixPath("/"))]
    found: list[tuple[str, PurePosixPath]] = []
    for line in lines:
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            found.append(("v2", PurePosixPath(path)))
        elif "cpu" in controllers.split(","):
            found.append(("v1", PurePosixPath(path)))
    return found


def _with_ancestors(group: PurePosixPath) -> list[PurePosixPath]:
    """The group, its parents, and the mount's own root (what a container sees of itself, whatever its path says)."""
    return [group, *group.parents] if group.is_absolute() else [PurePosixPath("/")]


def _limit(root: Path, version: str, group: PurePosixPath) -> float | None:
    inside = str(group).lstrip("/")
    if version == "v2":
        for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
            quota, _, period = _read(root / mount / inside / "cpu.max").partition(" ")
            if quota and quota != "max":
                return _ratio(quota, period or "100000")
        return None
    for mount in ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"):
        quota = _read(root / mount / inside / "cpu.cfs_quota_us")
        if quota and not quota.startswith("-"):
            return _ratio(quota, _read(root / mount / inside / "cpu.cfs_period_us") or "100000")
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _ratio(quota: str, period: str) -> float | None:
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None

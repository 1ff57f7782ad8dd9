"""CPU limits as cgroup v1 and v2 tell them, on made-up file systems."""

import os
from pathlib import Path

import pytest

from tofner.cores import cpu_quota, usable_cores


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "sys/fs/cgroup/a/cpu.max": "50000 100000",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "0::/a\n",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
                "sys/fs/cgroup/cpu.max": "200000 100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        ({"proc/self/cgroup": "4:cpu:/\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n"}, None),
        (
            {
                "proc/self/cgroup": "4:cpuacct,cpu:/p\n",
                "sys/fs/cgroup/cpu,cpuacct/p/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/p/cpu.cfs_period_us": "50000",
            },
            1.0,
        ),
        ({"sys/fs/cgroup/cpu.max": "100000 100000"}, 1.0),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "rubbish"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(tree(tmp_path, files)) == quota


def test_cores_round_up_and_stay_within_the_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    limited = tree(tmp_path / "a", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000"})
    assert usable_cores(limited) == 2
    wide = tree(tmp_path / "b", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "6400000 100000"})
    assert usable_cores(wide) == 4
    assert usable_cores(tree(tmp_path / "c", {"sys/fs/cgroup/cpu.max": "1000 100000"})) == 1
    assert usable_cores(tmp_path / "nothing") == 4

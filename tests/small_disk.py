"""Disks that are full or cannot be written, for one command: a tmpfs in a mount namespace of its own."""

import subprocess
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o "$1" tofner-test "$2" && shift 2 && exec "$@"'


def on_disk(options: str, folder: Path, command: list[str]) -> list[str]:
    """The command with a disk of its own at `folder`: `size=100k`, or `ro` for one that is empty and read-only.

    What is below the disk is as before when the command has ended.
    """
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", options, str(folder), *command]


def can_mount(folder: Path) -> bool:
    """Whether this machine lets us."""
    folder.mkdir(exist_ok=True)
    try:
        tried = subprocess.run(on_disk("size=100k", folder, ["true"]), capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return tried.returncode == 0

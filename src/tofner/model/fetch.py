"""Folders of buckets on this machine: fetched once for their contents, for stages and for tagging alike.

An entry of the cache is named by the digest of the folder's index and of the names that were wanted. It is made in a
scratch folder and renamed, so that processes which fetch the same find it whole or not at all. The next one that
fetches removes what a killed one has left.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from tofner import storage

CACHE = "TOFNER_CACHE"  # environment variable: the cache folder


def fetch(uri: str, cache: str | Path, only: Sequence[str] = (), require_index: bool = True) -> Path:
    """The folder `uri` on this machine; a local one as it is. Nobody may write into it.

    Args:
        cache: where fetched folders are kept.
        only: files that are wanted; all if empty.
        require_index: False takes a plain S3 prefix too, known by the paths, sizes and etags of its files.

    Raises:
        BadInput: nothing is stored there, or a file is missing or damaged.
        PassingFault: storage did not answer in time, or the cache's disk is full.
    """
    index = storage.folder_index(uri) if storage.is_s3(uri) else None
    if not storage.is_s3(uri) or (index is None and require_index):
        return storage.fetch_folder(uri, Path(cache), only, require_index)  # as it is, or refused
    if index is not None:
        digest, sizes = index.digest, {path: entry.size for path, entry in index.files.items()}
    else:
        digest, sizes = storage.digest(uri), {info.path: info.size for info in storage.list_files(uri)}
    wanted = {path: size for path, size in sizes.items() if not only or path in only}
    name = hashlib.sha256(json.dumps([digest, sorted(only)]).encode()).hexdigest()
    target = Path(cache) / name
    if _is_whole(target, wanted):
        return target
    with storage.scratch_folder(".fetch-", parent=target.parent) as partial:
        storage.fetch_folder(uri, partial / "new", only, require_index)
        if target.is_dir() and not _is_whole(target, wanted):
            target.rename(partial / "damaged")
        try:
            (partial / "new").rename(target)
        except OSError:  # another process was first
            if not _is_whole(target, wanted):
                raise
    return target


def cache_folder(default: Path) -> Path:
    """`$TOFNER_CACHE`, else `default`."""
    return Path(os.environ.get(CACHE) or default)


def _is_whole(folder: Path, sizes: dict[str, int]) -> bool:
    """Whether every file is there with its size; contents were compared when they were fetched."""
    try:
        return folder.is_dir() and all((folder / path).stat().st_size == size for path, size in sizes.items())
    except (FileNotFoundError, NotADirectoryError):
        return False

"""Whole folders: stored, fetched, compared and removed, each whole or not at all. See `tofner.storage`."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tofner.errors import BadInput, Problem
from tofner.storage import s3
from tofner.storage.index import INDEX, FileEntry, FolderIndex, check_path, file_sha256, index_of, local_files
from tofner.storage.local import local_faults, sync_folder, write_local
from tofner.storage.objects import (
    FileInfo,
    list_files,
    object_info,
    put,
    read_if_there,
)
from tofner.storage.pointers import PointerMoved, move_pointer
from tofner.storage.transfer import FIX_DAMAGE, Progress, Transfer, download, upload
from tofner.storage.uri import is_s3, join, split_object


def folder_index(uri: str) -> FolderIndex | None:
    """The index of a stored folder, or None if no folder was committed there.

    Raises:
        BadInput: the index is damaged, or storage refuses.
        PassingFault: storage did not answer in time.
    """
    found = read_if_there(join(uri, INDEX))
    return FolderIndex.from_json(found[0], join(uri, INDEX)) if found else None


def store_folder(local: Path, uri: str, progress: Progress | None = None) -> FolderIndex:
    """Store the files below `local` as the folder `uri`, whole or not at all; returns its index.

    Nothing is done if the same contents are stored there already. `progress(bytes done, bytes of all)` is called from
    several threads, one at a time; without it, transfers over 64 MiB write a line to stderr now and then.

    Raises:
        BadInput: `uri` holds other contents, `local` is unusable or changed meanwhile, or storage refuses.
        PassingFault: storage did not answer in time; call again to go on.
    """
    local = Path(local)
    before = _states(local)
    index = index_of(local)
    if not index.files:
        raise BadInput(Problem(str(local), "an empty folder", "files to store", "correct the path"))
    if not _is_stored(uri, index):
        if is_s3(uri):
            _store_s3(local, uri, index, progress, before)
        else:
            _store_local(local, Path(uri), index, before)
    return index


def store_by_content(local: Path, prefix: str) -> str:
    """Store a folder below `prefix`, named by itself and what it holds; returns its address. Raises as `store_folder`.

    Equal folders have one address, so whoever stores it again finds it there.
    """
    uri = join(prefix, f"{local.name}-{digest(str(local))[:12]}")
    store_folder(local, uri)
    return uri


def _states(local: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    states = {path: (local / path).stat() for path in local_files(local)}
    return {path: (state.st_size, state.st_mtime_ns) for path, state in states.items()}


def _check_unchanged(local: Path, before: dict[str, tuple[int, int]]) -> None:
    """Refuse to commit an index that may not fit what was read. Raises BadInput."""
    after = _states(local)
    differ = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    if differ:
        found = f"{len(differ)} files that changed while they were stored, {differ[0]!r} first"
        raise BadInput(Problem(str(local), found, "files at rest", "store the folder again when nothing writes to it"))


def _is_stored(uri: str, index: FolderIndex) -> bool:
    """Whether these contents are committed at `uri`. Raises BadInput if others are."""
    there = folder_index(uri)
    if there is not None and there != index:
        differ = sorted(p for p in there.files.keys() | index.files.keys() if there.files.get(p) != index.files.get(p))
        found = f"a stored folder with other contents ({len(differ)} files differ, {differ[0]!r} first)"
        raise BadInput(Problem(uri, found, "a free URI or the same contents", "store under another name"))
    return there is not None


def _store_s3(
    local: Path, uri: str, index: FolderIndex, progress: Progress | None, before: dict[str, tuple[int, int]]
) -> None:
    def store(path: str, entry: FileEntry) -> None:
        upload(transfer, local / path, join(uri, path), entry, stop_if_committed)

    def stop_if_committed() -> None:
        if _is_stored(uri, index):
            raise _Committed

    try:
        with Transfer(f"store {uri}", index.size, progress) as transfer:
            transfer.each_file([partial(store, path, entry) for path, entry in index.files.items()])
    except _Committed:
        return
    _check_unchanged(local, before)
    try:
        put(join(uri, INDEX), index.to_json(), IfNoneMatch="*")
    except Exception as error:
        # Refused: another writer was first, or our own put arrived and only its answer was lost.
        if not s3.is_refused(error) or not _is_stored(uri, index):
            raise


class _Committed(Exception):
    """Another writer has just committed the same contents."""


def _store_local(local: Path, target: Path, index: FolderIndex, before: dict[str, tuple[int, int]]) -> None:
    with local_faults(str(target)):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            found = "a file, or a folder that tofner did not store"
            raise BadInput(Problem(str(target), found, "a free path", "store under another name, or remove it"))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            for path in index.files:
                (temporary / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(local / path, temporary / path)
                with (temporary / path).open("rb") as file:
                    os.fsync(file.fileno())
            _check_unchanged(local, before)
            write_local(temporary / INDEX, index.to_json())
            temporary.chmod(0o755)
            _rename(temporary, target, index)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(target.parent)


def _rename(temporary: Path, target: Path, index: FolderIndex) -> None:
    try:
        temporary.rename(target)
    except OSError:
        if not _is_stored(str(target), index):  # another writer was first, with the same contents
            raise


def fetch_folder(
    uri: str,
    dest: Path,
    only: Sequence[str] = (),
    require_index: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Make the folder `uri` available locally; returns where. Each file's size and sha256 are compared with the index.

    Files that `dest` has already, with the right contents, are not fetched again. A local folder is returned as it is.

    Args:
        only: paths in the folder, or `sub/folder/`; all of it if empty.
        require_index: False takes a plain S3 prefix too, whose files have a size and etag only (a user's encoder or
            data root). A folder with an index is compared with it all the same.

    Raises:
        BadInput: nothing is stored there, `only` names a file it lacks, a stored file is damaged, or `dest` holds other
            files.
        PassingFault: storage did not answer in time; call again to go on.
    """
    if not is_s3(uri):
        _select(uri, dict.fromkeys(local_files(Path(uri))), only)
        return Path(uri)
    dest = Path(dest)
    index = folder_index(uri)
    if index is None and require_index:
        fix = "check the URI; if an upload was interrupted, run it again"
        raise BadInput(Problem(uri, f"no {INDEX}", "a folder stored whole", fix))
    if index is not None:
        entries: dict[str, FileEntry | FileInfo] = dict(index.files)
    else:
        entries = {info.path: info for info in list_files(uri)}
        for path in entries:
            check_path(path, uri)
    wanted = _select(uri, entries, only)
    with local_faults(str(dest)):
        dest.mkdir(parents=True, exist_ok=True)
        extra = [] if only else sorted(set(local_files(dest)) - entries.keys())
        if extra:
            found = f"{len(extra)} files that {uri} lacks, {extra[0]!r} first"
            raise BadInput(Problem(str(dest), found, "an empty folder", "fetch into another folder"))
        _fetch_files(uri, dest, wanted, progress)
    return dest


def _select(uri: str, entries: dict[str, Any], only: Sequence[str]) -> dict[str, Any]:
    """The entries that `only` names; all if it is empty."""
    if not entries:
        raise BadInput(Problem(uri, "no files", "a folder with files", "correct the URI"))
    chosen: dict[str, Any] = {}
    for name in only:
        hits = {p: e for p, e in entries.items() if p == name or (name.endswith("/") and p.startswith(name))}
        if not hits:
            raise BadInput(Problem(join(uri, name), "no such file in the folder", "a file that was stored"))
        chosen |= hits
    return chosen if only else entries


def _fetch_files(uri: str, dest: Path, wanted: dict[str, Any], progress: Progress | None) -> None:
    missing = {path: entry for path, entry in wanted.items() if not _is_fetched(dest / path, entry)}
    with (
        tempfile.TemporaryDirectory(dir=dest.parent, prefix=f".{dest.name}.") as scratch,
        Transfer(f"fetch {uri}", sum(entry.size for entry in missing.values()), progress) as transfer,
    ):

        def compare(place: str, temporary: Path, entry: FileEntry) -> None:
            for _ in range(s3.DOUBTS):  # what is damaged in the store comes so again, what was on its way does not
                if file_sha256(temporary) == entry.sha256:
                    return
                transfer.moved(-entry.size)
                download(transfer, place, temporary, entry.size, None)
            if (found := file_sha256(temporary)) != entry.sha256:
                expected = f"sha256 {entry.sha256}, as in {INDEX}"
                raise BadInput(Problem(place, f"sha256 {found}", expected, FIX_DAMAGE))

        def fetch(number: int, path: str, entry: FileEntry | FileInfo) -> None:
            temporary, place = Path(scratch, str(number)), join(uri, path)
            etag = entry.etag if isinstance(entry, FileInfo) else None
            download(transfer, place, temporary, entry.size, etag)
            if isinstance(entry, FileEntry):
                compare(place, temporary, entry)
            (dest / path).parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(dest / path)

        transfer.each_file([partial(fetch, number, *item) for number, item in enumerate(missing.items())])


def _is_fetched(path: Path, entry: FileEntry | FileInfo) -> bool:
    """Whether `path` is that file already. Without a sha256 to compare with, it never is."""
    if not isinstance(entry, FileEntry) or not path.is_file() or path.stat().st_size != entry.size:
        return False
    return file_sha256(path) == entry.sha256


def digest(uri: str) -> str:
    """A fingerprint of the contents of a file or folder, sha256 hex: it changes when they do.

    Local files and folders: of the contents. Stored folders: the digest of the index, equal to that of the same folder
    locally. Other objects and prefixes in S3: of paths, sizes and etags.

    Raises:
        BadInput: nothing is there, or storage refuses.
        PassingFault: storage did not answer in time.
    """
    if not is_s3(uri):
        path = Path(uri)
        with local_faults(uri):
            return file_sha256(path) if path.is_file() else index_of(path).digest
    index = folder_index(uri)
    if index is not None:
        return index.digest
    found = list_files(uri)
    if not found:
        found = [object_info(uri)]
    lines = (f"{info.path}\0{info.size}\0{info.etag}\n" for info in found)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def remove_folder(uri: str) -> None:
    """Remove a folder and all that lies below it, its index first, so that no reader finds half of it. Nothing there is
    fine.

    Raises:
        BadInput: storage refuses.
        PassingFault: storage did not answer in time; call again to go on.
    """
    if not is_s3(uri):
        with local_faults(uri):
            Path(uri, INDEX).unlink(missing_ok=True)
            if Path(uri).exists():
                shutil.rmtree(uri)
        return
    bucket, _ = split_object(uri)
    for name in [INDEX, *(info.path for info in list_files(uri))]:
        _, key = split_object(join(uri, name))
        s3.call(join(uri, name), partial(s3.client().delete_object, Bucket=bucket, Key=key))


def check_writable(uri: str) -> None:
    """Put a marker, `.tofner`, below `uri`: a wrong bucket, key or permission shows now, not after hours of work.

    It is put where none is, and then another one, which storage must refuse: on that rests that of two publishers one
    wins. Where a marker lies already, the first put is refused.

    Raises:
        BadInput: storage refuses the first, or takes the second.
        PassingFault: storage did not answer in time.
    """
    marker = join(uri, ".tofner")
    try:
        for value in ("writes here", "wrote here"):  # unlike, or a second try would take the first for its own
            move_pointer(marker, {"tofner": value}, expected_etag=None)
    except PointerMoved:
        return
    found = "a store that puts a second object where it was told to put only if there is none"
    expected = "one that heeds If-None-Match, as AWS, SeaweedFS and MinIO do"
    raise BadInput(Problem(marker, found, expected, "two publishers could each believe that they won"))

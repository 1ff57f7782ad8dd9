"""What a stored folder holds: paths, sizes and sha256, kept beside its files as `_index.json`."""

import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tofner.errors import BadInput, Problem
from tofner.storage import s3

INDEX = "_index.json"
INDEX_FORMAT = 1


@dataclass(frozen=True)
class FileEntry:
    """A file as an index holds it: `size` in bytes, `sha256` of the contents in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class FolderIndex:
    """What a stored folder holds, by path relative to it. Empty folders are not kept."""

    files: dict[str, FileEntry]

    @property
    def digest(self) -> str:
        """sha256 over the sorted paths and contents, hex: equal folders have equal digests, wherever they lie."""
        lines = (f"{path}\0{entry.sha256}\n" for path, entry in sorted(self.files.items()))
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    def to_json(self) -> bytes:
        files = {path: {"size": e.size, "sha256": e.sha256} for path, e in sorted(self.files.items())}
        return json.dumps({"format": INDEX_FORMAT, "digest": self.digest, "files": files}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, place: str) -> "FolderIndex":
        """The index in the file `place`.

        Raises:
            BadInput: it is not an index of this format, its digest does not fit, or a path leaves the folder.
        """
        expected = f"an index of format {INDEX_FORMAT} with a digest that fits"
        try:
            value = json.loads(data)
            format_, digest = value["format"], value["digest"]
            files = {path: _entry(e["size"], e["sha256"]) for path, e in value["files"].items()}
            index = cls(files)
            digest_of = index.digest
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            found = f"{type(error).__name__}: {error}"
            raise BadInput(Problem(place, found, expected, "store the folder again")) from error
        if (format_, digest) != (INDEX_FORMAT, digest_of):
            found = f"format {format_!r} and digest {digest!r}"
            raise BadInput(Problem(place, found, expected, "store the folder again"))
        for path in files:
            check_path(path, place)
        return index


def _entry(size: object, sha256: object) -> FileEntry:
    """Raises ValueError: not those of a file."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise ValueError(f"size {str(size)[:40]}")
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"sha256 {str(sha256)[:80]!r}")
    return FileEntry(size, sha256)


def check_path(path: str, place: str) -> None:
    """Refuse a path that would leave the folder it is fetched into.

    Raises:
        BadInput: it is absolute, or has an empty, `.` or `..` part.
    """
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise BadInput(Problem(place, f"the path {path!r}", "a path inside the folder", "store the folder again"))


def local_files(folder: Path) -> list[str]:
    """Paths of all files below `folder`, sorted; the index itself is not one of them.

    Links to files count as files. Links to folders and what is neither file nor folder are refused rather than skipped.

    Raises:
        BadInput: it is no folder, or holds such a thing.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise BadInput(Problem(str(folder), found, "a folder", "correct the path"))
    paths = []
    for top, folders, names in os.walk(folder):
        here = Path(top)
        for name in [*names, *(name for name in folders if (here / name).is_symlink())]:
            if not (here / name).is_file():
                fix = "copy the contents in, or remove it"
                raise BadInput(Problem(str(here / name), "a link or special file", "files and folders only", fix))
            path = (here / name).relative_to(folder).as_posix()
            check_path(path, str(here / name))
            paths.append(path)
    return sorted(path for path in paths if path != INDEX)


def file_sha256(path: Path) -> str:
    """sha256 of the file's contents, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def index_of(folder: Path) -> FolderIndex:
    """The index of a local folder, from its contents.

    Raises:
        BadInput: as `local_files`.
    """
    paths = local_files(folder)
    with ThreadPoolExecutor(s3.threads()) as pool:
        sums = list(pool.map(lambda path: file_sha256(folder / path), paths))
    return FolderIndex(
        {path: FileEntry((folder / path).stat().st_size, total) for path, total in zip(paths, sums, strict=True)}
    )

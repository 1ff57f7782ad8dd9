"""Which files a job reads: one file, a folder, a glob or an `s3://` prefix, each with its format and compression."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tofner import storage
from tofner.errors import BadData, PassingFault, Problem
from tofner.tagging.formats.files import SUFFIXES, Format, InputFile, format_of, state_of

_WILD = re.compile(r"[*?\[]")


def find_inputs(where: str, format: str = "auto", without: Sequence[str] = ()) -> list[InputFile]:
    """The files that `where` names, sorted by name; names that begin with `_` or `.` are not data and are left out.

    Args:
        where: a file, a folder (all files below), or a glob (`*` and `?` within a path part, `**` across parts).
        format: `auto` goes by the suffix.
        without: files and folders that are left out: outputs among the inputs.

    Raises:
        BadData: nothing is there, or a suffix tells no format.
    """
    if format != "auto" and format not in get_args(Format):
        raise BadData(Problem("--format", repr(format), "auto, " + ", ".join(get_args(Format))))
    if _WILD.search(where.removeprefix("s3://")) and not _is_there(where):
        found = _glob(where)
    elif storage.is_s3(where):
        found = _s3_file_or_folder(where)
    else:
        found = _local_file_or_folder(where)
    outputs = [storage.absolute(uri) for uri in without]
    if outputs:
        places = ((row, storage.absolute(row[0])) for row in found)
        found = [row for row, at in places if not any(at == o or at.startswith(f"{o}/") for o in outputs)]
    if not found:
        raise BadData(Problem(where, "no files", "a file, a folder with files, or a glob that matches some"))
    problems: list[Problem] = []
    inputs: list[InputFile] = []
    for uri, name, size, etag, state in sorted(found, key=lambda row: row[1]):
        kind, compression = format_of(name)
        kind = format if format != "auto" else kind  # type: ignore[assignment]
        if kind is None:
            known = ", ".join(SUFFIXES)
            fix = "name the files so, give a glob that leaves this one out, or say --format"
            problems.append(Problem(uri, "a suffix that tells no format", f"{known}, each also with .gz or .zst", fix))
        elif kind == "parquet" and compression:
            problems.append(Problem(uri, f"Parquet in .{compression}", "Parquet, which is compressed inside"))
        else:
            inputs.append(InputFile(uri, name, size, etag, kind, compression, state))
    if problems:
        raise BadData(problems)
    return inputs


Found = tuple[str, str, int, str, str]


def _is_data(name: str) -> bool:
    """Whether a file is one to tag; others are hidden, or the books of a job (`FILE.tofner`)."""
    return not any(part.startswith(("_", ".")) or part.endswith(".tofner") for part in name.split("/"))


def _is_there(where: str) -> bool:
    """Whether a name with `*`, `?` or `[` in it is that of a file or folder; then it is no pattern."""
    if not storage.is_s3(where):
        return Path(where).exists()
    bucket = where.removeprefix("s3://").split("/")[0]
    return not _WILD.search(bucket) and bool(storage.exists(where) or storage.list_files(where))


def _local_file_or_folder(where: str) -> list[Found]:
    path = Path(where)
    if path.is_file():
        return [(where, path.name, *_state(path))]
    if not path.is_dir():
        raise BadData(Problem(where, "no such file or folder", "something to tag", "correct the path"))
    return _local_below(path)


def _local_below(root: Path) -> list[Found]:
    """Files below a folder, also in linked folders.

    Raises:
        BadData: a link leads nowhere or back to a folder that holds it, or something may not be read.
    """
    found: list[Found] = []
    walk = os.walk(root, followlinks=True, onerror=_unreadable)
    for top, folders, names in walk:
        here = Path(top)
        inner = here.relative_to(root).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        folders[:] = sorted(name for name in folders if _is_data(name))
        for name in folders:
            folder = here / name
            if folder.is_symlink() and folder.resolve() in (here.resolve(), *here.resolve().parents):
                raise BadData(Problem(str(folder), "a link to a folder that holds it", "a folder with an end", _UNLINK))
        for name in sorted(filter(_is_data, names)):
            path = here / name
            if path.is_symlink() and not path.exists():
                raise BadData(Problem(str(path), "a link to nothing", "a file", _UNLINK))
            if path.is_file():
                found.append((str(path), prefix + name, *_state(path)))
    return found


_UNLINK = "remove the link, or name the files by a pattern that leaves it out"


def _unreadable(error: OSError) -> None:
    raise BadData(Problem(str(error.filename), str(error.strerror), "a folder that can be read", "change its mode"))


def _state(path: Path) -> tuple[int, str, str]:
    """Size, sha256 (tagging takes a thousand times as long as to read it once more), and what shows a later change."""
    before = state_of(path)
    return path.stat().st_size, storage.file_sha256(path), before


def _s3_file_or_folder(where: str) -> list[Found]:
    inside = storage.list_files(where)
    if inside:
        rows = ((storage.join(where, f.path), f.path, f.size, f.etag, "") for f in inside)
        return [row for row in rows if _is_data(row[1])]
    if not storage.exists(where):
        return []
    parent, _, name = where.rstrip("/").rpartition("/")
    for info in storage.list_files(parent) if parent != "s3:/" else []:
        if info.path == name:
            return [(where, name, info.size, info.etag, "")]
    raise PassingFault(f"{where}: there a moment ago, and gone from the listing; try again")


def _glob(where: str) -> list[Found]:
    """Match below the part of the pattern that holds no wildcard."""
    parts = where.split("/")
    fixed = next(i for i, part in enumerate(parts) if _WILD.search(part) and not part.startswith("s3:"))
    base = "/".join(parts[:fixed]) or ("/" if where.startswith("/") else ".")
    pattern = _pattern("/".join(parts[fixed:]))
    if storage.is_s3(where):
        if fixed < 3:
            raise BadData(Problem(where, "a wildcard in the bucket name", "s3://BUCKET/PATTERN"))
        rows = [(storage.join(base, f.path), f.path, f.size, f.etag, "") for f in storage.list_files(base)]
        return [row for row in rows if _is_data(row[1]) and pattern.fullmatch(row[1])]
    return [row for row in _local_below(Path(base)) if pattern.fullmatch(row[1])]


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` stay within a part, `**/` spans any number of them, `[...]` is a set.

    >>> bool(_pattern("**/*.txt").fullmatch("a/b/c.txt")), bool(_pattern("*.txt").fullmatch("a/c.txt"))
    (True, False)
    """
    out, at = "", 0
    while at < len(glob):
        char = glob[at]
        if glob.startswith("**/", at):
            out, at = out + "(?:[^/]+/)*", at + 3
        elif glob.startswith("**", at):
            out, at = out + ".*", at + 2
        elif char == "[" and "]" in glob[at + 2 :]:
            end = glob.index("]", at + 2)
            inner = glob[at + 1 : end].replace("\\", "\\\\")
            out, at = out + "[" + ("^" + inner[1:] if inner.startswith("!") else inner) + "]", end + 1
        else:
            out, at = out + {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)), at + 1
    return re.compile(out, re.DOTALL)

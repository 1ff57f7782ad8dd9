"""Versions of a published model, and which one readers get: `latest.json` at the model's root, and its history.

    ROOT/VERSION/       a published model, whole once its index is there
    ROOT/latest.json    {"version": VERSION, "history": [{"version", "at", "why", "by", ...}, ...]}, the last move last

A move writes pointer and history together by one conditional put, so neither is ever seen without the other. Readers
look at `version` alone; a file without a history, or one whose last move is not its version, is taken as it is.

    promote     VERSION becomes the latest
    rollback    the version before becomes the latest again; once more, and it is the one before that

Who finds that the pointer moved since it was looked at is told which version won, by `Overtaken`, and nothing is tried
again: the decision was about another latest. That is exit code 2 and not 75, since a machine that repeats the command
would undo a decision it has not seen, and one `rollback` more goes one version further back.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from tofner import storage
from tofner.errors import BadInput, Problem
from tofner.model.evaluations import reports_of
from tofner.model.layout import ARTIFACTS, INDEX, LATEST, MANIFEST, MODELS, TAGGING

MOST_MOVES = 100  # kept in the history
LONGEST_WHY = 500  # characters kept of a reason: readers fetch the file at each start

Now = Callable[[], datetime]


class Expected(Enum):
    """Of `promote`: no version in particular."""

    ANY = "any"


class Overtaken(BadInput):
    """The pointer is not where it was when the decision was made; it stays there."""


@dataclass(frozen=True)
class Move:
    """One move of the pointer.

    Attributes:
        at: time, ISO 8601 in UTC; empty for a version that was the latest before there was a history.
        why, by: for people. run: the pipeline run that did it, empty for a person.
        back_from: of a rollback the version that was left; empty for a promotion.
    """

    version: str
    at: str = ""
    why: str = ""
    by: str = ""
    run: str = ""
    back_from: str = ""

    def __str__(self) -> str:
        """For people: what, when, by whom, why."""
        what = f"{self.version}, rolled back from {self.back_from}" if self.back_from else self.version
        told = (("at", self.at), ("by", self.by), ("run", self.run), ("because", self.why))
        return ", ".join([what, *(f"{name} {value}" for name, value in told if value)])


@dataclass(frozen=True)
class Pointer:
    """`latest.json` as it was read. `version` is None and `etag` too where there is none yet."""

    version: str | None
    history: tuple[Move, ...]
    etag: str | None


@dataclass(frozen=True)
class Version:
    """A version below a model's root. What its own files do not say is None.

    Attributes:
        whole: whether it was stored to the end; if not, a publication goes on or has died, and it cannot be promoted.
        finished_at: when the model was exported, ISO 8601.
        f1: strict micro F1 on the target test, 0 to 1, by the latest evaluation (`evaluations`).
        bytes: of all its files.
    """

    version: str
    uri: str
    whole: bool
    latest: bool
    finished_at: str | None = None
    f1: float | None = None
    encoder: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Published:
    """A model: its versions, newest first, and its pointer."""

    name: str
    root: str
    pointer: Pointer
    versions: tuple[Version, ...]

    def to_json(self) -> dict[str, Any]:
        moves = [asdict(move) for move in self.pointer.history]
        versions = [asdict(version) for version in self.versions]
        latest = self.pointer.version
        return {"name": self.name, "root": self.root, "latest": latest, "versions": versions, "history": moves}


def promote(
    root: str,
    version: str,
    *,
    why: str,
    expected: str | Expected | None = Expected.ANY,
    by: str = "",
    run: str = "",
    now: Now = lambda: datetime.now(UTC),
) -> Move | None:
    """Make `version` the latest; returns the move, or None if it is the latest already.

    Args:
        expected: the version that the decision was made against (None: there was none). If another one is the latest
            by now, nothing is done. Without it, whatever is the latest when the call begins is replaced.
        run: a pipeline run that does this by itself. It does not bring back what somebody has rolled back.

    Raises:
        Overtaken: the pointer is not at `expected`, or was moved during the call.
        BadInput: there is no whole version of that name, or it was rolled back and a run wants it back.
        PassingFault: storage did not answer in time.
    """
    pointer = read(root)
    _check_whole(root, version)
    if pointer.version == version:
        return None  # also what a publisher finds that was killed after its move and is tried again
    if expected is not Expected.ANY and pointer.version != expected:
        raise _overtaken(root, pointer, expected)
    undone = rolled_back(pointer, version)
    if run and undone:
        fix = f"promote it by hand if that is meant: tofner models promote {root} {version}"
        raise BadInput(Problem(storage.join(root, LATEST), str(undone), "a version that nobody rolled back", fix))
    move = Move(version, _time(now), _short(why), by, run)
    try:
        _write(root, pointer, move)
    except storage.PointerMoved as error:
        there = read(root)
        if there.version == version:
            return None  # a twin did the same
        raise _overtaken(root, there, pointer.version) from error
    return move


def rollback(root: str, *, why: str, by: str = "", now: Now = lambda: datetime.now(UTC)) -> Move:
    """Make the version before the latest one the latest again, the first that is still whole; returns the move.

    Raises:
        Overtaken: the pointer was moved during the call.
        BadInput: there is no model, or no earlier version is left.
        PassingFault: storage did not answer in time.
    """
    pointer = read(root)
    place = storage.join(root, LATEST)
    if pointer.version is None:
        raise BadInput(Problem(place, "nothing", "the pointer of a published model", "check the root"))
    before = _before(pointer)
    there = next((version for version in before if not _absent(root, version)), None)
    if there is None:
        found = f"{pointer.version}, and before it {', '.join(before) or 'none'}"
        fix = "promote one by name: tofner models promote"
        raise BadInput(Problem(place, found, "an earlier version that is still stored", fix))
    move = Move(there, _time(now), _short(why), by, back_from=pointer.version)
    try:
        _write(root, pointer, move)
    except storage.PointerMoved as error:
        raise _overtaken(root, read(root), pointer.version) from error
    return move


def read(root: str) -> Pointer:
    """The pointer of a model; its version is None where there is none yet.

    Raises:
        BadInput: it is no pointer, or storage refuses.
        PassingFault: storage did not answer in time.
    """
    place = storage.join(root, LATEST)
    found = storage.read_pointer(place)
    if found is None:
        return Pointer(None, (), None)
    value, etag = found
    version, moves = value.get("version"), value.get("history", [])
    if not isinstance(version, str) or not version:
        raise BadInput(Problem(place, f"version {version!r}", "a version's name", "promote one: tofner models promote"))
    if not isinstance(moves, list) or not all(isinstance(move, dict) and move.get("version") for move in moves):
        raise BadInput(Problem(place, "a history that is none", "a list of moves", "remove the key `history`"))
    names = [field.name for field in fields(Move)]
    history = [Move(**{name: str(move[name]) for name in names if move.get(name)}) for move in moves]
    if not history or history[-1].version != version:
        history.append(Move(version))  # written by hand, or before there was a history
    return Pointer(version, tuple(history), etag)


def rolled_back(pointer: Pointer, version: str) -> Move | None:
    """The move by which somebody left `version`, unless it has been the latest again since."""
    undone = None
    for move in pointer.history:
        if move.back_from == version:
            undone = move
        elif move.version == version:
            undone = None
    return undone


def version_of(manifest: dict[str, Any]) -> str:
    """The name of the version that an exported model with this manifest is published as."""
    return str(manifest["digest"][:12])


def find(uri: str) -> list[Published]:
    """The model whose root `uri` is, or all models of the store `uri`, by name.

    Raises:
        BadInput: there is no published model.
        PassingFault: storage did not answer in time.
    """
    if storage.exists(storage.join(uri, LATEST)):
        return [_published(uri)]
    below = [info.path.split("/") for info in storage.list_files(storage.join(uri, MODELS))]
    names = {parts[0] for parts in below if parts[1:] == [LATEST] or parts[2:] == [INDEX]}
    if names:
        return [_published(storage.join(uri, MODELS, name)) for name in sorted(names)]
    model = _published(uri)  # nothing was promoted yet
    if not any(version.whole for version in model.versions):
        raise BadInput(Problem(uri, "no published model", "a model's root or a store", "check the address"))
    return [model]


def _published(root: str) -> Published:
    pointer = read(root)
    versions = [_version(root, name, whole, name == pointer.version) for name, whole in _names(root).items()]
    if pointer.version is not None and pointer.version not in {one.version for one in versions}:
        versions.append(Version(pointer.version, storage.join(root, pointer.version), whole=False, latest=True))
    versions.sort(key=lambda one: (one.finished_at or "", one.version), reverse=True)
    return Published(root.rstrip("/").rpartition("/")[2], root, pointer, tuple(versions))


def _names(root: str) -> dict[str, bool]:
    """The folders below a root, and whether each is whole. Names with a dot before them are of unfinished writes."""
    paths = [info.path.split("/") for info in storage.list_files(root)]
    names = sorted({parts[0] for parts in paths if len(parts) > 1 and not parts[0].startswith(".")})
    return {name: [name, INDEX] in paths for name in names}


def _version(root: str, name: str, whole: bool, latest: bool) -> Version:
    uri = storage.join(root, name)
    index = storage.folder_index(uri) if whole else None
    if index is None:
        return Version(name, uri, whole=False, latest=latest)
    manifest = _json(storage.join(uri, MANIFEST)) if MANIFEST in index.files else None
    run = _json(storage.join(reports_of(root, name), "run.json"))
    finished, encoder = _at(manifest, "finished_at"), _at(run, "run", "encoder")
    f1 = _at(run, "final", "metrics", "f1")
    return Version(
        version=name,
        uri=uri,
        whole=True,
        latest=latest,
        finished_at=finished if isinstance(finished, str) else None,
        f1=float(f1) if isinstance(f1, int | float) and math.isfinite(f1) else None,
        encoder=encoder if isinstance(encoder, str) else None,
        bytes=index.size,
    )


def _json(uri: str) -> Any:
    try:
        return json.loads(storage.read_bytes(uri))
    except (ValueError, storage.NoSuchObject):
        return None  # a model by somebody else: what it does not say is not shown


def _at(value: Any, *path: str) -> Any:
    """What lies in nested objects; None where there is no such thing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _check_whole(root: str, version: str) -> None:
    """Refuse to point readers at what they could not load. Raises BadInput."""
    if version in ("", ".", "..") or "/" in version:
        raise BadInput(Problem("version", repr(version), "the name of a folder below the model's root"))
    absent = _absent(root, version)
    if absent:
        whole = [name for name, whole in _names(root).items() if whole]
        expected = f"a version that is whole: {', '.join(whole) or f'there is none below {root}'}"
        raise BadInput(Problem(storage.join(root, version), f"no {absent[0]}", expected, "see tofner models list"))


def _absent(root: str, version: str) -> list[str]:
    """Which files that readers need are not stored: the index alone if the folder is not whole."""
    index = storage.folder_index(storage.join(root, version))
    if index is None:
        return [INDEX]
    return [name for name in (ARTIFACTS["fp32"], *TAGGING) if name not in index.files]


def _before(pointer: Pointer) -> list[str]:
    """Where rollbacks from here lead, nearest first: promotions put a version on a pile, rollbacks take it off."""
    pile: list[str] = []
    for move in pointer.history:
        if not move.back_from:
            pile.append(move.version)
        elif move.version in pile:
            while pile[-1] != move.version:
                pile.pop()
        else:  # older than the history
            pile = [move.version]
    return [version for version in reversed(pile[:-1]) if version != pointer.version]


def _write(root: str, pointer: Pointer, move: Move) -> None:
    """Raises PointerMoved if the pointer is not as it was read."""
    moves = [*pointer.history, move][-MOST_MOVES:]
    history = [{name: value for name, value in asdict(one).items() if value} for one in moves]
    value = {"version": move.version, "history": history}
    storage.move_pointer(storage.join(root, LATEST), value, pointer.etag)


def _overtaken(root: str, there: Pointer, expected: str | None) -> Overtaken:
    found = f"another latest: {there.history[-1]}" if there.history else "no latest version"
    was = f"{expected}, which this was decided against" if expected else "none yet, as when this was decided"
    return Overtaken(Problem(storage.join(root, LATEST), found, was, "nothing was changed; look at it and decide anew"))


def _short(why: str) -> str:
    """One line."""
    line = " ".join(why.split())
    return line if len(line) <= LONGEST_WHY else line[: LONGEST_WHY - 1] + "…"


def _time(now: Now) -> str:
    return now().isoformat(timespec="seconds")

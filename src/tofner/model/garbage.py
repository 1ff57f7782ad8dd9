"""What in a store nobody needs any more: neither a published version, nor one of the last runs, nor a run under way.

    work/STAGE/KEY      kept if a version or one of the last reports was made of it, by the manifests' inputs; reports,
                        scores and gold always, since they are small, and all that is left of earlier runs
    state/STAGE/KEY     checkpoints of stages that did not end
    data/, encoders/    copies of what was given, kept if a kept result was made of them
    tags/VERSION        what `tofner run` tagged, kept while the version is stored

Whatever was written after the newest report belongs to a run that is not over, or was stopped, and is kept: the same
command goes on from it. Plans, examples, versions and what is known of them are never garbage.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tofner import storage
from tofner.model.layout import MANIFEST, MODELS

Manifest = dict[str, Any]
BOOK = ("report", "evaluate", "gold")  # stages whose results tell of runs, and by which runs are compared
DEPTH = {"work": 2, "state": 2, "data": 1, "encoders": 1, "tags": 1}  # names that a folder has below its kind


@dataclass(frozen=True)
class Garbage:
    """A folder that nobody needs: its address, bytes and files."""

    uri: str
    bytes: int
    files: int


@dataclass
class _Folder:
    bytes: int = 0
    files: int = 0
    newest_s: float = 0.0


def find(store: str, runs: int) -> list[Garbage]:
    """Folders of a store that neither a version nor one of the last `runs` reports needs, sorted; nothing is removed.

    Raises:
        PassingFault: storage could not be reached.
    """
    folders = {kind: _folders(storage.join(store, kind), depth) for kind, depth in DEPTH.items()}
    work = folders["work"]
    places = {name: storage.join(store, "work", name, MANIFEST) for name in work if _whole(store, name)}
    manifests: dict[str, Manifest] = {name: json.loads(storage.read_bytes(place)) for name, place in places.items()}
    reports = sorted((name for name in manifests if name.startswith("report/")), key=lambda n: _ended(manifests[n]))
    last_s = max((work[name].newest_s for name in reports), default=0.0)
    under_way = [name for name in manifests if work[name].newest_s > last_s]
    kept, inputs = _reached(store, manifests, [*reports[-runs:], *_of_versions(store), *under_way])
    versions = {name.partition("/")[2] for name in _folders(storage.join(store, MODELS), 2)}
    needed = {
        "work": kept | {name for name in manifests if _told(name) or _beside(store, manifests[name], kept)},
        "state": set[str](),
        "data": {_name(store, uri, "data") for uri in inputs},
        "encoders": {_name(store, uri, "encoders") for uri in inputs},
        "tags": versions,
    }
    return [
        Garbage(storage.join(store, kind, name), one.bytes, one.files)
        for kind, found in folders.items()
        for name, one in sorted(found.items())
        if name not in needed[kind] and one.newest_s <= last_s
    ]


def _folders(root: str, depth: int) -> dict[str, _Folder]:
    """The folders so many names below a root, with what they hold."""
    found: dict[str, _Folder] = defaultdict(_Folder)
    for file in storage.list_files(root):
        parts = file.path.split("/")
        if len(parts) > depth:
            one = found["/".join(parts[:depth])]
            one.bytes, one.files = one.bytes + file.size, one.files + 1
            one.newest_s = max(one.newest_s, file.modified_s)
    return dict(found)


def _whole(store: str, name: str) -> bool:
    index = storage.folder_index(storage.join(store, "work", name))
    return index is not None and MANIFEST in index.files


def _ended(manifest: Manifest) -> str:
    return str(manifest["finished_at"])


def _inputs(manifest: Manifest) -> Iterator[str]:
    """Every address that something was made of; `scores` holds many, separated by spaces."""
    for key, value in manifest.get("inputs", {}).items():
        yield from value.split() if key == "scores" else [value]


def _of_versions(store: str) -> list[str]:
    """The results that published versions were made of."""
    found = []
    for name in _folders(storage.join(store, MODELS), 2):
        place = storage.join(store, MODELS, name, MANIFEST)
        if storage.exists(place):
            found += [_name(store, uri, "work") for uri in _inputs(json.loads(storage.read_bytes(place)))]
    return found


def _reached(store: str, manifests: dict[str, Manifest], roots: Iterable[str]) -> tuple[set[str], set[str]]:
    """Results that the roots were made of, all the way back, and every address that stands in their manifests."""
    kept: set[str] = set()
    inputs: set[str] = set()
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in kept or name not in manifests:
            continue
        kept.add(name)
        given = set(_inputs(manifests[name]))
        inputs |= given
        queue += [_name(store, uri, "work") for uri in given]
    return kept, inputs


def _told(name: str) -> bool:
    return name.partition("/")[0] in BOOK


def _beside(store: str, manifest: Manifest, kept: set[str]) -> bool:
    """Whether something was made of kept results alone, such as a publication or a judgement: small, and soon asked for
    again."""
    own = [name for name in (_name(store, uri, "work") for uri in _inputs(manifest)) if name]
    return manifest["stage"] in ("publish", "judge") and bool(own) and all(name in kept for name in own)


def _name(store: str, uri: str, kind: str) -> str:
    """The name of a folder below its kind; empty for an address elsewhere."""
    root = storage.join(store, kind) + "/"
    return "/".join(uri[len(root) :].split("/")[: DEPTH[kind]]) if uri.startswith(root) else ""

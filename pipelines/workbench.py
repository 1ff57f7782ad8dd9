"""What surrounds a run on one machine: an object store, sample data, a file to tag, a local copy of the results."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.corpora.data_root import locate
from tofner.corpora.read import read_text
from tofner.errors import BadSettings, Problem
from tofner.settings import Settings

BUCKET = "s3://tofner"
TAGGED_SENTENCES = 200


def serves_own(store: str) -> bool:
    """Whether a run with this `store` serves a bucket itself; asked before it does."""
    return not (store or os.environ.get("S3_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL_S3"))


@contextlib.contextmanager
def object_store(store: str, work: Path) -> Iterator[str]:
    """Yields where a run keeps its results: `store`, else a bucket at S3_ENDPOINT_URL, else one served from `work`.

    The embedded server's address and keys are put in the environment, for this process and the stages'.
    """
    if not serves_own(store):
        yield storage.absolute(store or BUCKET)
        return
    from tofner.storage import LocalStore

    with LocalStore(work / "store") as server:
        os.environ.update(server.environment())
        yield BUCKET


def in_store(folder: str, kind: str, store: str) -> str:
    """The address of a folder's copy in the store, named by its content; what lies in a bucket is not copied."""
    if storage.is_s3(folder):
        return folder
    return storage.store_by_content(Path(folder), storage.join(store, kind))


def seen_by_all(arguments: Mapping[str, Any], settings: Settings, shared: Path) -> dict[str, Any]:
    """What to change in the arguments for tasks that see nothing of this machine but the folder `shared`: data and
    encoder go to the store, as they would for a cluster, a preset and queries of one's own to the folder.

    Raises:
        BadSettings: the store is a folder of this machine.
    """
    store = arguments["store"]
    if not storage.is_s3(store):
        fix = "containers see no folder of this machine; without --store a bucket is served"
        raise BadSettings(Problem("--store", store, "an s3:// prefix", fix))
    changed: dict[str, Any] = {"data": in_store(arguments["data"], "data", store)}
    encoder = arguments["encoder"] or settings.encoder
    if storage.is_s3(encoder) or Path(encoder).is_dir():
        changed["encoder"] = in_store(encoder, "encoders", store)
    if Path(arguments["preset"]).is_file():
        changed["preset"] = _copy(arguments["preset"], shared / Path(arguments["preset"]).name)
    files = {"queries": settings.queries, "ner_as_mrc.queries": settings.ner_as_mrc.queries}
    own = [f"{key}={_copy(name, shared / f'{key}-{Path(name).name}')}" for key, name in files.items() if _is_file(name)]
    if own:
        changed["overrides"] = [*arguments["overrides"], *own]
    return changed


def _is_file(name: str) -> bool:
    return not storage.is_s3(name) and Path(name).is_file()


def _copy(file: str, to: Path) -> str:
    """A copy that everybody may read."""
    shutil.copyfile(file, to)
    to.chmod(0o644)
    return str(to)


def text_to_tag(settings: Settings, data: str, store: str) -> str:
    """Writes some target text as JSONL to the store, words only; returns its address."""
    set_, split = settings.roles.target_text[-1].split("/")
    sentences = read_text(locate(data, "text", set_, split)).sentences
    records = [{"id": one.id, "text": " ".join(one.tokens)} for one in sentences[:TAGGED_SENTENCES]]
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    target = storage.join(store, "examples", f"{set_}-{split}-{hashlib.sha256(lines).hexdigest()[:12]}.jsonl")
    storage.write_bytes(target, lines)
    return target


def mirror(uri: str, folder: Path, indexed: bool = True) -> Path:
    """A local copy of a stored folder, in place of an older one; whole or not at all.

    Without `indexed`, of a prefix that was filled file by file, as `tofner tag` does.
    """
    part = folder.with_name(f".{folder.name}.part")
    for old in (part, folder):
        if old.exists():
            shutil.rmtree(old)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fetched = storage.fetch_folder(uri, part, require_index=indexed)
    if fetched == part:
        part.rename(folder)
    else:
        shutil.copytree(fetched, folder)  # a local store: its folders are not ours to move
    return folder

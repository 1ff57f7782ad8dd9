"""A published model folder: found (folder or `s3://`), fetched once, checked, described.

    model.onnx          inputs input_ids, attention_mask [, token_type_ids], int64 [B, S];
                        output logits, float32 [B, S, L]. Where the graph's metadata has the key MARKS, a mask of
                        ANSWER asks for a piece (tofner.onnx.marks)
    model.int8.onnx     the same interface in int8; optional
    tokenizer.json      what `tokenizers` reads
    labels.json         {"labels": ["O", "B-PER", "I-PER", ...]}
    tagger.json         {"format": 1, "max_pieces": 128, "overlap_pieces": 32, "segmentation": "tofner-words-2", ...}

A model root may hold many versions beside `latest.json`, `{"version": "..."}`; then the newest one is taken.
"""

import hashlib
import json
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tofner import storage
from tofner.errors import BadModel, Problem
from tofner.model.fetch import cache_folder, fetch
from tofner.model.layout import ARTIFACTS, FORMAT, INDEX, LABELS, LATEST, TAGGER, TAGGING, Precision
from tofner.words.segment import SEGMENTATIONS
from tofner.words.spans import is_tag


@dataclass(frozen=True)
class Model:
    """What the engine needs to know of a model.

    Attributes:
        uri: the version folder as the user can name it.
        folder: where its files lie on this machine.
        onnx: the graph of the chosen precision.
        labels: BIO2 tags; logit `i` belongs to `labels[i]`.
        max_pieces: pieces a window may hold, special tokens included.
        overlap_pieces: pieces that neighbouring windows share.
        segmentation: the rules by which raw text is cut into words.
        digest: sha256 over graph (with weights outside of it), tokenizer, labels and description: equal digests give
            equal tags.
    """

    uri: str
    folder: Path
    onnx: Path
    precision: Precision
    labels: tuple[str, ...]
    max_pieces: int
    overlap_pieces: int
    segmentation: str
    digest: str
    description: dict[str, Any]

    @property
    def types(self) -> list[str]:
        """Entity types, sorted."""
        return sorted({label.partition("-")[2] for label in self.labels if label != "O"})


def load_model(uri: str | Path, precision: Precision = "fp32", cache: str | Path | None = None) -> Model:
    """Find, fetch and check a model.

    Args:
        uri: a version folder, or a model root with `latest.json`; local or `s3://`.
        precision: which graph.
        cache: folder for fetched models; default `$TOFNER_CACHE`, else `~/.cache/tofner`.

    Raises:
        BadModel: something is missing from the folder, or contradicts itself.
        PassingFault: storage could not be reached.
    """
    if precision not in get_args(Precision):
        raise BadModel(Problem(str(uri), f"precision {precision!r}", "fp32 or int8"))
    version = _version_folder(str(uri))
    folder = _fetch(version, precision, cache) if storage.is_s3(version) else Path(version)
    return _describe(version, folder, precision)


def _version_folder(uri: str) -> str:
    """Follow `latest.json` where there is one."""
    uri = uri.rstrip("/") or uri
    if not storage.is_place(uri):
        raise BadModel(
            Problem(uri, "no such folder", "a published model folder", f"give the folder with {ARTIFACTS['fp32']}")
        )
    pointer = storage.join(uri, LATEST)
    if not storage.exists(pointer):
        return uri
    found = storage.read_pointer(pointer)
    version = found[0].get("version") if found else None
    if not isinstance(version, str) or version in ("", ".", "..") or not version.isprintable() or "/" in version:
        raise BadModel(Problem(pointer, repr(version), '{"version": "NAME"}', "publish the model again"))
    return storage.join(uri, version)


def _fetch(uri: str, precision: Precision, cache: str | Path | None) -> Path:
    """The files that tagging needs, in the cache."""
    index = storage.folder_index(uri)
    if index is None:
        raise BadModel(Problem(uri, f"no committed folder (no {INDEX})", "a published model", "check the URI"))
    wanted = [ARTIFACTS[precision], *TAGGING]
    absent = [name for name in wanted if name not in index.files]
    if absent:
        raise BadModel([_absent(uri, name) for name in absent])
    return fetch(uri, cache or cache_folder(Path.home() / ".cache" / "tofner"), wanted)


def _absent(uri: str, name: str) -> Problem:
    if name == ARTIFACTS["int8"]:
        return Problem(uri, f"no {name}", "the int8 graph", "use fp32, or export the model with int8")
    return Problem(uri, f"no {name}", "a published model folder", "give the folder that `publish` wrote")


def _describe(uri: str, folder: Path, precision: Precision) -> Model:
    wanted = [ARTIFACTS[precision], *TAGGING]
    absent = [name for name in wanted if not (folder / name).is_file()]
    if absent:
        raise BadModel([_absent(uri, name) for name in absent])
    _compare(folder, wanted)
    labels = _json(folder / LABELS).get("labels")
    about = _json(folder / TAGGER)
    problems: list[Problem] = []
    place = str(folder / LABELS)
    if not isinstance(labels, list) or not labels or not all(isinstance(x, str) and is_tag(x) for x in labels):
        problems.append(Problem(place, repr(labels), 'a list of BIO2 tags such as ["O", "B-PER", "I-PER"]'))
    elif len(set(labels)) != len(labels):
        problems.append(Problem(place, "a label twice", "every label once"))
    place = str(folder / TAGGER)
    if about.get("format") != FORMAT:
        problems.append(Problem(place, f"format {about.get('format')!r}", str(FORMAT), "use a tofner of that format"))
    segmentation = about.get("segmentation")
    if not isinstance(segmentation, str) or segmentation not in SEGMENTATIONS:
        fix = "use the tofner version that trained the model"
        problems.append(Problem(place, f"segmentation {segmentation!r}", " or ".join(SEGMENTATIONS), fix))
    size, overlap = about.get("max_pieces"), about.get("overlap_pieces")
    if not _is_number(size, 8, MOST_PIECES) or not _is_number(overlap, 0, int(size or 0) // 2 - 2):
        found = f"max_pieces {str(size)[:40]}, overlap_pieces {str(overlap)[:40]}"
        problems.append(Problem(place, found, f"8 to {MOST_PIECES}, at most half of it less 2"))
    if problems:
        raise BadModel(problems)
    assert isinstance(labels, list)
    assert isinstance(size, int)
    assert isinstance(overlap, int)
    assert isinstance(segmentation, str)
    digest = _digest(folder, wanted)
    return Model(uri, folder, folder / wanted[0], precision, tuple(labels), size, overlap, segmentation, digest, about)


def _compare(folder: Path, names: list[str]) -> None:
    """A folder that was stored on this machine has an index to compare with; what is fetched was compared already.

    Raises:
        BadModel: a file is not the one that was stored.
    """
    index = storage.folder_index(str(folder))
    stored = index.files if index else {}
    changed = [name for name in names if name in stored and storage.file_sha256(folder / name) != stored[name].sha256]
    if changed:
        expected = f"what {INDEX} says"
        raise BadModel(
            [Problem(str(folder / name), "other contents", expected, "publish it again") for name in changed]
        )


MOST_PIECES = 65_536  # of a window; no encoder reads more


def _is_number(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _json(path: Path) -> dict[str, Any]:
    try:
        with storage.local_faults(str(path)):
            value = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadModel(Problem(str(path), f"broken JSON: {error}", "a JSON object")) from error
    if not isinstance(value, dict):
        raise BadModel(Problem(str(path), type(value).__name__, "a JSON object"))
    return value


def _digest(folder: Path, names: list[str]) -> str:
    total = hashlib.sha256()
    for name in [*names, *_outside(folder, names[0])]:
        with (folder / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


# An entry {"location": FILE} of a tensor's external data, as ONNX's protocol buffers write it (onnx.proto,
# StringStringEntryProto). Looked for in the bytes, since tagging needs no onnx.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")


def _outside(folder: Path, graph: str) -> list[str]:
    """Files beside a graph that hold some of its weights, sorted."""
    path = folder / graph
    if not path.stat().st_size:
        return []
    found: set[str] = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for match in _LOCATION.finditer(data):
            raw = data[match.end() : match.end() + match[1][0]]
            name = raw.decode("utf-8", "replace")
            if name.isprintable() and "/" not in name and (folder / name).is_file():
                found.add(name)
    return sorted(found)

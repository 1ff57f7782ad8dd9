"""Finding the file of a set and split in a data root, a folder or an `s3://` prefix.

ner/SET/SPLIT.conll[.gz]    labelled sentences
mrc/SET/SPLIT.json[.gz]     questions
text/SET/SPLIT.txt[.gz]     unlabelled sentences; where there is none, the words of ner/SET/SPLIT are taken
dict/NAME.txt[.gz]          word translations

Sentences may be SPLIT.jsonl[.gz] instead (`tofner.corpora.jsonl`), and anything SPLIT.parquet (`tofner.corpora.parquet`
says with which columns); where a folder has several, the first of these is read.
"""

import difflib
from pathlib import Path
from typing import Literal

from tofner import storage
from tofner.errors import BadData, Problem

Content = Literal["ner", "mrc", "text"]
_NER = (("ner", ".conll"), ("ner", ".conll.gz"), ("ner", ".jsonl"), ("ner", ".jsonl.gz"), ("ner", ".parquet"))
_TEXT = (("text", ".txt"), ("text", ".txt.gz"), ("text", ".jsonl"), ("text", ".jsonl.gz"), ("text", ".parquet"))
PLACES: dict[Content, tuple[tuple[str, str], ...]] = {
    "ner": _NER,
    "mrc": (("mrc", ".json"), ("mrc", ".json.gz"), ("mrc", ".parquet")),
    "text": (*_TEXT, *_NER),
}


DICTIONARIES = (".txt", ".txt.gz")


def is_there(root: str) -> bool:
    """Whether there is a folder, or a prefix with objects."""
    return bool(storage.list_files(root)) if storage.is_s3(root) else Path(root).is_dir()


def find(root: str, kind: Content, set_: str, split: str) -> str | None:
    """The URI of the file, or None where the data root has none."""
    for uri in candidates(root, kind, set_, split):
        if storage.exists(uri):
            return uri
    return None


def locate(root: str, kind: Content, set_: str, split: str) -> str:
    """The URI of the file.

    Raises:
        BadData: there is none; says what was looked for and which sets there are.
    """
    uri = find(root, kind, set_, split)
    if uri is not None:
        return uri
    looked_for = [candidate.removeprefix(root).lstrip("/") for candidate in candidates(root, kind, set_, split)]
    raise BadData(
        Problem(root, f"no {kind} file of {set_}/{split}", " or ".join(looked_for), _advice(root, kind, set_, split))
    )


def candidates(root: str, kind: Content, set_: str, split: str) -> list[str]:
    """Where the file may be, the preferred place first."""
    return [storage.join(root, folder, set_, split + ending) for folder, ending in PLACES[kind]]


def locate_dictionary(root: str, name: str) -> str:
    """The URI of a dictionary.

    Raises:
        BadData: there is none; says what was looked for and which there are.
    """
    places = [f"dict/{name}{ending}" for ending in DICTIONARIES]
    for place in places:
        if storage.exists(storage.join(root, place)):
            return storage.join(root, place)
    paths = [file.path for file in storage.list_files(storage.join(root, "dict"))]
    names = sorted({path.removesuffix(".gz").removesuffix(".txt") for path in paths if path.endswith(DICTIONARIES)})
    there = f"the dictionaries here are {', '.join(names)}; " if names else ""
    fix = f"{there}put the file there (docs/data-formats.md), or do without: --set translate.dictionary=null"
    raise BadData(Problem(root, f"no dictionary {name} to translate the source with", " or ".join(places), fix))


def existing(root: str, kind: Content) -> list[str]:
    """The `SET/SPLIT` names that the data root has for this kind, sorted."""
    names: set[str] = set()
    for folder in dict.fromkeys(folder for folder, _ in PLACES[kind]):
        endings = tuple(ending for place, ending in PLACES[kind] if place == folder)
        for file in storage.list_files(storage.join(root, folder)):
            ending = next((ending for ending in endings if file.path.endswith(ending)), None)
            if ending is not None and file.path.count("/") == 1:
                names.add(file.path.removesuffix(ending))
    return sorted(names)


def _advice(root: str, kind: Content, set_: str, split: str) -> str:
    names = existing(root, kind)
    sets = list(dict.fromkeys(name.split("/")[0] for name in names))
    if not sets:
        return f"there are no {kind} sets here; check the data URI"
    if set_ in sets:
        splits = [name.split("/")[1] for name in names if name.startswith(f"{set_}/")]
        return f"{set_} has the splits {', '.join(splits)}"
    close = difflib.get_close_matches(set_, sets, n=1, cutoff=0.8)
    nearest = f"did you mean {close[0]}? " if close else ""
    return f"{nearest}the sets here are {', '.join(sets)}"

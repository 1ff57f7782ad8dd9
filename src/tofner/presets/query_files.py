"""The query of each entity type, in the style of annotation guidelines (paper, section 4.2).

A query file holds one label set in one language:

    labels: conll
    language: en
    types:
      PER: Find the names of people ...

The shipped ones are `tofner/presets/queries/LABELS.LANGUAGE.yaml`.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tofner import storage
from tofner.errors import BadSettings, Problem
from tofner.settings import Settings

QUERIES = Path(__file__).parent / "queries"
_YAML = (".yaml", ".yml")


class Queries(NamedTuple):
    """Query by type: of pseudo-MRC in the target's language; of source sentences, and of their translation."""

    target: dict[str, str]
    source: dict[str, str]
    translated: dict[str, str]


def load_queries(labelset: str, language: str, types: Sequence[str] = ()) -> dict[str, str]:
    """Type -> query.

    Args:
        labelset: name of a shipped set (`conll`, `span`), a query file, or a folder of `LANGUAGE.yaml` or
            `NAME.LANGUAGE.yaml` files of one's own; local or `s3://`.
        language: two letters; a query file given by its path is taken in whatever language it is.
        types: the types that must have a query, in this order; all of the file when empty.

    Raises:
        BadSettings: no such set or language, a broken file, or a type without a query.
        PassingFault: the bucket does not answer.
    """
    path = _query_file(labelset, language)
    queries = _read(path)
    missing = [type_ for type_ in types if type_ not in queries]
    if missing:
        fix = "add " + ", ".join(f"types.{type_}" for type_ in missing) + ", or name another query file in queries"
        found = f"no query for {', '.join(missing)}; it has {', '.join(queries)}"
        raise BadSettings(Problem(path, found, "one for each type of the tagger", fix))
    return {type_: queries[type_] for type_ in types} if types else queries


def queries_of(settings: Settings, iterations: int) -> Queries:
    """The questions of a run, all empty where it trains no MRC model.

    Raises:
        BadSettings: as `load_queries`; everything that is wrong is listed once.
        PassingFault: the bucket does not answer.
    """
    if not settings.use.mrc and not iterations:
        return Queries({}, {}, {})
    asked = settings.ner_as_mrc
    own = (settings.queries, settings.types)
    of_sentences = (asked.queries, asked.types) if asked.types else own
    problems: list[Problem] = []

    def load(named: tuple[str, list[str]], language: str) -> dict[str, str]:
        try:
            return load_queries(named[0], language, named[1])
        except BadSettings as error:
            problems.extend(one for one in error.problems if one not in problems)
            return {}

    source, target = settings.source_language, settings.target_language
    found = Queries(load(own, target), load(of_sentences, source), load(of_sentences, target))
    if problems:
        raise BadSettings(problems)
    return found


def shipped() -> list[tuple[str, str]]:
    """The label sets and languages that come with tofner."""
    names = (path.stem.split(".") for path in sorted(QUERIES.glob("*.*.yaml")))
    return [(labelset, language) for labelset, language in names]


def _query_file(labelset: str, language: str) -> str:
    if labelset.endswith(_YAML):
        if storage.exists(labelset):
            return labelset
        raise BadSettings(Problem("queries", f"no file {labelset}", "a query file", "check the path"))
    if storage.is_s3(labelset) or Path(labelset).is_dir():
        paths = [info.path for info in storage.list_files(labelset)]
        found = sorted(path for path in paths if "/" not in path and path.endswith(_YAML))
        wanted = [path for path in found if path.split(".")[-2] == language]
        if len(wanted) == 1:
            return storage.join(labelset, wanted[0])
        names = ", ".join(found) or "no YAML file"
        raise BadSettings(Problem(labelset, names, f"one file {language}.yaml or NAME.{language}.yaml"))
    sets = shipped()
    if (labelset, language) in sets:
        return str(QUERIES / f"{labelset}.{language}.yaml")
    labelsets = sorted({name for name, _ in sets})
    if labelset not in labelsets:
        fix = _nearest(labelset, labelsets)
        raise BadSettings(Problem("queries", repr(labelset), f"{', '.join(labelsets)}, a .yaml file or a folder", fix))
    languages = [code for name, code in sets if name == labelset]
    fix = _nearest(language, languages) or "write a query file of your own and name its path in queries"
    raise BadSettings(Problem(f"queries {labelset}", f"language {language!r}", f"one of {', '.join(languages)}", fix))


def _nearest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    return f"did you mean {close[0]}?" if close else ""


def _read(path: str) -> dict[str, str]:
    try:
        content: Any = yaml.safe_load(storage.read_bytes(path).decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadSettings(Problem(path, str(error).replace("\n", " "), "YAML in UTF-8")) from error
    types = content.get("types") if isinstance(content, dict) else None
    if not isinstance(types, dict) or not types:
        raise BadSettings(Problem(path, "no mapping `types`", "types: {TYPE: query, ...}"))
    for type_, query in types.items():
        if not isinstance(type_, str) or not isinstance(query, str) or not query.strip():
            raise BadSettings(Problem(f"{path}: types.{type_}", repr(query), "a query in words"))
    return {type_: " ".join(query.split()) for type_, query in types.items()}

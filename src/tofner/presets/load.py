"""Presets: YAML files with the settings of a run, and `key=value` overrides.

The shipped ones lie beside this file, one for each benchmark of the paper plus `sample`.
"""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tofner import storage
from tofner.errors import BadSettings, Problem
from tofner.settings import Settings, known_keys

YAML = (".yaml", ".yml")
PRESETS = Path(__file__).parent
Model = TypeVar("Model", bound=BaseModel)


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_preset(name: str, overrides: Sequence[str] = ()) -> Settings:
    """A shipped preset, or a YAML file of one's own, with `key=value` overrides (dotted keys, YAML values).

    Query files that a file of one's own names by a relative path lie beside it, in a bucket too; those of an override
    are looked for from the current folder.

    Raises:
        BadSettings: unknown preset, unreadable file, or any unknown key or wrong value, all listed.
        PassingFault: the bucket does not answer.
    """
    settings = load_settings(Settings, name, PRESETS, overrides)
    if not name.endswith(YAML):
        return settings
    overridden = {override.partition("=")[0].strip() for override in overrides}
    queries = settings.queries if "queries" in overridden else beside(name, settings.queries)
    asked = settings.ner_as_mrc
    if not {"ner_as_mrc", "ner_as_mrc.queries"} & overridden:
        asked = asked.model_copy(update={"queries": beside(name, asked.queries)})
    return settings.model_copy(update={"queries": queries, "ner_as_mrc": asked})


def beside(preset: str, queries: str) -> str:
    """Where a preset's query file or folder is; a name of a shipped set stays.

    >>> beside("s3://b/mine.yaml", "queries/mine.en.yaml"), beside("s3://b/mine.yaml", "conll")
    ('s3://b/queries/mine.en.yaml', 'conll')
    """
    if "/" not in queries and not queries.endswith(YAML):
        return queries
    if storage.is_s3(queries) or Path(queries).expanduser().is_absolute():
        return queries
    folder = preset.rpartition("/")[0]
    return storage.join(folder, queries) if folder else queries


def load_settings(
    model: type[Model], name: str, shipped: Path, overrides: Sequence[str] = (), given: Mapping[str, Any] | None = None
) -> Model:
    """Settings of one type from a YAML file: a name in the folder `shipped`, or a file of one's own, local or `s3://`.

    Args:
        overrides: `key=value`, dotted keys, YAML values.
        given: values that no file and no override is asked for.

    Raises:
        BadSettings: as `load_preset`.
    """
    path = name if name.endswith(YAML) else str(shipped / f"{name}.yaml")
    try:
        tree = yaml.safe_load(storage.read_bytes(path).decode())
    except storage.NoSuchObject:
        names = sorted(one.stem for one in shipped.glob("*.yaml"))
        expected = f"one of {', '.join(names)}, or a .yaml file"
        raise BadSettings(
            Problem(shipped.name.removesuffix("s"), repr(name), expected, _nearest(name, names))
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date that is none, nesting without end
        raise BadSettings(Problem(str(path), str(error).replace("\n", " "), "YAML")) from error
    if not isinstance(tree, dict):
        raise BadSettings(Problem(str(path), type(tree).__name__, "a mapping of settings"))
    origins: dict[str, str] = {}
    for override in overrides:
        _override(tree, override, origins)
    try:
        return model.model_validate(tree | dict(given or {}))
    except ValidationError as error:
        raise BadSettings(list(_problems(error, str(path), origins, model))) from error


def _override(tree: dict[str, Any], override: str, origins: dict[str, str]) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise BadSettings(Problem("--set", repr(override), "key=value", "for example stages.ner.epochs=3"))
    try:
        value = yaml.safe_load(text) if text else ""
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadSettings(Problem(f"--set {key}", repr(text), "a YAML value", str(error).replace("\n", " "))) from error
    if isinstance(value, str):
        value = _number(value)
    *parents, last = key.strip().split(".")
    nodes = [tree]
    for parent in parents:
        nodes = [child for node in nodes for child in _children(node, parent, key)]
    for node in nodes:
        node[last] = value
    origins[key.strip()] = override


def _children(node: dict[str, Any], name: str, key: str) -> list[dict[str, Any]]:
    """The group `name` of a node; `*` stands for every group that the preset spells out."""
    if name == "*":
        return [child for child in node.values() if isinstance(child, dict)]
    child = node.setdefault(name, {})
    if not isinstance(child, dict):
        raise BadSettings(Problem(f"--set {key}", f"{name!r}, a single value", "a group of settings before the dot"))
    return [child]


def _number(text: str) -> str | float:
    """YAML 1.1 reads `5e-5` as text; people mean a number."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _problems(
    error: ValidationError, place: str, origins: Mapping[str, str], model: type[BaseModel]
) -> Iterator[Problem]:
    keys = [key for key, _ in known_keys(model)]
    keys += sorted({group for key in keys for group in _groups(key)})
    for detail in error.errors(include_url=False):
        key = ".".join(str(part) for part in detail["loc"])
        where = f"--set {key}" if any(_covers(own, key) for own in origins) else f"{place}: {key}"
        if detail["type"] == "extra_forbidden":
            yield Problem(where, "an unknown key", "a known one", _nearest(key, keys))
        elif detail["type"] == "missing":
            yield Problem(where, "nothing", "a value")
        else:
            message = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            found = repr(detail["input"])
            yield Problem(where or place, found if len(found) < 80 else type(detail["input"]).__name__, message)


def _groups(key: str) -> list[str]:
    """`"stages.ner.epochs"` -> `["stages", "stages.ner"]`."""
    parts = key.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _covers(override: str, key: str) -> bool:
    """Whether an override (perhaps with `*`) set `key` or a part of it."""
    return all(own in ("*", part) for own, part in zip(override.split("."), key.split("."), strict=False))


def _nearest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else ""

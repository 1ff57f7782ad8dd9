"""What a compiled pipeline says of itself: name, revision, run parameters. And the values that a run gets.

Every parameter is sent with a run, defaults too: the UI's Clone and Compare know only what was sent. Types are checked
here, since the server takes a fraction for an integer.
"""

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tofner.errors import BadInput, BadSettings, Problem

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a megabyte takes Python seconds
EXACT = 2**53  # numbers travel as doubles: beyond, integers are no longer told apart
MOST_TOLD = 3000  # characters of a description: it travels in the address of an upload, and proxies cut those off
TYPES = {
    "STRING": "a text",
    "NUMBER_INTEGER": "an integer",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list as JSON",
    "STRUCT": "an object as JSON",
}


@dataclass(frozen=True)
class Parameter:
    """One run parameter. `default` is None where there is none."""

    name: str
    type: str
    default: Any
    required: bool
    description: str
    literals: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
        data: the file's bytes.
        documents: the pipeline, and the part for Kubernetes if there is one.
        tasks: names of the tasks that run a container, of all sub-graphs.
    """

    place: str
    data: bytes
    documents: tuple[dict[str, Any], ...]
    name: str
    about: str
    parameters: tuple[Parameter, ...]
    tasks: frozenset[str]
    images: frozenset[str]


def read_package(path: Path) -> Package:
    """Reads a compiled pipeline.

    Raises:
        BadInput: no such file, or it is no pipeline of KFP 2.
    """
    fix = "make one with tofner compile"
    try:
        data = path.read_bytes()
        documents = tuple(one for one in yaml.load_all(data, LOADER) if one)
    except OSError as error:
        raise BadInput(Problem(str(path), error.strerror or "no file", "a compiled pipeline", fix)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(Problem(str(path), "no YAML", "a compiled pipeline", fix)) from error
    spec = documents[0] if documents and all(isinstance(one, dict) for one in documents) else {}
    try:
        inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        graphs = [spec["root"]["dag"], *(one["dag"] for one in spec.get("components", {}).values() if "dag" in one)]
        tasks = {
            name
            for graph in graphs
            for name, task in graph["tasks"].items()
            if "executorLabel" in spec["components"][task["componentRef"]["name"]]
        }
        executors = spec["deploymentSpec"].get("executors", {}).values()
        return Package(
            str(path),
            data,
            documents,
            spec["pipelineInfo"]["name"],
            spec["pipelineInfo"].get("description", ""),
            tuple(_parameter(name, one) for name, one in inputs.items()),
            frozenset(tasks),
            frozenset(one["container"]["image"] for one in executors if "container" in one),
        )
    except (AttributeError, KeyError, TypeError) as error:
        found = "another kind of YAML"
        raise BadInput(Problem(str(path), found, "a compiled pipeline of KFP 2", fix)) from error


def _parameter(name: str, one: Mapping[str, Any]) -> Parameter:
    type_, default = one["parameterType"], one.get("defaultValue")
    if type_ == "NUMBER_INTEGER" and default is not None:
        default = int(default)  # the compiler writes 2019.0
    required = default is None and not one.get("isOptional", False)
    return Parameter(name, type_, default, required, one.get("description", ""), tuple(one.get("literals", ())))


def revision_of(package: Package) -> str:
    """The code revision that a package was compiled for: the one tag, or digest, of its images.

    Raises:
        BadInput: its images have no tag, or several.
    """
    names = {re.split(r"@|:(?=[^/]*$)", image, maxsplit=1)[1:][0] for image in package.images if _tagged(image)}
    if len(names) != 1:
        found = f"images of {len(names)} revisions" if names else "no image with a tag"
        fix = "name the pipeline's version with --version"
        raise BadInput(Problem(package.place, found, "images of one revision", fix))
    (name,) = names
    return name.replace(":", "-")[:19] if name.startswith("sha256:") else name


def _tagged(image: str) -> bool:
    return "@" in image or ":" in image.rpartition("/")[2]


def told(package: Package, revision: str, docs: str) -> str:
    """A description of pipeline and version: revision, each parameter's meaning, and where the documentation is."""
    lines = [f"{package.about.rstrip('.')}. Code revision: {revision}." if package.about else f"Code: {revision}."]
    lines += [f"Documentation: {docs}"] if docs else []
    lines += [f"{one.name}: {one.description}" for one in package.parameters if one.description]
    text = "\n".join(lines)
    return text if len(text) <= MOST_TOLD else f"{text[: MOST_TOLD - 2]} …"


def arguments(package: Package, given: Sequence[str]) -> dict[str, Any]:
    """The value of every run parameter, from `key=value` texts and the package's defaults.

    Raises:
        BadSettings: lists every unknown name, wrong type and missing value.
    """
    known = {one.name: one for one in package.parameters}
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for text in given:
        name, equal, value = text.partition("=")
        place = f"--param {name}"
        if not equal:
            problems.append(Problem(f"--param {text}", "no value", "key=value"))
        elif name not in known:
            problems.append(Problem(place, "an unknown parameter", f"one of {', '.join(known)}", _nearest(name, known)))
        elif name in values:
            problems.append(Problem(place, "two values", "one", "give a list as JSON"))
        else:
            values[name] = None
            try:
                values[name] = typed(known[name], value)
            except ValueError as error:
                problems.append(Problem(place, repr(value), str(error)))
    for one in package.parameters:
        if one.required and one.name not in values:
            problems.append(Problem(f"--param {one.name}", "nothing", TYPES.get(one.type, one.type), one.description))
    if problems:
        raise BadSettings(problems)
    defaults = {one.name: one.default for one in package.parameters if one.default is not None}
    return defaults | values


def typed(parameter: Parameter, text: str) -> Any:
    """A parameter's value from the text given on the command line.

    Raises:
        ValueError: the text is no value of the parameter's type; the message is what was expected.
    """
    expected = TYPES.get(parameter.type)
    if expected is None:
        raise ValueError(f"a parameter that can be given as text, not {parameter.type}")
    value = text if parameter.type == "STRING" else _value(parameter.type, text, expected)
    if parameter.literals and value not in parameter.literals:
        raise ValueError(f"one of {', '.join(map(str, parameter.literals))}")
    return value


def _value(type_: str, text: str, expected: str) -> Any:
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except ValueError:
        value = None
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    good = {
        "NUMBER_INTEGER": is_integer,
        "NUMBER_DOUBLE": is_integer or (isinstance(value, float) and math.isfinite(value)),
        "BOOLEAN": isinstance(value, bool),
        "LIST": isinstance(value, list),
        "STRUCT": isinstance(value, dict),
    }
    if not good[type_]:
        example = {"LIST": """, for example '["a=1", "b=2"]'""", "STRUCT": """, for example '{"a": 1}'"""}
        raise ValueError(expected + example.get(type_, ""))
    if type_ == "NUMBER_INTEGER" and abs(value) > EXACT:
        raise ValueError(f"an integer of at most {EXACT}")
    return value


def _nearest(name: str, names: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else ""


def same_pipeline(package: Package, answered: Mapping[str, Any]) -> bool:
    """Whether the server's `pipeline_spec` is what the package holds, whatever defaults either leaves out.

    With a part for Kubernetes, the server gives both parts by name.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    both = {"pipeline_spec": answered} if "pipeline_spec" not in answered else answered
    ours = dict(zip(("pipeline_spec", "platform_spec"), package.documents, strict=False))
    kinds = {"pipeline_spec": pipeline_spec_pb2.PipelineSpec, "platform_spec": pipeline_spec_pb2.PlatformSpec}

    def message(parts: Mapping[str, Any], name: str) -> Any:
        return json_format.ParseDict(parts.get(name) or {}, kinds[name](), ignore_unknown_fields=True)

    return all(message(both, name) == message(ours, name) for name in kinds)

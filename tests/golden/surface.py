"""The public surface as one JSON file: what users of commands, components, records and packages rely on.

    python -m tests.golden.surface      writes surface.json anew; `make golden` does this

Everything is read off the code itself, or off what a small job writes. Sorted, and without help texts, module paths
and anything that a machine or a day adds.
"""

import inspect
import json
import re
import sys
import tempfile
import tomllib
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from pkgutil import iter_modules, resolve_name
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from kfp.dsl.base_component import BaseComponent

import tofner
from tests.tiny_tagger import publish_tiny
from tofner import cli, errors, stages, storage, tagging
from tofner.tagging import serve, tag_job
from tofner_kubeflow import components
from tofner_kubeflow.pipelines import tagging as tagging_graph
from tofner_kubeflow.pipelines import tof as tof_graph
from tofner_kubeflow.pipelines.compile import GOLDEN_CLUSTER

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(__file__).with_name("surface.json")


def surface() -> dict[str, Any]:
    """All of it."""
    return {
        "commands": commands(),
        "components": {name: ports(part) for name, part in sorted(parts().items())},
        "pipelines": {
            "tof": ports(tof_graph.make(GOLDEN_CLUSTER)),
            "tofner-tag": ports(tagging_graph.make(GOLDEN_CLUSTER)),
        },
        "files of a tagging job": written(),
        "service": service(),
        "packages": {part.__name__: offered(part) for part in (tofner, tagging, stages, storage)},
        "exit codes": exit_codes(),
    }


def text(value: dict[str, Any]) -> str:
    """As it lies in the file."""
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def commands() -> dict[str, Any]:
    """The arguments and options of each command; commands of other packages by the entry points of pyproject.toml."""
    app = typer.Typer()
    app.registered_commands = [*cli.app.registered_commands]
    for group in cli.app.registered_groups:
        for one in group.typer_instance.registered_commands if group.typer_instance else ():
            name = f"{group.typer_instance.info.name} {one.name or one.callback.__name__}"
            app.command(name=name)(one.callback)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, place in project["entry-points"][cli.COMMANDS].items():
        app.command(name=name)(resolve_name(place))
    made_of = [(one.name, one.callback) for one in app.registered_commands]
    functions: dict[str, Any] = {name or getattr(function, "__name__", ""): function for name, function in made_of}
    made: Any = typer.main.get_command(app)
    return {name: {p.opts[0]: option(p, functions[name]) for p in one.params} for name, one in made.commands.items()}


def option(parameter: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """Flags, type, default and whether it must be given."""
    hints = typing.get_type_hints(function, include_extras=True)
    kind, *extras = typing.get_args(hints[parameter.name])
    choices = [one.value for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    found = {
        "flags": " ".join([*parameter.opts, *parameter.secondary_opts]),
        "type": " | ".join(choices) or short(kind),
        "required": parameter.required,
        "default": plain(parameter.default),
    }
    least = next((extra.min for extra in extras if getattr(extra, "min", None) is not None), None)
    return found if least is None else {**found, "min": least}


def plain(value: Any) -> Any:
    """A default as JSON can say it."""
    if isinstance(value, Enum):
        return value.value
    return value if value is None or isinstance(value, str | int | float | list) else str(value)


def short(annotation: Any) -> str:
    """An annotation without modules, which differ between Python versions and may move."""
    said = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)", r"\1", re.sub("<class '([^']+)'>", r"\1", said))


def parts() -> dict[str, BaseComponent]:
    """The components of the package, by their names."""
    found: dict[str, BaseComponent] = {}
    for info in iter_modules(components.__path__):
        module = resolve_name(f"{components.__name__}.{info.name}")
        own = [one for one in vars(module).values() if isinstance(one, BaseComponent)]
        found |= {one.name: one for one in own}
    return found


def ports(part: Any) -> dict[str, Any]:
    """Inputs and outputs of a component or pipeline; `default` only where an input may be left out."""
    spec = part.component_spec
    inputs = {
        name: {"type": one.type, **({"default": one.default} if one.optional else {})}
        for name, one in (spec.inputs or {}).items()
    }
    return {"inputs": inputs, "outputs": {name: one.type for name, one in (spec.outputs or {}).items()}}


def offered(package: Any) -> dict[str, Any]:
    """Each name of `__all__` with its signature; of classes also the public methods."""
    return {name: described(getattr(package, name)) for name in package.__all__}


def described(what: Any) -> Any:
    """A class's bases, fields, public methods and properties; a function's signature; an alias's meaning."""
    if not inspect.isclass(what):
        return signature(what) if inspect.isfunction(what) else short(what)
    public = {name: member for name, member in vars(what).items() if not name.startswith("_")}
    found: dict[str, Any] = {
        "bases": [base.__name__ for base in what.__bases__ if base is not object],
        "methods": {name: signature(getattr(what, name)) for name, one in public.items() if is_method(one)},
        "properties": sorted(name for name, one in public.items() if isinstance(one, property)),
    }
    if is_dataclass(what):
        found["fields"] = {one.name: short(one.type) + default_of(one) for one in fields(what)}
    elif not issubclass(what, Exception):
        found["made by"] = signature(what)
    return {name: one for name, one in found.items() if one}


def is_method(member: Any) -> bool:
    return inspect.isfunction(member) or isinstance(member, classmethod | staticmethod)


def default_of(field: Any) -> str:
    if field.default is not MISSING:
        return f" = {field.default!r}"
    return f" = {field.default_factory.__name__}()" if field.default_factory is not MISSING else ""


def signature(what: Any) -> str:
    """Parameters with types and defaults, and what comes back."""
    return short(str(inspect.signature(what)))


def written() -> dict[str, Any]:
    """Keys and types of everything that small jobs write: texts, tokens, columns, Parquet, and the books."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        model = str(publish_tiny(root / "model"))
        words = "Angela Merkel met Obama in New York".split()
        records = [{"id": 1, "text": " ".join(words)}, {"id": 2, "tokens": words}]
        (root / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records) + "{\n")
        (root / "in.txt").write_text(" ".join(words) + "\n")
        (root / "in.conll").write_text("".join(f"{word} O\n" for word in words))
        (root / "in.tsv").write_text("".join(f"{word}\tO\n" for word in words))
        found: dict[str, Any] = {}
        for kind in ("jsonl", "txt", "conll", "tsv"):
            tag_job(model, str(root / f"in.{kind}"), str(root / kind), threads=1, quiet=True, max_bad="1")
        of_text, of_tokens = (root / "jsonl/in.jsonl").read_text().splitlines()
        found["record of a text"] = shape(json.loads(of_text))
        found["record of tokens"] = shape(json.loads(of_tokens))
        found["record of a line of plain text"] = shape(json.loads((root / "txt/in.jsonl").read_text()))
        for kind, cut in (("conll", " "), ("tsv", "\t")):
            rows = (root / kind / f"in.{kind}").read_text().splitlines()
            found[f"columns of {kind}"] = sorted({len(row.split(cut)) for row in rows if row})
        found["parquet"] = {name: parquet(model, root, name, words) for name in ("text", "tokens")}
        books = root / "jsonl/_tofner"
        kept = [path for path in sorted(books.rglob("*.json*")) if not path.name.startswith(".")]
        found["books"] = {path.relative_to(books).as_posix(): book(path) for path in kept}
        return found


def book(path: Path) -> Any:
    """Keys and types of one of a job's own files; of dead letters those of the first."""
    content = path.read_text()
    return shape(json.loads(content.split("\n")[0] if path.suffix == ".jsonl" else content))


def parquet(model: str, root: Path, column: str, words: list[str]) -> dict[str, Any]:
    """Columns of the output, and the keys of its dead letters."""
    source, out = root / f"{column}.parquet", root / column
    pq.write_table(pa.table({"id": [1, 2], column: [" ".join(words) if column == "text" else words, None]}), source)
    tag_job(model, str(source), str(out), threads=1, quiet=True, max_bad="1")
    schema = pq.read_schema(out / source.name)
    dead = json.loads((out / "_tofner/dead-letter.jsonl").read_text())
    return {"columns": {name: str(schema.field(name).type) for name in schema.names}, "dead letter": shape(dead)}


def shape(value: Any) -> Any:
    """The types of a JSON value; of a list those of its items, once where all are alike. Labels are shown as one."""
    if isinstance(value, list):
        found = [shape(item) for item in value]
        return found[:1] if all(one == found[0] for one in found) else found
    if not isinstance(value, dict):
        return type(value).__name__
    if value and set(value) <= {"PER", "ORG", "LOC"}:
        return {"LABEL": shape(next(iter(value.values())))}
    return {key: shape(item) for key, item in value.items()}


def service() -> dict[str, Any]:
    """Routes and limits of `tofner serve`."""
    app = serve.create_app(serve.Service(None, serve.Limits()))  # type: ignore[arg-type]
    routes = {route.path: sorted(route.methods - {"HEAD"}) for route in app.routes}  # type: ignore[attr-defined]
    return {"routes": routes, "limits": {one.name: one.default for one in fields(serve.Limits)}}


def exit_codes() -> dict[str, int]:
    """Of each kind of error, by its name."""
    places = [vars(errors), {name: getattr(storage, name) for name in storage.__all__}]
    kinds = [one for place in places for one in place.values() if inspect.isclass(one)]
    return {one.__name__: one.exit_code for one in kinds if issubclass(one, errors.TofnerError)}


if __name__ == "__main__":
    PLACE.write_text(text(surface()), encoding="utf-8")
    print(f"wrote {PLACE}", file=sys.stderr)

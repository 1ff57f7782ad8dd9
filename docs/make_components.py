"""Writes docs/components.md from the components themselves: `python docs/make_components.py` (or `make golden`)."""

import inspect
from pathlib import Path
from typing import Any

from tofner_kubeflow.components.evaluate import evaluate
from tofner_kubeflow.components.export import export
from tofner_kubeflow.components.gold import gold
from tofner_kubeflow.components.mlm import mlm
from tofner_kubeflow.components.mrc import mrc
from tofner_kubeflow.components.ner import ner
from tofner_kubeflow.components.plan import plan
from tofner_kubeflow.components.prepare import prepare
from tofner_kubeflow.components.pseudo_label import pseudo_label
from tofner_kubeflow.components.publish import publish
from tofner_kubeflow.components.report import report
from tofner_kubeflow.components.tag import tag

PAGE = Path(__file__).with_name("components.md")
COMPONENTS = (plan, prepare, gold, mlm, mrc, ner, pseudo_label, evaluate, export, report, publish, tag)
HEAD = """# Components

Made from the components' signatures and docstrings by `make golden`; do not edit.

Every stage of the graph is one component, which calls the stage and holds no logic. Data travels as URIs; artifacts are
what a person looks at in the run page, and no task reads one.
"""


def page() -> str:
    return HEAD + "".join(section(one) for one in COMPONENTS)


def section(component: Any) -> str:
    """What a component does, its inputs with their defaults, its outputs and its artifacts."""
    spec = component.component_spec
    function = component.pipeline_func if hasattr(component, "pipeline_func") else component.python_func
    what, parts = docstring(function)
    inputs = spec.inputs or {}
    outputs = spec.outputs or {}
    lines = [
        "",
        f"## {function.__name__}",
        "",
        what,
        "",
        "| | name | type | default | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, one in inputs.items():
        default = "" if one.default is None else f"`{one.default!r}`"
        lines.append(f"| input | `{name}` | {one.type} | {default} | {cell(parts[name])} |")
    for name, one in outputs.items():
        artifact = one.type.startswith("system.")
        kind = one.type.partition("@")[0].removeprefix("system.")
        meaning = parts[name] if artifact else parts["Returns"] if name == "Output" else ""
        lines.append(f"| {'artifact' if artifact else 'output'} | `{name}` | {kind} | | {cell(meaning)} |")
    if "Output" not in outputs and parts.get("Returns"):
        lines += ["", f"Outputs: {parts['Returns']}"]
    return "\n".join(lines) + "\n"


def docstring(function: Any) -> tuple[str, dict[str, str]]:
    """The text before `Args:`, and what is said of each argument and of `Returns`."""
    what, _, rest = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    arguments, _, returns = rest.partition("\n\nReturns:\n")
    parts: dict[str, str] = {}
    name = ""
    for line in arguments.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            name, _, text = line.strip().partition(": ")
            parts[name] = text
        else:
            parts[name] += f" {line.strip()}"
    return " ".join(what.split()), {**parts, "Returns": " ".join(returns.split())}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

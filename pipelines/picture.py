"""A picture of the graph, drawn from the compiled YAML alone, as SVG.

Rows follow the longest path from the first task. A conditional part is a frame with the tasks of its branches; a dashed
box is the light task that stands in when the part is switched off. Edges that follow from others are left out.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml

BOX_W, BOX_H, GAP, ROW, MARGIN, PAD = 112, 32, 20, 34, 28, 14  # pixels
STYLE = """
  text { font: 12px sans-serif; fill: #1b1f24; text-anchor: middle; dominant-baseline: central }
  text.note { fill: #57606a; text-anchor: start; font-size: 11px }
  rect { fill: #eef4ff; stroke: #4a6fa5; } rect.gpu { fill: #e9f7e9; stroke: #3c8a4a }
  rect.skip { fill: #ffffff; stroke: #8c959f; stroke-dasharray: 4 3 } rect.frame { fill: none; stroke: #b8c0cc }
  path { fill: none; stroke: #57606a; marker-end: url(#tip) } svg { background: #ffffff }
"""


@dataclass(frozen=True)
class Box:
    """A task: its display name, whether it asks for a GPU, whether it stands in for a skipped part."""

    name: str
    gpu: bool
    skip: bool


@dataclass(frozen=True)
class Node:
    """A task of the root graph, or a conditional part: its branches, each a chain of boxes."""

    key: str
    branches: list[list[Box]]
    condition: str
    after: set[str]

    @property
    def width(self) -> int:
        boxes = sum(map(len, self.branches))
        return boxes * (BOX_W + GAP) - GAP + (2 * PAD if self.condition else 0)


def draw(compiled: Path) -> str:
    """SVG text of a compiled pipeline."""
    nodes = read_graph(next(yaml.safe_load_all(compiled.read_text(encoding="utf-8"))))
    ranks = _ranks(nodes)
    needed = {
        node.key: min((ranks[one.key] for one in nodes if node.key in _direct(one, nodes)), default=0) for node in nodes
    }
    ordered = sorted(nodes, key=lambda node: (ranks[node.key], needed[node.key]))  # what is needed later stands aside
    rows = [[node for node in ordered if ranks[node.key] == rank] for rank in range(max(ranks.values()) + 1)]
    main = max(node.width for node in nodes)
    centre, height = MARGIN + main // 2, MARGIN
    places: dict[str, tuple[int, int, int, int]] = {}  # left, top, right, bottom
    for row in rows:
        depth = max(BOX_H + (2 * PAD + 10 if node.condition else 0) for node in row)
        for column, node in enumerate(row):
            left = centre - node.width // 2 if column == 0 else MARGIN + main + (column - 1) * (BOX_W + GAP) + GAP
            places[node.key] = (left, height, left + node.width, height + depth)
        height += depth + ROW
    width = max(right for _, _, right, _ in places.values()) + MARGIN
    parts = [line for node in nodes for line in _node(node, places[node.key])]
    parts += [_edge(places[before], places[node.key]) for node in nodes for before in sorted(_direct(node, nodes))]
    legend = (
        "green: runs the encoder (GPU); blue: light (CPU); dashed: passes the model on where a part is switched off"
    )
    parts.append(f'<text class="note" x="{MARGIN}" y="{height}">{legend}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + MARGIN}" role="img">\n'
        f"<title>The tof pipeline, drawn from its compiled YAML</title>\n<style>{STYLE}</style>\n"
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,1 L7,4 L0,7 Z" style="fill:#57606a;stroke:none;marker-end:none"/></marker></defs>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def read_graph(spec: dict[str, Any]) -> list[Node]:
    """The root graph in topological order (a task's dependencies come first)."""
    tasks = spec["root"]["dag"]["tasks"]
    nodes: list[Node] = []
    waiting = dict(tasks)
    while waiting:
        ready = [key for key, task in waiting.items() if not set(task.get("dependentTasks", ())) & set(waiting)]
        for key in ready:
            task = waiting.pop(key)
            branches, condition = _inside(spec, task)
            nodes.append(Node(key, branches, condition, set(task.get("dependentTasks", ()))))
    return nodes


def _inside(spec: dict[str, Any], task: dict[str, Any]) -> tuple[list[list[Box]], str]:
    component = spec["components"][task["componentRef"]["name"]]
    if "dag" not in component:
        return [[_box(spec, task, component)]], ""
    branches = []
    for branch in component["dag"]["tasks"].values():
        inner = spec["components"][branch["componentRef"]["name"]]["dag"]["tasks"]
        order = sorted(inner, key=lambda key: len(_upstream(inner, key)))
        branches.append(
            [_box(spec, inner[key], spec["components"][inner[key]["componentRef"]["name"]]) for key in order]
        )
    branches.sort(key=lambda boxes: boxes[0].skip)
    first = next(iter(component["dag"]["tasks"].values()))
    return branches, _readable(first["triggerPolicy"]["condition"])


def _box(spec: dict[str, Any], task: dict[str, Any], component: dict[str, Any]) -> Box:
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    gpu = "accelerator" in container.get("resources", {})
    return Box(task["taskInfo"]["name"], gpu, task["componentRef"]["name"].startswith("comp-keep"))


def _upstream(tasks: dict[str, Any], key: str) -> set[str]:
    direct = set(tasks[key].get("dependentTasks", ()))
    return direct.union(*(_upstream(tasks, before) for before in direct))


def _readable(condition: str) -> str:
    """`int(inputs.parameter_values['pipelinechannel--plan-iterations']) >= 2` becomes `iterations >= 2`."""
    name = condition.partition("pipelinechannel--plan-")[2].partition("'")[0]
    relation = condition.partition("]")[2].lstrip(") ")
    return f"if {name}" if relation == "== true" else f"if {name} {relation}"


def _ranks(nodes: list[Node]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for node in nodes:
        ranks[node.key] = max((ranks[before] + 1 for before in node.after), default=0)
    return ranks


def _direct(node: Node, nodes: list[Node]) -> set[str]:
    """Dependencies that do not follow from other dependencies."""
    by_key = {one.key: one for one in nodes}

    def ancestors(key: str) -> set[str]:
        return by_key[key].after.union(*(ancestors(before) for before in by_key[key].after))

    return node.after - set().union(*(ancestors(before) for before in node.after))


def _node(node: Node, place: tuple[int, int, int, int]) -> list[str]:
    left, top, right, bottom = place
    lines = []
    if node.condition:
        lines.append(
            f'<rect rx="6" class="frame" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
        )
        lines.append(f'<text class="note" x="{left + PAD}" y="{top + 11}">{escape(node.condition)}</text>')
        left, top = left + PAD, top + PAD + 10
    for branch in node.branches:
        for step, box in enumerate(branch):
            kind = "skip" if box.skip else "gpu" if box.gpu else "cpu"
            lines.append(f'<rect rx="6" class="{kind}" x="{left}" y="{top}" width="{BOX_W}" height="{BOX_H}"/>')
            lines.append(f'<text x="{left + BOX_W // 2}" y="{top + BOX_H // 2}">{escape(box.name)}</text>')
            if step:
                lines.append(f'<path d="M{left - GAP},{top + BOX_H // 2} H{left}"/>')
            left += BOX_W + GAP
    return lines


def _edge(source: tuple[int, int, int, int], target: tuple[int, int, int, int]) -> str:
    """Straight down in a column; else down beside the target and into its side, or out to a side and down."""
    from_x, to_x = (source[0] + source[2]) // 2, (target[0] + target[2]) // 2
    if from_x == to_x:
        return f'<path d="M{from_x},{source[3]} V{target[1]}"/>'
    if from_x > to_x:
        return f'<path d="M{from_x},{source[3]} V{(target[1] + target[3]) // 2} H{target[2]}"/>'
    return f'<path d="M{source[2]},{(source[1] + source[3]) // 2} H{to_x} V{target[1]}"/>'

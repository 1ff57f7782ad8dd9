"""A picture of the graph, drawn from the compiled YAML alone, as SVG.

Rows follow the longest path from the first task; edges that follow from others are left out.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml

BOX_W, BOX_H, GAP, ROW, MARGIN = 124, 32, 20, 26, 28  # pixels
STYLE = """
  text { font: 12px sans-serif; fill: #1b1f24; text-anchor: middle; dominant-baseline: central }
  text.note { fill: #57606a; text-anchor: start; font-size: 11px }
  rect { fill: #eef4ff; stroke: #4a6fa5; } rect.gpu { fill: #e9f7e9; stroke: #3c8a4a }
  path { fill: none; stroke: #57606a; marker-end: url(#tip) } svg { background: #ffffff }
"""
LEGEND = (
    "green: runs the encoder (GPU); blue: light (CPU)",
    "a step that is left out passes on its input",
)


@dataclass(frozen=True)
class Node:
    """A task of the graph: its display name, whether it asks for a GPU, and the tasks that it waits for."""

    key: str
    name: str
    gpu: bool
    after: set[str]


def draw(compiled: Path) -> str:
    """SVG text of a compiled pipeline."""
    nodes = read_graph(next(yaml.safe_load_all(compiled.read_text(encoding="utf-8"))))
    ranks = ranks_of(nodes)
    needed = {
        node.key: min((ranks[one.key] for one in nodes if node.key in _direct(one, nodes)), default=0) for node in nodes
    }
    # What is needed later stands aside, and so does what waits for something far above.
    far = {node.key: max((ranks[node.key] - ranks[one] for one in _direct(node, nodes)), default=0) for node in nodes}
    ordered = sorted(nodes, key=lambda node: (ranks[node.key], needed[node.key], far[node.key]))
    rows = [[node for node in ordered if ranks[node.key] == rank] for rank in range(max(ranks.values()) + 1)]
    places: dict[str, tuple[int, int, int, int]] = {}  # left, top, right, bottom
    height = MARGIN
    for row in rows:
        for column, node in enumerate(row):
            left = MARGIN + column * (BOX_W + GAP)
            places[node.key] = (left, height, left + BOX_W, height + BOX_H)
        height += BOX_H + ROW
    width = max(right for _, _, right, _ in places.values()) + MARGIN
    parts = [line for node in nodes for line in _node(node, places[node.key])]
    parts += [_edge(places[before], places[node.key]) for node in nodes for before in sorted(_direct(node, nodes))]
    for line in LEGEND:
        parts.append(f'<text class="note" x="{MARGIN}" y="{height}">{line}</text>')
        height += 15
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + MARGIN}" role="img">\n'
        f"<title>The tof pipeline, drawn from its compiled YAML</title>\n<style>{STYLE}</style>\n"
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,1 L7,4 L0,7 Z" style="fill:#57606a;stroke:none;marker-end:none"/></marker></defs>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def read_graph(spec: dict[str, Any]) -> list[Node]:
    """The graph in topological order (a task's dependencies come first)."""
    nodes: list[Node] = []
    waiting = dict(spec["root"]["dag"]["tasks"])
    while waiting:
        ready = [key for key, task in waiting.items() if not set(task.get("dependentTasks", ())) & set(waiting)]
        for key in ready:
            task = waiting.pop(key)
            component = spec["components"][task["componentRef"]["name"]]
            container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
            gpu = "accelerator" in container.get("resources", {})
            nodes.append(Node(key, task["taskInfo"]["name"], gpu, set(task.get("dependentTasks", ()))))
    return nodes


def ranks_of(nodes: list[Node]) -> dict[str, int]:
    """Tasks before each one on the longest path to it."""
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
    return [
        f'<rect rx="6" class="{"gpu" if node.gpu else "cpu"}" x="{left}" y="{top}" width="{right - left}" '
        f'height="{bottom - top}"/>',
        f'<text x="{(left + right) // 2}" y="{(top + bottom) // 2}">{escape(node.name)}</text>',
    ]


def _edge(source: tuple[int, int, int, int], target: tuple[int, int, int, int]) -> str:
    """Straight down in a column; else down beside the target and into its side, or out to a side and down."""
    from_x, to_x = (source[0] + source[2]) // 2, (target[0] + target[2]) // 2
    if from_x == to_x:
        return f'<path d="M{from_x},{source[3]} V{target[1]}"/>'
    if from_x > to_x:
        return f'<path d="M{from_x},{source[3]} V{(target[1] + target[3]) // 2} H{target[2]}"/>'
    return f'<path d="M{source[2]},{(source[1] + source[3]) // 2} H{to_x} V{target[1]}"/>'

"""Curves as points of an inline SVG."""

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT, EDGE = 240, 72, 5  # of the drawing, and what is left free around it


def drawing(points: Sequence[Sequence[float]], best: float | None = None) -> dict[str, Any]:
    """A curve through (x, y) points: `line` for `<polyline>`, `dots` with place and text, `low` and `high` of y.

    The lowest y is drawn at the bottom and the highest at the top; a flat curve runs through the middle. The dot at
    x = `best` is marked. A single point stands in the middle.
    """
    if not points:
        return {"line": "", "dots": [], "low": None, "high": None}
    xs, ys = [float(x) for x, _ in points], [float(y) for _, y in points]
    dots = [
        {
            "x": _place(x, xs, WIDTH),
            "y": round(HEIGHT - _place(y, ys, HEIGHT), 1),
            "text": f"{x:g}: {y:.4f}",
            "best": x == best,
        }
        for x, y in zip(xs, ys, strict=True)
    ]
    return {"line": " ".join(f"{dot['x']},{dot['y']}" for dot in dots), "dots": dots, "low": min(ys), "high": max(ys)}


def _place(value: float, among: Sequence[float], size: int) -> float:
    low, high = min(among), max(among)
    share = (value - low) / (high - low) if high > low else 0.5
    return round(EDGE + share * (size - 2 * EDGE), 1)

"""Scores, times and machines as people read them."""

from collections.abc import Mapping
from typing import Any


def percent(value: float | None) -> str:
    """Of a score, 0 to 1; nothing of none."""
    return "" if value is None else f"{100 * value:.2f}"


def spread(one: Mapping[str, Any]) -> str:
    """A `mean` with its `sd`, scores of 0 to 1, as far as they are known.

    >>> spread({"mean": 0.51, "sd": 0.0141421}), spread({"mean": 0.5, "sd": None})
    ('51.00 ± 1.41', '50.00')
    """
    return percent(one["mean"]) + ("" if one["sd"] is None else f" ± {percent(one['sd'])}")


def span_of_time(seconds: float) -> str:
    """Short for people.

    >>> [span_of_time(s) for s in (3.25, 75, 3720)]
    ['3.2 s', '1 min 15 s', '1 h 02 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def computed_with(machine: dict[str, Any]) -> str:
    """A `settings.Machine` for people.

    >>> computed_with({"device": "cpu", "threads": 1, "precision": "fp32"})
    'CPU (1 thread, fp32)'
    >>> computed_with({"device": "cuda", "threads": 0, "precision": "bf16"})
    'GPU (bf16)'
    """
    if machine["device"] == "cuda":
        return f"GPU ({machine['precision']})"
    threads = machine["threads"]
    return f"CPU ({threads} thread{'s' if threads != 1 else ''}, {machine['precision']})"

"""Figures for the text-file collector of Prometheus' node exporter, for jobs that end before anybody asks them.

The form is that of prometheus.io/docs/instrumenting/exposition_formats; the client library would be a dependency of
every tagging job for these lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A gauge, named `tofner_NAME`."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


def text(figures: Iterable[Figure]) -> str:
    r"""The figures as lines, those of one name together.

    >>> print(text([Figure("words", "words tagged", 12, {"type": 'a"b'})]), end="")
    # HELP tofner_words words tagged
    # TYPE tofner_words gauge
    tofner_words{type="a\"b"} 12
    """
    told: list[str] = []
    for one in sorted(figures, key=lambda one: one.name):
        head = [f"# HELP tofner_{one.name} {one.help}", f"# TYPE tofner_{one.name} gauge"]
        told += [line for line in head if line not in told]
        inside = ",".join(f'{key}="{_escaped(text_)}"' for key, text_ in one.labels.items())
        value = int(one.value) if one.value == int(one.value) else one.value
        told.append(f"tofner_{one.name}{f'{{{inside}}}' if inside else ''} {value}")
    return "\n".join(told) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""What the generated sample corpora are made of: kinds of words, and sentence forms."""

from dataclasses import dataclass, field
from itertools import product


@dataclass(frozen=True)
class Kind:
    """Words that fill a slot, each one or more tokens; `type` is their entity type, "" for no entity.

    The last `rare` share of the words is kept for test sets: names that no training text has.
    """

    type: str
    words: list[str]
    rare: float = 0.0


@dataclass(frozen=True)
class Form:
    """A sentence with `{slots}`, and for some slots the question that they answer."""

    text: str
    questions: dict[str, str] = field(default_factory=dict)


def cross(*parts: list[str]) -> list[str]:
    """Every combination, one of each list, joined by spaces; "" leaves its part out.

    >>> cross(["a", "b"], ["x", ""])
    ['a x', 'a', 'b x', 'b']
    """
    return [" ".join(part for part in parts_ if part) for parts_ in product(*parts)]


def words(text: str) -> list[str]:
    """The words of a list that is written as text."""
    return text.split()

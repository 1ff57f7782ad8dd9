"""A text with its entities: as Python prints it, on a terminal, and in a notebook."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tofner.tagging.engine.texts import Entity

HUES = (210, 140, 30, 280, 340, 180, 60, 250, 100, 0)  # degrees; of types in the order of their names
_COLOURS = (117, 120, 215, 177, 211, 80, 228, 105, 156, 210)  # the same of a terminal with 256 colours


@dataclass(frozen=True, slots=True)
class Result:
    """What a tagger found in one text.

    Attributes:
        text: as it was given.
        entities: in order, none overlapping another; `text[one.start:one.end] == one.text`.
        types: all that the tagger knows, sorted; they have the colours.
    """

    text: str
    entities: list[Entity]
    types: Sequence[str] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        return bracketed(self)

    def _repr_html_(self) -> str:
        """For notebooks: entities on the colour of their type, scores as tooltips. It loads nothing."""
        colour = {type_: HUES[place % len(HUES)] for type_, place in _places(self).items()}

        def mark(one: Entity) -> str:
            style = f"background:hsl({colour[one.type]} 80% 85%);color:#1a1a1a;padding:.1em .25em;border-radius:.25em"
            name = f'<small style="margin-left:.3em;font-weight:600">{html.escape(one.type)}</small>'
            return f'<mark style="{style}" title="{one.score:.4f}">{html.escape(one.text)}{name}</mark>'

        shown = _woven(self, mark, html.escape)
        return f'<div style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7">{shown}</div>'


def bracketed(result: Result) -> str:
    """The text with brackets.

    >>> bracketed(Result("Merkel met Obama.", [Entity(0, 6, "PER", 0.9, "Merkel")]))
    '[Merkel PER] met Obama.'
    """
    return _woven(result, lambda one: f"[{one.text} {one.type}]", str)


def coloured(result: Result) -> str:
    """The text for a terminal: entities in the colour of their type, which follows them."""
    places = _places(result)

    def mark(one: Entity) -> str:
        colour = _COLOURS[places[one.type] % len(_COLOURS)]
        return f"\x1b[1;38;5;{colour}m{one.text}\x1b[0m\x1b[2;38;5;{colour}m {one.type}\x1b[0m"

    return _woven(result, mark, str)


def _places(result: Result) -> dict[str, int]:
    """The place of each type among all, which its colour goes by."""
    names = sorted({*result.types, *(one.type for one in result.entities)})
    return {name: place for place, name in enumerate(names)}


def _woven(result: Result, mark: Callable[[Entity], str], plain: Callable[[str], str]) -> str:
    """The text, with what is made of each entity and of what lies between."""
    out, at = [], 0
    for one in result.entities:
        out += [plain(result.text[at : one.start]), mark(one)]
        at = one.end
    return "".join([*out, plain(result.text[at:])])

"""What a conversion could not carry over: counted by kind, with the first place of each.

lost    labels, text or fields of the user's that are not in the output, or are others there; `--strict` refuses them
left    what the output's format has no place for by nature (ids, scores), or what a tool says about itself
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tofner.errors import BadData, Problem

LISTED = 50  # losses that --strict lists one by one


@dataclass
class Kind:
    """One kind: how often, and where first."""

    count: int
    place: str
    line: int | None


@dataclass
class Told:
    """Counts by what happened; the words of a kind follow its number: "3 entities overlap a longer one ..."."""

    lost: dict[str, Kind] = field(default_factory=dict)
    left: dict[str, Kind] = field(default_factory=dict)
    losses: list[Problem] = field(default_factory=list)

    def lose(self, kind: str, place: str, line: int | None = None, count: int = 1) -> None:
        if count:
            _count(self.lost, kind, place, line, count)
            if len(self.losses) < LISTED:
                fix = "mend it, or convert without --strict"
                self.losses.append(Problem(place, f"{count} {kind}", "nothing that is lost", fix, line))

    def leave(self, kind: str, place: str, line: int | None = None, count: int = 1) -> None:
        if count:
            _count(self.left, kind, place, line, count)

    def refuse(self) -> None:
        """Raises BadData: something is lost; the places are listed."""
        if self.losses:
            raise BadData(self.losses)

    def lines(self) -> list[str]:
        """A line a kind, losses first."""
        return [*_lines(self.lost.items()), *_lines(self.left.items())]


def _count(kinds: dict[str, Kind], kind: str, place: str, line: int | None, count: int) -> None:
    if kind in kinds:
        kinds[kind].count += count
    else:
        kinds[kind] = Kind(count, place, line)


def _lines(kinds: Iterable[tuple[str, Kind]]) -> list[str]:
    return [f"{one.count} {kind} (first: {one.place}{f':{one.line}' if one.line else ''})" for kind, one in kinds]

"""The gate: whether a new tagger (the candidate) takes the place of the one that readers have (the champion).

Both tag the same sentences. Where there are labels, the paired bootstrap says whether the candidate may be worse
(`tofner.words.bootstrap`); where there are none, what both find is compared (`tofner.words.agreement`). Labels can
promote; text without labels can only hold back, since agreement is not correctness.

    labelled target sets, where there are any, decide; else the source dev does
    not-worse   every deciding set: the low end of the interval is at -margin or above
    better      so, and on one of them the low end is above 0
    either      no type has vanished from the target text; with `lost_types` hold, none that the source has either

The burden of proof lies on the candidate: a set that is too small to show that it is not worse holds it back.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tofner.settings import Gate
from tofner.words.agreement import Agreement, agreement
from tofner.words.bootstrap import ROUNDING, Comparison, compare
from tofner.words.scores import Tags, score_tags


@dataclass(frozen=True)
class Labelled:
    """A set with labels, and what the taggers found in it: BIO2 tags [sentences][words].

    `champion` is None where there is none.
    """

    name: str
    role: Literal["source", "target"]
    gold: Tags
    candidate: Tags
    champion: Tags | None


@dataclass(frozen=True)
class Unlabelled:
    """Target text, and what the taggers found in it."""

    name: str
    candidate: Tags
    champion: Tags


@dataclass(frozen=True)
class SetRow:
    """A labelled set in a verdict: `score` is None where the taggers' rows could not be compared.

    `candidate` is its F1 (0 to 1) where there is no champion. `said` is what the set says, or what is wrong with it.
    """

    name: str
    role: Literal["source", "target"]
    decides: bool
    candidate: float | None
    score: Comparison | None
    said: str


@dataclass(frozen=True)
class TextRow:
    """Target text in a verdict; `found` is None where the taggers' rows could not be compared."""

    name: str
    found: Agreement | None
    vanished: list[str]


@dataclass(frozen=True)
class Verdict:
    """What the gate decides, and why, in words.

    Attributes:
        promote: whether the candidate becomes the latest.
        reason: why, for people.
        rule: the setting that it was decided by.
        champion: the version that it was compared with; None if there was none.
    """

    promote: bool
    reason: str
    rule: str
    champion: str | None
    sets: list[SetRow]
    text: list[TextRow]

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it; every number is finite."""
        return asdict(self)


def decide(
    gate: Gate,
    champion: str | None,
    labelled: Sequence[Labelled],
    text: Sequence[Unlabelled] = (),
    seed: int = 0,
    lost: Sequence[str] = (),
) -> Verdict:
    """Whether the candidate takes the champion's place.

    What cannot be compared is a reason to hold back, told in the verdict, and no error.

    Args:
        champion: the version that readers have; None if there is none yet.
        labelled: the source dev, and target sets where the user has some.
        text: target text without labels; not read where there is no champion.
        seed: of the resamples.
        lost: types that the source has and that are all but gone from the target text as the candidate tags it, each
            in words; they hold it back where `gate.lost_types` says so.
    """
    held = [f"lost: {one}" for one in lost] if gate.lost_types == "hold" else []
    if champion is None:
        alone = [_alone(one) for one in labelled]
        why = "; ".join(held) or "there is no model to compare with yet"
        promote = gate.promote == "always" or (not held and gate.promote != "never")
        return Verdict(promote, f"{why}{_unless_never(gate)}", gate.promote, None, alone, [])
    by_target = any(one.role == "target" for one in labelled)
    sets = [_compared(gate, one, seed, one.role == "target" or not by_target) for one in labelled]
    texts = [_text(gate, one) for one in text]
    against = [*_against_sets(gate, sets), *_against_text(texts), *held]
    deciding = ", ".join(row.name for row in sets if row.decides)
    shown = "better" if gate.promote == "better" else f"not worse by more than {gate.margin:.2f} F1 points"
    reason = "; ".join(against) or f"{shown} than {champion} on {deciding}, confidence {100 * gate.confidence:g} %"
    if gate.promote == "always":
        return Verdict(True, f"set to promote always; the comparison says: {reason}", "always", champion, sets, texts)
    promote = not against and gate.promote != "never"
    return Verdict(promote, f"{reason}{_unless_never(gate)}", gate.promote, champion, sets, texts)


def _unless_never(gate: Gate) -> str:
    return "; set to promote never" if gate.promote == "never" else ""


def _alone(one: Labelled) -> SetRow:
    """A row where there is nothing to compare with."""
    if _lengths(one.gold) != _lengths(one.candidate):
        return SetRow(one.name, one.role, False, None, None, "gold and found tags are not equally long")
    f1: float = score_tags(one.gold, one.candidate)["micro"]["f1"]
    return SetRow(one.name, one.role, False, f1, None, "nothing to compare with")


def _compared(gate: Gate, one: Labelled, seed: int, decides: bool) -> SetRow:
    """A row with its comparison; `said` is empty where a deciding set has nothing against the candidate."""
    sides = {"gold": one.gold, "candidate": one.candidate, "champion": one.champion or ()}
    if not one.gold or len({_lengths(rows) for rows in sides.values()}) > 1:
        found = ", ".join(f"{side} {len(rows)} sentences, {sum(map(len, rows))} words" for side, rows in sides.items())
        return SetRow(one.name, one.role, decides, None, None, f"cannot be compared: {found}")
    score = compare(
        one.gold,
        one.candidate,
        one.champion or (),
        margin=gate.margin / 100,
        confidence=gate.confidence,
        samples=gate.samples,
        seed=seed,
    )
    if not decides:
        said = "shown only, labelled target sets decide"
    elif score.sentences < gate.min_sentences or score.entities < gate.min_entities:
        said = (
            f"too small to decide: {score.sentences} sentences with {score.entities} entities, "
            f"{gate.min_sentences} with {gate.min_entities} are wanted"
        )
    elif score.high < -gate.margin / 100 - ROUNDING:
        said = f"worse by more than {gate.margin:.2f} F1 points: {interval(score)}"
    elif score.low < -gate.margin / 100 - ROUNDING:
        said = f"may be worse by more than {gate.margin:.2f} F1 points: {interval(score)}"
    else:
        said = ""
    return SetRow(one.name, one.role, decides, score.candidate, score, said)


def interval(score: Comparison) -> str:
    """Difference and interval in F1 points.

    >>> interval(Comparison(0.52, 0.5, 0.02, -0.00001, 0.04, 0.1, 100, 50, 1000))
    '+2.00 (+0.00 to +4.00)'
    """
    points = (round(100 * value, 2) + 0.0 for value in (score.difference, score.low, score.high))
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(*points)


def _against_sets(gate: Gate, sets: list[SetRow]) -> list[str]:
    """What the labelled sets have against the candidate."""
    if not sets:
        return ["no labelled set to compare on: text without labels cannot promote"]
    against = [f"{row.name}: {row.said}" for row in sets if row.said and (row.decides or row.score is None)]
    proofs = [row for row in sets if row.score and not row.said and row.score.low > ROUNDING]
    if gate.promote == "better" and not against and not proofs:
        found = ", ".join(f"{row.name} {interval(row.score)}" for row in sets if row.decides and row.score)
        against.append(f"not shown to be better: {found}")
    return against


def _against_text(texts: list[TextRow]) -> list[str]:
    """What the target text has against the candidate."""
    against = []
    for row in texts:
        if row.found is None:
            against.append(f"{row.name}: cannot be compared, no words or not the same ones")
        against += [
            f"{row.name}: {type_} has vanished, the champion finds it {row.found.champion[type_]:,} times"
            for type_ in row.vanished
            if row.found
        ]
    return against


def _text(gate: Gate, one: Unlabelled) -> TextRow:
    if not any(one.candidate) or _lengths(one.candidate) != _lengths(one.champion):
        return TextRow(one.name, None, [])
    found = agreement(one.candidate, one.champion)
    return TextRow(one.name, found, found.vanished(gate.vanished))


def _lengths(rows: Tags) -> tuple[int, ...]:
    return tuple(len(tags) for tags in rows)

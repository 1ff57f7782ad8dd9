"""How sure the tagger must be of a sentence that nobody looks at: `tofner threshold`, from reviewed sentences.

A sentence is wrong if its entities are not exactly those that a person found. Its certainty c is that of `choose`: the
probability of its least certain word's tag, to four digits. Whoever looks at every sentence with c < t leaves

    R(t) = |{i: sentence i is wrong, c_i >= t}| / n

of the n reviewed ones wrong and unseen. The lowest t is taken with

    (n R(t) + 1) / (n + 1) <= miss

by which a sentence drawn as the reviewed ones were is wrong and unseen with a probability of `miss` at most (conformal
risk control: Angelopoulos, Bates, Fisch, Lei & Schuster, ICLR 2024, theorem 1, with a loss of 0 or 1). This holds for
any tagger and any text, and for few sentences too; but they must have been drawn as those to come, at random, and not
have trained the tagger. Of fewer than 1 / miss - 1 sentences nothing can be promised.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tofner.corpora.jsonl import Record
from tofner.errors import BadData, BadSettings, Problem
from tofner.tagging.choose import DRAWN, REASON, judged, words_of
from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.engine.texts import SCORE_DIGITS
from tofner.words.bootstrap import compare
from tofner.words.offsets import fit_to_words
from tofner.words.spans import spans_to_tags

CONFIDENCE = 0.95  # of the interval around F1
SAMPLES = 2000
ROUNDING = 1e-9  # of a share times a number of sentences


@dataclass(frozen=True)
class Threshold:
    """What the reviewed sentences say; shares and scores are 0 to 1.

    Attributes:
        below: sentences whose least certain word has less are to be looked at; 0 if none need be.
        miss: what was asked for.
        sentences: reviewed ones; wrong: of these, such with other entities than a person found.
        unseen: wrong ones that would not be looked at. looked_at: sentences that would be.
        f1: strict, micro. low, high: the ends of its interval by the bootstrap over sentences.
        hard: sentences that `choose` chose for being uncertain or disputed, and did not draw.
    """

    below: float
    miss: float
    sentences: int
    wrong: int
    unseen: int
    looked_at: int
    f1: float
    low: float
    high: float
    hard: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """What a person wants to know."""
        share = f"{100 * self.miss:g} %"
        interval = f"{100 * CONFIDENCE:g} % interval {100 * self.low:.2f} to {100 * self.high:.2f}"
        told = [f"{self.sentences} sentences, {self.wrong} tagged wrong; F1 {100 * self.f1:.2f} ({interval})"]
        if self.below:
            told += [
                f"look at the sentences whose least certain word is below {self.below:g}: {self.looked_at} of these",
                f"then at most {share} of all sentences are wrong and unseen; of these {self.unseen} would be",
            ]
        else:
            told.append(f"nothing need be looked at: at most {share} of all sentences are wrong")
        if self.hard:
            told.append(
                f"WARNING: {self.hard} of the sentences were chosen as hard ones and not drawn at random, which the "
                "promise asks for (tofner choose --random)"
            )
        return told


def calibrate(records: Sequence[Record], tagger: Tagger, miss: float, name: str = "") -> Threshold:
    """The threshold for a share of sentences that may be wrong and unseen.

    Args:
        records: reviewed sentences with their entities.
        miss: above 0 and below 1.
        name: of the file, for errors.

    Texts without a word are not counted.

    Raises:
        BadData: a sentence without labels, or too few sentences.
    """
    if bare := [one for one in records if one.entities is None]:
        fix = "label it, or leave it out"
        raise BadData(Problem(name, "a sentence without `entities`", "reviewed sentences", fix, bare[0].line))
    pool = [(one, words) for one in records if (words := words_of(tagger, one)).words]
    number = len(pool)
    if number < least(miss):
        fix = "review more, drawn at random, or allow a greater --miss"
        raise BadData(Problem(name, f"{number} sentences", f"{least(miss)} at least for {100 * miss:g} %", fix))
    gold, found, certain, wrong = [], [], [], []
    for one in judged(pool, tagger):
        assert one.words.offsets is not None
        places = [(int(start), int(end)) for start, end in one.words.offsets]
        true, said = (fit_to_words(side, places).spans for side in (one.record.entities or [], one.entities))
        gold.append(spans_to_tags(true, len(places)))
        found.append(spans_to_tags(said, len(places)))
        certain.append(one.certainty)
        wrong.append(set(true) != set(said))
    below = bound_of(certain, wrong, miss)
    nothing = [["O"] * len(tags) for tags in gold]  # whose F1 is 0, so that the difference is the tagger's own
    interval = compare(gold, found, nothing, confidence=(1 + CONFIDENCE) / 2, samples=SAMPLES)
    return Threshold(
        below=below,
        miss=miss,
        sentences=number,
        wrong=sum(wrong),
        unseen=sum(w and c >= below for c, w in zip(certain, wrong, strict=True)),
        looked_at=sum(c < below for c in certain),
        f1=interval.candidate,
        low=interval.low,
        high=interval.high,
        hard=sum(REASON in one.fields and not str(one.fields[REASON]).startswith(DRAWN) for one in records),
    )


def bound_of(certain: Sequence[float], wrong: Sequence[bool], miss: float) -> float:
    """The lowest t; 0 if nothing need be looked at.

    Args:
        certain, wrong: of each of n sentences, n >= 1 / miss - 1.

    >>> bound_of([0.9, 0.8, 0.7, 0.6], [False, True, False, True], 0.4)
    0.6001
    """
    allowed = miss * (len(certain) + 1) - 1
    above = sorted(round(c + 0.1**SCORE_DIGITS, SCORE_DIGITS) for c in set(certain))
    for below in [0.0, *above]:
        if sum(w and c >= below for c, w in zip(certain, wrong, strict=True)) <= allowed + ROUNDING:
            return below
    raise ValueError(f"{len(certain)} sentences are too few for {miss}")


def least(miss: float) -> int:
    """The fewest sentences of which anything can be promised.

    >>> least(0.05), least(0.1)
    (19, 9)
    """
    return max(1, math.ceil(1 / miss - 1 - ROUNDING))


def share_of(text: str) -> float:
    """A share as options give it.

    >>> share_of("5%"), share_of("0.05")
    (0.05, 0.05)

    Raises:
        BadSettings: it is none, or not above 0 and below 1.
    """
    number, percent = text.strip().removesuffix("%").strip(), text.strip().endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise BadSettings(Problem("--miss", repr(text), "a share above 0% and below 100%, such as 5%"))
    return share

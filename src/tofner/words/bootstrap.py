"""Whether two taggers differ by more than chance: the paired bootstrap over the sentences of one evaluation set.

Of each sentence i count, for both taggers, right entities TP_i, found entities P_i and, once, gold entities G_i. The
strict micro F1 of any multiset of sentences is

    F1 = 2 sum TP_i / (sum P_i + sum G_i)            (0 where the denominator is)

A resample draws as many sentences as there are, with replacement, the same ones for both taggers, and gives one
difference d = F1(candidate) - F1(champion). The spread of d over many resamples stands for the spread that other
sentences of the same kind would bring (Efron, 1979; for scores of language processing Koehn, 2004, Statistical
Significance Tests for Machine Translation Evaluation; Berg-Kirkpatrick, Burkett & Klein, 2012, An Empirical
Investigation of Statistical Significance in NLP). It says nothing of other domains, nor of another seed of a training.

Where both taggers were trained with several seeds, F1 is the mean over these. A resample draws the sentences first, the
same ones for every seed, and then as many seeds as there are, with replacement; the two taggers of a seed stay
together. So the interval knows of other seeds too, as far as a few can tell: of n seeds the variance comes out as
(n - 1) / n of what it is, half of it with two.

    low, high = the k-th smallest and k-th largest d, k = floor((1 - confidence) samples) + 1

So each end by itself holds with `confidence`: at most a share 1 - confidence of the resamples lies beyond it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tofner.words.scores import Tags
from tofner.words.spans import Span, split_tag, tags_to_spans

DRAWN_TOGETHER = 2_000_000  # sentences drawn at a time; bounds the memory, about 16 bytes each
ROUNDING = 1e-9  # two differences that are nearer than this are equal: they are quotients of whole numbers


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. Scores are 0 to 1, differences -1 to 1, positive where the candidate is better.

    Attributes:
        candidate, champion: strict micro F1, as `scores.score_tags` has it.
        difference: of the two.
        low, high: the ends of the interval around it, see above.
        worse: share of the resamples in which the candidate is worse by more than the margin.
        sentences, entities: of the set; entities are gold ones.
        samples: resamples drawn.
    """

    candidate: float
    champion: float
    difference: float
    low: float
    high: float
    worse: float
    sentences: int
    entities: int
    samples: int


def compare(
    gold: Tags,
    candidate: Tags,
    champion: Tags,
    *,
    margin: float = 0.0,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two taggers on the sentences of one set.

    Args:
        gold, candidate, champion: BIO2 tags [sentences][words]; an orphan I- is no entity.
        margin, confidence, samples, seed: as of `compare_seeds`.

    Raises:
        ValueError: there are no sentences, the three are not equally long, or a number is out of its range.
    """
    numbers: dict[str, Any] = {"margin": margin, "confidence": confidence, "samples": samples, "seed": seed}
    return compare_seeds(gold, [candidate], [champion], **numbers)


def compare_seeds(
    gold: Tags,
    candidates: Sequence[Tags],
    champions: Sequence[Tags],
    *,
    margin: float = 0.0,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the means of two taggers over the seeds that they were trained with.

    Args:
        gold: BIO2 tags [sentences][words]; an orphan I- is no entity.
        candidates, champions: the same of each seed, [seeds][sentences][words], in one order.
        margin: a loss of F1, 0 to 1, that does not count as worse.
        confidence: of each end of the interval.
        samples: resamples. With fewer than 1 / (1 - confidence) the ends are the extremes.
        seed: of the draws; equal seeds give equal results.

    Raises:
        ValueError: there are no seeds or sentences, the rows are not equally long, or a number is out of its range.
    """
    if not samples > 0 or not 0.5 < confidence < 1 or not margin >= 0:
        raise ValueError(f"samples {samples}, confidence {confidence}, margin {margin}")
    counts = np.stack([count_entities(gold, *two) for two in zip(candidates, champions, strict=True)])
    random = np.random.default_rng(seed)
    drawn = _resampled(counts, samples, random)
    shares = _seeds_drawn(len(counts), samples, random)
    of_candidate, of_champion = ((shares * _f1(drawn, tagger)).sum(axis=0) for tagger in (0, 1))
    differences = np.sort(of_candidate - of_champion)
    beyond = int((1 - confidence) * samples + ROUNDING)
    total = counts.sum(axis=1)
    ours, theirs = (float(_f1(total, tagger).mean()) for tagger in (0, 1))
    return Comparison(
        candidate=ours,
        champion=theirs,
        difference=ours - theirs,
        low=float(differences[beyond]),
        high=float(differences[samples - 1 - beyond]),
        worse=float((differences < -margin - ROUNDING).mean()),
        sentences=len(gold),
        entities=int(total[0, 4]),
        samples=samples,
    )


def count_entities(gold: Tags, candidate: Tags, champion: Tags) -> np.ndarray:
    """Right and found entities of the candidate, then of the champion, and gold ones: float64 [sentences, 5].

    Whole numbers below 2 ** 53, so that their sums are exact in any order.

    Raises:
        ValueError: there are no sentences, or the three are not equally long.
    """
    lengths = {tuple(len(tags) for tags in rows) for rows in (gold, candidate, champion)}
    if len(lengths) > 1 or lengths == {()}:
        raise ValueError("no sentences, or gold and predicted tags are not equally long")
    rows = []
    for sentence in zip(gold, candidate, champion, strict=True):
        truth, ours, theirs = (strict_entities(tags) for tags in sentence)
        rows.append((len(truth & ours), len(ours), len(truth & theirs), len(theirs), len(truth)))
    return np.array(rows, dtype=np.float64)


def strict_entities(tags: Sequence[str]) -> set[Span]:
    """The entities of a BIO2 sequence without those that begin with an orphan I- (seqeval `mode="strict"`).

    >>> sorted(strict_entities(["B-PER", "I-PER", "I-LOC", "O", "I-ORG"]))
    [Span(start=0, end=2, type='PER')]
    """
    return {span for span in tags_to_spans(tags) if split_tag(tags[span.start])[0] == "B"}


def _resampled(counts: np.ndarray, samples: int, random: np.random.Generator) -> np.ndarray:
    """Sums over each resample, float64 [seeds, samples, 5]: how often each sentence was drawn, times what it counts,
    float64 [seeds, sentences, 5]."""
    sentences = counts.shape[1]
    together = max(1, DRAWN_TOGETHER // sentences)
    sums = []
    for start in range(0, samples, together):
        rows = min(together, samples - start)
        drawn = random.integers(0, sentences, (rows, sentences)) + sentences * np.arange(rows)[:, None]
        often = np.bincount(drawn.ravel(), minlength=rows * sentences).reshape(rows, sentences)
        sums.append(often.astype(np.float64) @ counts)
    return np.concatenate(sums, axis=1)


def _seeds_drawn(seeds: int, samples: int, random: np.random.Generator) -> np.ndarray:
    """The share of each seed in each resample, float64 [seeds, samples]; all of it where there is one."""
    drawn = random.integers(0, seeds, (samples, seeds))
    shares: np.ndarray = (drawn[None] == np.arange(seeds)[:, None, None]).mean(axis=2)
    return shares


def _f1(sums: np.ndarray, tagger: int) -> np.ndarray:
    """F1 of the candidate (0) or the champion (1), float64 [...], of sums [..., 5]."""
    right, found, gold = sums[..., 2 * tagger], sums[..., 2 * tagger + 1], sums[..., 4]
    f1: np.ndarray = 2 * right / np.maximum(found + gold, 1)
    return f1

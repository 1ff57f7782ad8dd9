"""Which sentences to correct first: `tofner choose`. Active learning from a pool (Settles, 2009), without training.

Of a sentence x with the words x_1 ... x_m, and p_i the probability of the tag that the tagger gives x_i:

    u(x) = 1 - min_i p_i                  uncertainty sampling by least confidence (Lewis & Gale, 1994; Culotta &
                                          McCallum, 2005), of the least certain word
    d(x) = |{i: tag_1(x_i) != tag_2(x_i)}|  query by committee (Seung et al., 1992) of two taggers; 0 with one
    s(x) = d(x) + u(x)                    disputed sentences first, by their disputed words; uncertain ones after them

p_i has four digits, as scores have in every output. Sentences are taken in order of s, of equal ones the earlier first.
One is passed over if it is close to one that was taken: if the character trigrams of their words in lower case have a
Jaccard similarity above 0.5. When the pool is exhausted, those passed over follow in their order. So the choice is a
function of text and models. It reads no label.

Two other choices: the sentences of which the tagger is less sure than a threshold (`tofner.tagging.threshold`), and
sentences drawn at random, for a test or for that threshold, which hard ones are no fair sample for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath

import numpy as np

from tofner.corpora.jsonl import Entity, Record
from tofner.errors import BadInput, Problem
from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.engine.texts import SCORE_DIGITS, Words, to_entities

CLOSE = 0.5  # Jaccard similarity of trigrams above which two sentences are one to a corrector
GROUP = 500  # sentences tagged together
REASON = "reason"  # field that says why a sentence was chosen
DRAWN = "drawn at random"  # how that reason begins where the tagger had no part in it


@dataclass(slots=True)
class Candidate:
    """A sentence with what the tagger says of it."""

    record: Record
    words: Words
    entities: list[Entity]
    certainty: float  # min_i p_i
    score: float
    reason: str


def choose(
    records: Sequence[Record],
    tagger: Tagger,
    number: int,
    against: Tagger | None = None,
    without: Sequence[Record] = (),
    name: str = "",
    below: float | None = None,
    draw: int | None = None,
) -> list[Record]:
    """At most `number` records, the one to correct first at the front, with the tagger's entities and a field `reason`.

    Args:
        records: texts; labels that they have are not looked at. Without an id, one gets `NAME:LINE`.
        against: a second tagger, of an earlier round say.
        without: records that are not wanted, by their words: those corrected already.
        below: only sentences whose least certain word has a lower probability, similar ones too.
        draw: a seed; the records are drawn by it, and the tagger has no part in the choice.

    Raises:
        BadInput: there is nothing to choose from.
    """
    seen = {_content(words_of(tagger, one).words) for one in without}
    pool: list[tuple[Record, Words]] = []
    for record in records:
        words = words_of(tagger, record)
        content = _content(words.words)
        if words.words and content not in seen:
            seen.add(content)
            pool.append((record, words))
    if not pool:
        fix = "name a file with text, or leave --without out"
        raise BadInput(Problem(name, "no sentence to choose", "texts that are not corrected yet", fix))
    if draw is not None:
        drawn = np.random.default_rng(draw).permutation(len(pool))[:number]
        pool = [pool[i] for i in drawn]
    candidates = [one for one in judged(pool, tagger, against) if below is None or one.certainty < below]
    if draw is not None:
        chosen = [replace(one, reason=f"{DRAWN}, seed {draw}") for one in candidates]
    else:
        order = sorted(range(len(candidates)), key=lambda i: (-candidates[i].score, i))
        if below is None:
            order = pick(order, [one.words.words for one in candidates], number)
        chosen = [candidates[i] for i in order[:number]]
    stem = PurePosixPath(name).name.split(".")[0]
    found = [_shown(one, stem) for one in chosen]
    if not any(one.entities for one in found):
        for one in found:  # nothing predicted is nothing to correct, and no annotation either
            one.entities = None
    return found


def pick(order: Sequence[int], words: Sequence[Sequence[str]], number: int) -> list[int]:
    """The first `number` of `order` that are not close to an earlier one; then those passed over.

    >>> pick([0, 1, 2], [["good", "morning", "Ajax"], ["Good", "morning", "Ajax", "!"], ["rain"]], 2)
    [0, 2]
    """
    taken: list[int] = []
    grams: list[frozenset[str]] = []
    passed: list[int] = []
    for i in order:
        if len(taken) == number:
            break
        mine = trigrams(words[i])
        if any(similarity(mine, other) > CLOSE for other in grams):
            passed.append(i)
        else:
            taken.append(i)
            grams.append(mine)
    return taken + passed[: number - len(taken)]


def trigrams(words: Sequence[str]) -> frozenset[str]:
    """Three characters at a time of words in lower case with a space between and around."""
    text = f" {' '.join(words).lower()} "
    return frozenset(text[i : i + 3] for i in range(max(1, len(text) - 2)))


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Jaccard's: the share of all trigrams that both have."""
    return len(first & second) / len(first | second)


def _content(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(words)


def words_of(tagger: Tagger, record: Record) -> Words:
    """The words of a record as the tagger takes them: its own, else those of the model's segmentation."""
    if record.words is None:
        return tagger.words(record.text)
    cut = [record.text[start:end] for start, end in record.words]
    return Words(cut, record.text, np.asarray(record.words, np.int32).reshape(len(cut), 2))


def judged(pool: Sequence[tuple[Record, Words]], tagger: Tagger, against: Tagger | None = None) -> Iterator[Candidate]:
    """What the tagger says of each sentence; all of one word at least."""
    stream = iter(pool)
    while group := list(islice(stream, GROUP)):
        inputs = [words for _, words in group]
        (mine,) = tagger.tag_groups([inputs])
        others = next(iter(against.tag_groups([inputs]))).tags if against else mine.tags
        for (record, words), tags, found, other in zip(group, mine.tags, mine.probabilities, others, strict=True):
            p = np.round(found, SCORE_DIGITS)
            score, reason = judge(words.words, tags, p, other)
            entities = [Entity(e.start, e.end, e.label, e.score) for e in to_entities(words, tags, found)]
            yield Candidate(record, words, entities, float(p.min()), score, reason)


def judge(words: Sequence[str], tags: Sequence[str], p: np.ndarray, other: Sequence[str]) -> tuple[float, str]:
    """s(x), and in words why.

    >>> judge(["Ajax", "won"], ["B-ORG", "O"], np.array([0.61, 0.9]), ["B-ORG", "O"])
    (0.39, 'uncertain: Ajax is B-ORG with 0.61')
    >>> judge(["Ajax", "won"], ["B-ORG", "O"], np.array([0.61, 0.9]), ["O", "O"])
    (1.39, 'disputed: 1 word, Ajax is B-ORG or O')
    """
    least = int(np.argmin(p))
    uncertainty = round(1 - float(p[least]), SCORE_DIGITS)
    disputed = [i for i, (a, b) in enumerate(zip(tags, other, strict=True)) if a != b]
    if disputed:
        first = disputed[0]
        number = f"{len(disputed)} word{'s' if len(disputed) > 1 else ''}"
        score = round(len(disputed) + uncertainty, SCORE_DIGITS)
        return score, f"disputed: {number}, {words[first]} is {tags[first]} or {other[first]}"
    return uncertainty, f"uncertain: {words[least]} is {tags[least]} with {float(p[least]):g}"


def _shown(one: Candidate, stem: str) -> Record:
    record = one.record
    id_ = f"{stem}:{record.line}" if record.id is None else record.id
    return Record(record.text, one.entities, record.words, id_, record.fields | {REASON: one.reason}, record.line)

"""Two taggers on text without labels: how much each finds, and how often they agree. No score, since nobody knows what
is right; but a type that one finds and the other never does, or rates that differ much, show where to look."""

from collections import Counter
from dataclasses import dataclass

from tofner.words.scores import Tags
from tofner.words.spans import tags_to_spans


@dataclass(frozen=True)
class Agreement:
    """What two taggers found in the same text.

    Attributes:
        sentences, words: of the text.
        candidate, champion: entities by type, types sorted; a type that either finds is in both.
        share: F1 of one against the other, 0 to 1, the same whichever is taken for gold; 1 where neither finds any.
    """

    sentences: int
    words: int
    candidate: dict[str, int]
    champion: dict[str, int]
    share: float

    def vanished(self, least: int) -> list[str]:
        """Types that the champion finds at least so often and the candidate never; all of the champion's, if together
        they are so many and the candidate finds nothing at all."""
        if not any(self.candidate.values()) and sum(self.champion.values()) >= least:
            return list(self.champion)
        return [type_ for type_, count in self.champion.items() if count >= least and not self.candidate[type_]]


def agreement(candidate: Tags, champion: Tags) -> Agreement:
    """Compare two taggers' BIO2 tags [sentences][words]. An orphan I- begins an entity, as it does when tagging.

    Raises:
        ValueError: the two are not equally long.
    """
    if [len(tags) for tags in candidate] != [len(tags) for tags in champion]:
        raise ValueError("the tags of candidate and champion are not equally long")
    found: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    both = 0
    for tags in zip(candidate, champion, strict=True):
        ours, theirs = map(tags_to_spans, tags)
        both += len(set(ours) & set(theirs))
        for counter, spans in zip(found, (ours, theirs), strict=True):
            counter.update(span.type for span in spans)
    types = sorted(found[0].keys() | found[1].keys())
    total = found[0].total() + found[1].total()
    return Agreement(
        sentences=len(candidate),
        words=sum(len(tags) for tags in candidate),
        candidate={type_: found[0][type_] for type_ in types},
        champion={type_: found[1][type_] for type_ in types},
        share=2 * both / total if total else 1.0,
    )

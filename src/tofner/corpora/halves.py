"""A few labelled target sentences in two parts: those that train and those that measure (role `target_ner`)."""

from collections.abc import Sequence

import numpy as np

from tofner.corpora.examples import Sentence


def halves(sentences: Sequence[Sentence], train_share: float, seed: int) -> tuple[list[Sentence], list[Sentence]]:
    """Those to train on and those to measure on, drawn by seed, each in the order that they came in.

    Sentences of the same words are on one side, so that none measures what it has taught. The share counts different
    sentences; of two or more, each side that has a share gets at least one.

    >>> train, test = halves([Sentence(str(i), [str(i)], ["O"]) for i in range(4)], 0.5, seed=0)
    >>> len(train), len(test)
    (2, 2)
    """
    contents = list(dict.fromkeys(tuple(one.tokens) for one in sentences))
    number = round(train_share * len(contents))
    if len(contents) > 1 and 0 < train_share < 1:
        number = min(max(number, 1), len(contents) - 1)
    order = np.random.default_rng(seed).permutation(len(contents)).tolist()
    trains = {contents[i] for i in order[:number]}
    train = [one for one in sentences if tuple(one.tokens) in trains]
    return train, [one for one in sentences if tuple(one.tokens) not in trains]

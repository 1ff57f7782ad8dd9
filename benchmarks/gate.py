"""How often the gate promotes a new model that is worse, equal or better, by the size of the labelled set.

    python benchmarks/gate.py [--entities 500,1000,2000,5000] [--differ 0.05] [--trials 200]

Two taggers are drawn: the champion has the right type on 80 % of the entities, the candidate gives another answer than
the champion on a share `--differ` of them, so that its true F1 is higher by the points of the column. A sentence has
two entities, and each tagger finds all ends, so F1 is the share of right types. Real errors come in clusters, which
widens the interval: take the table as the best case.
"""

import argparse

import numpy as np

from tofner.release.gate import Gate, Labelled, decide

POINTS = (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0)  # true difference of F1
RIGHT, WRONG = "B-PER", "B-LOC"


def drawn(entities: int, differ: float, points: float, random: np.random.Generator) -> Labelled:
    """A set of `entities` and what the two taggers say of it."""
    lost, won = differ / 2 - points / 200, differ / 2 + points / 200
    if lost < 0 or won < 0:
        raise SystemExit(f"--differ {differ} is less than the difference of {points} points")
    kinds = random.choice(4, entities, p=[0.8 - lost, lost, won, 0.2 - won])  # both right, one, the other, none
    champion, candidate = (
        [[RIGHT if i in right else WRONG for i in pair] for pair in kinds.reshape(-1, 2).tolist()]
        for right in ((0, 1), (0, 2))
    )
    return Labelled("drawn", "source", [[RIGHT, RIGHT]] * (entities // 2), candidate, champion)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", default="500,1000,2000,5000")
    parser.add_argument("--differ", type=float, default=0.05)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    print("| entities |" + "".join(f" {points:+g} |" for points in POINTS) + " low end |")
    print("| ---: |" + " ---: |" * (len(POINTS) + 1))
    for entities in map(int, options.entities.split(",")):
        shares, below = [], []
        for points in POINTS:
            promoted = 0
            for trial in range(options.trials):
                random = np.random.default_rng([entities, int(100 * points) + 1000, trial])
                one = drawn(entities, options.differ, points, random)
                verdict = decide(Gate(), "champion", [one], seed=trial)
                promoted += verdict.promote
                score = verdict.sets[0].score
                assert score is not None
                below.append(score.difference - score.low)
            shares.append(promoted / options.trials)
        cells = "".join(f" {100 * share:.0f} % |" for share in shares)
        print(f"| {entities:,} |{cells} {100 * np.mean(below):.2f} |", flush=True)


if __name__ == "__main__":
    main()

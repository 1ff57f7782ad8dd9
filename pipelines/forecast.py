"""How much work a run's tasks are, and how long what is left of it may take.

Work is counted in words that a network reads, a training step as three of them (forward, and backward through weights
and inputs), from the plan's settings and from what `prepare` found in the data. What a unit costs on this machine is
learned from the tasks of this run that are done. A task costs START_S on top: a process, its imports, its files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tofner import storage
from tofner.model.layout import REPORT
from tofner.stages.plan import Plan
from tofner.stages.steps import chain, find, place_of

START_S = 10.0
TRAIN = 3  # as much as reading
QUERY_WORDS = 10  # of a question


@dataclass
class Forecast:
    """Shares and times of a run's tasks.

    Attributes:
        names: of the tasks, in the order of the graph.
        units: work of a task; None as long as nobody has counted it.
    """

    names: list[str]
    units: Mapping[str, float] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    reused: set[str] = field(default_factory=set)

    def over(self, name: str, seconds: float | None) -> None:
        """A task is done, or was reused (None)."""
        if seconds is None:
            self.reused.add(name)
        else:
            self.seconds[name] = seconds

    @property
    def finished(self) -> int:
        return len(self.reused | set(self.seconds))

    def left_s(self, running: str, share: float, spent_s: float) -> float | None:
        """Seconds that are left, `running` being done to a `share` after `spent_s`; None as long as nothing says how
        fast this machine is."""
        cost = self._unit_s(running, share, spent_s)
        if self.units is None or cost is None:
            return None
        over = self.reused | set(self.seconds)
        left = sum(self._task_s(name, cost) for name in self.names if name not in over and name != running)
        own = self._task_s(running, cost) if running else 0.0
        return left + max(own * (1 - share) if share else own - spent_s, 0.0)

    def share(self, running: str, share: float, spent_s: float) -> float:
        """Of the run's time, 0 to 1; 0 as long as nobody knows what is left."""
        left = self.left_s(running, share, spent_s)
        spent = sum(self.seconds.values()) + spent_s
        return 0.0 if left is None or not spent + left else spent / (spent + left)

    def _task_s(self, name: str, unit_s: float) -> float:
        return START_S + (self.units or {}).get(name, 0.0) * unit_s

    def _unit_s(self, running: str, share: float, spent_s: float) -> float | None:
        """Seconds a unit, of the tasks that are done and of what is done of the one that runs."""
        units = self.units or {}
        done = sum(units.get(name, 0.0) for name in self.seconds) + share * units.get(running, 0.0)
        counted = [name for name in self.seconds if units.get(name)]
        spent = sum(self.seconds[name] for name in counted) - START_S * len(counted)
        if share and units.get(running):
            spent += max(0.0, spent_s - START_S)
        return max(spent, 0.0) / done if done and spent > 0 else None


def counted(planned: Plan) -> dict[str, float] | None:
    """Work of each task by its name, once `prepare` is done; None before."""
    place = storage.join(place_of(planned, "prepare"), REPORT)
    try:
        rows = json.loads(storage.read_bytes(place))["details"]["sets"]
    except storage.NoSuchObject:
        return None
    return work(planned, rows)


def work(planned: Plan, sets: list[dict[str, Any]]) -> dict[str, float]:
    """Work of each task, from the rows of the corpora: `part`, `sentences`, `words`, `questions`."""
    corpora = {part: Corpus.of(row for row in sets if row["part"] == part) for part in {row["part"] for row in sets}}
    target = corpora.get("target_text", Corpus())
    types = len(json.loads(planned.settings["ner"])["labels"]) // 2 or 1
    found: dict[str, float] = {}
    for name in chain(planned.rounds):
        step = find(planned, name)
        if step.off or step.stage == "evaluate":
            continue
        told = json.loads(planned.settings[step.task])
        training = told.get("training", {})
        if step.stage == "pseudo_label":
            asked = types * (target.words + QUERY_WORDS * target.sentences) if told["queries"] else 0.0
            found[name] = target.words + asked
            continue
        pseudo = step.task in ("pseudo_ner", "loop_ner", "loop_mrc")
        if step.stage == "mlm":
            examples = [target, corpora.get("source_text", corpora.get("source_ner", Corpus()))]
            dev = Corpus()
        elif step.stage == "ner":
            examples = [target] if pseudo else [corpora.get("source_ner", Corpus())]
            dev = corpora.get("source_ner_dev", Corpus())
        else:
            asked_of = target if pseudo else corpora.get("source_ner", Corpus())
            examples = [corpora.get(part, Corpus()).asked() for part in ("target_mrc", "source_mrc")]
            examples = [*(examples[:1] if pseudo else examples), asked_of.asked(types)]
            dev = corpora.get("source_ner_dev", Corpus()).asked(types).capped(training.get("max_dev_examples"))
        learned = sum(one.capped(training.get("max_train_examples")).words for one in examples)
        once = TRAIN * learned * training.get("maskings", 1) + dev.capped(training.get("max_dev_examples")).words
        found[name] = training.get("epochs", 1) * once
    dev_words = corpora.get("source_ner_dev", Corpus()).words
    found["line 21: export"] = 3 * dev_words + target.capped(600).words
    count = 1 + planned.use_pseudo + planned.iterations
    found["line 20: evaluate"] = count * corpora.get("target_test", target.capped(500)).words
    return found


@dataclass(frozen=True)
class Corpus:
    """Sizes of a corpus: `sentences` are what examples are made of."""

    sentences: float = 0.0
    words: float = 0.0
    questions: float = 0.0

    @classmethod
    def of(cls, rows: Any) -> "Corpus":
        names = ("sentences", "words", "questions")
        return cls(
            *(float(sum(values)) for values in zip(*([row[name] for name in names] for row in rows), strict=True))
        )

    def asked(self, times: int = 1) -> "Corpus":
        """As questions: those that it has, or so many of each sentence."""
        count = self.questions or self.sentences * times
        each = self.words / max(1.0, self.sentences) + QUERY_WORDS
        return Corpus(count, count * each)

    def capped(self, most: float | None) -> "Corpus":
        """At most so many examples of it."""
        if most is None or self.sentences <= most:
            return self
        return Corpus(most, self.words * most / self.sentences)


def told(seconds: float) -> str:
    """
    >>> told(65), told(3720), told(8)
    ('1:05', '1:02:00', '0:08')
    """
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"

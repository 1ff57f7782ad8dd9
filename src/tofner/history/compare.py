"""Two runs beside each other: what they were told, what each stage and type reached, which sentences each gets wrong.

Either side may be several runs, of different seeds: then numbers are means, and the bootstrap draws seeds as well.
Settings are read from the manifests of the results, so what is compared is what reached a stage, and is named as one
would set it.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.errors import BadInput, Problem
from tofner.history.book import Run
from tofner.history.numbers import Tested, by_stage, by_type, read_same
from tofner.model.layout import MANIFEST
from tofner.people import computed_with
from tofner.stages.effect import effect, in_words
from tofner.words.bootstrap import strict_entities

CORPORA = {  # of what `prepare` is told: the names of settings; roles and translation are told of the whole run
    "types": "types",
    "label_map": "label_map",
    "question_types": "ner_as_mrc.types",
    "question_map": "ner_as_mrc.label_map",
    "data_digest": "contents of the data",
}
SHOWN = 5  # sentences of a side
ABSENT = "–"
NOT_SETTINGS = ("seed", "machine", "encoder_digest", "code", "notes")  # told elsewhere, or of no stage
TOLD_APART = ("description", "overrides", "absent", "machine", "compute", "encoder_digest")  # of `run.json`'s run
Flat = dict[str, str]
Told = tuple[Flat, dict[str, Flat | None]]  # of the whole run, and of each task; None where it is no longer known


def compare(a: Sequence[Run], b: Sequence[Run], cache: Path) -> dict[str, Any]:
    """Everything that two runs, or two sets of runs that differ in their seeds, differ in.

    Args:
        a, b: each in the order of its seeds.
        cache: folder for what is fetched.

    Returns:
        `a`, `b` (names, seeds), `settings` (name, a, b), `stages` and `types` (each with the spreads of a and b),
        `effect` (b against a; None where it cannot be said), `said` in words, `errors` (of a and b), `notes`.

    Raises:
        BadInput: a run is on both sides.
    """
    both = {one.uri for one in a} & {one.uri for one in b}
    if both:
        name = next(one.name for one in a if one.uri in both)
        raise BadInput(Problem(name, "the same run on both sides", "two runs"))
    notes: list[str] = []
    compared, said, errors = _tested(a, b, cache)
    return {
        **{side: _about(runs) for side, runs in (("a", a), ("b", b))},
        "settings": _differences([_told(run, notes) for run in a], [_told(run, notes) for run in b]),
        "stages": _beside(by_stage(a), by_stage(b), "name"),
        "types": _beside(by_type(a), by_type(b), "type"),
        "effect": compared,
        "said": said,
        "errors": errors,
        "notes": list(dict.fromkeys(notes)),
    }


def _about(runs: Sequence[Run]) -> dict[str, Any]:
    return {"runs": [one.name for one in runs], "seeds": [one.seed for one in runs]}


def _beside(a: list[dict[str, Any]], b: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows of the same name beside each other: the name, and each side's row, None where it has none."""
    sides = [{row[key]: row for row in rows} for rows in (a, b)]
    return [{key: name, "a": sides[0].get(name), "b": sides[1].get(name)} for name in sides[0] | sides[1]]


def _told(run: Run, notes: list[str]) -> Told:
    """What a run was told; notes say what is no longer known."""
    about = run.told["run"]
    whole = flat({name: value for name, value in about.items() if name not in TOLD_APART})
    whole |= {"computed with": computed_with(about["machine"]), "contents of the encoder": about["encoder_digest"][:12]}
    tasks: dict[str, Flat | None] = {}
    for task, uri in _results(run):
        place = storage.join(uri, MANIFEST)
        if not storage.exists(place):
            notes.append(f"{run.name}: what {task} was told is no longer stored, and not compared")
            tasks.setdefault(task, None)
            continue
        settings = json.loads(storage.read_bytes(place))["settings"]
        tasks.setdefault(task, of_task(task, settings))
    return whole, tasks


def _results(run: Run) -> list[tuple[str, str]]:
    """Task, as settings name it, and address of each result of a run."""
    rows = [
        (f"loop_{row['stage']}" if row["iteration"] and row["stage"] in ("mrc", "ner") else row["name"], row["uri"])
        for row in run.told["rows"]
    ]
    named = [(task.partition(" ")[0], uri) for task, uri in rows]
    return [*named, *(("evaluate", uri) for uri in run.scores[:1])]


def of_task(task: str, settings: dict[str, Any]) -> Flat:
    """Settings of one task under the names by which they are set, the rest under that of the task."""
    found: Flat = {}
    for name, value in settings.items():
        if name in NOT_SETTINGS:
            continue
        if task == "prepare":
            found |= flat({CORPORA[name]: value}) if name in CORPORA else {}
        else:
            own = name in ("training", task)  # what a preset has under `stages`
            found |= flat({(f"stages.{task}" if own else f"{task}.{name}"): value})
    return found | {f"code of {task}": settings["code"]}


def flat(value: dict[str, Any], prefix: str = "") -> Flat:
    """Nested settings as names with dots, values as text.

    >>> flat({"a": {"b": 1, "c": []}, "d": ["x", "y"], "e": None})
    {'a.b': '1', 'a.c': 'none', 'd': 'x, y', 'e': 'none'}
    """
    found: Flat = {}
    for name, part in value.items():
        if isinstance(part, dict) and part:
            found |= flat(part, f"{prefix}{name}.")
        elif isinstance(part, list | dict):
            texts = [json.dumps(one, ensure_ascii=False) if isinstance(one, list | dict) else str(one) for one in part]
            found[prefix + name] = ", ".join(texts) or "none"
        else:
            found[prefix + name] = (
                "none" if part is None else str(part).lower() if isinstance(part, bool) else str(part)
            )
    return found


def _differences(a: list[Told], b: list[Told]) -> list[dict[str, str]]:
    """What is not the same for all: a row a setting; one alone for a task that one side has not at all."""
    ran = [{task for _, tasks in side for task in tasks} for side in (a, b)]
    found = _rows([one for one, _ in a], [one for one, _ in b])
    for task in dict.fromkeys(task for _, tasks in [*a, *b] for task in tasks):
        if task in ran[0] and task in ran[1]:
            known = [[flat for _, tasks in side if (flat := tasks.get(task)) is not None] for side in (a, b)]
            found += _rows(*known) if len(known[0]) == len(a) and len(known[1]) == len(b) else []
        else:
            found.append({"name": task, **{side: "ran" if task in ran[i] else "off" for i, side in enumerate("ab")}})
    return found


def _rows(a: list[Flat], b: list[Flat]) -> list[dict[str, str]]:
    names = dict.fromkeys(name for one in [*a, *b] for name in one)
    values = {
        name: [", ".join(dict.fromkeys(one.get(name, ABSENT) for one in side)) for side in (a, b)] for name in names
    }
    return [{"name": name, "a": ours, "b": theirs} for name, (ours, theirs) in values.items() if ours != theirs]


def _tested(
    a: Sequence[Run], b: Sequence[Run], cache: Path
) -> tuple[dict[str, Any] | None, str, dict[str, Any] | None]:
    """The last taggers on the same sentences: effect, what to say of it, and the errors of each alone."""
    if len(a) != len(b):
        return None, f"Not compared: {len(a)} runs on one side and {len(b)} on the other.", None
    tested = read_same([*a, *b], cache)
    if isinstance(tested, str):
        return None, f"Not compared: {tested}.", None
    ours, theirs = tested[: len(a)], tested[len(a) :]
    gold = tested[0].gold
    compared = effect(gold, [one.found[-1] for one in ours], [one.found[-1] for one in theirs], a[0].seed)
    if compared is None:
        return None, "Not compared: the labels that were found are of other sentences.", None
    heads = ("B is better than A", "B is worse than A", "A and B make no difference")
    said = in_words(compared, "A", "B", len(a), heads)
    return compared, said, {"a": errors(ours, theirs), "b": errors(theirs, ours)}


def errors(ones: Sequence[Tested], others: Sequence[Tested]) -> dict[str, Any]:
    """What some taggers get wrong and their counterparts do not, over all pairs.

    Returns:
        `missed` (gold entities) and `invented` (found ones that are none), each by type; `sentences` with any;
        `examples` of the first pair, the sentences with the most errors first: `tokens`, and `gold`, `found` and
        `other` as [start, end, type].
    """
    missed: Counter[str] = Counter()
    invented: Counter[str] = Counter()
    sentences = 0
    examples: list[tuple[int, int, dict[str, Any]]] = []
    for pair, (one, other) in enumerate(zip(ones, others, strict=True)):
        for number, tags in enumerate(zip(one.gold, one.found[-1], other.found[-1], strict=True)):
            gold, found, theirs = (strict_entities(row) for row in tags)
            lost, false = (gold - found) & theirs, (found - gold) - theirs
            missed.update(span.type for span in lost)
            invented.update(span.type for span in false)
            wrong = len(lost) + len(false)
            sentences += bool(wrong)
            if wrong and not pair:
                rows = (("gold", gold), ("found", found), ("other", theirs))
                spans = {name: [list(span) for span in sorted(part)] for name, part in rows}
                examples.append((-wrong, number, {"tokens": one.words[number], **spans}))
    shown = [row for *_, row in sorted(examples, key=lambda row: row[:2])[:SHOWN]]
    kinds = {"missed": missed, "invented": invented}
    return {
        **{name: dict(sorted(kind.items())) for name, kind in kinds.items()},
        "sentences": sentences,
        "examples": shown,
    }

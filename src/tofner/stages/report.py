"""What the run brought: `run.json` for programs, `report.md` and `report.html` for people.

Rows come from the manifests of the final tagger's history, so the report tells what was really done, whoever did it.
"""

import hashlib
import json
from typing import Any

from tofner import storage
from tofner.corpora.corpus import read_ner
from tofner.model.layout import MANIFEST, MODELS, REPORT
from tofner.model.versions import version_of
from tofner.stages import gather, unlabelled
from tofner.stages.config import ReportConfig
from tofner.stages.effect import effect, in_words
from tofner.stages.pages.render import render_html, render_markdown
from tofner.stages.runtime import addresses, lineage, read_json
from tofner.stages.scored import gold_of, predicted
from tofner.stages.work import Report, Work

History = list[tuple[str, dict[str, Any], dict[str, Any]]]  # (uri, manifest, report)


def run(config: ReportConfig, work: Work) -> Report:
    history = sorted(lineage(work.uri("model")), key=lambda item: item[1]["finished_at"])
    export = _one(work.uri("export"))
    scores = [_one(uri) for uri in addresses("scores", work.uri("scores"))]
    rows = name_rows(history, scores)
    final = scores[-1][2]
    gold = _one(scores[-1][1]["inputs"]["gold"])
    reports = [report for _, _, report in history]
    times = gather.times(
        [
            *((row["name"], report) for row, report in zip(rows, reports, strict=True)),
            ("gold", gold[2]),
            *((f"score: {_name_of(manifest['inputs']['model'], rows)}", report) for _, manifest, report in scores),
            ("export", export[2]),
        ]
    )
    name, version = config.run["model_name"], version_of(export[1])
    published = storage.join(work.store, MODELS, name, version)
    compared = _effect(work, scores)
    types = final["confusion"]["labels"][:-1] or final["details"]["types"]
    sets = gather.part_of([*reports, gold[2]], "sets")
    known = _unlabelled(work, rows, history, export, sets, types)
    alarms = unlabelled.warnings(known["rates"]) if known else []
    tested = measured_on(config.run["roles"])
    value = {
        "verdict": gather.verdict(rows, final, tested),
        "effect": compared,
        "helped": helped(compared, rows, final),
        "run": config.run | {"roles": config.run["roles"] | {"target_test": tested}},
        "transductive": config.transductive,
        "rows": [*rows, _row("export", 0, *export)],
        "model": {
            "uri": work.uri("model"),
            "digest": history[-1][1]["digest"],
            "export": work.uri("export"),
            "published": published,
        },
        "final": final,
        "types": types,
        "unlabelled": known,
        "alarms": alarms,
        "curves": gather.curves(rows, history),
        "labels": gather.labels(rows, history),
        "sets": sets,
        "overlaps": gather.part_of(reports, "overlaps"),
        "times": times,
        "seconds": round(sum(row["seconds"] for row in times), 1),
        "export": {name: export[2]["details"].get(name) for name in ("sizes", "int8")},
        "parity": export[2]["metrics"],
        "notes": list(dict.fromkeys(note for _, _, report in [*history, *scores] for note in report["notes"])),
        "code": config.code,
        "revision": _revision([*history, *scores, export]),
        "libraries": history[-1][1]["libraries"],
        "python": history[-1][1]["python"],
    }
    (work.output / "run.json").write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (work.output / "report.md").write_text(render_markdown(value), encoding="utf-8")
    (work.output / "report.html").write_text(render_html(value), encoding="utf-8")
    f1 = {f"f1_{row['name'].replace(' ', '_')}": row["f1"] for row in rows if row["f1"] is not None}
    # Of one unit, the final one first in any order. A run page shows no empty list, and nothing is no 0 of F1.
    metrics = {"f1": final["metrics"]["f1"], **f1} if f1 else {"measured": 0.0}
    return Report(metrics=metrics, notes=[*alarms, *value["notes"]], summary=value["verdict"])


def _unlabelled(
    work: Work,
    rows: list[dict[str, Any]],
    history: History,
    export: tuple[str, dict[str, Any], dict[str, Any]],
    sets: list[dict[str, Any]],
    types: list[str],
) -> dict[str, Any] | None:
    """What can be known without labels (`tofner.stages.unlabelled`); None of an export that did not look."""
    target = export[2]["details"].get("target")
    if target is None:
        return None
    names = {row["uri"]: row["name"] for row in rows}
    taggers: dict[str, dict[str, Any]] = {}
    for uri, manifest, _ in history:
        if manifest["stage"] == "pseudo_label":
            labelled = read_ner(work.fetch(uri) / "pseudo_ner.parquet")
            name = names.get(manifest["inputs"]["model"], "another tagger")
            taggers[name] = unlabelled.spans_of(labelled, target["lengths"])
    taggers[names.get(export[1]["inputs"]["model"], "the last tagger")] = target["spans"]
    return {
        **{name: target[name] for name in ("sentences", "words", "histogram", "examples")},
        "rates": unlabelled.rates(sets, target, types),
        "agreement": unlabelled.agreements(taggers, target["lengths"]),
    }


def _effect(work: Work, scores: History) -> dict[str, Any] | None:
    """The last tagger against the first one; None where nothing was measured, or there is one tagger alone."""
    if len(scores) < 2 or any("f1" not in report["metrics"] for _, _, report in scores):
        return None
    _, manifest, _ = scores[0]
    test = gold_of(manifest, work.fetch)
    tags = [one.tags or [] for one in test]
    first, last = (predicted(uri) for uri, _, _ in (scores[0], scores[-1]))
    return effect(tags, [first], [last], manifest["settings"]["seed"])


def helped(compared: dict[str, Any] | None, rows: list[dict[str, Any]], final: dict[str, Any]) -> str:
    """Whether the method helped, in words; what to do where nobody can know."""
    if compared:
        scored = [row["name"] for row in rows if row["f1"] is not None]
        return in_words(compared, scored[0], scored[-1])
    if "f1" not in final["metrics"]:
        return (
            "Whether the method helped was not measured: label a hundred target sentences or more, and name them as "
            "roles.target_test."
        )
    return (
        "Whether the method helped cannot be said: the run has one tagger alone, or its scores are of other sentences."
    )


def measured_on(roles: dict[str, Any]) -> list[str]:
    """The sets that scores are of; of labelled target sentences those that are not trained on.

    >>> measured_on({"target_test": [], "target_ner": {"sets": ["a/b"], "train_share": 0.5}})
    ['a/b (the 50 % that is not trained on)']
    """
    own = roles.get("target_ner", {"sets": [], "train_share": 1})
    rest = round(100 * (1 - own["train_share"]), 2)
    part = f" (the {rest:g} % that is not trained on)" if rest < 100 else ""
    return [*roles["target_test"], *(f"{name}{part}" for name in own["sets"] if rest)]


def _revision(results: History) -> str:
    """16 hex digits over the code that made a run's results: equal for equal code of the same stages."""
    codes = {manifest["stage"]: manifest["settings"]["code"] for _, manifest, _ in results}
    return hashlib.sha256(json.dumps(codes, sort_keys=True).encode()).hexdigest()[:16]


def _name_of(model: str, rows: list[dict[str, Any]]) -> str:
    return next((str(row["name"]) for row in rows if row["uri"] == model), "another model")


def _one(uri: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return uri, read_json(storage.join(uri, MANIFEST)), read_json(storage.join(uri, REPORT))


def name_rows(history: History, scores: History) -> list[dict[str, Any]]:
    """A row a stage in order of time, with its round and, for taggers, the scores that were measured of it.

    Stages are told apart by their inputs: what reads pseudo-labels before any pseudo-MRC is line 9, what comes with or
    after the i-th pseudo-MRC belongs to round i.
    """
    scored = {manifest["inputs"]["model"]: report for _, manifest, report in scores}
    rounds = 0
    rows = []
    for index, (uri, manifest, report) in enumerate(history):
        stage: str = manifest["stage"]
        pseudo = "pseudo" in manifest["inputs"]
        if stage == "pseudo_label" and _feeds_round(uri, history[index + 1 :]):
            rounds += 1
        name = "pseudo_ner" if stage == "ner" and pseudo and not rounds else stage
        rows.append(_row(name, rounds, uri, manifest, report) | _scores(scored.get(uri)))
    return rows


def _feeds_round(uri: str, later: History) -> bool:
    return any(m["stage"] == "mrc" and m["inputs"].get("pseudo") == uri for _, m, _ in later)


def _scores(scores: dict[str, Any] | None) -> dict[str, float | None]:
    """F1 and its kin of a scored tagger; None of any other stage."""
    metrics = scores["metrics"] if scores else {}
    return {name: metrics.get(name) for name in ("f1", "precision", "recall", "span_f1")}


def _row(
    stage: str,
    iteration: int,
    uri: str,
    manifest: dict[str, Any],
    report: dict[str, Any],
) -> dict[str, Any]:
    return {
        "name": f"{stage} {iteration}" if iteration else stage,
        "stage": stage,
        "iteration": iteration,
        "seconds": round(report["seconds"], 1),
        **_scores(None),
        "dev": report["metrics"].get("score"),
        "finished_at": manifest["finished_at"],
        "digest": manifest["digest"],
        "counts": report["counts"],
        "uri": uri,
    }

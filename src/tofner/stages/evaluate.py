"""Algorithm 1, line 20: predict on the target test and score; runs after every stage that yields a tagger.

Where the export will correct the tagger's class priors, the corrected tagger is scored; `raw_f1` is that of the other.
"""

import json
from typing import Any

from tofner.corpora import conll
from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import cap
from tofner.stages import sentences
from tofner.stages.config import EvaluateConfig
from tofner.stages.work import Report, Work
from tofner.training import checkpoint
from tofner.training.fit import prepare_torch
from tofner.training.ner import Tagging, predict_tags
from tofner.training.priors import correct
from tofner.words.scores import confusion, score_tags
from tofner.words.spans import split_tag


def run(config: EvaluateConfig, work: Work) -> Report:
    settings = config.evaluate
    prepare_torch(config.seed, config.machine)
    folder = work.folder("model")
    model, labels, about = checkpoint.load_trained_tagger(folder)
    model.to(checkpoint.device(config.machine))
    test = list(cap(read_ner(work.folder("gold") / "target_test.parquet"), settings.max_examples, config.seed))
    words, gold = [s.tokens for s in test], [s.tags or [] for s in test]
    sizes = (about["max_pieces"], about["overlap_pieces"])
    types = [split_tag(label)[1] for label in labels if label.startswith("B-")]
    if not test:
        return _not_measured(types)

    def predicted() -> list[Tagging]:
        return predict_tags(model, checkpoint.piece_encoder(folder), words, labels, *sizes, settings.batch_size)

    found, raw, corrected = predicted(), None, None
    if config.priors:
        raw = float(score_tags(gold, [tagging.tags for tagging in found])["micro"]["f1"])
        corrected = correct(model, folder, labels, sizes, work.folder("corpora"), config.priors, config.seed)
        found = predicted()
    tags = [tagging.tags for tagging in found]
    scores = score_tags(gold, tags)
    tagged = [Sentence(s.id, s.tokens, row) for s, row in zip(test, tags, strict=True)]
    (work.output / "predicted.conll").write_text(conll.to_text(tagged), encoding="utf-8")
    (work.output / "scores.json").write_text(json.dumps(scores, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    metrics = {name: scores["micro"][name] for name in ("f1", "precision", "recall")}
    metrics |= {"macro_f1": scores["macro"]["f1"], "span_f1": scores["spans"]["f1"]}
    metrics |= {f"f1_{type_}": row["f1"] for type_, row in scores["types"].items()}
    counts = {"sentences": len(test), "entities": int(scores["micro"]["support"])}
    counts["orphan_tags"] = sum(tagging.orphans for tagging in found)
    wrong = sentences.wrong(test, tags, [tagging.scores for tagging in found], settings.errors_shown)
    details: dict[str, Any] = {"scores": scores, "errors": wrong}
    summary = (
        f"F1 {100 * metrics['f1']:.2f}, precision {100 * metrics['precision']:.2f}, "
        f"recall {100 * metrics['recall']:.2f} on {len(test)} sentences"
    )
    report = Report(metrics, counts, confusion(gold, tags, types), details=details, summary=summary)
    if corrected is not None and raw is not None:
        metrics["raw_f1"] = raw
        details["priors"] = corrected.rows
        report.summary += f", with class priors corrected; without it F1 {100 * raw:.2f}"
        report.notes.append("scores are those of taggers whose class priors were corrected on unlabelled target text")
    return report


def _not_measured(types: list[str]) -> Report:
    """Without labelled target sentences there is no F1, which is another thing than an F1 of 0."""
    return Report(
        counts={"sentences": 0},
        confusion={"labels": [], "matrix": []},
        notes=["not measured: no labelled target sentences; name some as roles.target_test to know how good it is"],
        details={"scores": None, "errors": [], "types": types},
        summary="not measured: no labelled target sentences",
    )

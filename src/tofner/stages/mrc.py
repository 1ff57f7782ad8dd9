"""Algorithm 1, lines 3-4 and 13-14: fine-tune g(., theta_mrc).

Before the rounds it learns from {D_t,m, D_s,m, D_s,nm}; in a round (`pseudo` given) from {D_t,m, pseudo-MRC}, and by
settings from D_s,m and D_s,nm too. NER becomes MRC here: one question a type and sentence.
"""

from collections.abc import Sequence
from pathlib import Path

from tofner.corpora.corpus import read_mrc, read_ner
from tofner.corpora.examples import MrcExample
from tofner.corpora.lazy import joined
from tofner.corpora.ner_as_mrc import all_as_mrc
from tofner.settings import LoopMrc
from tofner.stages.believed import read_believed
from tofner.stages.config import MrcConfig
from tofner.stages.work import Report, Work, told_epochs
from tofner.training import checkpoint
from tofner.training.batches import cap
from tofner.training.fit import fit, prepare_torch
from tofner.training.mrc import (
    SpanExtractor,
    collate,
    load_heads,
    predict_answers,
    save_heads,
    score_answers,
    span_examples,
)


def run(config: MrcConfig, work: Work) -> Report:
    settings = config.training
    prepare_torch(config.seed)
    corpora = work.folder("corpora")
    folder = work.model()
    encoder = checkpoint.piece_encoder(folder)
    model = SpanExtractor(checkpoint.load_encoder(folder), settings.span_match)
    if isinstance(settings, LoopMrc) and settings.head == "carry" and work.given("head"):
        load_heads(model, work.folder("head"))

    parts = _training_parts(config, work, corpora)
    drawn = {name: cap(part, settings.max_train_examples, config.seed) for name, part in parts.items()}
    examples, counts = span_examples(encoder, joined(drawn.values()), settings)
    questions = joined([_read(corpora, "source_mrc_dev"), _as_mrc(corpora, "source_ner_dev", config.source_queries)])
    dev = list(cap(questions, settings.max_dev_examples, config.seed))

    def score(m: SpanExtractor) -> dict[str, float]:
        return score_answers(predict_answers(m, encoder, dev, settings), dev)

    fitted = fit(model, examples, collate, score, settings, work.keep, config.seed)  # type: ignore[arg-type]
    target_dev = list(cap(_read(corpora, "target_mrc_dev"), settings.max_dev_examples, config.seed))
    if target_dev:  # shown, never used to choose
        found = score_answers(predict_answers(model.eval(), encoder, target_dev, settings), target_dev)
        fitted.metrics["target_dev_f1"] = found["f1"]
    checkpoint.save(model.encoder, folder, work.output)
    save_heads(model, work.output, settings)
    counts.update({f"{name}_examples": len(part) for name, part in drawn.items()}, dev_examples=len(dev))
    summary = f"F1 {100 * fitted.metrics['f1']:.2f} on source dev questions, {told_epochs(fitted.metrics)}"
    return Report(fitted.metrics, counts, details={"training": fitted.history}, summary=summary)


def _training_parts(config: MrcConfig, work: Work, corpora: Path) -> dict[str, Sequence[MrcExample]]:
    settings = config.training
    parts: dict[str, Sequence[MrcExample]] = {"target_mrc": _read(corpora, "target_mrc") if settings.targets else []}
    if work.given("pseudo"):
        assert isinstance(settings, LoopMrc)
        parts["pseudo_mrc"] = all_as_mrc(read_believed(work.folder("pseudo"), settings.trust), config.target_queries)
    if settings.sources:
        parts["source_mrc"] = _read(corpora, "source_mrc")
    if settings.ner_as_mrc:
        parts["ner_mrc"] = _as_mrc(corpora, "source_ner", config.source_queries)
        parts["translated_ner_mrc"] = _as_mrc(corpora, "translated_ner", config.target_queries)
    return {name: part for name, part in parts.items() if part}


def _read(folder: Path, name: str) -> Sequence[MrcExample]:
    path = folder / f"{name}.parquet"
    return read_mrc(path) if path.is_file() else []


def _as_mrc(folder: Path, name: str, queries: dict[str, str]) -> Sequence[MrcExample]:
    """Labelled sentences as MRC, one example a type and sentence, sentence by sentence."""
    path = folder / f"{name}.parquet"
    return all_as_mrc(read_ner(path), queries) if path.is_file() else []

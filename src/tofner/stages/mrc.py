"""Algorithm 1, lines 3-4 and 13-14: fine-tune g(., theta_mrc).

Before the rounds it learns from {D_t,m, D_s,m, D_s,nm}; in a round (`pseudo` given) from {D_t,m, pseudo-MRC}.
"""

from pathlib import Path

from tofner.corpora.corpus import read_mrc
from tofner.corpora.examples import MrcExample
from tofner.stages.config import MrcConfig
from tofner.stages.work import Report, Work
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
    if work.given("head") and settings.head == "carry":
        load_heads(model, work.folder("head"))

    parts = _training_parts(config, work, corpora)
    drawn = {name: cap(part, settings.max_train_examples, config.seed) for name, part in parts.items()}
    examples, counts = span_examples(encoder, [e for part in drawn.values() for e in part], settings)
    dev = [*_read(corpora, "source_mrc_dev"), *_read(corpora, "ner_mrc_dev")]
    dev = cap(dev, settings.max_dev_examples, config.seed)

    def score(m: SpanExtractor) -> dict[str, float]:
        return score_answers(predict_answers(m, encoder, dev, settings), dev)

    metrics = fit(model, examples, collate, score, settings, work.keep, config.seed)  # type: ignore[arg-type]
    target_dev = cap(_read(corpora, "target_mrc_dev"), settings.max_dev_examples, config.seed)
    if target_dev:  # shown, never used to choose
        found = score_answers(predict_answers(model.eval(), encoder, target_dev, settings), target_dev)
        metrics["target_dev_f1"] = found["f1"]
    checkpoint.save(model.encoder, folder, work.output)
    save_heads(model, work.output)
    counts.update({f"{name}_examples": len(part) for name, part in drawn.items()}, dev_examples=len(dev))
    return Report(metrics=metrics, counts=counts)


def _training_parts(config: MrcConfig, work: Work, corpora: Path) -> dict[str, list[MrcExample]]:
    settings = config.training
    parts = {"target_mrc": _read(corpora, "target_mrc") if settings.targets else []}
    if work.given("pseudo"):
        parts["pseudo_mrc"] = _read(work.folder("pseudo"), "pseudo_mrc")
    else:
        parts["source_mrc"] = _read(corpora, "source_mrc") if settings.sources else []
        if settings.ner_as_mrc:
            parts["ner_mrc"] = _read(corpora, "ner_mrc")
            parts["translated_ner_mrc"] = _read(corpora, "translated_ner_mrc")
    return {name: part for name, part in parts.items() if part}


def _read(folder: Path, name: str) -> list[MrcExample]:
    path = folder / f"{name}.parquet"
    return read_mrc(path) if path.is_file() else []

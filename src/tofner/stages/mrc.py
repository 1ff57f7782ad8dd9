"""Algorithm 1, lines 3-4 and 13-14: fine-tune g(., theta_mrc).

Before the rounds it learns from {D_t,m, D_s,m, D_s,nm}; in a round (`pseudo` given) from {D_t,m, pseudo-MRC}, and with
`mix=all` from D_s,m and D_s,nm too. NER becomes MRC here: one question a type and sentence.
"""

from collections.abc import Sequence
from pathlib import Path

from tofner.corpora.corpus import read_mrc, read_ner
from tofner.corpora.examples import MrcExample, Sentence
from tofner.corpora.lazy import cap, joined
from tofner.corpora.ner_as_mrc import all_as_mrc
from tofner.settings import LoopMrc
from tofner.stages.believed import held_back, read_believed
from tofner.stages.config import SpanConfig
from tofner.stages.work import Report, Work, told_epochs
from tofner.training import checkpoint
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


def run(config: SpanConfig, work: Work) -> Report:
    settings = config.training
    prepare_torch(config.seed, config.machine)
    corpora = work.folder("corpora")
    folder = work.model()
    encoder = checkpoint.piece_encoder(folder)
    model = SpanExtractor(checkpoint.load_encoder(folder), settings.span_match)
    if isinstance(settings, LoopMrc) and settings.head == "carry" and work.given("head"):
        load_heads(model, work.folder("head"))

    parts, held = _training_parts(config, work, corpora)
    drawn = {name: cap(part, settings.max_train_examples, config.seed) for name, part in parts.items()}
    examples, counts = span_examples(encoder, joined(drawn.values()), settings, settings.empty_windows, config.seed)
    kinds = _dev(config, corpora, held)
    dev = [one for kind in kinds.values() for one in kind]

    def score(m: SpanExtractor) -> dict[str, float]:
        predicted = predict_answers(m, encoder, dev, settings)
        told, at = score_answers(predicted, dev), 0
        for name, kind in kinds.items():
            told[f"{name}_f1"] = score_answers(predicted[at : at + len(kind)], kind)["f1"]
            at += len(kind)
        return told

    keep_last = settings.choose_by == "last"
    fitted = fit(model, examples, collate, score, settings, work.keep, config.seed, config.machine, keep_last=keep_last)  # type: ignore[arg-type]
    target_dev = list(cap(_read(corpora, "target_mrc_dev"), settings.max_dev_examples, config.seed))
    if target_dev:
        found = score_answers(predict_answers(model.eval(), encoder, target_dev, settings), target_dev)
        fitted.metrics["target_dev_f1"] = found["f1"]
    checkpoint.save(model.encoder, folder, work.output)
    save_heads(model, work.output, settings)
    counts.update({f"{name}_examples": len(part) for name, part in drawn.items()}, dev_examples=len(dev))
    asked = {"source+target": "source and target dev questions", "pseudo": "pseudo-MRC that was held back"}
    on = asked.get(settings.choose_by, "source dev questions")
    summary = f"F1 {100 * fitted.metrics['f1']:.2f} on {on}, {told_epochs(fitted.metrics)}"
    return Report(fitted.metrics, counts, details={"training": fitted.history}, summary=summary)


def _training_parts(
    config: SpanConfig, work: Work, corpora: Path
) -> tuple[dict[str, Sequence[MrcExample]], Sequence[MrcExample]]:
    """What to learn from, by name, and pseudo-MRC to choose an epoch by."""
    settings = config.training
    parts: dict[str, Sequence[MrcExample]] = {"target_mrc": _read(corpora, "target_mrc") if settings.targets else []}
    held: Sequence[MrcExample] = []
    if work.given("pseudo"):
        assert isinstance(settings, LoopMrc)
        labelled: Sequence[Sentence] = read_believed(work.folder("pseudo"), settings.trust)
        if settings.choose_by == "pseudo":
            labelled, kept_back = held_back(labelled, config.seed)
            held = all_as_mrc(kept_back, config.target_queries)
        parts["pseudo_mrc"] = all_as_mrc(labelled, config.target_queries)
    if settings.learns_sources:
        parts["source_mrc"] = _read(corpora, "source_mrc")
    if settings.learns_translations:
        parts["translated_mrc"] = _read(corpora, "translated_mrc")
    if settings.learns_ner:
        parts["ner_mrc"] = _as_mrc(corpora, config.file("source_ner"), config.source_queries)
    if config.asks_translated:
        parts["translated_ner_mrc"] = _as_mrc(corpora, config.file("translated_ner"), config.translated_queries)
    return {name: part for name, part in parts.items() if part}, held


def _dev(config: SpanConfig, corpora: Path, held: Sequence[MrcExample]) -> dict[str, Sequence[MrcExample]]:
    """The questions that an epoch is chosen by, each kind capped by itself: no kind crowds out the others.

    Kinds are told apart in the report too: one word of a long passage is harder to hit than a name in a sentence, so a
    second teacher of names is worth what `ner_mrc` says.
    """
    settings = config.training
    if held:
        kinds = {"pseudo_mrc": held}
    else:
        kinds = {
            "source_mrc": _read(corpora, "source_mrc_dev"),
            "ner_mrc": _as_mrc(corpora, config.file("source_ner_dev"), config.source_queries),
            "target_mrc": _read(corpora, "target_mrc_dev") if settings.choose_by == "source+target" else [],
        }
    return {name: cap(kind, settings.max_dev_examples, config.seed) for name, kind in kinds.items() if kind}


def _read(folder: Path, name: str) -> Sequence[MrcExample]:
    path = folder / f"{name}.parquet"
    return read_mrc(path) if path.is_file() else []


def _as_mrc(folder: Path, name: str, queries: dict[str, str]) -> Sequence[MrcExample]:
    """Labelled sentences as MRC, one example a type and sentence, sentence by sentence."""
    path = folder / f"{name}.parquet"
    return all_as_mrc(read_ner(path), queries) if path.is_file() else []

"""Algorithm 1, lines 5-6, 8-9 and 15-16: fine-tune h(., theta_ner).

Without `pseudo` it learns from D_s,n (and its translation); with `pseudo`, from pseudo-labelled target text. Labelled
target sentences, where a run has some, are added in all three, each `target_weight` times an epoch: repeated, and not
weighted in the loss, so that a batch's mean loss means the same everywhere and each repetition is in another batch.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import cap, joined, mapped, picked
from tofner.settings import PseudoNer
from tofner.stages.believed import held_back, read_believed
from tofner.stages.config import NerConfig
from tofner.stages.work import Report, Work, told_epochs
from tofner.training import checkpoint
from tofner.training.batches import pad
from tofner.training.fit import fit, prepare_torch
from tofner.training.ner import Tagging, predict_tags, tag_examples
from tofner.words.features import IGNORED
from tofner.words.scores import score_tags


def run(config: NerConfig, work: Work) -> Report:
    settings = config.training
    prepare_torch(config.seed, config.machine)
    corpora = work.folder("corpora")
    folder = work.model()
    encoder = checkpoint.piece_encoder(folder)
    carried = work.folder("head") if work.given("head") and settings.head == "carry" else None
    model = checkpoint.load_tagger(folder, config.labels, settings.head)
    if carried is not None:
        checkpoint.carry_head(model, carried, config.labels)

    sentences, held, counts = _training_sentences(config, work)
    dev = _dev(config, corpora)
    pseudo_dev = list(cap(held, settings.max_dev_examples, config.seed))
    words, gold = [s.tokens for s in dev], [s.tags or [] for s in dev]
    sizes = (settings.max_pieces, settings.overlap_pieces)
    tokens, tags = mapped(sentences, lambda s: s.tokens), mapped(sentences, lambda s: s.tags or [])
    trusted = mapped(sentences, lambda s: s.trusted) if isinstance(settings, PseudoNer) else None
    examples, windows = tag_examples(encoder, tokens, tags, config.labels, *sizes, trusted)

    def score(m: object) -> dict[str, float]:
        found = predict_tags(m, encoder, words, config.labels, *sizes)  # type: ignore[arg-type]
        scores = score_tags(gold, [tagging.tags for tagging in found])
        told = {f"dev_{name}": scores["micro"][name] for name in ("f1", "precision", "recall")}
        if pseudo_dev:
            asked = [s.tokens for s in pseudo_dev]
            told["pseudo_f1"] = _agreement(pseudo_dev, predict_tags(m, encoder, asked, config.labels, *sizes))  # type: ignore[arg-type]
        return {"score": told.get("pseudo_f1", told["dev_f1"]), **told}

    keep_last = isinstance(settings, PseudoNer) and settings.choose_by == "last"
    collate = functools.partial(pad, fill={"labels": IGNORED})
    fitted = fit(model, examples, collate, score, settings, work.keep, config.seed, config.machine, keep_last=keep_last)
    checkpoint.save(model, folder, work.output)
    checkpoint.save_tagger_files(work.output, config.labels, settings)
    counts = {**counts, **windows, "dev_sentences": len(dev)} | ({"held_back": len(pseudo_dev)} if pseudo_dev else {})
    both = "source+translated" in getattr(settings, "choose_by", "")
    on = "the source dev and its translation" if both else "the source dev"
    summary = f"F1 {100 * fitted.metrics['dev_f1']:.2f} on {on}, {told_epochs(fitted.metrics)}"
    if windows.get("left_out_words"):
        share = windows["left_out_words"] / windows["words"]
        fitted.metrics["left_out"] = share
        summary += f"; {100 * share:.2f} % of the words were not trusted and left out of the loss"
    return Report(fitted.metrics, counts, details={"training": fitted.history}, summary=summary)


def _dev(config: NerConfig, corpora: Path) -> list[Sentence]:
    """Source sentences to choose an epoch by, and their translations where these choose too; each capped by itself."""
    settings = config.training
    both = isinstance(settings, PseudoNer) and settings.choose_by == "source+translated"
    names = ["source_ner_dev", *(["translated_ner_dev"] if both else [])]
    parts = [cap(read_ner(corpora / f"{name}.parquet"), settings.max_dev_examples, config.seed) for name in names]
    return list(joined(parts))


def _training_sentences(config: NerConfig, work: Work) -> tuple[Sequence[Sentence], Sequence[Sentence], dict[str, int]]:
    """What to learn from, pseudo-labelled sentences to choose an epoch by, and how many there are of each kind."""
    settings = config.training
    corpora = work.folder("corpora")
    source = read_ner(corpora / "source_ner.parquet")
    translated_path = corpora / "translated_ner.parquet"
    there = translated_path.is_file() and not config.untranslated
    translated: Sequence[Sentence] = read_ner(translated_path) if there else []
    target: Sequence[Sentence] = read_ner(corpora / "target_ner.parquet") if config.target_weight else []
    held: Sequence[Sentence] = []
    parts: dict[str, Sequence[Sentence]] = {"source": source, "translated": translated}
    limit = settings.max_train_examples
    if work.given("pseudo"):
        assert isinstance(settings, PseudoNer)
        labelled: Sequence[Sentence] = read_believed(work.folder("pseudo"), settings.trust, settings.least_score)
        labelled = _without(labelled, target)
        if settings.choose_by == "pseudo":
            labelled, held = held_back(labelled, config.seed)
        pseudo = cap(labelled, settings.max_train_examples, config.seed)
        mixed = {"pseudo": pseudo, **parts}
        if settings.mix == "pseudo":
            parts = {"pseudo": pseudo}
        elif settings.mix == "pseudo+source":
            parts, limit = mixed, len(pseudo)
        else:
            whole = cap(source, settings.max_train_examples, config.seed)
            parts, limit = mixed | {"source": whole}, len(whole)
    drawn = {name: cap(part, limit, config.seed) for name, part in parts.items() if part}
    counts = {f"{name}_sentences": len(part) for name, part in drawn.items()}
    if target:
        counts |= {"target_sentences": len(target), "target_weight": config.target_weight}
    return joined([*drawn.values(), *[target] * config.target_weight]), held, counts


def _without(sentences: Sequence[Sentence], known: Sequence[Sentence]) -> Sequence[Sentence]:
    """Those of other words than the known ones: what people have labelled is not learned from a tagger too."""
    contents = {tuple(one.tokens) for one in known}
    if not contents:
        return sentences
    return picked(sentences, [i for i, one in enumerate(sentences) if tuple(one.tokens) not in contents])


def _agreement(sentences: Sequence[Sentence], found: Sequence[Tagging]) -> float:
    """F1 against pseudo-labels. Words that are not trusted are no part of an entity on either side."""
    sides: tuple[list[list[str]], list[list[str]]] = ([], [])
    for one, tagging in zip(sentences, found, strict=True):
        counted = one.trusted or [True] * len(one.tokens)
        for side, tags in zip(sides, (one.tags or [], tagging.tags), strict=True):
            side.append([tag if counts else "O" for tag, counts in zip(tags, counted, strict=True)])
    return float(score_tags(*sides)["micro"]["f1"])

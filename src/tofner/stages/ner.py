"""Algorithm 1, lines 5-6, 8-9 and 15-16: fine-tune h(., theta_ner).

Without `pseudo` it learns from D_s,n (and its translation); with `pseudo`, from pseudo-labelled target text.
"""

from collections.abc import Sequence

from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import joined, mapped
from tofner.settings import PseudoNer
from tofner.stages.believed import read_believed
from tofner.stages.config import NerConfig
from tofner.stages.work import Report, Work, told_epochs
from tofner.training import checkpoint
from tofner.training.batches import cap, pad
from tofner.training.fit import fit, prepare_torch
from tofner.training.ner import predict_tags, tag_examples
from tofner.words.features import IGNORED
from tofner.words.scores import score_tags


def run(config: NerConfig, work: Work) -> Report:
    settings = config.training
    prepare_torch(config.seed)
    corpora = work.folder("corpora")
    folder = work.model()
    encoder = checkpoint.piece_encoder(folder)
    carried = work.folder("head") if work.given("head") and settings.head == "carry" else None
    model = checkpoint.load_tagger(folder, config.labels, settings.head)
    if carried is not None:
        checkpoint.carry_head(model, carried, config.labels)

    sentences, counts = _training_sentences(config, work)
    dev = list(cap(read_ner(corpora / "source_ner_dev.parquet"), settings.max_dev_examples, config.seed))
    words, gold = [s.tokens for s in dev], [s.tags or [] for s in dev]
    sizes = (settings.max_pieces, settings.overlap_pieces)
    tokens, tags = mapped(sentences, lambda s: s.tokens), mapped(sentences, lambda s: s.tags or [])
    trusted = mapped(sentences, lambda s: s.trusted) if isinstance(settings, PseudoNer) else None
    examples, windows = tag_examples(encoder, tokens, tags, config.labels, *sizes, trusted)

    def score(m: object) -> dict[str, float]:
        found = predict_tags(m, encoder, words, config.labels, *sizes)  # type: ignore[arg-type]
        scores = score_tags(gold, [tagging.tags for tagging in found])
        return {
            "score": scores["micro"]["f1"],
            **{f"dev_{name}": scores["micro"][name] for name in ("f1", "precision", "recall")},
        }

    fitted = fit(
        model, examples, lambda batch: pad(batch, {"labels": IGNORED}), score, settings, work.keep, config.seed
    )
    checkpoint.save(model, folder, work.output)
    checkpoint.save_tagger_files(work.output, config.labels, settings)
    counts = {**counts, **windows, "dev_sentences": len(dev)}
    summary = f"F1 {100 * fitted.metrics['dev_f1']:.2f} on the source dev, {told_epochs(fitted.metrics)}"
    if windows.get("left_out_words"):
        share = windows["left_out_words"] / windows["words"]
        fitted.metrics["left_out"] = share
        summary += f"; {100 * share:.2f} % of the words were not trusted and left out of the loss"
    return Report(fitted.metrics, counts, details={"training": fitted.history}, summary=summary)


def _training_sentences(config: NerConfig, work: Work) -> tuple[Sequence[Sentence], dict[str, int]]:
    settings = config.training
    corpora = work.folder("corpora")
    source = read_ner(corpora / "source_ner.parquet")
    translated_path = corpora / "translated_ner.parquet"
    translated: Sequence[Sentence] = read_ner(translated_path) if translated_path.is_file() else []
    parts: dict[str, Sequence[Sentence]]
    if not work.given("pseudo"):
        parts = {"source": source, "translated": translated}
        limit = settings.max_train_examples
    else:
        assert isinstance(settings, PseudoNer)
        labelled = read_believed(work.folder("pseudo"), settings.trust, settings.least_score)
        pseudo = cap(labelled, settings.max_train_examples, config.seed)
        parts = {"pseudo": pseudo}
        limit = len(pseudo)  # equal counts, as the authors' code mixes them
        if settings.mix == "pseudo+source":
            parts.update(source=source, translated=translated)
    drawn = {name: cap(part, limit, config.seed) for name, part in parts.items() if part}
    return joined(drawn.values()), {f"{name}_sentences": len(part) for name, part in drawn.items()}

"""Algorithm 1, lines 1-2: fine-tune f(., theta_mlm) on {D_t,no, D_s,no}."""

from collections.abc import Sequence
from pathlib import Path

from tofner.corpora.corpus import read_text
from tofner.corpora.lazy import cap, joined, mapped, picked
from tofner.stages.config import MlmConfig
from tofner.stages.work import Report, Work, told_epochs
from tofner.training import checkpoint
from tofner.training.batches import pad
from tofner.training.fit import fit, prepare_torch
from tofner.training.mlm import mask_examples, masked_loss, predict_only_masked
from tofner.words.features import IGNORED

DEV_SHARE = 50  # one sentence in 50 is kept back to see whether the model learns


def run(config: MlmConfig, work: Work) -> Report:
    settings = config.training
    prepare_torch(config.seed, config.machine)
    corpora = work.folder("corpora")
    folder = work.model()
    encoder = checkpoint.piece_encoder(folder)
    model, fresh_head = checkpoint.load_masked_lm(folder)

    target = cap(_words(corpora, "target_text"), settings.max_train_examples, config.seed)
    source = _words(corpora, "source_text") if settings.source_text else []
    source = cap(source, len(target), config.seed)  # an equal amount (AdaptaBERT, section 3.1)
    # Held out from the source, where there is any: checkpoints are chosen by source data, here as everywhere.
    pool = source or target
    held_out = picked(pool, range(0, len(pool), DEV_SHARE))
    kept = picked(pool, [i for i in range(len(pool)) if i % DEV_SHARE])
    sentences = joined([target, kept]) if source else kept
    dev = cap(held_out, settings.max_dev_examples, config.seed)

    vocabulary = model.config.vocab_size
    examples, counts = mask_examples(encoder, sentences, settings, vocabulary, config.seed, settings.maskings)
    dev_examples, _ = mask_examples(encoder, dev, settings, vocabulary, config.seed + 1, 1)
    fitted = fit(
        predict_only_masked(model),
        examples,
        lambda batch: pad(batch, {"labels": IGNORED}),
        lambda m: masked_loss(m, dev_examples, settings.batch_size),
        settings,
        work.keep,
        config.seed,
        config.machine,
        freeze_first=settings.head_warmup if fresh_head else 0.0,
    )
    checkpoint.save(model, folder, work.output)
    counts.update(target_sentences=len(target), source_sentences=len(source), dev_sentences=len(dev))
    notes = ["the encoder came without an MLM head: a new one was warmed up first"] if fresh_head else []
    summary = f"loss {fitted.metrics['loss']:.4f} on held-out text, {told_epochs(fitted.metrics)}"
    return Report(fitted.metrics, counts, notes=notes, details={"training": fitted.history}, summary=summary)


def _words(folder: Path, name: str) -> Sequence[list[str]]:
    return mapped(read_text(folder / f"{name}.parquet"), lambda sentence: sentence.tokens)

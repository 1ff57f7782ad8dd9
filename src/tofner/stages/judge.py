"""What one tagger finds in the sentences by which the gate compares two: source dev, target dev, target text.

Runs for a new tagger and for the latest published one; the tags of both go to `release`. The new one is judged as it
will be exported, its class priors corrected where that is asked for; a published one, as it is served.
"""

from pathlib import Path

from tofner.corpora.corpus import read_ner, read_text, write_ner
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import cap
from tofner.model.layout import MANIFEST
from tofner.stages.config import JUDGED, JudgeConfig
from tofner.stages.work import Report, Work
from tofner.training import checkpoint
from tofner.training.fit import prepare_torch
from tofner.training.ner import predict_tags
from tofner.training.priors import correct


def run(config: JudgeConfig, work: Work) -> Report:
    settings = config.judge
    prepare_torch(config.seed, config.machine)
    folder = work.fetch(work.uri("model"), require_index=False)  # of a published model it is a part
    model, labels, about = checkpoint.load_trained_tagger(folder)
    model.to(checkpoint.device(config.machine))
    encoder = checkpoint.piece_encoder(folder)
    sizes = (about["max_pieces"], about["overlap_pieces"])
    corpora = work.folder("corpora")
    if config.priors and (folder / MANIFEST).is_file():  # a stage's result, not yet exported
        correct(model, folder, labels, sizes, corpora, config.priors, config.seed)
    text = read_text(corpora / "target_text.parquet")
    sources = (
        list(read_ner(corpora / "source_ner_dev.parquet")),
        _target_dev(work.folder("gold")),
        list(cap(text, settings.text_sentences, config.seed)),
    )
    report = Report()
    for name, sentences in zip(JUDGED, sources, strict=True):
        if sentences:
            words = [sentence.tokens for sentence in sentences]
            found = predict_tags(model, encoder, words, labels, *sizes, settings.batch_size)
            tagged = [Sentence(s.id, s.tokens, one.tags) for s, one in zip(sentences, found, strict=True)]
            write_ner(work.output / f"{name}.parquet", tagged)
            report.counts[name] = len(tagged)
    report.summary = f"{sum(report.counts.values())} sentences tagged for the gate"
    return report


def _target_dev(gold: Path) -> list[Sentence]:
    path = gold / "target_dev.parquet"
    return list(read_ner(path)) if path.is_file() else []

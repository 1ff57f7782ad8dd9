"""Algorithm 1, lines 7, 10-11 and 17-18: label the target text. The mrc stage makes pseudo-MRC of the labels.

`earlier`, the labels of the round before, is compared with the new ones and changes none of them.
"""

import numpy as np

from tofner.corpora.corpus import read_ner, read_text, write_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadData, Problem
from tofner.stages import sentences
from tofner.stages.config import PseudoLabelConfig
from tofner.stages.work import Report, Work
from tofner.training import checkpoint
from tofner.training.fit import prepare_torch
from tofner.training.ner import predict_tags
from tofner.words.spans import tags_to_spans

EXAMPLES = 20  # sentences that the report shows


def run(config: PseudoLabelConfig, work: Work) -> Report:
    settings = config.pseudo_label
    prepare_torch(config.seed)
    folder = work.folder("model")
    model, labels, about = checkpoint.load_trained_tagger(folder)
    model.to(checkpoint.device())
    text = read_text(work.folder("corpora") / "target_text.parquet")
    words = [sentence.tokens for sentence in text]
    sizes = (about["max_pieces"], about["overlap_pieces"])
    found = predict_tags(model, checkpoint.piece_encoder(folder), words, labels, *sizes, settings.batch_size)
    labelled = [
        Sentence(sentence.id, sentence.tokens, tagging.tags, tagging.scores)
        for sentence, tagging in zip(text, found, strict=True)
        if settings.threshold is None or min(tagging.scores, default=1.0) >= settings.threshold
    ]
    if not labelled:
        fix = "lower stages.pseudo_label.threshold"
        raise BadData(Problem("pseudo-labels", f"no sentence above {settings.threshold}", "at least one", fix))
    write_ner(work.output / "pseudo_ner.parquet", labelled)
    spans = [span.type for s in labelled for span in tags_to_spans(s.tags or [])]
    counts = {
        "sentences": len(labelled),
        "dropped_sentences": len(text) - len(labelled),
        "entities": len(spans),
        "orphan_tags": sum(tagging.orphans for tagging in found),
        **{f"entities_{type_}": spans.count(type_) for type_ in sorted(set(spans))},
    }
    scores = [score for s in labelled for score in s.scores or []]
    report = Report(metrics={"mean_score": float(np.mean(scores))}, counts=counts)
    report.details["examples"] = sentences.drawn(labelled, EXAMPLES, config.seed)
    report.summary = (
        f"{len(spans)} entities in {len(labelled)} sentences, {len(text) - len(labelled)} sentences dropped"
    )
    if work.given("earlier"):
        earlier = read_ner(work.folder("earlier") / "pseudo_ner.parquet")
        changed = sentences.changed_words(earlier, labelled)
        if changed is not None:
            report.metrics["changed_words"] = changed
            report.summary += f"; {100 * changed:.2f} % of the words have another label than the round before"
    return report

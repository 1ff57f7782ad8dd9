"""Algorithm 1, lines 7, 10-11 and 17-18: label the target text. The mrc stage makes pseudo-MRC of the labels.

`earlier`, the labels of the round before, is compared with the new ones and changes none of them. `mrc`, the last MRC
model, is given where a later stage learns only from what both teachers believe: it then labels the same sentences, and
its labels lie beside the tagger's (`believed`).
"""

import numpy as np

from tofner.corpora.corpus import read_ner, read_text, write_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadData, Problem
from tofner.stages import sentences
from tofner.stages.believed import LABELS, OPINION, read_believed
from tofner.stages.config import PseudoLabelConfig
from tofner.stages.work import Report, Work
from tofner.training import checkpoint
from tofner.training.fit import prepare_torch
from tofner.training.mrc import load_extractor
from tofner.training.mrc import predict_tags as predict_by_questions
from tofner.training.ner import predict_tags
from tofner.words.spans import tags_to_spans

EXAMPLES = 20  # sentences that the report shows
FEW = 0.2  # share of the tagger's entity words: with fewer believed, learning from the rest teaches to find nothing


def run(config: PseudoLabelConfig, work: Work) -> Report:
    settings = config.pseudo_label
    prepare_torch(config.seed, config.machine)
    folder = work.folder("model")
    model, labels, about = checkpoint.load_trained_tagger(folder)
    model.to(checkpoint.device(config.machine))
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
    write_ner(work.output / f"{LABELS}.parquet", labelled)
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
    if work.given("mrc"):
        _second_opinion(config, work, labelled, report)
    if work.given("earlier"):
        earlier = read_ner(work.folder("earlier") / f"{LABELS}.parquet")
        changed = sentences.changed_words(earlier, labelled)
        if changed is not None:
            report.metrics["changed_words"] = changed
            report.summary += f"; {100 * changed:.2f} % of the words have another label than the round before"
    return report


def _alarm(believed: int, named: int, report: Report) -> None:
    """Of so many words that the tagger calls entities so many are believed.

    Raises:
        BadData: none is, so that nothing but O would be learned.
    """
    fix = "train the MRC model longer or on more (its dev F1 stands in its report), or set trust to all"
    if named and not believed:
        found = f"no word of the {named} that the tagger calls entities"
        raise BadData(Problem("words that tagger and MRC model call entities", found, "some", fix))
    if believed < FEW * named:
        report.notes.append(
            f"the MRC model agrees on {believed} of {named} words that the tagger calls entities: {fix}"
        )
    report.counts |= {"entity_words": named, "believed_entity_words": believed}


def _second_opinion(config: PseudoLabelConfig, work: Work, labelled: list[Sentence], report: Report) -> None:
    """What the MRC model finds in the same sentences, and on how many of their words it agrees with the tagger."""
    folder = work.folder("mrc")
    model, reading = load_extractor(folder, config.pseudo_label.batch_size)
    model.to(checkpoint.device(config.machine))
    found = predict_by_questions(model, checkpoint.piece_encoder(folder), labelled, config.queries, reading)
    opinion = [Sentence(one.id, one.tokens, tags) for one, tags in zip(labelled, found, strict=True)]
    write_ner(work.output / f"{OPINION}.parquet", opinion)
    trusted = [one.trusted or [] for one in read_believed(work.output, "agree")]
    words = sum(len(one.tokens) for one in labelled)
    doubted = words - sum(map(sum, trusted))
    pairs = (
        (tag, both)
        for one, row in zip(labelled, trusted, strict=True)
        for tag, both in zip(one.tags or [], row, strict=True)
    )
    believed = [both for tag, both in pairs if tag != "O"]
    _alarm(sum(believed), len(believed), report)
    entities = sum(len(tags_to_spans(one.tags or [])) for one in opinion)
    report.counts |= {"words": words, "doubted_words": doubted, "mrc_entities": entities}
    report.metrics["doubted"] = doubted / words
    report.summary += (
        f"; the MRC model finds {entities} entities, and {100 * doubted / words:.2f} % of the words have another label"
    )

"""The tagger as ONNX for serving, compared with its checkpoint; fails if they disagree.

The result is the published layout but for reports: `model.onnx`, `tokenizer.json`, `labels.json`, `tagger.json`,
`checkpoint/` for transformers, and `model.int8.onnx` where int8 keeps its F1 on the source dev. Where class priors are
corrected, they are so in all of them.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tofner.corpora.corpus import read_ner, read_text
from tofner.corpora.examples import Sentence
from tofner.corpora.lazy import cap
from tofner.logs import tell, ticking
from tofner.model.layout import ARTIFACTS, CHECKPOINT, INDEX, TAGGING, Precision
from tofner.onnx.export import export, input_names
from tofner.onnx.parity import check_parity
from tofner.onnx.quantise import Feed, quantise
from tofner.stages.config import ExportConfig
from tofner.stages.runtime import NOT_CONTENT
from tofner.stages.unlabelled import of_target
from tofner.stages.work import Report, Work
from tofner.tagging.engine.tagger import Tagger
from tofner.training import checkpoint
from tofner.training.fit import prepare_torch
from tofner.training.priors import correct
from tofner.words.features import TagWindow, tag_windows
from tofner.words.scores import score_tags
from tofner.words.spans import Span, spans_to_tags

_SCORED_TOGETHER = 100  # sentences, between two looks at the clock


def run(config: ExportConfig, work: Work) -> Report:
    settings = config.export
    prepare_torch(config.seed, config.machine)
    corpora, folder = work.folder("corpora"), work.folder("model")
    model, labels, about = checkpoint.load_trained_tagger(folder)
    sizes = (about["max_pieces"], about["overlap_pieces"])
    shutil.copytree(folder, work.output / CHECKPOINT, ignore=shutil.ignore_patterns(*NOT_CONTENT, INDEX))
    report = Report()
    if settings.corrected_on:
        corrected = correct(model, folder, labels, sizes, corpora, settings.corrected_on, config.seed)
        checkpoint.save(model, folder, work.output / CHECKPOINT)
        report.details["priors"] = corrected.rows
        report.counts |= {"priors_words": corrected.words, "priors_rounds": corrected.rounds}
    path = work.output / ARTIFACTS["fp32"]
    tell(f"export: writing {path.name}")
    export(model, path, settings.opset)
    text = list(cap(read_text(corpora / "target_text.parquet"), settings.text_sentences, config.seed))
    windows, _ = tag_windows(checkpoint.piece_encoder(folder), [s.tokens for s in text], *sizes)
    tell(f"export: comparing it with the checkpoint on {len(text)} target sentences")
    found = check_parity(model, path, windows, settings.tolerance)
    for name in TAGGING:
        shutil.copyfile(folder / name, work.output / name)
    shown = list(cap(read_text(corpora / "target_text.parquet"), settings.told_sentences, config.seed))
    report.details["target"] = of_target(_tagged(work.output, shown), config.seed)
    report.metrics["max_difference"] = found["max_difference"]
    report.counts |= {"sentences": len(text), "words": int(found["words"]), "labels": len(labels)}
    report.counts["onnx_bytes"] = path.stat().st_size
    if settings.int8:
        dev = list(cap(read_ner(corpora / "source_ner_dev.parquet"), settings.int8_dev_sentences, config.seed))
        _add_int8(work.output, windows, input_names(model), dev, config, report)
    files = {name: (work.output / name).stat().st_size for name in ARTIFACTS.values() if (work.output / name).is_file()}
    report.details |= {"tagger": json.dumps(about), "sizes": files}
    report.summary = (
        f"{', '.join(f'{name} of {size / 1e6:.1f} MB' for name, size in files.items())}; logits differ from the "
        f"checkpoint's by {found['max_difference']:.2g} at most, tags on {found['words']:.0f} words by none"
    )
    return report


def _tagged(output: Path, text: list[Sentence]) -> list[Sentence]:
    """Target sentences as the engine tags them that will serve the model, with the probability of each word's tag."""
    tell(f"export: tagging {len(text)} target sentences, to tell what it finds in them")
    found: list[Sentence] = []
    with Tagger.load(output) as tagger:
        parts = range(0, len(text), _SCORED_TOGETHER)
        ticked = ticking(parts, "export: target text tagged, hundreds", len(parts))
        groups = ([tagger.words(one.tokens) for one in text[start : start + _SCORED_TOGETHER]] for start in ticked)
        for group in tagger.tag_groups(groups):
            for tags, scores in zip(group.tags, group.probabilities, strict=True):
                one = text[len(found)]
                found.append(Sentence(one.id, one.tokens, tags, scores.tolist()))
    return found


def _add_int8(
    output: Path, windows: list[TagWindow], names: list[str], dev: list[Sentence], config: ExportConfig, report: Report
) -> None:
    """Quantise, score both graphs on the source dev, and keep int8 only if it lost no more than the margin."""
    settings, path = config.export, output / ARTIFACTS["int8"]
    tell(f"export: writing {path.name}, its ranges from {len(windows)} windows of target text")
    made = quantise(output / ARTIFACTS["fp32"], path, _feeds(windows, names), threads=config.machine.threads)
    f1 = {precision: _dev_f1(output, precision, dev) for precision in ARTIFACTS}
    report.metrics.update({f"dev_f1_{precision}": value for precision, value in f1.items()})
    report.metrics["int8_worst_difference"] = max((product.error for product in made.products), default=0.0)
    report.counts["int8_products_left_fp32"] = made.kept
    released = f1["int8"] >= f1["fp32"] - settings.int8_margin
    report.counts["int8_released"] = int(released)
    lost = 100 * (f1["fp32"] - f1["int8"])
    report.details["int8"] = (
        f"int8 is {'published' if released else 'not published'}: F1 {100 * f1['int8']:.2f} on the source dev, "
        f"fp32 {100 * f1['fp32']:.2f}, allowed loss {100 * settings.int8_margin:.2f}; {path.stat().st_size} bytes"
    )
    if not released:
        path.unlink()
        report.notes.append(
            f"int8 lost {lost:.2f} F1 on the source dev, more than {100 * settings.int8_margin:.2f}: not published"
        )


def _feeds(windows: list[TagWindow], names: list[str]) -> Iterator[Feed]:
    """Calibration inputs, one window each."""
    for window in windows:
        ids = window.ids[None].astype(np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        yield {name: given[name] for name in names}


def _dev_f1(output: Path, precision: Precision, dev: list[Sentence]) -> float:
    """Strict micro F1 of a graph, by the engine that will serve it."""
    tell(f"export: scoring {precision} on {len(dev)} source sentences")
    words = [sentence.tokens for sentence in dev]
    with Tagger.load(output, precision) as tagger:
        parts = range(0, len(words), _SCORED_TOGETHER)
        ticked = ticking(parts, f"export: {precision} scored, hundreds", len(parts))
        rows = [row for start in ticked for row in tagger.tag(words[start : start + _SCORED_TOGETHER])]
    predicted = [
        spans_to_tags([Span(e.start, e.end, e.label) for e in row], len(sentence.tokens))
        for row, sentence in zip(rows, dev, strict=True)
    ]
    found: float = score_tags([sentence.tags or [] for sentence in dev], predicted)["micro"]["f1"]
    return found

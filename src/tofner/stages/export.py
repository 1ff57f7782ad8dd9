"""The tagger as ONNX for serving, compared with its checkpoint; fails if they disagree.

The result is the published layout but for reports: `model.onnx`, `tokenizer.json`, `labels.json`, `tagger.json`, and
`checkpoint/` for transformers.
"""

import json
import shutil

from tofner.data.corpus import read_text
from tofner.data.features import tag_windows
from tofner.onnx.export import export
from tofner.onnx.parity import check_parity
from tofner.stages.config import ExportConfig
from tofner.stages.runtime import NOT_CONTENT, Report, Work
from tofner.training import checkpoint
from tofner.training.fit import cap, prepare_torch


def run(config: ExportConfig, work: Work) -> Report:
    settings = config.export
    prepare_torch(config.seed)
    folder = work.folder("model")
    model, labels, about = checkpoint.load_trained_tagger(folder)
    encoder = checkpoint.piece_encoder(folder)
    path = work.output / "model.onnx"
    export(model, path, settings.opset)
    text = cap(read_text(work.folder("corpora") / "target_text.parquet"), settings.text_sentences, config.seed)
    windows, _ = tag_windows(encoder, [s.tokens for s in text], about["max_pieces"], about["overlap_pieces"])
    found = check_parity(model, path, windows, settings.tolerance)
    for name in ("tokenizer.json", "labels.json", "tagger.json"):
        shutil.copyfile(folder / name, work.output / name)
    shutil.copytree(folder, work.output / "checkpoint", ignore=shutil.ignore_patterns(*NOT_CONTENT, "_index.json"))
    counts = {
        "sentences": len(text),
        "words": int(found["words"]),
        "labels": len(labels),
        "onnx_bytes": path.stat().st_size,
    }
    return Report(
        metrics={"max_difference": found["max_difference"]}, counts=counts, details={"tagger": json.dumps(about)}
    )

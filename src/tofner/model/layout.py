"""Names of what lies in and around a model folder, be it a stage's checkpoint or a published model; nothing else spells
them."""

from typing import Literal

from tofner import storage

Precision = Literal["fp32", "int8"]

# A published model's own files, beside those of a checkpoint that tagging reads.
ARTIFACTS: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
CHECKPOINT = "checkpoint"  # folder: the checkpoint that the graphs were made from
REPORTS = "reports"  # folder: what the report stage said
CARD = "README.md"

# A checkpoint.
CONFIG = "config.json"
WEIGHTS = "*.safetensors"
TOKENIZER = "tokenizer.json"
LABELS = "labels.json"
TAGGER = "tagger.json"
HEADS, MRC = "heads.safetensors", "mrc.json"  # of the mrc stage, beside its encoder

# What every stage adds to its result.
REPORT, MANIFEST = "report.json", "manifest.json"
INDEX = storage.INDEX

# Below a store: published models by name and version, and what is known of them by now.
MODELS, EVALUATIONS = "models", "evaluations"
# Beside the versions of a published model, and beside the evaluations of one.
LATEST = "latest.json"

TAGGING = (TOKENIZER, LABELS, TAGGER)  # what tagging reads beside a graph
FORMAT = 1  # of a published model

MARKS = "tofner.marks"  # metadata key of a graph that computes the last layer for marked pieces only
ANSWER = 2  # the mark: a value of `attention_mask` beside 0 (padding) and 1 (read)

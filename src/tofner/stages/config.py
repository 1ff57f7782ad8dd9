"""What each stage is told: typed, complete, and free of torch so that planning stays light.

A stage's result depends on its config and its inputs, and on nothing else; both make up its key. `code` is the revision
of the library (its sources and the versions of what it stands on), so that changed code means fresh work.
"""

from typing import Any

from tofner.settings import Evaluate, Export, Mlm, Model, Mrc, Ner, PseudoLabel, Roles


class StageConfig(Model):
    seed: int
    code: str


class PrepareConfig(StageConfig):
    """`present` says of each optional set whether the data root has it; `data_revision` covers every file read."""

    roles: Roles
    types: list[str]
    label_map: dict[str, str | None]
    source_queries: dict[str, str]
    target_queries: dict[str, str]
    present: dict[str, bool]
    data_revision: str


class GoldConfig(StageConfig):
    target_test: list[str]
    types: list[str]
    label_map: dict[str, str | None]
    data_revision: str


class EncoderConfig(StageConfig):
    """Of the stages that may be the first to load the encoder."""

    encoder_revision: str


class MlmConfig(EncoderConfig):
    training: Mlm


class MrcConfig(EncoderConfig):
    training: Mrc


class NerConfig(EncoderConfig):
    training: Ner
    labels: list[str]


class PseudoLabelConfig(StageConfig):
    pseudo_label: PseudoLabel
    target_queries: dict[str, str]


class EvaluateConfig(StageConfig):
    evaluate: Evaluate


class ExportConfig(StageConfig):
    export: Export


class ReportConfig(StageConfig):
    """`run` is what the report says of the run: preset, encoder, iterations, overrides, roles, switches."""

    run: dict[str, Any]
    transductive: bool


class PublishConfig(StageConfig):
    model_name: str


CONFIGS: dict[str, type[StageConfig]] = {
    "prepare": PrepareConfig,
    "gold": GoldConfig,
    "mlm": MlmConfig,
    "mrc": MrcConfig,
    "ner": NerConfig,
    "pseudo_label": PseudoLabelConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
    "report": ReportConfig,
    "publish": PublishConfig,
}

"""The table of stages: what each is told, and which files of its inputs it reads. Free of torch, so planning is light.

A stage's result depends on its config and on what it reads, and on nothing else; both make up its key (`runtime`).
`code` is the revision of the code that makes the stage's result (`revision`), so changed code means fresh work.
"""

from collections.abc import Collection
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from tofner.settings import (
    Evaluate,
    Export,
    Judge,
    LoopMrc,
    Machine,
    Mlm,
    Mrc,
    MrcRole,
    Ner,
    NerRole,
    PseudoLabel,
    PseudoNer,
    SpanTask,
    Split,
    Strict,
)

Reads = dict[str, tuple[str, ...]]  # input -> the files of it that are read


TYPED = "_typed"  # end of the name of a corpus that has the types of the questions and not the tagger's
JUDGED = ("source_ner_dev", "target_dev", "target_text")  # files of what `judge` makes; target_dev where there is one


OFF = ("target_ner", "target_weight", "translate", "untranslated")


class Labelled(Strict):
    """The role `target_ner` as `prepare` and `gold` divide it."""

    sets: list[Split]
    train_share: float
    split_seed: int


class Translating(Strict):
    """`settings.Translate` as `prepare` heeds it; `language`: of the translations; `dev`: source dev sentences are
    translated too, for a tagger whose epoch they choose."""

    dictionary: str | None
    choose: str
    data: list[str]
    language: str
    dev: bool


class StageConfig(Strict):
    """`encoder_digest` tells orchestrators that cache by arguments when an encoder has changed in its place; keys do
    without, since they cover what the encoder holds."""

    code: str
    encoder_digest: str = ""

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings of a role that a run does not have are in no key: they came later than the results of such runs."""
        value: dict[str, Any] = handler(self)
        return {name: part for name, part in value.items() if part or name not in OFF}

    def reads(self, given: Collection[str]) -> Reads:
        """The files that the stage reads of each input, if it does not read all of it; `given`: names of its inputs."""
        return {}


class EncoderConfig(StageConfig):
    """Of stages that run the encoder: their results depend on what they compute with, and what they draw on the seed.

    No other stage draws anything, so runs that differ in their seed alone share what those make."""

    seed: int
    machine: Machine


class PrepareConfig(StageConfig):
    """`translated` are those translated sets that the data root has; `translate` is None where these are all, and used
    wherever the paper does. `data_digest` covers every file that is read, the dictionary too.

    `question_types` are those of NER-as-MRC where they are not the tagger's, with a label map of their own.
    """

    source_ner: NerRole
    translated: list[Split]
    target_text: list[Split]
    target_mrc: MrcRole
    source_mrc: MrcRole
    types: list[str]
    label_map: dict[str, str | None]
    question_types: list[str]
    question_map: dict[str, str | None]
    target_ner: Labelled | None = None
    translate: Translating | None = None
    data_digest: str
    notes: list[str]

    def reads(self, given: Collection[str]) -> Reads:
        return {"data": ()}


class GoldConfig(StageConfig):
    target_test: list[Split]
    target_dev: list[Split]
    target_ner: Labelled | None = None
    types: list[str]
    label_map: dict[str, str | None]
    data_digest: str

    def reads(self, given: Collection[str]) -> Reads:
        return {"data": ()}


class MlmConfig(EncoderConfig):
    training: Mlm

    def reads(self, given: Collection[str]) -> Reads:
        return {"corpora": _files("target_text", self.training.source_text and "source_text")}


class SpanConfig(EncoderConfig):
    """`source_queries` turn source sentences into MRC, `translated_queries` those of the translated source (empty where
    none become any), and `target_queries` pseudo-labelled ones. `typed`: source sentences have types of their own
    there, not the tagger's."""

    training: SpanTask
    source_queries: dict[str, str]
    translated_queries: dict[str, str]
    target_queries: dict[str, str]
    typed: bool

    def reads(self, given: Collection[str]) -> Reads:
        one = self.training
        ner = {name: self.file(name) for name in ("source_ner", "source_ner_dev", "translated_ner")}
        questions = (one.targets and "target_mrc", "target_mrc_dev", one.learns_sources and "source_mrc")
        translated = (one.learns_translations and "translated_mrc", self.asks_translated and ner["translated_ner"])
        sentences = (one.learns_ner and ner["source_ner"], *translated)
        return {"corpora": _files(*questions, "source_mrc_dev", *sentences, ner["source_ner_dev"])}

    @property
    def asks_translated(self) -> bool:
        """Whether translated sentences become MRC."""
        return self.training.learns_ner and bool(self.translated_queries)

    def file(self, name: str) -> str:
        """The corpus whose sentences become MRC."""
        return f"{name}{TYPED}" if self.typed else name


class MrcConfig(SpanConfig):
    training: Mrc


class LoopMrcConfig(SpanConfig):
    training: LoopMrc

    def reads(self, given: Collection[str]) -> Reads:
        return super().reads(given) | {"pseudo": _labels(self.training)}


class NerConfig(EncoderConfig):
    """`target_weight`: how often each labelled target sentence stands in an epoch; 0 where none is trained on.
    `untranslated`: translated sentences, if there are any, are for others."""

    training: Ner
    labels: list[str]
    target_weight: int = 0
    untranslated: bool = False

    def reads(self, given: Collection[str]) -> Reads:
        own = self.target_weight > 0 and "target_ner"
        return {"corpora": _files("source_ner", "source_ner_dev", not self.untranslated and "translated_ner", own)}


class PseudoNerConfig(NerConfig):
    training: PseudoNer

    def reads(self, given: Collection[str]) -> Reads:
        mixed = self.training.mix != "pseudo"
        own = self.target_weight > 0 and "target_ner"
        translated = mixed and not self.untranslated and "translated_ner"
        dev = self.training.choose_by == "source+translated" and "translated_ner_dev"
        source = _files(mixed and "source_ner", "source_ner_dev", translated, dev, own)
        return {"corpora": source, "pseudo": _labels(self.training)}


class PseudoLabelConfig(EncoderConfig):
    """`queries` are what the MRC model, a second teacher, is asked, in pairs of type and question: of two answers
    that overlap the first stays, and a JSON object keeps no order. Empty where nobody wants its opinion."""

    pseudo_label: PseudoLabel
    queries: list[tuple[str, str]]

    def reads(self, given: Collection[str]) -> Reads:
        return {"corpora": _files("target_text"), "earlier": _files("pseudo_ner")}


class EvaluateConfig(EncoderConfig):
    """`priors`: of so many target sentences the class priors are estimated and corrected; of none if 0."""

    evaluate: Evaluate
    priors: int = 0

    def reads(self, given: Collection[str]) -> Reads:
        return {"gold": _files("target_test"), "corpora": _files("source_ner", "target_text")}


class JudgeConfig(EncoderConfig):
    """`priors` as of `EvaluateConfig`."""

    judge: Judge
    priors: int = 0

    def reads(self, given: Collection[str]) -> Reads:
        corpora = _files("source_ner_dev", "target_text", self.priors > 0 and "source_ner")
        return {"corpora": corpora, "gold": _files("target_dev")}


class ExportConfig(EncoderConfig):
    export: Export

    def reads(self, given: Collection[str]) -> Reads:
        corrected = self.export.corrected_on > 0
        return {"corpora": _files("target_text", self.export.int8 and "source_ner_dev", corrected and "source_ner")}


class ReportConfig(StageConfig):
    """`run` is what the report says of the run: preset, encoder, iterations, overrides, roles, switches."""

    run: dict[str, Any]
    transductive: bool


class PublishConfig(StageConfig):
    model_name: str


def _files(*names: str | bool) -> tuple[str, ...]:
    """File names of corpora; what is False is left out."""
    return tuple(f"{name}.parquet" for name in names if name)


def _labels(training: LoopMrc | PseudoNer) -> tuple[str, ...]:
    """The files of pseudo-labels that a task reads."""
    return _files("pseudo_ner", training.trust == "agree" and "second_opinion")


# Stage, which is the module with its `run` -> what it is told.
CONFIGS: dict[str, type[StageConfig]] = {
    "prepare": PrepareConfig,
    "gold": GoldConfig,
    "mlm": MlmConfig,
    "mrc": MrcConfig,
    "ner": NerConfig,
    "pseudo_label": PseudoLabelConfig,
    "evaluate": EvaluateConfig,
    "judge": JudgeConfig,
    "export": ExportConfig,
    "report": ReportConfig,
    "publish": PublishConfig,
}
WITH_PSEUDO: dict[str, type[StageConfig]] = {"mrc": LoopMrcConfig, "ner": PseudoNerConfig}  # on pseudo-labels


def config_type(stage: str, given: Collection[str]) -> type[StageConfig]:
    """What a stage is told when it is given these inputs."""
    return WITH_PSEUDO[stage] if "pseudo" in given and stage in WITH_PSEUDO else CONFIGS[stage]

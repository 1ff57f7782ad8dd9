"""Run settings: typed models that refuse unknown keys. `tofner.presets` fills them from files.

Everything that changes a result is in here, so that it is part of the key of each stage that reads it. "Paper" is
Zhang et al., Target-Oriented Fine-tuning for Zero-Resource NER; "AdaptaBERT" is Han & Eisenstein (2019); "BERT-MRC" is
Li et al. (2020).
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator


def _split_name(value: str) -> str:
    if value.count("/") != 1 or not all(value.split("/")):
        raise ValueError("SET/SPLIT, for example conll03-en/train")
    return value


Split = Annotated[str, AfterValidator(_split_name)]  # "SET/SPLIT" below ner/, mrc/ or text/ of the data root


class Strict(BaseModel):
    """Base of all settings: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NerRole(Strict):
    train: list[Split] = Field(default=[], description="labelled sentences to train on")
    dev: list[Split] = Field(default=[], description="labelled sentences to choose checkpoints by")


class TranslatedRole(Strict):
    train: list[Split] = Field(default=[], description="labelled sentences to train on")
    optional: bool = Field(default=True, description="used where the data root has it; its absence is reported")


class MrcRole(Strict):
    train: list[Split] = Field(default=[], description="questions to train on")
    dev: list[Split] = Field(default=[], description="questions to score on; only source ones choose a checkpoint")


class NerAsMrc(Strict):
    """What is asked about source sentences [D_s,nm] and of the second teacher, where it is not the tagger's types."""

    types: list[str] = Field(default=[], description="entity types that questions ask for, each with a query; empty "
                             "for those of the tagger, which may be fewer")  # fmt: skip
    queries: str = Field(default="conll", description="query set of these types: a name in presets/queries, or a YAML "
                         "file")  # fmt: skip
    label_map: dict[str, str | None] = Field(default={}, description="types of the source files to these types, as "
                                             "`label_map` is for the tagger's")  # fmt: skip

    @model_validator(mode="after")
    def _types_exist(self) -> "NerAsMrc":
        unknown = sorted({new for new in self.label_map.values() if new is not None} - set(self.types))
        if unknown:
            raise ValueError(f"ner_as_mrc.label_map leads to types without a question: {', '.join(unknown)}")
        return self


class Translate(Strict):
    """Source data in the target's language (paper, footnote 2): made word by word with a dictionary. Of sentences, what
    the role `translated_ner` has ready-made goes before."""

    dictionary: str | None = Field(
        default=None,
        description="word translations to make it with: NAME, for dict/NAME.txt[.gz] of the data root, in the format "
        "of MUSE (paper, footnote 2); null for none",
    )
    choose: Literal["first", "other"] = Field(default="first", description="which translation of a word with several: "
                                              "the first, or the first that is not the word itself, where there is "
                                              "one; the paper is silent")  # fmt: skip
    data: list[Literal["ner", "mrc", "ner_as_mrc"]] = Field(
        default=["ner", "mrc", "ner_as_mrc"],
        description="where translations are used, ready-made ones too: `ner`: source text and training of the tagger; "
        "`mrc`: questions of source_mrc; `ner_as_mrc`: source sentences as questions. Source: paper, 4.4 and Table 2, "
        "rows 3 and 5",
    )
    queries: Literal["target", "words"] = Field(default="target", description="what is asked of translated sentences: "
                                                "the queries in the target's language, or those of the source "
                                                "translated word by word; the paper is silent")  # fmt: skip

    @field_validator("dictionary")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and (not value or "/" in value or value.endswith((".txt", ".gz"))):
            raise ValueError("a name such as en-es, for dict/en-es.txt or dict/en-es.txt.gz of the data root")
        return value

    @model_validator(mode="after")
    def _words_need_a_dictionary(self) -> "Translate":
        if self.queries == "words" and self.dictionary is None:
            raise ValueError("translate.queries is `words`, but translate.dictionary names none to translate with")
        return self

    @property
    def sentences(self) -> bool:
        """Whether translated sentences are used at all."""
        return "ner" in self.data or "ner_as_mrc" in self.data


class TargetNerRole(Strict):
    """A few labelled target sentences: to train on, to measure on, or some for each."""

    sets: list[Split] = Field(default=[], description="labelled target sentences; without any, the target has no "
                              "labels, as in the paper")  # fmt: skip
    train_share: float = Field(default=1.0, ge=0, le=1, description="share that every tagger is trained on; the others "
                               "are part of the test. 0.5: half trains, half measures")  # fmt: skip
    split_seed: int = Field(default=0, ge=0, description="which sentences train; equal ones are on one side")
    weight: int = Field(default=10, ge=1, description="times that each stands among the training sentences of an epoch")

    @property
    def trains(self) -> bool:
        """Whether any of them is trained on."""
        return bool(self.sets) and self.train_share > 0

    @property
    def measures(self) -> bool:
        """Whether any of them is part of the test."""
        return bool(self.sets) and self.train_share < 1


class Roles(Strict):
    """Which set plays which part. Names in brackets are those of Algorithm 1."""

    source_ner: NerRole = Field(description="labelled source NER [D_s,n]; its words are also the source text [D_s,no]")
    translated_ner: TranslatedRole = Field(default=TranslatedRole(), description="source NER in the target language")
    target_text: list[Split] = Field(description="unlabelled target text [D_t,no]: words only, tags are never read")
    target_test: list[Split] = Field(default=[], description="labelled target sentences, read by evaluation alone; "
                                     "without any, the taggers are not measured")  # fmt: skip
    target_dev: list[Split] = Field(default=[], description="labelled target sentences that decide on releases, read "
                                    "by the gate alone; not those of the test")  # fmt: skip
    target_ner: TargetNerRole = TargetNerRole()
    target_mrc: MrcRole = Field(default=MrcRole(), description="questions on target text [D_t,m]")
    source_mrc: MrcRole = Field(default=MrcRole(), description="questions on source text [D_s,m]")


class Training(Strict):
    """What every fine-tuning task has."""

    learning_rate: float = Field(gt=0, description="peak learning rate. Source: paper, Table 6")
    head_learning_rate: float | None = Field(default=None, gt=0, description="for the layers above the encoder; "
                                             "null means learning_rate, as in the paper")  # fmt: skip
    epochs: float = Field(gt=0, description="passes over the training data. Source: paper, Appendix B")
    batch_size: int = Field(gt=0, description="examples a step and device. Source: paper, 4.3")
    gradient_accumulation: int = Field(default=1, gt=0, description="batches added up before each update")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps with rising rate. AdaptaBERT: 0.1")
    schedule: Literal["linear", "constant"] = Field(default="linear", description="of the rate after its rise: down to "
                                                    "0 at the last step (AdaptaBERT), or constant but for "
                                                    "`epoch_decay` (the authors' MRC and small rates)")  # fmt: skip
    epoch_decay: float = Field(default=0.95, gt=0, le=1, description="factor of the rate from one epoch to the next "
                               "where the schedule is constant. Source: authors' code")  # fmt: skip
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW decay. Source: AdaptaBERT")
    average_last: float = Field(default=0.0, ge=0, lt=1, description="share of the steps, at the end, over which "
                                "weights are averaged (of every tenth of a run one checkpoint) instead of choosing an "
                                "epoch; 0 for none. Source: Schmidt et al., ACL 2023; off in the paper")  # fmt: skip
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradient clipping. Source: AdaptaBERT")
    max_pieces: int = Field(default=128, ge=16, description="pieces a window, special ones included. AdaptaBERT: 128")
    max_train_examples: int | None = Field(default=None, gt=0, description="cap on each training corpus, drawn by "
                                           "seed; for tests and small machines")  # fmt: skip
    max_dev_examples: int | None = Field(default=None, gt=0, description="cap on each dev corpus, drawn by seed")


class Overlapping(Training):
    """Fine-tuning whose windows overlap, so that each word is read with words on both its sides."""

    overlap_pieces: int = Field(default=32, ge=0, description="pieces that neighbouring windows share")

    @model_validator(mode="after")
    def _overlap_fits(self) -> "Overlapping":
        if self.overlap_pieces > (self.max_pieces - 4) // 2:
            raise ValueError(f"overlap_pieces {self.overlap_pieces} is more than half of max_pieces {self.max_pieces}")
        return self


class Mlm(Training):
    """Masked language model on target + equal source text (Algorithm 1, line 2)."""

    learning_rate: float = Field(default=5e-5, gt=0, description="Source: paper, Appendix B")
    epochs: float = Field(default=3, gt=0, description="Source: paper, Appendix B")
    batch_size: int = Field(default=32, gt=0, description="Source: paper, 4.3")
    maskings: int = Field(default=10, gt=0, description="fresh maskings of each sentence. Source: paper, 3.3.2")
    remask: bool = Field(default=True, description="draw them anew in each epoch, or train on the same in all. Source: "
                         "AdaptaBERT masks whenever it reads")  # fmt: skip
    masked_share: float = Field(default=0.15, gt=0, lt=1, description="pieces to predict. Source: BERT")
    head_warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps that train only the MLM head, "
                               "the encoder frozen, where the encoder came without one; else unused. The "
                               "encoder's rate rises after that")  # fmt: skip
    source_text: bool = Field(default=True, description="add as much source text as target text. Source: AdaptaBERT")


class SpanTask(Overlapping):
    """Start/end span extraction (Eq. 2)."""

    learning_rate: float = Field(gt=0, description="Source: paper, Table 6")
    epochs: float = Field(default=6, gt=0, description="Source: paper, Appendix B")
    batch_size: int = Field(default=16, gt=0, description="Source: paper, 4.3")
    schedule: Literal["linear", "constant"] = Field(default="constant", description="of the rate after its rise. "
                                                    "Source: authors' code")  # fmt: skip
    max_pieces: int = Field(
        default=256, ge=32, description="query and context together; our choice, the paper is silent"
    )
    overlap_pieces: int = Field(default=64, ge=0, description="pieces of context that neighbouring windows share")
    span_match: bool = Field(default=False, description="third head over (start, end) pairs: the authors' "
                             "code, not the paper")  # fmt: skip
    match_threshold: float = Field(default=0.15, gt=0, lt=1, description="decode threshold of the third head. Source: "
                                   "authors' code")  # fmt: skip
    answer_end: Literal["last", "first"] = Field(default="last", description="which piece of its last word an answer "
                                                 "ends with; the first one, as in the authors' code, is what the "
                                                 "tagger reads")  # fmt: skip
    empty_windows: float = Field(default=1.0, ge=0, le=1, description="share of the windows of a long context that are "
                                 "trained on though they hold no answer while others of the question do, drawn by "
                                 "seed")  # fmt: skip
    targets: bool = Field(default=True, description="train on the target questions [D_t,m]")
    choose_by: str

    @property
    def learns_sources(self) -> bool:
        """Whether source questions [D_s,m] are trained on."""
        return False

    @property
    def learns_ner(self) -> bool:
        """Whether NER turned into MRC [D_s,nm] is trained on."""
        return False

    @property
    def learns_translations(self) -> bool:
        """Whether translated source questions are trained on, where there are any."""
        return False


class Mrc(SpanTask):
    """Start/end span extraction (Algorithm 1, line 4, Eq. 2)."""

    ner_as_mrc: bool = Field(default=True, description="train on NER turned into MRC [D_s,nm]. Source: paper, 3.3.2")
    sources: bool = Field(default=True, description="train on the source questions [D_s,m]; whether on "
                          "translations of them, `translate.data` says")  # fmt: skip
    choose_by: Literal["source", "source+target"] = Field(default="source", description="questions that choose the "
                                                          "epoch: source and NER-as-MRC dev, or target questions too, "
                                                          "which carry no NER label")  # fmt: skip

    @property
    def learns_sources(self) -> bool:
        return self.sources

    @property
    def learns_ner(self) -> bool:
        return self.ner_as_mrc

    @property
    def learns_translations(self) -> bool:
        return True


class LoopMrc(SpanTask):
    """Span extraction in a round (Algorithm 1, line 14): target questions and pseudo-MRC."""

    mix: Literal["pseudo", "all"] = Field(default="pseudo", description="train on target questions and pseudo-MRC "
                                          "(Algorithm 1), or on source questions and NER-as-MRC too (authors' scripts, "
                                          "at most 10,000 of each: max_train_examples)")  # fmt: skip
    choose_by: Literal["source", "source+target", "pseudo", "last"] = Field(
        default="source",
        description="questions that choose the epoch: source and NER-as-MRC dev, target questions too, the pseudo-MRC "
        "of one in ten sentences, held back; or the last epoch is kept",
    )
    head: Literal["carry", "fresh"] = Field(default="carry", description="go on with the heads of the last MRC model, "
                                            "or start new ones as the authors' code does")  # fmt: skip
    trust: Literal["all", "agree"] = Field(default="all", description="learn from every word of the pseudo-MRC "
                                           "(Algorithm 1), or leave out those on which tagger and MRC model "
                                           "differ")  # fmt: skip

    @property
    def learns_sources(self) -> bool:
        return self.mix == "all"

    @property
    def learns_ner(self) -> bool:
        return self.mix == "all"

    @property
    def learns_translations(self) -> bool:
        return self.mix == "all"


class Ner(Overlapping):
    """Token classification by the first piece of each word (Algorithm 1, line 6, Eq. 3-4)."""

    learning_rate: float = Field(gt=0, description="Source: paper, Table 6")
    epochs: float = Field(default=6, gt=0, description="Source: paper, Appendix B")
    batch_size: int = Field(default=64, gt=0, description="Source: paper, 4.3")
    head: Literal["carry", "fresh"] = Field(default="carry", description="go on with the last tagger's head (Algorithm "
                                            "1, line 8), or start a new one, as the authors' code does in rounds "
                                            "but not in line 9")  # fmt: skip


class PseudoNer(Ner):
    """Token classification on pseudo-labelled target text (Algorithm 1, lines 9 and 16)."""

    mix: Literal["pseudo", "pseudo+source", "source+pseudo"] = Field(
        default="pseudo",
        description="train on pseudo-labelled target text alone (Algorithm 1), on all of it and as many source and "
        "translated sentences (ours), or on all source sentences and as many pseudo-labelled and translated ones "
        "(authors' cross-lingual scripts)",
    )
    choose_by: Literal["source", "pseudo", "last", "source+translated"] = Field(
        default="source",
        description="which epoch is kept: the best on the source dev (paper, 4.2), the best on one in ten "
        "pseudo-labelled sentences, held back (in the spirit of the authors' cross-domain scripts), the last one, or "
        "the best on the source dev and its translation by `translate.dictionary` (authors' cross-lingual scripts)",
    )
    trust: Literal["all", "agree"] = Field(default="all", description="learn from every word's pseudo-label "
                                           "(Algorithm 1), or leave out of the loss those words on which tagger and "
                                           "MRC model differ; needs use.mrc")  # fmt: skip
    least_score: float | None = Field(default=None, gt=0, lt=1, description="leave words out of the loss whose "
                                      "pseudo-label is less probable; off in the paper")  # fmt: skip


class PseudoLabel(Strict):
    """Labelling of the target text (Algorithm 1, lines 7, 10 and 17)."""

    threshold: float | None = Field(default=None, gt=0, lt=1, description="drop sentences whose least certain word is "
                                    "below it; off in the paper")  # fmt: skip
    batch_size: int = Field(default=64, gt=0, description="windows a batch; changes speed, not labels")


class Evaluate(Strict):
    """Scoring of a tagger on the target test (Algorithm 1, line 20)."""

    batch_size: int = Field(default=64, gt=0, description="windows a batch; changes speed, not scores")
    max_examples: int | None = Field(default=None, gt=0, description="cap on the test sentences; for tests only")
    errors_shown: int = Field(default=40, ge=0, description="wrong sentences shown in the report")


class Export(Strict):
    """ONNX export, and how closely it must agree with the checkpoint."""

    opset: int = Field(default=20, ge=17, le=20, description="ONNX operator set")
    tolerance: float = Field(default=1e-3, gt=0, description="largest difference of two logits")
    text_sentences: int = Field(default=200, gt=0, description="real target sentences to compare on, and to calibrate "
                                "int8 by")  # fmt: skip
    told_sentences: int = Field(default=1000, gt=0, description="target sentences that the finished tagger labels, "
                                "drawn by seed, to tell what it finds where nothing is labelled")  # fmt: skip
    int8: bool = Field(default=True, description="make an int8 graph too, published if it keeps its F1")
    int8_margin: float = Field(default=0.003, ge=0, description="F1 that int8 may lose on the source dev")
    int8_dev_sentences: int = Field(default=1000, gt=0, description="source dev sentences that decide on int8")
    priors: Literal["none", "em"] = Field(default="none", description="`em` makes labels as frequent as the target "
                                          "text has them: their shares are estimated on it by EM (Saerens et al., "
                                          "2002) and become a bias of the output layer. Scores and the gate's "
                                          "comparison are then of the corrected tagger. Off in the "
                                          "paper")  # fmt: skip
    priors_sentences: int = Field(default=2000, gt=0, description="target sentences to estimate the shares on, drawn "
                                  "by seed")  # fmt: skip

    @property
    def corrected_on(self) -> int:
        """Sentences that priors are estimated on; 0 where they are left as they are."""
        return self.priors_sentences if self.priors == "em" else 0


class Judge(Strict):
    """What the gate's two taggers are compared on."""

    text_sentences: int = Field(default=2000, gt=0, description="of the target text, drawn by seed")
    batch_size: int = Field(default=64, gt=0, description="windows a batch; changes speed, not tags")


LEAST_BEYOND = 10  # resamples beyond an end of the gate's interval: with fewer, the end is mostly chance


class Gate(Strict):
    """When a new model becomes the latest one."""

    promote: Literal["not-worse", "better", "always", "never"] = Field(
        default="not-worse", description="what the new model must show; `never` leaves it to `tofner models promote`"
    )
    margin: float = Field(default=0.5, ge=0, le=100, description="F1 points that may be lost and count as not worse")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of what the new model must show")
    samples: int = Field(default=1000, gt=0, description="resamples of the paired bootstrap")
    min_sentences: int = Field(default=100, gt=0, description="of a deciding set; smaller ones hold the model back")
    min_entities: int = Field(default=50, gt=0, description="labelled ones of a deciding set, likewise")
    vanished: int = Field(default=20, gt=0, description="finds of a type in target text by the latest model, from "
                          "which on a new one that finds none is held back")  # fmt: skip

    lost_types: Literal["tell", "hold"] = Field(default="tell", description="what a type does that is a tenth as "
                                                "frequent in target text, as the new model tags it, as in the labelled "
                                                "source, or less: be told, or hold the model back as well, also the "
                                                "first one")  # fmt: skip

    @model_validator(mode="after")
    def _samples_suffice(self) -> "Gate":
        least = LEAST_BEYOND / (1 - self.confidence)
        if self.samples < least - 1e-9:
            raise ValueError(
                f"{self.samples} samples are too few for confidence {self.confidence}: {least:.0f} or more"
            )
        return self


class Use(Strict):
    """Switches of the graph: the paper's ablations and baselines are settings of the same pipeline."""

    mlm: bool = Field(default=True, description="line 2; off for direct transfer")
    mrc: bool = Field(default=True, description="line 4; off for AdaptaBERT and direct transfer")
    pseudo: bool = Field(default=True, description="lines 7-11; off for 'w/o pseudo data'")
    order: Literal["mlm-mrc", "mrc-mlm"] = Field(default="mlm-mrc", description="which of lines 2 and 4 comes first. "
                                                 "Source: paper, Table 3")  # fmt: skip


class Compute(Strict):
    """What the stages that run the encoder compute with. Each of these changes the last bits of a result, and so its
    key; `Machine` is what becomes of it in a run."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto`: the GPU where there is one")
    threads: int | None = Field(default=None, gt=0, description="of a CPU's products; when not given, in Kubeflow as "
                                "the graph was compiled, else OMP_NUM_THREADS, else the cores at hand")  # fmt: skip
    precision: Literal["auto", "fp32", "bf16"] = Field(default="auto", description="of training; `auto`: bf16 on "
                                                       "a GPU, fp32 on CPUs")  # fmt: skip


class Machine(Strict):
    """What a stage computes with, pinned: part of its key, and a stage that finds something else ends.

    `threads` is 0 on a GPU, where results do not depend on it.
    """

    device: Literal["cpu", "cuda"]
    threads: int
    precision: Literal["fp32", "bf16"]


class Stages(Strict):
    mlm: Mlm = Mlm()
    mrc: Mrc
    ner: Ner
    pseudo_label: PseudoLabel = PseudoLabel()
    pseudo_ner: PseudoNer
    loop_mrc: LoopMrc
    loop_ner: PseudoNer
    evaluate: Evaluate = Evaluate()
    export: Export = Export()
    judge: Judge = Judge()


class Part(NamedTuple):
    """One file of a run: the role it plays, what it holds, its `SET/SPLIT`, and whether the run can do without it.

    Target text is `text` even where its file has tags: only its words are read.
    """

    role: str
    kind: Literal["ner", "mrc", "text"]
    split: str
    optional: bool = False


class Settings(Strict):
    """One run, apart from what is given at run time (data, encoder, iterations, seed)."""

    description: str = Field(description="one line for people")
    encoder: str = Field(description="Hub id, local folder or s3:// prefix; the run parameter `encoder` goes before it")
    source_language: str = Field(default="en", description="language of the source queries")
    target_language: str = Field(default="en", description="language of the target queries")
    types: list[str] = Field(min_length=1, description="entity types that the tagger knows")
    queries: str = Field(default="conll", description="query set: a name in presets/queries, or a YAML file or a "
                         "folder of them, looked for beside the preset; s3:// too")  # fmt: skip
    label_map: dict[str, str | None] = Field(default={}, description="types of the files to types of the tagger; '*' "
                                             "for every other one; null makes it no entity")  # fmt: skip
    ner_as_mrc: NerAsMrc = NerAsMrc()
    translate: Translate = Translate()
    roles: Roles
    use: Use = Use()
    gate: Gate = Gate()
    compute: Compute = Compute()
    stages: Stages

    @model_validator(mode="after")
    def _types_exist(self) -> "Settings":
        unknown = sorted({new for new in self.label_map.values() if new is not None} - set(self.types))
        if unknown:
            raise ValueError(f"label_map leads to types that the tagger does not know: {', '.join(unknown)}")
        for type_ in self.ner_as_mrc.types:
            if self.tagger_type(type_) not in (None, *self.types):
                raise ValueError(
                    f"ner_as_mrc.types: an answer of type {type_} is none of the tagger's; map it in label_map"
                )
        if not self.roles.source_ner.train or not self.roles.source_ner.dev:
            raise ValueError("roles.source_ner needs a train and a dev set")
        if not self.roles.target_text:
            raise ValueError("roles.target_text needs at least one set")
        for role in ("target_test", "target_dev"):
            if twice := set(self.roles.target_ner.sets) & set(getattr(self.roles, role)):
                raise ValueError(
                    f"roles.target_ner.sets: {', '.join(sorted(twice))} is roles.{role} too; "
                    "roles.target_ner.train_share says which part trains and which measures"
                )
        return self

    def tagger_type(self, type_: str) -> str | None:
        """What a type of the files or of a question is for the tagger; None for no entity."""
        return self.label_map.get(type_, self.label_map.get("*", type_))

    @property
    def labels(self) -> list[str]:
        """BIO2 labels in the order of the tagger's outputs: O first, then B- and I- of each type."""
        return ["O", *(f"{prefix}-{type_}" for type_ in self.types for prefix in "BI")]

    def parts(self) -> Iterator["Part"]:
        """Every file that a run reads, in the order of the roles."""
        given = self.roles
        yield from (Part("source_ner.train", "ner", split) for split in given.source_ner.train)
        yield from (Part("source_ner.dev", "ner", split) for split in given.source_ner.dev)
        translated = given.translated_ner
        yield from (Part("translated_ner.train", "ner", split, translated.optional) for split in translated.train)
        yield from (Part("target_text", "text", split) for split in given.target_text)
        yield from (Part("target_test", "ner", split) for split in given.target_test)
        yield from (Part("target_dev", "ner", split) for split in given.target_dev)
        yield from (Part("target_ner", "ner", split) for split in given.target_ner.sets)
        for name, mrc in (("target_mrc", given.target_mrc), ("source_mrc", given.source_mrc)):
            for side, splits in (("train", mrc.train), ("dev", mrc.dev)):
                yield from (Part(f"{name}.{side}", "mrc", split) for split in splits)

    @property
    def transductive(self) -> bool:
        """Whether unlabelled test text is trained on; such scores do not compare with the others."""
        return bool(set(self.roles.target_text) & set(self.roles.target_test))


def known_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted settings key with its pydantic field, depth first."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from known_keys(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field

"""Resolve and check a run before anything costs money: the first task of the graph, and the preflight of a local run.

Loads no torch. A plan is all that later tasks are told, with one JSON string a task of just what reaches it: a changed
rate of the last stage, a new test set or another wording of a question leaves the tasks before it as they were. It lies
in the store under its digest, so that tasks hand on an address and not a wall of settings.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tofner import storage
from tofner.corpora import data_root
from tofner.errors import BadData, BadInput, Problem
from tofner.settings import LoopMrc, Machine, Part, PseudoNer, Settings
from tofner.stages import config as c
from tofner.stages.revision import code_revision

if TYPE_CHECKING:
    from tofner.presets.query_files import Queries

GOLD = ("target_test", "target_dev")  # roles whose labels only `evaluate` and the gate see
TARGET = "target_ner"  # the role of which some may train and others measure
PLANS = "plans"  # folder of the store


@dataclass(frozen=True)
class Plan:
    """A resolved run.

    Attributes:
        settings: one canonical JSON string for each task of `TASKS`.
        data, store, encoder: addresses; that of an encoder on the Hub is its id with its commit.
        order: `mlm-mrc` or `mrc-mlm`.
        gate: when the model becomes the latest one, as `settings.Gate`.
        rounds: that the graph holds; those after `iterations` are off.
        gpus: that a task which runs the encoder asks for, where a cluster runs it.
    """

    settings: dict[str, str]
    data: str
    store: str
    encoder: str
    use_mlm: bool
    use_mrc: bool
    use_pseudo: bool
    order: str
    gate: dict[str, Any]
    iterations: int
    rounds: int
    gpus: int

    @property
    def model_name(self) -> str:
        """What the run publishes under."""
        return str(json.loads(self.settings["publish"])["model_name"])


def plan(
    preset: str,
    data: str,
    store: str,
    encoder: str = "",
    iterations: int = 1,
    seed: int = 2019,
    overrides: Sequence[str] = (),
    model_name: str = "",
    max_iterations: int | None = None,
    gpus: int = 0,
    threads: int = 0,
) -> Plan:
    """Check every parameter, find every file, and write down what each stage will be told.

    Args:
        data: data root; empty for preset `sample`, whose corpora are then generated and put in the store.
        max_iterations: rounds that the compiled graph holds; None where nothing bounds them.
        gpus, threads: of a task that runs the encoder, on a cluster; 0 threads where tasks run on this machine.

    Raises:
        BadInput: anything in preset, overrides, ranges, data root, encoder or store that would fail later.
        PassingFault: the bucket does not answer.
    """
    # Of planning alone; every task of a run loads a plan.
    from tofner.check.asked import check_asked, default_name
    from tofner.presets import load_preset, queries_of
    from tofner.sample.place import data_or_sample
    from tofner.stages.machine import machine

    settings = load_preset(preset, overrides)
    name = model_name or default_name(preset)
    encoder_uri, encoder_digest = check_asked(
        settings, encoder or settings.encoder, iterations, seed, name, max_iterations
    )
    trains = machine(settings.compute, gpus, threads)
    exports = machine(settings.compute.model_copy(update={"device": "cpu"}), 0, threads)  # its task has no GPU
    storage.check_writable(store)
    data = data_or_sample(preset, data, store)
    present = _present(settings, data)
    files, dictionaries = _files(settings, data, present)

    def common(stage: str) -> dict[str, Any]:
        return {"code": code_revision(stage)}

    def runs(stage: str, on: Machine = trains) -> dict[str, Any]:
        return {"seed": seed, "machine": on, **common(stage)}

    asked, queries = settings.ner_as_mrc, queries_of(settings, iterations)
    given, stages = settings.roles, settings.stages
    own = given.target_ner
    gold = (*GOLD, TARGET) if own.measures else GOLD
    test_files = {part.split: digest for part, digest in files.items() if part.role in gold}
    train_files = {part.split: digest for part, digest in files.items() if part.role not in GOLD} | dictionaries
    tongue = settings.translate
    ready = [split for split in given.translated_ner.train if present.get(split, True)] if tongue.sentences else []
    absent = sorted(split for split, there in present.items() if not there)
    run = {
        "preset": preset,
        "description": settings.description,
        "data": data,
        "encoder": encoder_uri,
        "encoder_digest": encoder_digest,
        "iterations": iterations,
        "seed": seed,
        "overrides": list(overrides),
        "target_language": settings.target_language,
        "compute": settings.compute.model_dump(),
        "machine": trains.model_dump(),
        "model_name": name,
        "use": settings.use.model_dump(),
        "roles": settings.roles.model_dump(exclude=set() if own.sets else {TARGET}),
        "absent": absent,
    }
    if ready or tongue.dictionary:
        run["translate"] = {**tongue.model_dump(), "sets": ready}
    first: dict[str, Any] = {"encoder_digest": encoder_digest}  # of tasks that may be the first to load it
    divided = c.Labelled(sets=own.sets, train_share=own.train_share, split_seed=own.split_seed) if own.sets else None
    learns: dict[str, Any] = {"labels": settings.labels, "target_weight": own.weight if own.trains else 0}
    asks_translated = "ner_as_mrc" in tongue.data and bool(ready or tongue.dictionary)
    if tongue.queries == "words" and asks_translated:
        queries = _in_words(queries, settings, data)
    learns["untranslated"] = "ner" not in tongue.data and bool(ready or tongue.dictionary)
    translating = c.Translating(
        dictionary=tongue.dictionary,
        choose=tongue.choose,
        data=sorted(set(tongue.data)),
        language=settings.target_language,
        dev=any(one.choose_by == "source+translated" for one in (stages.pseudo_ner, stages.loop_ner)),
    )

    def labelling(*readers: LoopMrc | PseudoNer) -> c.PseudoLabelConfig:
        """Asks the MRC model too where one of those who read the labels believes only what both say."""
        mapped = [(settings.tagger_type(type_), query) for type_, query in queries.translated.items()]
        named = [(type_, query) for type_, query in mapped if type_ is not None]
        wanted = any(one.trust == "agree" for one in readers)
        told = {"queries": named if wanted else [], **runs("pseudo_label")}
        return c.PseudoLabelConfig(pseudo_label=stages.pseudo_label, **told)

    corrected_on = stages.export.corrected_on  # what is exported is what is scored
    configs: dict[str, c.StageConfig] = {
        "prepare": c.PrepareConfig(
            source_ner=given.source_ner,
            translated=ready,
            target_text=given.target_text,
            target_mrc=given.target_mrc,
            source_mrc=given.source_mrc,
            types=settings.types,
            label_map=settings.label_map,
            question_types=asked.types,
            question_map=asked.label_map,
            target_ner=divided,
            translate=translating if tongue.dictionary or (ready and len(translating.data) < 3) else None,
            data_digest=_digest(train_files),
            notes=[f"optional set {split} is not in the data root" for split in absent],
            **common("prepare"),
        ),
        "gold": c.GoldConfig(
            target_test=given.target_test,
            target_dev=given.target_dev,
            target_ner=divided if own.measures else None,
            types=settings.types,
            label_map=settings.label_map,
            data_digest=_digest(test_files),
            **common("gold"),
        ),
        "mlm": c.MlmConfig(training=stages.mlm, **first, **runs("mlm")),
        "mrc": c.MrcConfig(
            training=stages.mrc,
            source_queries=queries.source,
            translated_queries=queries.translated if stages.mrc.ner_as_mrc and asks_translated else {},
            target_queries={},
            typed=bool(asked.types),
            **first,
            **runs("mrc"),
        ),
        "ner": c.NerConfig(training=stages.ner, **learns, **first, **runs("ner")),
        "pseudo_label": labelling(stages.pseudo_ner),
        "pseudo_ner": c.PseudoNerConfig(training=stages.pseudo_ner, **learns, **runs("ner")),
        "loop_label": labelling(stages.loop_mrc, stages.loop_ner),
        "loop_mrc": c.LoopMrcConfig(
            training=stages.loop_mrc,
            source_queries=queries.source,
            translated_queries=queries.translated if stages.loop_mrc.learns_ner and asks_translated else {},
            target_queries=queries.target,
            typed=bool(asked.types),
            **runs("mrc"),
        ),
        "loop_ner": c.PseudoNerConfig(training=stages.loop_ner, **learns, **runs("ner")),
        "evaluate": c.EvaluateConfig(evaluate=stages.evaluate, priors=corrected_on, **runs("evaluate")),
        "judge": c.JudgeConfig(judge=stages.judge, priors=corrected_on, **runs("judge")),
        "export": c.ExportConfig(export=stages.export, **runs("export", exports)),
        "report": c.ReportConfig(run=run, transductive=settings.transductive, **common("report")),
        "publish": c.PublishConfig(model_name=name, **common("publish")),
    }
    texts = {task: json.dumps(config.model_dump(mode="json"), sort_keys=True) for task, config in configs.items()}
    use = settings.use
    rounds = iterations if max_iterations is None else max_iterations
    switches = (use.mlm, use.mrc, use.pseudo, use.order, settings.gate.model_dump(mode="json"))
    return Plan(
        texts, storage.absolute(data), storage.absolute(store), encoder_uri, *switches, iterations, rounds, gpus
    )


def made_from(made: Plan, graph: str = "") -> dict[str, str]:
    """What a run's model is made from, as a digest for each kind: data, encoder, settings, code, graph.

    Where data and encoder lie does not count, what is in them does; nor does the machine that plans. `graph` is the
    text of the compiled pipeline, its images among it; a run on this machine needs none, its code is counted as it is.
    """
    told = {task: json.loads(text) for task, text in made.settings.items()}
    run = told["report"]["run"]
    data = {task: config.pop("data_digest") for task, config in told.items() if "data_digest" in config}
    code = {task: config.pop("code") for task, config in told.items()}
    encoder = run.pop("encoder_digest")
    del run["machine"]
    for config in told.values():
        for what in ("encoder_digest", "machine"):
            config.pop(what, None)
    for address in ("data", "encoder"):
        del run[address]
    switches = {key: getattr(made, key) for key in ("use_mlm", "use_mrc", "use_pseudo", "order", "gate", "iterations")}
    values = {"data": data, "encoder": encoder, "settings": [told, switches], "code": code, "graph": graph}
    return {
        kind: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
        for kind, value in values.items()
    }


def save_plan(made: Plan) -> str:
    """Put a plan into its store; returns its address. Equal plans have one."""
    text = json.dumps(asdict(made), sort_keys=True, indent=1).encode()
    uri = storage.join(made.store, PLANS, f"{hashlib.sha256(text).hexdigest()[:20]}.json")
    storage.write_bytes(uri, text)
    return uri


def load_plan(uri: str) -> Plan:
    """Raises:
    BadInput: there is no plan at this address.
    """
    try:
        return Plan(**json.loads(storage.read_bytes(uri)))
    except (ValueError, TypeError) as error:
        raise BadInput(Problem(uri, str(error), "a plan that this version wrote", "start the run again")) from None


def _present(settings: Settings, data: str) -> dict[str, bool]:
    """Of each split that a run can do without, whether the data root has it."""
    optional = [part for part in settings.parts() if part.optional]
    return {part.split: data_root.find(data, part.kind, *part.split.split("/")) is not None for part in optional}


def _in_words(queries: "Queries", settings: Settings, data: str) -> "Queries":
    """The questions of translated sentences made of those of the source, word by word."""
    from tofner.corpora import translate

    found = translate.read(data_root.locate_dictionary(data, settings.translate.dictionary or ""))
    translator = translate.Translator(found, settings.translate.choose)
    return queries._replace(translated={type_: translator.text(query)[0] for type_, query in queries.source.items()})


def _files(settings: Settings, data: str, present: dict[str, bool]) -> tuple[dict[Part, str], dict[str, str]]:
    """Digest of every file that the run reads, and of its dictionary; every missing one is a problem, all listed."""
    found: dict[Part, str] = {}
    dictionaries: dict[str, str] = {}
    problems: list[Problem] = []
    for part in settings.parts():
        if not present.get(part.split, True):
            continue
        try:
            found[part] = storage.digest(data_root.locate(data, part.kind, *part.split.split("/")))
        except BadInput as error:
            problems += error.problems or [Problem(part.split, str(error), "a readable file")]
    if name := settings.translate.dictionary:
        try:
            dictionaries[f"dict/{name}"] = storage.digest(data_root.locate_dictionary(data, name))
        except BadInput as error:
            problems += error.problems or [Problem(name, str(error), "a readable file")]
    if problems:
        raise BadData(problems)
    return found, dictionaries


def _digest(values: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

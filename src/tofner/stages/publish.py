"""Publishes a tagger: a versioned folder in the bucket, visible whole or not at all.

    STORE/models/NAME/VERSION/    model.onnx, tokenizer.json, labels.json, tagger.json, checkpoint/, reports/,
                                  README.md (the model card), manifest.json

VERSION is the hash of the model's content, so publishing the same model twice changes nothing in its folder; what a
later test set says of it is kept beside (`tofner.model.evaluations`). Which version is the latest is decided after
this (`release`).
"""

import hashlib
import json
import shutil
from pathlib import Path

from tofner import storage
from tofner.model import evaluations
from tofner.model.layout import CARD, INDEX, MANIFEST, MODELS, REPORTS
from tofner.model.versions import version_of
from tofner.stages.config import PublishConfig
from tofner.stages.pages.render import model_card
from tofner.stages.runtime import NOT_CONTENT
from tofner.stages.work import Report, Work


def run(config: PublishConfig, work: Work) -> Report:
    export, report = work.folder("export"), work.folder("report")
    manifest = json.loads((export / MANIFEST).read_text(encoding="utf-8"))
    version = version_of(manifest)
    folder = work.scratch / "model"
    shutil.copytree(export, folder, ignore=shutil.ignore_patterns(*NOT_CONTENT, INDEX))
    shutil.copytree(report, folder / REPORTS, ignore=shutil.ignore_patterns(MANIFEST, INDEX))
    run = json.loads((report / "run.json").read_text(encoding="utf-8"))
    (folder / CARD).write_text(model_card(config.model_name, version, run, work.run_id), encoding="utf-8")
    shutil.copyfile(export / MANIFEST, folder / MANIFEST)
    uri = storage.join(work.store, MODELS, config.model_name, version)
    published = storage.folder_index(uri) is None
    evaluation = ""
    if published:
        storage.store_folder(folder, uri)
    else:
        evaluation = _keep_evaluation(folder, uri)
    model = {"name": config.model_name, "version": version, "uri": uri}
    (work.output / "model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    told = {"bytes": sum(sizes.values()), "encoder": run["run"]["encoder"]}
    if evaluation:
        told["evaluation"] = evaluation
    if "f1" in run["final"]["metrics"]:
        told["f1"] = run["final"]["metrics"]["f1"]
    counts = {"files": len(sizes), "new_version": int(published)}
    new = "new" if published else "there already"
    summary = f"{config.model_name} {version}, {new}: {len(sizes)} files of {told['bytes'] / 1e6:.1f} MB at {uri}"
    return Report(counts=counts, details={"model": {**model, **told}, "sizes": sizes}, published=uri, summary=summary)


def _keep_evaluation(folder: Path, uri: str) -> str:
    """Keep card and reports of a version that is stored, unless they are its latest; returns their address."""
    root, _, version = uri.rpartition("/")
    said = (folder / REPORTS / "run.json").read_bytes()
    there = storage.join(evaluations.reports_of(root, version), "run.json")
    if storage.exists(there) and storage.read_bytes(there) == said:
        return ""
    beside = folder.with_name("evaluation")
    shutil.copytree(folder / REPORTS, beside / REPORTS)
    shutil.copyfile(folder / CARD, beside / CARD)
    return evaluations.keep(root, version, beside, hashlib.sha256(said).hexdigest()[:12])

"""Whether a run's tagger becomes the latest of its name: both taggers' tags, the gate, one conditional write.

`evaluate` tags with both taggers, where a GPU may be at hand; `publish` finds that done, decides, and moves the
pointer. A champion that has changed meanwhile is tagged with then.
"""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from tofner import storage
from tofner.corpora.corpus import read_ner
from tofner.corpora.examples import Sentence
from tofner.errors import BadInput
from tofner.model import versions
from tofner.model.fetch import cache_folder, fetch
from tofner.model.layout import CHECKPOINT, MANIFEST, MODELS
from tofner.release.gate import Labelled, Unlabelled, Verdict, decide
from tofner.release.page import plain, to_markdown
from tofner.settings import Gate
from tofner.stages.config import JUDGED
from tofner.stages.plan import Plan
from tofner.stages.runtime import read_json, run_stage
from tofner.stages.steps import place_of
from tofner.stages.unlabelled import warnings

KINDS: dict[str, Literal["source", "target"]] = {JUDGED[0]: "source", JUDGED[1]: "target"}
Found = dict[str, list[Sentence]]  # tagged sentences by the set that they are of


def root(planned: Plan) -> str:
    """Where the versions of the run's model lie."""
    return storage.join(planned.store, MODELS, planned.model_name)


def judge_both(planned: Plan, model: str, run_id: str = "") -> dict[str, str]:
    """Tag with a run's tagger and with the latest one, unless that is done; addresses by `candidate` and `champion`.

    There is nothing to do where no version is the latest yet, or where it was made of this tagger.
    """
    latest = versions.read(root(planned)).version
    if latest is None or _made_of(storage.join(root(planned), latest)) == model:
        return {}
    return _judge(planned, model, latest, run_id)


def _judge(planned: Plan, model: str, latest: str, run_id: str) -> dict[str, str]:
    """As `judge_both`. A champion that cannot be run is left out, and said."""
    both = {"candidate": model, "champion": storage.join(root(planned), latest, CHECKPOINT)}
    known = {"corpora": place_of(planned, "prepare"), "gold": place_of(planned, "gold")}
    found = {}
    for side, address in both.items():
        inputs = known | {"model": address}
        try:
            found[side] = run_stage("judge", planned.store, planned.settings["judge"], inputs, run_id).uri
        except BadInput as error:
            if side == "candidate":
                raise
            print(f"note: the latest version {latest} cannot be compared with: {error}", file=sys.stderr, flush=True)
    return found


def release(planned: Plan, model: str, version: str, run_id: str = "", report: str = "") -> dict[str, Any]:
    """Decide on a version that is stored, and make it the latest if the gate says so; `report` is its run's.

    Returns:
        `promoted` and `gate`, the reason in words, for people; the verdict stands in the log.
    """
    place = root(planned)
    pointer = versions.read(place)
    if pointer.version == version:
        return _told(True, "it is the latest already")
    if undone := versions.rolled_back(pointer, version):
        return _told(False, f"it was rolled back: {undone}; tofner models promote brings it back")
    judged = _judge(planned, model, pointer.version, run_id) if pointer.version else {}
    verdict = _verdict(planned, pointer.version, judged, _lost(report))
    print(to_markdown(verdict).rstrip(), file=sys.stderr, flush=True)
    if not verdict.promote:
        return _told(False, verdict.reason)
    try:
        versions.promote(place, version, why=verdict.reason, expected=pointer.version, run=run_id)
    except versions.Overtaken as error:
        return _told(False, f"another publisher was faster: {error}")
    return _told(True, verdict.reason)


def run_summary(model: dict[str, Any], report: str) -> str:
    """What a run came to, as Markdown: whether its model is the latest, F1, addresses, and then the whole report.

    `model` is what `publish` says of it, with what `release` decided; `report` is the report's address.
    """
    head = "the latest" if model["promoted"] else "not made the latest"
    f1 = f"{100 * model['f1']:.2f}" if "f1" in model else "not measured"
    rows = {"F1": f1, "gate": model["gate"], "model": model["uri"], "report": report}
    if "evaluation" in model:
        rows["card"] = model["evaluation"]
    lines = [f"- {name}: {plain(value)}" for name, value in rows.items()]
    text = storage.read_bytes(storage.join(report, "report.md")).decode()
    return "\n".join([f"**{plain(model['name'])} {model['version']} is {head}.**", "", *lines, "", text])


def _made_of(version: str) -> str:
    """The tagger that a version was exported from, as its manifest says; empty where it does not."""
    place = storage.join(version, MANIFEST)
    if not storage.exists(place):
        return ""
    return str(read_json(place).get("inputs", {}).get("model", ""))


def _told(promoted: bool, reason: str) -> dict[str, Any]:
    word = "the latest" if promoted else "not made the latest"
    print(f"release: {word}: {reason}", file=sys.stderr, flush=True)
    return {"promoted": promoted, "gate": reason}


def _lost(report: str) -> list[str]:
    """The types that have vanished from the target text against the source, as the run's report has them."""
    if not report:
        return []
    known = read_json(storage.join(report, "run.json")).get("unlabelled")
    return warnings([row for row in known["rates"] if row["change"] == "vanished"]) if known else []


def _verdict(planned: Plan, champion: str | None, judged: dict[str, str], lost: list[str]) -> Verdict:
    gate = Gate.model_validate(planned.gate)
    if champion is None:
        return decide(gate, None, [], lost=lost)
    with storage.scratch_folder("tofner-work-", "release-") as scratch:
        cache = cache_folder(scratch)
        sides = {side: _read(fetch(uri, cache), JUDGED) for side, uri in judged.items()}
        truth = _read(fetch(place_of(planned, "prepare"), cache, ["source_ner_dev.parquet"]), JUDGED[:1])
        truth |= _read(fetch(place_of(planned, "gold"), cache), JUDGED[1:2])
        candidate, other = sides["candidate"], sides.get("champion", {})
        labelled = [
            Labelled(name, kind, _tags(truth[name]), _tags(candidate[name]), _tags(other.get(name, [])))
            for name, kind in KINDS.items()
            if name in truth
        ]
        text = [Unlabelled("target_text", _tags(candidate["target_text"]), _tags(other.get("target_text", [])))]
        return decide(gate, champion, labelled, text, json.loads(planned.settings["judge"])["seed"], lost)


def _read(folder: Path, names: tuple[str, ...]) -> Found:
    """Those of the files that are there."""
    return {
        name: list(read_ner(folder / f"{name}.parquet")) for name in names if (folder / f"{name}.parquet").is_file()
    }


def _tags(sentences: list[Sentence]) -> list[list[str]]:
    return [sentence.tags or [] for sentence in sentences]

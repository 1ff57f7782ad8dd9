"""Algorithm 1 as a chain of steps, by its lines: which stage each one is, what it is given, and which are off.

A graph calls `take` once a step, in order, and hands on what comes back. A step that is off passes on what it was
given, so a graph needs no branches. Because a result's address follows from what it is made of (`runtime`), the chain
can be walked ahead of the work: `done` finds the steps whose results are in the store, and a finished one asks for no
GPU.

    line 2: mlm, line 4: mrc       {D_t,no, D_s,no}; {D_t,m, D_s,m, D_s,nm}. In the order of Table 3 they change places
    line 6: ner                    {D_s,n}
    line 7: label, line 9: ner     the target text labelled; ner on the labels
    round i: label, mrc, ner       lines 10-18, i from 1
    evaluate                       line 20, of every tagger
    prepare, gold, export, report, publish
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tofner import records, storage
from tofner.model.layout import MANIFEST
from tofner.stages.plan import PLANS, Plan, load_plan, plan, save_plan
from tofner.stages.runtime import StageResult, expected_errors, locate, read_json, run_stage

PARTS = ("label", "mrc", "ner")  # of a round, in order


@dataclass(frozen=True)
class Step:
    """One line of Algorithm 1 in a run, or what surrounds it.

    Attributes:
        stage: the module that does it.
        task: its settings in `Plan.settings`.
        off: why it has nothing to do; empty where it has.
        passes: the input that is handed on where it is off.
    """

    name: str
    stage: str
    task: str
    off: str = ""
    passes: str = ""


@dataclass(frozen=True)
class Taken:
    """What a step hands on.

    Attributes:
        run: as it was given.
        uri: of the result, or of what it passed on.
        gpus: that the next step of the chain needs: "0" for what is off or done.
        result: what the stage says; None where the step was off.
    """

    run: str
    uri: str
    gpus: str
    result: StageResult | None


def begin(run_id: str, switches: Mapping[str, str], *told: Any) -> str:
    """The first task of a graph: make the plan of a run and put it in the store.

    Args:
        run_id: the orchestrator's name for the run; may be empty.
        switches: `use.*` settings by name, `on` or `off` for true and false; `preset` leaves what the preset says.
        told: arguments of `plan`.

    Returns:
        What `take` wants as `run`.

    Raises:
        SystemExit: as `take`.
    """
    store = told[2]
    with expected_errors("plan"), records.kept(store, run_id, "plan") as record:
        address = save_plan(resolve(switches, *told))
        record.of("done", "plan", address, {})
    print(f"plan: {address}", file=sys.stderr, flush=True)
    return f"{address}#{run_id}" if run_id else address


def resolve(switches: Mapping[str, str], *told: Any) -> Plan:
    """The plan of a run with these parameters, which are those of `begin`; nothing is written."""
    preset, data, store, encoder, iterations, seed, overrides, *more = told
    words = {"on": "true", "off": "false"}
    own = [f"use.{name}={words.get(value, value)}" for name, value in switches.items() if value != "preset"]
    return plan(preset, data, store, encoder, iterations, seed, [*overrides, *own], *more)


def take(name: str, run: str, **inputs: str) -> Taken:
    """Do one step of a run, find that it is done, or pass on what it was given.

    Args:
        name: of the step, as `find` knows it.
        run: address of the plan, and after a `#` the orchestrator's name for the run, if it has one.
        inputs: addresses by name; an empty one was not given. Corpora and data are known from the plan.

    Raises:
        SystemExit: with the exit code of an expected error, after its message; any other error shows its trace.
    """
    address, _, run_id = run.partition("#")
    with expected_errors(name), records.kept(address.rpartition(f"/{PLANS}/")[0], run_id, name) as record:
        planned = load_plan(address)
        step = find(planned, name)
        given = _given(planned, step, inputs)
        settings = planned.settings[step.task]
        result = None
        if step.off:
            uri = given.get(step.passes, "")
            print(f"{name}: nothing to do, {step.off}; passes on {uri or 'nothing'}", file=sys.stderr, flush=True)
        elif step.stage == "evaluate":
            results = [
                run_stage(step.stage, planned.store, settings, given | {"model": tagger}, run_id)
                for tagger in taggers(planned, given["model"])
            ]
            result, uri = results[-1], " ".join(one.uri for one in results)
            from tofner.stages.release import judge_both  # with datasets, so only where it is meant

            judge_both(planned, given["model"], run_id)
        else:
            result = run_stage(step.stage, planned.store, settings, given, run_id)
            uri = result.uri
            if step.stage == "publish":
                from tofner.release.registry import register_if_configured
                from tofner.stages.release import release, run_summary

                model = result.model | release(
                    planned, given["model"], result.model["version"], run_id, given["report"]
                )
                if said := register_if_configured(model, run_id):
                    print(said, file=sys.stderr, flush=True)
                result = replace(result, model=model, markdown=run_summary(model, given["report"]))
        status = "off" if result is None else "reused" if result.reused else "done"
        told = {} if result is None else {"metrics": result.metrics, "model": result.model}
        record.of(status, step.stage, uri, told)
        return Taken(run, uri, gpus_after(planned, name), result)


def has_work(name: str, run: str, **inputs: str) -> bool:
    """Whether a step has something to compute: it is not off, and its result is not in the store.

    Arguments as of `take`. Not for `evaluate`, which makes several results.

    Raises:
        BadInput, PassingFault: there is no such plan, or the store does not answer.
    """
    planned = load_plan(run.partition("#")[0])
    step = find(planned, name)
    if step.off:
        return False
    given = _given(planned, step, inputs)
    return storage.folder_index(locate(step.stage, planned.store, planned.settings[step.task], given)[2]) is None


def find(planned: Plan, name: str) -> Step:
    """A step by its name.

    Raises:
        KeyError: there is none of this name.
    """
    first, second = planned.order.split("-")
    off = {"mlm": "" if planned.use_mlm else "use.mlm is false", "mrc": "" if planned.use_mrc else "use.mrc is false"}
    no_pseudo = "" if planned.use_pseudo else "use.pseudo is false"
    if name.startswith("round "):
        number, part = name.removeprefix("round ").split(": ")
        over = "" if int(number) <= planned.iterations else f"T is {planned.iterations}"
        return {
            "label": Step(name, "pseudo_label", "loop_label", over, "earlier"),
            "mrc": Step(name, "mrc", "loop_mrc", over, "head"),
            "ner": Step(name, "ner", "loop_ner", over, "head"),
        }[part]
    lines = {
        "line 2: mlm": Step(name, first, first, off[first], "model"),
        "line 4: mrc": Step(name, second, second, off[second], "model"),
        "line 6: ner": Step(name, "ner", "ner"),
        "line 7: label": Step(name, "pseudo_label", "pseudo_label", no_pseudo, "earlier"),
        "line 9: ner": Step(name, "ner", "pseudo_ner", no_pseudo, "head"),
    }
    around = ("prepare", "gold", "evaluate", "export", "report", "publish")
    return (lines | {one: Step(one, one, one) for one in around})[name]


def chain(rounds: int) -> list[str]:
    """Names of the steps that run the encoder, in the order of a graph that holds this many rounds."""
    unrolled = (f"round {i}: {part}" for i in range(1, rounds + 1) for part in PARTS)
    return ["line 2: mlm", "line 4: mrc", "line 6: ner", "line 7: label", "line 9: ner", *unrolled, "evaluate"]


def _given(planned: Plan, step: Step, inputs: dict[str, str]) -> dict[str, str]:
    """What a step's stage is given: its inputs, and what the plan knows."""
    given = {name: uri for name, uri in inputs.items() if uri}
    if step.stage in ("prepare", "gold"):
        given["data"] = planned.data
    if step.stage in ("mlm", "mrc", "ner", "pseudo_label", "export"):
        given["corpora"] = place_of(planned, "prepare")
    if step.stage == "evaluate" and json.loads(planned.settings["evaluate"])["priors"]:
        given["corpora"] = place_of(planned, "prepare")
    if step.name == "line 2: mlm":
        given["model"] = planned.encoder
    if step.stage == "pseudo_label" and not step.off and json.loads(planned.settings[step.task])["queries"]:
        given["mrc"] = _nearest(planned, given["model"], "mrc")[0]
    if step.stage == "mrc" and "head" in given and not step.off:
        found = _nearest(planned, given.pop("head"), "mrc")
        given |= {"head": found[0]} if found else {}
    return given


def place_of(planned: Plan, stage: str) -> str:
    """Where `prepare` puts the corpora, or `gold` the labelled target: what these read is in their settings."""
    return locate(stage, planned.store, planned.settings[stage], {"data": planned.data})[2]


def _nearest(planned: Plan, uri: str, stage: str) -> list[str]:
    """The results of a stage from `uri` back along the models that each was trained from, nearest first.

    They may have been made with the same encoder at another address, which may be gone: what no stage of the chain has
    made ends it as well.
    """
    found = []
    while uri and uri != planned.encoder:
        index = storage.folder_index(uri)
        manifest = read_json(storage.join(uri, MANIFEST)) if index is not None and MANIFEST in index.files else {}
        if manifest.get("stage") not in ("mlm", "mrc", "ner"):
            break
        if manifest["stage"] == stage:
            found.append(uri)
        uri = manifest["inputs"].get("model", "")
    return found


def taggers(planned: Plan, model: str) -> list[str]:
    """Every tagger of a run, from that of line 6 to `model`."""
    return _nearest(planned, model, "ner")[::-1]


def done(planned: Plan) -> dict[str, str]:
    """The steps of the chain whose results are in the store or that are off, up to the first that has work to do, with
    what each hands on."""
    found: dict[str, str] = {}
    model = head = labels = ""
    for name in chain(planned.rounds):
        step = find(planned, name)
        if step.stage == "evaluate":
            break
        inputs = {"model": model}
        if step.stage == "pseudo_label":
            inputs["earlier"] = labels
        elif step.task in ("pseudo_ner", "loop_mrc", "loop_ner"):
            inputs |= {"pseudo": labels, "head": head if step.stage == "mrc" else found[_tagger_before(name)]}
        given = _given(planned, step, inputs)
        if step.off:
            uri = given.get(step.passes, "")
        else:
            uri = locate(step.stage, planned.store, planned.settings[step.task], given)[2]
            if storage.folder_index(uri) is None:
                return found
        found[name] = uri
        if step.stage == "pseudo_label":
            labels = uri
        else:
            model = uri
        if name == "line 4: mrc" or step.task == "loop_mrc":
            head = uri
    gold = place_of(planned, "gold")
    if storage.folder_index(gold) is None:
        return found
    evaluate = find(planned, "evaluate")
    scores = [
        locate("evaluate", planned.store, planned.settings["evaluate"], _given(planned, evaluate, told))[2]
        for told in ({"gold": gold, "model": tagger} for tagger in taggers(planned, model))
    ]
    if all(storage.folder_index(uri) is not None for uri in scores):
        found["evaluate"] = " ".join(scores)
    return found


def _tagger_before(name: str) -> str:
    """The step that made the tagger which lines 9 and 16 go on from."""
    if name == "line 9: ner":
        return "line 6: ner"
    number = int(name.removeprefix("round ").partition(":")[0])
    return f"round {number - 1}: ner" if number > 1 else "line 9: ner"


def gpus_after(planned: Plan, name: str) -> str:
    """GPUs that the step after `name` in the chain asks for; steps beside the chain have none after them."""
    names = ["prepare", *chain(planned.rounds)]
    if not planned.gpus or name not in names[:-1]:
        return "0"
    return "0" if names[names.index(name) + 1] in done(planned) else str(planned.gpus)

"""`tofner run` and `tofner compile`: found by `tofner.cli` through the entry points of this distribution.

KFP is imported when a command is called, not before, so that `tofner tag` starts fast and without it.
"""

import contextlib
import json
import os
import shlex
import time
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tofner import logs, storage
from tofner.cli import LogFormat, Logs
from tofner.history.book import name_of

if TYPE_CHECKING:
    from tofner.stages import Plan
    from tofner_kubeflow.pipelines.containers import Containers

ITERATIONS = 1  # the paper: "we perform continual learning for one iteration and achieve the best performance"
EXAMPLE_CHARACTERS = 140
MEMORY = "8g"  # BERT-base with its optimiser is 2 GiB, batches and corpora come on top


class Runner(StrEnum):
    """What `run` starts tasks as."""

    subprocess = "subprocess"
    docker = "docker"


def run(
    preset: Annotated[str, typer.Option(help="sample, es, nl, de, cbs, twitter, wnut16, or a YAML file.")] = "sample",
    data: Annotated[str, typer.Option(help="Data root: a folder or s3:// prefix. Preset sample brings its own.")] = "",
    encoder: Annotated[str, typer.Option(help="Hub id, folder or s3:// prefix; the preset's when not given.")] = "",
    iterations: Annotated[int, typer.Option(help="Rounds of continual learning, T in Algorithm 1.")] = ITERATIONS,
    seed: Annotated[int | None, typer.Option(help="Of everything random; the paper's 2019 when not given.")] = None,
    seeds: Annotated[str, typer.Option(help="A run for each, and what they bring together: 1-5, or 1,3,7.")] = "",
    set_: Annotated[list[str], typer.Option("--set", help="Override a setting: key=value. Repeatable.")] = [],  # noqa: B006
    work: Annotated[Path, typer.Option(help="Folder for store, caches, logs and results.")] = Path(".tofner"),
    store: Annotated[str, typer.Option(help="s3:// prefix for all results; else one is served from WORK/store.")] = "",
    model_name: Annotated[str, typer.Option(help="Name to publish under; tofner-PRESET when not given.")] = "",
    runner: Annotated[Runner, typer.Option(help="Tasks as processes, or in containers as on a cluster.")] = (
        Runner.subprocess
    ),
    image: Annotated[str, typer.Option(help="docker: the trainer's image; the newest one here when not given.")] = "",
    tagger_image: Annotated[
        str, typer.Option(help="docker: the tagger's image; that of the trainer's tag when not given.")
    ] = "",
    memory: Annotated[str, typer.Option(help="docker: what a container may take at most.")] = MEMORY,
    log_format: Logs = LogFormat.text,
) -> None:
    """Train, score, export and publish a tagger on this machine, with the graph that Kubeflow runs.

    Settings and data are checked first: wrong input ends with 2 before anything is trained. What an earlier run with
    the same settings, data and code made is used again, also after a crash.

    With --seeds the runs follow each other in the same folder, and what does not depend on the seed is made once. Means
    and spreads are shown and kept in WORK/out/seeds.html; the same command goes on where it was stopped (docs/runs.md).

    With --runner docker each task runs in a container of the trainer's image, as tightly held as a cluster's pods, and
    the tagger in its own; folders given as data and encoder are put in the store first (docs/deploy.md).

    Example: tofner run --preset wnut16 --data DATA --encoder ./encoder --set stages.ner.epochs=1
    """
    began = time.monotonic()  # before seconds of imports
    from tofner.presets.load import load_preset
    from tofner.sample.place import data_or_sample
    from tofner.stages import plan
    from tofner_kubeflow.pipelines import workbench
    from tofner_kubeflow.pipelines.cluster import laptop
    from tofner_kubeflow.pipelines.compile import compile_tof
    from tofner_kubeflow.pipelines.local import StageBroke
    from tofner_kubeflow.pipelines.processes import stoppable
    from tofner_kubeflow.pipelines.seeds import seeds_of

    wanted, console = seeds_of(seed, seeds), Console()
    work = work.expanduser().resolve()
    preset = storage.absolute(preset) if preset.endswith((".yaml", ".yml")) else preset
    settings = load_preset(preset, set_)
    with contextlib.ExitStack() as around:
        around.enter_context(stoppable(lambda: ""))
        around.enter_context(storage.disk_faults(work))
        containers = None
        if runner is Runner.docker:
            from tofner_kubeflow.pipelines.containers import Containers

            containers = around.enter_context(Containers(work, image, tagger_image, memory))
        own = workbench.serves_own(store)
        kept = around.enter_context(workbench.object_store(store, work))
        arguments: dict[str, Any] = {
            "preset": preset,
            "data": data_or_sample(preset, data, kept),
            "store": kept,
            "encoder": storage.absolute(encoder) if Path(encoder).expanduser().is_dir() and encoder else encoder,
            "iterations": iterations,
            "seed": wanted[0],
            "overrides": list(set_),
            "model_name": model_name,
        }
        if containers:
            arguments |= workbench.seen_by_all(arguments, settings, containers.shared)
        os.environ.pop(logs.FORMAT, None)  # the run's own lines are objects; those of its tasks become parts of them
        # The graph's first task does this too; here it stops bad input before a process is started.
        planned = plan(**arguments)
        cluster = laptop(iterations)
        if containers:
            containers.probe()
            cluster = laptop(iterations, containers.trainer.id)
        try:
            compiled = compile_tof(work / "tof.yaml", cluster)
            reports, published, worked_s = _run_each(
                wanted if seeds else [], planned, compiled, arguments, work, containers, console
            )
        except StageBroke as error:
            typer.echo(f"tofner: {error}", err=True)
            raise typer.Exit(1) from error
        out, report = work / "out", reports[-1]
        tagged = _tag(published, workbench.text_to_tag(settings, arguments["data"], kept), kept, containers)
        for name, uri in {"model": published, "report": report, "tags": tagged}.items():
            workbench.mirror(uri, out / name, indexed=uri != tagged)
            console.print(f"{name:>7}  {out / name}\n         {uri}", soft_wrap=True, highlight=False)
        if seeds:
            _sum_up(reports, out, console)
        lines = closing(json.loads(storage.read_bytes(storage.join(report, "run.json"))), out, of_seeds=bool(seeds))
        for line in [*lines, times(time.monotonic() - began, worked_s)]:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        console.print(
            f"All runs: tofner runs {shlex.quote(str(work) if own else kept)}", soft_wrap=True, highlight=False
        )
        if own:
            console.print(
                f"The bucket is served again by: tofner store --work {shlex.quote(str(work))}", soft_wrap=True
            )


def _run_each(
    seeds: list[int],
    planned: "Plan",
    compiled: Path,
    arguments: dict[str, Any],
    work: Path,
    containers: "Containers | None",
    console: Console,
) -> tuple[list[str], str, float]:
    """Run the graph with every seed, or once as it is told if there are none; tables are shown, reports copied.

    `planned` is the plan of the first.

    Returns:
        Addresses of the reports, and of the last published model, and the seconds in which stages were at work.
    """
    from tofner.stages import plan
    from tofner_kubeflow.pipelines import forecast, workbench
    from tofner_kubeflow.pipelines.local import run_graph

    reports = []
    published, worked_s = "", 0.0
    for number, seed in enumerate(seeds or [arguments["seed"]], 1):
        if seeds:
            console.print(f"Seed {seed}, {number} of {len(seeds)}", highlight=False)
        told = arguments | {"seed": seed}
        planned = plan(**told) if number > 1 else planned
        started = datetime.now(UTC)
        finished = run_graph(compiled, told, work, containers, partial(forecast.counted, planned))
        worked_s += finished.worked_s
        published, report = finished.outputs["model"], finished.outputs["report"]
        rows = json.loads(storage.read_bytes(storage.join(report, "run.json")))["rows"]
        console.print(table(rows, started))
        workbench.mirror(report, work / "out" / "reports" / name_of(report))
        reports.append(report)
    return reports, published, worked_s


def _sum_up(reports: list[str], out: Path, console: Console) -> None:
    """What the seeds bring together, on the screen and in files."""
    from tofner.history import book, seeds, view

    with storage.scratch_folder("tofner-seeds-") as scratch:
        value = seeds.summarise([book.read_run(uri) for uri in reports], scratch)
    view.show_seeds(value, console)
    seeds.save(value, out)


def closing(told: dict[str, Any], out: Path, of_seeds: bool = False) -> list[str]:
    """What a person wants to know when a run is done: how good, whether the method helped, an example, what is next.

    `told` is the report's `run.json`; `out` the folder with copies of model, report and tags. `of_seeds`: it was the
    last one of several, and the first two stand in their summary.
    """
    lines = [] if of_seeds else ["", told["verdict"], told["helped"]]
    lines += [f"WARNING: {alarm}" for alarm in told["alarms"]]
    if example := _example(out / "tags"):
        lines += ["", f"For example: {example}"]
    model = shlex.quote(str(out / "model"))
    return [
        *lines,
        "",
        "Next:",
        f"  tofner tag {model} 'A sentence of your own.'",
        f"  {out / 'seeds.html' if of_seeds else out / 'report' / 'report.html'}",
    ]


def times(whole_s: float, worked_s: float) -> str:
    """How long a run took, and which share of that was no stage's work.

    >>> times(260.4, 239.0)
    'Took 4:20, 3:59 of it in stages; the rest, 8%, started them, planned, tagged the example and copied.'
    >>> times(3.64, 0.0)
    'Took 0:04; every stage was done before.'
    """
    from tofner_kubeflow.pipelines.forecast import told

    if not worked_s:
        return f"Took {told(whole_s)}; every stage was done before."
    rest = max(0.0, 1 - worked_s / whole_s)
    went = "started them, planned, tagged the example and copied"
    return f"Took {told(whole_s)}, {told(worked_s)} of it in stages; the rest, {rest:.0%}, {went}."


def _example(tags: Path) -> str:
    """The tagged sentence with the most entities among those that are not long, in brackets."""
    from tofner.tagging.engine.result import Result, bracketed
    from tofner.tagging.engine.texts import Entity

    rows = [
        json.loads(line) for path in sorted(tags.glob("*.jsonl")) for line in path.read_text("utf-8").split("\n")[:-1]
    ]
    short = [row for row in rows if row["entities"] and len(row["text"]) <= EXAMPLE_CHARACTERS]
    best = max(short, key=lambda row: len(row["entities"]), default=None)
    return "" if best is None else bracketed(Result(best["text"], [Entity(**one) for one in best["entities"]]))


def table(rows: list[dict[str, Any]], started: datetime) -> Table:
    """Stage, time and F1 so far; what was finished before `started` is marked as reused.

    `rows` are those of the report's `run.json`: stage, iteration, seconds, f1, span_f1, finished_at, uri.
    """
    shown = Table("stage", title="What each stage brought", title_justify="left")
    for heading in ("time", "F1", "span F1"):
        shown.add_column(heading, justify="right")
    shown.add_column("")
    for row in rows:
        reused = datetime.fromisoformat(row["finished_at"]) < started
        name = f"{row['stage']}, round {row['iteration']}" if row.get("iteration") else row["stage"]
        scores = ["" if row.get(key) is None else f"{row[key]:.4f}" for key in ("f1", "span_f1")]
        shown.add_row(name, f"{row['seconds']:.1f} s", *scores, "reused" if reused else "")
    return shown


def _tag(model: str, text: str, store: str, containers: "Containers | None") -> str:
    """Tags a file of the bucket with the published model; returns where the results are."""
    from tofner.tagging import JobSettings, tag_job

    output = storage.join(store, "tags", model.rstrip("/").rpartition("/")[2])
    if containers:
        containers.tag(model, text, output)
    else:
        tag_job(model, text, output, JobSettings())
    return output


def compile_(
    out: Annotated[Path, typer.Option(help="Folder for tof.yaml and tagging.yaml.")] = Path("build"),
    profile: Annotated[str, typer.Option(help="gpu, cpu, or a YAML file: what a kind of cluster needs.")] = "gpu",
    revision: Annotated[
        str, typer.Option(help="Tag or sha256: digest of the images; this version when not given.")
    ] = "",
    registry: Annotated[str, typer.Option(help="Where the images are, for example registry.example/team.")] = "",
    max_iterations: Annotated[int, typer.Option(min=0, max=9, help="Rounds that the graph holds.")] = 2,
    set_: Annotated[list[str], typer.Option("--set", help="Change the profile: key=value. Repeatable.")] = [],  # noqa: B006
) -> None:
    """Write the graphs, training and tagging, as YAML for upload to Kubeflow Pipelines.

    What changes a result is a parameter of the run; the options here say where and with what the tasks run
    (docs/settings.md, "Profiles of clusters").

    Example: tofner compile --registry registry.example/team --revision 1f3c2d4 --set encoder.memory=32Gi
    """
    from tofner_kubeflow.pipelines.cluster import load_cluster
    from tofner_kubeflow.pipelines.compile import compile_tagging, compile_tof

    given = {"revision": revision or metadata.version("tofner"), "registry": registry, "max_iterations": max_iterations}
    cluster = load_cluster(profile, set_, **given)
    typer.echo(str(compile_tof(out / "tof.yaml", cluster)))
    typer.echo(str(compile_tagging(out / "tagging.yaml", cluster)))

"""The command line: the commands of the library, and those of the pipelines where these are installed.

Commands are found through the entry-point group `tofner.commands` as well, so that this package knows nothing of
Kubeflow. Every command imports what it needs when it is called: `tofner tag` starts without torch.
"""

import contextlib
import getpass
import io
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from tofner.child import leave, leaving_well
from tofner.errors import BadInput, BadSettings, PassingFault, Problem, TofnerError
from tofner.exchange.command import convert_, translate_
from tofner.exchange.convert import Format as LabelFormat

# Extra of pyproject.toml by what an `import` names.
EXTRA_OF = {
    "datasets": "data",
    "pydantic": "data",
    "seqeval": "data",
    "yaml": "data",
    "accelerate": "train",
    "jinja2": "train",
    "onnx": "train",
    "safetensors": "train",
    "torch": "train",
    "transformers": "train",
    "spacy": "spacy",
    "docker": "pipeline",
    "kfp": "pipeline",
    "model_registry": "registry",
    "prometheus_client": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
}
COMMANDS = "tofner.commands"
EPILOG = "Exit codes: 0 done; 2 wrong input, each problem with its place; 75 a passing fault, try again; 1 a bug."

app = typer.Typer(
    name="tofner",
    help="Entity taggers for targets without labelled data: train with Kubeflow, tag with ONNX.\n\n"
    "Wherever a path is asked for, an s3:// address is taken too (S3_ENDPOINT_URL names another server than AWS).",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """What `tag` reads."""

    auto = "auto"
    jsonl = "jsonl"
    text = "text"
    conll = "conll"
    parquet = "parquet"


class LogFormat(StrEnum):
    """How stderr is written."""

    text = "text"
    json = "json"


class Precision(StrEnum):
    """Which graph of a published model `tag` runs."""

    fp32 = "fp32"
    int8 = "int8"


def _log_format(format_: LogFormat) -> LogFormat:
    """From here on, stderr in this format; in processes that are started from here too."""
    from tofner import logs

    os.environ[logs.FORMAT] = format_.value
    logs.use(format_.value)
    return format_


Prometheus = Annotated[str, typer.Option(help="Metrics go there, for node exporter's text-file collector.")]
Logs = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar="TOFNER_LOG_FORMAT",
        callback=_log_format,
        help="stderr as text, or a JSON object a line.",
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tofner {metadata.version('tofner')}")
        raise typer.Exit


@app.callback()
def tofner(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


@app.command()
def check(
    preset: Annotated[str, typer.Option(help="Preset name or YAML file; it says which sets are read.")],
    data: Annotated[str, typer.Option(help="Data root with ner/, mrc/ and text/: a folder or s3:// prefix.")],
    encoder: Annotated[str, typer.Option(help="Hub id, folder or s3:// prefix; the preset's when not given.")] = "",
    iterations: Annotated[int, typer.Option(help="Rounds of the run.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 2019,
    set_: Annotated[list[str], typer.Option("--set", help="Override a setting: key=value. Repeatable.")] = [],  # noqa: B006
    model_name: Annotated[str, typer.Option(help="Name that the run would publish under.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as JSON on stdout.")] = False,
) -> None:
    """Look at all that a run would start from, before anything is trained: parameters, questions, encoder, files.

    Shows counts per type, lengths, mended tags, unknown types, sentences shared by two splits, encodings, and MRC
    answers that are not in their context. Ends with 0 when a run may start and with 2 when not, every problem listed
    with its file and line.
    """
    from rich.console import Console

    from tofner.check.run import check_run
    from tofner.check.view import show

    report = check_run(preset, data, encoder, iterations, seed, set_, model_name)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1, ensure_ascii=False))
    else:
        show(report, Console())
    if report.problems:
        raise typer.Exit(2)


@app.command()
def evaluate(
    gold: Annotated[str, typer.Option(help="CoNLL file with the true tags.")],
    pred: Annotated[str, typer.Option(help="CoNLL file with the found tags, same words.")],
) -> None:
    """Strict scores of one CoNLL file against another, as JSON on stdout.

    An entity counts only when its type and both its ends are right. Either file may be in IOB1, BIO2, BIOES or BILOU.
    """
    from tofner.corpora.evaluate import evaluate_files

    typer.echo(json.dumps(evaluate_files(gold, pred), indent=1, ensure_ascii=False))


@app.command()
def tag(
    model_: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Instead of --model.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="A text to tag; - for lines from stdin.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Published model: a version folder, or the model's root for its latest.")
    ] = None,
    input_: Annotated[
        str | None, typer.Option("--input", help="File, folder, glob or s3:// prefix; .gz and .zst too.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Folder or prefix for files named as the input's; or a file.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="What the input holds; auto goes by suffixes.")
    ] = Format.auto,
    precision: Annotated[Precision, typer.Option(help="Which graph of the model.")] = Precision.fp32,
    worker: Annotated[str | None, typer.Option(help="I/N: this is worker I of N. Else JOB_COMPLETION_INDEX.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU cores; else as many as the pod may use.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share this worker's shards and threads.")] = 1,
    max_bad: Annotated[str, typer.Option(help="Bad records that may be: a number, or a share such as 1%.")] = "1%",
    shard_size: Annotated[str, typer.Option(help="About how much of a plain file is one shard: 8M, 512K.")] = "32M",
    cache: Annotated[str | None, typer.Option(help="Folder for fetched models.")] = None,
    prometheus: Prometheus = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With TEXT or --dry-run: JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    log_format: Logs = LogFormat.text,
) -> None:
    """Find entities with a published ONNX model. Shards that are done are not done again.

    JSONL in: {"id": ..., "text": ...} or {"id": ..., "tokens": [...]}, a record a line. Out: the same records with
    "entities": start, end, label, score and text; character offsets into "text", or start_token and end_token
    (exclusive) for tokens. Plain text: one text a line in, JSONL out. Bad records go to a dead-letter file with their
    line numbers.

    With MODEL and TEXT the text is printed with its entities; with MODEL and - each line of stdin (a text, or a record
    with --format jsonl) becomes a line of JSON on stdout.

    Example: tofner tag --model s3://tofner/models/tofner-sample --input posts.jsonl.gz --output tagged/
    """
    if model and text is None:
        model_, text = None, model_  # --model MODEL TEXT
    if model and model_:
        raise BadSettings(Problem("tofner tag", "a MODEL and --model", "one of them"))
    model = model or model_
    if text is not None and (input_ or output or dry_run or prometheus):
        beside = "a TEXT beside --input, --output, --prometheus or --dry-run"
        raise BadSettings(Problem("tofner tag", beside, "one or the other"))
    if model and text is not None:
        _tag_quickly(model, text, format_, precision, threads, max_bad, cache, as_json)
        return
    if model is None or input_ is None or output is None:
        given = {"--model": model, "--input": input_, "--output": output}
        absent = ", ".join(name for name, value in given.items() if value is None)
        fix = "or a MODEL and a TEXT: tofner tag MODEL 'Angela Merkel met Obama.'"
        raise BadSettings(Problem("tofner tag", f"no {absent}", "--model, --input and --output", fix))
    from tofner import storage
    from tofner.tagging import JobSettings, tag_job
    from tofner.tagging.job.shards import parse_size

    settings = JobSettings(
        format=format_.value,
        precision=precision.value,
        worker=worker,
        threads=threads,
        processes=processes,
        max_bad=max_bad,
        shard_bytes=parse_size(shard_size),
        quiet=quiet,
        cache=cache,
    )
    if dry_run:
        from tofner.tagging.job.dry import dry_run as plan_only

        _told(plan_only(model, input_, output, settings), as_json)
        return
    report = tag_job(model, input_, output, settings)
    if prometheus:
        storage.write_bytes(storage.absolute(prometheus), report.to_prometheus().encode())
    typer.echo(f"{report.shards_done} of {report.shards} shards done in {report.seconds:.1f} s: {report.output}")
    for name, uri in (
        ("statistics", report.statistics),
        ("samples", report.page),
        ("bad records", report.dead_letters),
    ):
        if uri:
            typer.echo(f"{name}: {uri}")


def _tag_quickly(
    model: str,
    text: str,
    format_: Format,
    precision: Precision,
    threads: int | None,
    max_bad: str,
    cache: str | None,
    as_json: bool,
) -> None:
    """One text, or stdin, without a job."""
    if format_ not in (Format.auto, Format.text, *([Format.jsonl] if text == "-" else [])):
        raise BadSettings(Problem("--format", format_.value, "text, or jsonl for stdin", "tag a file with --input"))
    from tofner.tagging import Tagger, quick

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with Tagger.load(model, precision.value, threads, cache) as tagger:
        if text != "-":
            typer.echo(quick.tag_text(tagger, text, as_json, quick.wants_colours(sys.stdout)), color=True)
            return
        try:
            source = io.FileIO(0, closefd=False)
            quick.tag_lines(tagger, source, sys.stdout.buffer, max_bad, format_ is Format.jsonl)
        except BrokenPipeError:  # whoever read the output has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)


def _on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _told(what: Any, as_json: bool) -> None:
    """On stdout: `lines` for people, or `to_json`."""
    typer.echo(json.dumps(what.to_json(), indent=1, ensure_ascii=False) if as_json else "\n".join(what.lines()))


@app.command()
def status(
    output: Annotated[str, typer.Argument(help="The --output of a tofner tag: folder, file or s3:// prefix.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """How far a tagging job is: shards, records, records a second, bad records; while it runs and afterwards."""
    from tofner.tagging.job.status import job_status

    _told(job_status(output), as_json)


DRIFTED = 3  # exit code of `compare`


@app.command("compare")
def compare_tags(
    old: Annotated[str, typer.Argument(help="Output of an earlier tofner tag: folder, s3:// prefix or file.")],
    new: Annotated[str, typer.Argument(help="Output of a later one.")],
    factor: Annotated[float, typer.Option(min=1.0, help="How much more or less often a type may be found.")] = 1.5,
    new_forms: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How far the share of new names may lie above what is usual.")
    ] = 0.15,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    prometheus: Prometheus = "",
) -> None:
    """Whether texts of today are tagged as those of yesterday were: rates of types, scores, names never seen.

    Ends with 0 if they are and with 3 if something has drifted, told in words. Reads JSONL and Parquet. Two training
    runs are compared by tofner runs.

    Example: tofner compare s3://bucket/tagged/june s3://bucket/tagged/july; [ $? = 3 ] && tofner retrain ...
    """
    from rich.console import Console

    from tofner import storage
    from tofner.tagging.drift import compare
    from tofner.tagging.drift_view import show

    found = compare(old, new, factor, new_forms)
    if prometheus:
        storage.write_bytes(storage.absolute(prometheus), found.to_prometheus().encode())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        show(found, Console())
    if found.drifted:
        raise typer.Exit(DRIFTED)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; its files are used, too.")],
    text: Annotated[list[Path], typer.Option(help="Plain target text, a sentence a line. Repeatable.")] = [],  # noqa: B006
    corpus: Annotated[list[Path], typer.Option(help="Labelled sentences of a source. Repeatable.")] = [],  # noqa: B006
    types: Annotated[str, typer.Option(help="A,B=description,...; all of the corpus when not given.")] = "",
    language: Annotated[str, typer.Option(help="Of the target, two letters.")] = "en",
    encoder: Annotated[str, typer.Option(help="Hub id, folder or s3:// prefix; chosen when not given.")] = "",
    questions: Annotated[list[Path], typer.Option(help="SQuAD file on target text. Repeatable.")] = [],  # noqa: B006
    test: Annotated[list[Path], typer.Option(help="Labelled target sentences, for scoring alone.")] = [],  # noqa: B006
) -> None:
    """Make a preset, questions and a data root from plain text and a labelled corpus.

    Without --text and --corpus, those that lie in DIR are taken: .txt, and .conll, .bio, .iob, .tsv or .parquet; on a
    terminal you are asked for what is missing. Settings are chosen by sizes and machine (docs/settings.md).

    Example: tofner init clinic --text notes.txt --corpus news.conll --types "PER,ORG,DISEASE=diseases or disorders"
    """
    from tofner.begin.init import Given, found_in, parse_types
    from tofner.begin.init import init as begin
    from tofner.begin.rules import Resources

    texts, corpora = found_in(folder)
    texts, corpora = list(text) or texts, list(corpus) or corpora
    if _on_terminal():
        texts = texts or [Path(typer.prompt("Plain text of the target, a sentence a line (file)"))]
        corpora = corpora or [Path(typer.prompt("Labelled sentences of a source, CoNLL columns (file)"))]
    named = parse_types(types) if types else {}
    given = Given(texts, corpora, named, language, encoder, list(questions), list(test))
    folder.mkdir(parents=True, exist_ok=True)
    made = begin(folder, given, Resources.here())
    found = ", ".join(f"{name} {count:,}" for name, count in made.types.items())
    typer.echo(f"{made.preset}: {found}")
    typer.echo(f"{made.sizes.source:,} labelled source sentences, {made.sizes.target:,} target sentences")
    for line in [*made.chosen.why, *made.notes]:
        typer.echo(f"- {line}")
    where = (
        f"--preset {shlex.quote(str(made.preset))} --data {shlex.quote(str(made.data))} --iterations {made.iterations}"
    )
    typer.echo(f"\nNext:\n  tofner check {where}\n  tofner run {where}")


@app.command()
def presets() -> None:
    """The presets that come with tofner, one a line: name, what it is, encoder, roles with their sets."""
    from rich.console import Console
    from rich.table import Table

    from tofner.presets.load import load_preset, preset_names

    table = Table.grid(padding=(0, 2))
    for name in preset_names():
        one = load_preset(name)
        roles: dict[str, list[str]] = {}
        for role, _, set_, _ in one.parts():
            sets = roles.setdefault(role.partition(".")[0], [])
            sets += [set_.partition("/")[0]] if set_.partition("/")[0] not in sets else []
        if one.translate.dictionary:
            roles["dictionary"] = [one.translate.dictionary]
        told = "; ".join(f"{role} {', '.join(sets)}" for role, sets in roles.items())
        table.add_row(name, one.description, one.encoder, told)
    Console(width=None if sys.stdout.isatty() else 1000).print(table, highlight=False)


@app.command()
def serve(
    model: Annotated[str, typer.Option(help="Published model: a version folder, or the model's root for its latest.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    precision: Annotated[Precision, typer.Option(help="Which graph of the model.")] = Precision.fp32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU cores; else as many as the pod may use.")] = None,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="From a request to its answer, in seconds.")] = 30.0,
    wait_s: Annotated[float, typer.Option(min=0, help="Longest wait for others; past it, 503 at once.")] = 5.0,
    drain_s: Annotated[float, typer.Option(min=0, help="Between SIGTERM, when /ready says no, and the end.")] = 0.0,
    log_format: Logs = LogFormat.text,
) -> None:
    """Tag over HTTP with the engine of `tag`: JSON in and out, health, readiness and metrics (docs/tagging.md).

    Says its address when it is ready. Ends with 0 after SIGTERM or Ctrl-C, with 75 where another process has the port
    or a signal comes before it is ready, with 2 where model or address cannot be used.
    """
    from tofner.tagging import Tagger
    from tofner.tagging import serve as service

    tagger = Tagger.load(model, precision=precision.value, threads=threads)
    service.serve(tagger, host, port, service.Limits(timeout_s=timeout_s, wait_s=wait_s, drain_s=drain_s))


@app.command()
def store(
    work: Annotated[Path, typer.Option(help="Work folder of `tofner run`; the store is kept in WORK/store.")] = Path(
        ".tofner"
    ),
) -> None:
    """Serve the embedded object store until Ctrl-C, to look at what `tofner run` left in it.

    Prints the environment variables that point other commands, in another shell, to it.
    """
    from tofner.storage import LocalStore

    signal.signal(signal.SIGINT, signal.default_int_handler)  # the way to end it well
    with LocalStore(work / "store") as server:
        for name, value in server.environment().items():
            typer.echo(f"export {name}={value}")
        typer.echo("serving; Ctrl-C ends it", err=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


@app.command()
def gc(
    work: Annotated[Path, typer.Argument(metavar="WORK", help="Work folder of `tofner run`.")] = Path(".tofner"),
    runs: Annotated[int, typer.Option(min=1, help="Last runs whose results are kept, whatever was published.")] = 3,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
) -> None:
    """List what in a work folder's store no published version and none of the last runs needs, or delete it.

    Reports, scores and gold sentences always stay: they are small, and tofner runs reads them.
    What a stopped run has left is kept until a later one has ended. Ends with 2 while a run or `tofner store` uses the
    store. The next run finds what is kept, and makes the rest again if it is asked for.
    """
    from tofner import storage
    from tofner.model import garbage

    if not (work / "store").is_dir():
        fix = "give the folder that tofner run had as --work"
        raise BadInput(Problem(str(work), "no store", "a work folder of tofner run", fix))
    with storage.LocalStore(work / "store") as server:
        os.environ.update(server.environment())
        found = garbage.find(f"s3://{storage.BUCKET}", runs)
        for one in found:
            typer.echo(f"{one.bytes / 2**20:10.1f} MiB  {one.uri}")
            if delete:
                storage.remove_folder(one.uri)
        total = sum(one.bytes for one in found) / 2**20
        done = "deleted" if delete else "not deleted; --delete removes them"
        typer.echo(f"{total:10.1f} MiB in {len(found)} folders that nobody needs, {done}")


@app.command()
def runs(
    place: Annotated[str, typer.Argument(help="Work folder of `tofner run`, or the store that runs keep results in.")],
    run: Annotated[
        str, typer.Argument(help="A run, or runs of several seeds: A,B,C; all are listed when not given.")
    ] = "",
    other: Annotated[str, typer.Argument(help="A second one, to compare the first with.")] = "",
    report: Annotated[str, typer.Option(help="Folder that gets a copy of the run's report.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs of a store, tell one, or compare two: settings, F1 by stage and type, errors of one alone.

    A run goes by the name that the list shows, by its beginning, or by its report's address. Of a run on Kubeflow
    steps, times and cost are told too, why it failed and what to do. Sides of several seeds are compared by their means
    (docs/runs.md). What two models find in texts without labels, tofner compare tells.

    Example: tofner runs .tofner 4e1c1f0b 77d02a91
    """
    from rich.console import Console

    from tofner import records, storage
    from tofner.history import book, view

    if report and (other or not run):
        raise BadSettings(Problem("--report", "no run" if not run else "two runs", "one run, whose report it is"))
    console = Console(width=None if sys.stdout.isatty() else 1000)
    with _store_at(place) as kept:
        if other:
            from tofner.history.compare import compare

            sides = (book.find_all(kept, run), book.find_all(kept, other))
            with storage.scratch_folder("tofner-runs-") as scratch:
                value = compare(*sides, scratch)
            if as_json:
                typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
            else:
                view.show_comparison(value, console)
            return
        if not run:
            found = book.listed(kept)
            if as_json:
                typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
            elif found:
                view.show_list(found, console)
            else:
                typer.echo(f"{kept}: no runs")
            return
        one = book.told(kept, run)
        if as_json:
            typer.echo(json.dumps(one, indent=1, ensure_ascii=False))
        else:
            shown = records.show(one) if "steps" in one else []
            typer.echo("\n".join([*shown, *view.facts_told(one)]))
        if report:
            book.copy_report(book.find(kept, run), Path(report).expanduser())


@contextlib.contextmanager
def _store_at(place: str) -> Iterator[str]:
    """The store at `place`: that of a work folder is served meanwhile."""
    from tofner import storage

    folder = Path(place).expanduser()
    if storage.is_s3(place) or not (folder / "store").is_dir():
        if not storage.is_s3(place) and not any((folder / name).is_dir() for name in ("work", "runs")):
            fix = "of a run with --store give that address"
            raise BadInput(Problem(place, "no runs", "a work folder of tofner run, or a store", fix))
        yield storage.absolute(place)
        return
    with storage.LocalStore(folder / "store") as server:
        os.environ.update(server.environment())
        yield f"s3://{storage.BUCKET}"


app.command("convert")(convert_)
app.command("translate")(translate_)


@app.command()
def choose(
    model: Annotated[
        str, typer.Argument(help="Published model: a version folder, or the model's root for its latest.")
    ],
    text: Annotated[str, typer.Argument(help="Text a line (.txt), or any format that `convert` reads.")],
    out: Annotated[str, typer.Argument(help="File to write, in any format that `convert` writes.")],
    number: Annotated[
        int | None, typer.Option("--number", "-n", min=1, help="Sentences to choose; 50, or all with --below.")
    ] = None,
    against: Annotated[str, typer.Option(help="A second model: sentences that the two tag differently go first.")] = "",
    without: Annotated[str, typer.Option(help="File of sentences that are not wanted: those corrected already.")] = "",
    below: Annotated[
        float | None,
        typer.Option(min=0, help="Only those whose least certain word has less (tofner threshold); all above 1."),
    ] = None,
    random: Annotated[int | None, typer.Option(min=0, help="Draw them at random, by this seed.")] = None,
    from_: Annotated[
        LabelFormat | None, typer.Option("--from", help="Format of TEXT, if its name does not say.")
    ] = None,
    to: Annotated[LabelFormat | None, typer.Option(help="Format of OUT, if not by its name.")] = None,
    precision: Annotated[Precision, typer.Option(help="Which graph of the models.")] = Precision.fp32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU cores; else as many as the pod may use.")] = None,
) -> None:
    """Choose the sentences to correct first: disputed or uncertain, and no two alike.

    Written with the model's entities, to be corrected in a tool, and with the reason for each. The same text and models
    give the same choice (docs/tagging.md has the formula). With --random they are a fair sample: for a test, or for
    tofner threshold, which says below which certainty a sentence must be looked at.

    Example: tofner choose MODEL posts.txt tasks.json -n 50
    """
    from tofner.exchange.convert import format_of, read, write
    from tofner.exchange.told import Told
    from tofner.tagging import Tagger
    from tofner.tagging.choose import choose as chosen_of

    if random is not None and (against or below is not None):
        raise BadSettings(Problem("--random", "--against or --below too", "one way to choose"))
    written_as = to or format_of(out)
    told = Told()
    records = read(text, told, from_)[1]
    done = read(without, Told())[1] if without else []
    tagger = Tagger.load(model, precision=precision.value, threads=threads)
    other = Tagger.load(against, precision=precision.value, threads=threads) if against else None
    number = number or (50 if below is None else len(records))
    chosen = chosen_of(records, tagger, number, other, done, text, below, random)
    where = write(chosen, out, written_as, told, text)
    typer.echo(f"{len(chosen)} of {len(records)} texts: {where}")
    for line in told.lines():
        typer.echo(line)


@app.command()
def threshold(
    model: Annotated[
        str, typer.Argument(help="Published model: a version folder, or the model's root for its latest.")
    ],
    reviewed: Annotated[str, typer.Argument(help="Reviewed sentences, in any format that `convert` reads.")],
    miss: Annotated[str, typer.Option(help="Share of all sentences that may be wrong and unseen.")] = "5%",
    from_: Annotated[
        LabelFormat | None, typer.Option("--from", help="Format of REVIEWED, if its name does not say.")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Which graph of the model.")] = Precision.fp32,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU cores; else as many as the pod may use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Say how sure the model must be of a sentence that nobody looks at, from reviewed sentences.

    So that of all sentences at most a share is wrong and unseen, by conformal risk control; with F1 and its interval on
    the reviewed ones. They must be drawn at random (tofner choose --random) and must not have trained the model.

    Example: tofner threshold MODEL reviewed.json --miss 5%
    """
    from tofner.exchange.convert import read
    from tofner.exchange.told import Told
    from tofner.tagging import Tagger
    from tofner.tagging.threshold import calibrate, share_of

    wanted = share_of(miss)
    records = read(reviewed, Told(), from_)[1]
    found = calibrate(records, Tagger.load(model, precision=precision.value, threads=threads), wanted, reviewed)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
        return
    for line in found.lines():
        typer.echo(line)
    if found.below:
        shown = shlex.join(["tofner", "choose", model, "TEXT", "review.json", "--below", f"{found.below:g}"])
        typer.echo(f"next: {shown}")


models = typer.Typer(
    name="models",
    help="Published models: which versions there are, and which one readers get (docs/releases.md).",
    no_args_is_help=True,
)
app.add_typer(models)
Root = Annotated[str, typer.Argument(help="Model's root, STORE/models/NAME: a folder or s3:// prefix.")]
Why = Annotated[str, typer.Option(help="Kept in the model's history.")]


@models.command("list")
def list_(
    root: Annotated[str, typer.Argument(help="Model's root, or a store, of whose models all are shown.")],
    as_json: Annotated[bool, typer.Option("--json", help="Versions and history as JSON on stdout.")] = False,
) -> None:
    """Versions of a model, newest first, and which one is the latest."""
    from rich.console import Console

    from tofner.model.versions import find
    from tofner.model.view import show

    found = find(root)
    if as_json:
        typer.echo(json.dumps([model.to_json() for model in found], indent=1, ensure_ascii=False))
    else:
        show(found, Console())


@models.command()
def promote(
    root: Root,
    version: Annotated[str, typer.Argument(help="The version that readers shall get.")],
    why: Why = "",
) -> None:
    """Make a version the latest: readers that start from now on get it.

    Ends with 2 and changes nothing where the version is not stored whole, or where somebody else moved the pointer
    meanwhile; then look at what they did before you repeat it.
    """
    from tofner.model import versions

    move = versions.promote(root, version, why=why, by=_user())
    typer.echo(f"{root}: the latest is {move}" if move else f"{root}: the latest is {version} already")


@models.command()
def rollback(root: Root, why: Why = "") -> None:
    """Make the version before the latest one the latest again; once more, and it is the one before that.

    Versions that are no longer stored are passed over. Ends with 2 and changes nothing where there is none, or where
    somebody else moved the pointer meanwhile.
    """
    from tofner.model import versions

    typer.echo(f"{root}: the latest is {versions.rollback(root, why=why, by=_user())}")


@models.command()
def register(
    root: Root,
    version: Annotated[str, typer.Argument(help="The version to register.")],
    registry: Annotated[
        str, typer.Option(help="Address of the registry's REST service.", envvar="TOFNER_MODEL_REGISTRY")
    ],
) -> None:
    """Enter a stored version in Kubeflow's model registry, under the model's name and with its address.

    Runs do this themselves where a registry is configured; a version that is there already is left as it is.
    """
    from tofner.model import versions
    from tofner.release.registry import register

    (found,) = versions.find(root)
    one = next((one for one in found.versions if one.version == version and one.whole), None)
    if one is None:
        raise BadInput(Problem(root, f"no whole version {version}", "one of them", "see tofner models list"))
    model = {"name": found.name, "version": version, "uri": one.uri, "f1": one.f1, "encoder": one.encoder}
    new = register(registry, model)
    typer.echo(f"{found.name} {version}: {'registered' if new else 'registered already'} at {registry}")


def _user() -> str:
    """Who calls, by name; in a container users may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _end_for_now(number: int, *_: object) -> None:
    """A pod that is being stopped, or Ctrl-C: what is done is done, and the next one goes on. Python as PID 1 ignores
    SIGTERM."""
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)  # once is enough: what is at work cleans up
    name = signal.Signals(number).name
    typer.echo(f"tofner: stopped by {name}; what is done is kept, and the same command goes on from there", err=True)
    leave(PassingFault.exit_code if number == signal.SIGTERM else 128 + number)


def _end(number: int, *_: object) -> None:
    """The same of what keeps nothing."""
    typer.echo(f"tofner: stopped by {signal.Signals(number).name}", err=True)
    sys.exit(PassingFault.exit_code if number == signal.SIGTERM else 128 + number)


def add_commands(target: typer.Typer) -> None:
    """Commands of other packages, in the order of their names."""
    for point in sorted(metadata.entry_points(group=COMMANDS), key=lambda point: point.name):
        target.command(name=point.name)(point.load())


def main(arguments: list[str] | None = None) -> None:
    """The console script. Expected errors end with their exit code and message, anything else with its trace."""
    if arguments is None:  # this process is the command's own
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end_for_now)  # commands that know more of their work have their own
    with leaving_well():
        try:
            _call(arguments)
        finally:
            if arguments is None:  # all is done or told, and an exit that is asked for now would be lost
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)


def _call(arguments: list[str] | None) -> None:
    add_commands(app)
    try:
        app(arguments)
    except TofnerError as error:
        typer.echo(f"tofner: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        typer.echo(f"tofner: {package} is not installed: pip install 'tofner[{EXTRA_OF[package]}]'", err=True)
        sys.exit(2)
    except Exception as error:
        from tofner.storage import disk_fault

        fault = disk_fault(error)
        if fault is None:
            raise
        typer.echo(f"tofner: {fault}", err=True)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()

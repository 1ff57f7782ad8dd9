"""`tofner submit` and `tofner schedule`: runs on a Kubeflow Pipelines server, for CI and for people.

Everything given on the command line is checked before the server is asked for anything.
"""

import tempfile
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from tofner.errors import BadInput, BadSettings, PassingFault, Problem

Package_ = Annotated[
    Path | None, typer.Argument(metavar="PIPELINE.yaml", help="Compiled pipeline; tof, compiled now, when not given.")
]
Host = Annotated[str, typer.Option(help="Address of the Kubeflow Pipelines UI.", envvar="KF_PIPELINES_ENDPOINT")]
Namespace = Annotated[str, typer.Option(help="Profile's namespace, where Kubeflow has several users.")]
Experiment = Annotated[str, typer.Option(help="Experiment that holds the runs; made if there is none.")]
RunName = Annotated[str, typer.Option(help="First part of the run's name; the version's name when not given.")]
Version = Annotated[
    str, typer.Option(help="Code revision, for the version's name; the tag of the pipeline's images when not given.")
]
Registry = Annotated[str, typer.Option(help="Where the images are, when the pipeline is compiled now.")]
Profile = Annotated[str, typer.Option(help="gpu, cpu, or a YAML file, when the pipeline is compiled now.")]
Param = Annotated[
    list[str], typer.Option(help="Run parameter: key=value, lists and objects as JSON. Repeatable; else its default.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="File with a bearer token, read anew for each request; else KF_TOKEN, or a pod's own."),
]
CaCert = Annotated[Path | None, typer.Option(help="Certificate of the authority that signed the server's, PEM.")]
ServiceAccount = Annotated[str, typer.Option(help="Kubernetes account of the run's pods; else Kubeflow's choice.")]
Docs = Annotated[str, typer.Option(help="Address of documentation to name beside the pipeline.")]


def submit(
    host: Host,
    package: Package_ = None,
    namespace: Namespace = "",
    experiment: Experiment = "tofner",
    name: RunName = "",
    version: Version = "",
    registry: Registry = "",
    profile: Profile = "gpu",
    param: Param = [],  # noqa: B006
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run until it ends.")] = False,
    timeout: Annotated[str, typer.Option(help="Longest wait, for example 12h; the run goes on after it.")] = "",
    no_progress_timeout: Annotated[
        str,
        typer.Option(help="Longest wait without a changed task; more than the longest stage takes."),
    ] = "6h",
    token_file: TokenFile = None,
    ca_cert: CaCert = None,
    service_account: ServiceAccount = "",
    docs: Docs = "",
    follow: Annotated[str, typer.Option(help="Start nothing, and wait for the run of this id.")] = "",
) -> None:
    """Upload a pipeline to Kubeflow in the version of the code, start a run with every parameter, and wait for it.

    A version that is there already is used again. With --wait the exit code is the run's: 0 succeeded, 1 failed, 75
    when time was over or nothing changed (6 hours by default: an image that cannot be pulled gives no error); the run
    then goes on, and --follow waits for it. 2 is wrong input, 75 also a server that cannot be reached.

    Example: tofner submit build/tof.yaml --host https://kubeflow.example --param preset=wnut16 --wait
    """
    from tofner_kubeflow.pipelines.backend import Backend
    from tofner_kubeflow.pipelines.cron import seconds
    from tofner_kubeflow.pipelines.follow import Patience
    from tofner_kubeflow.pipelines.package import arguments
    from tofner_kubeflow.pipelines.submit import start

    whole_s = seconds(timeout, "--timeout") if timeout else None
    patience = Patience(whole_s, seconds(no_progress_timeout, "--no-progress-timeout"))
    if follow and (package or param):
        raise BadSettings(Problem("--follow", "a pipeline or parameters too", "the id of a run and nothing to start"))
    backend = Backend(host, token_file, ca_cert)
    if follow:
        _follow(backend, follow, frozenset(), patience)
        return
    found, revision = package_and_revision(package, version, registry, profile)
    values = arguments(found, param)
    in_experiment, uploaded = upload_to(backend, found, revision, docs, experiment, namespace)
    run = start(
        backend, uploaded, in_experiment, name or uploaded.name, values, service_account, f"Code revision: {revision}"
    )
    typer.echo(f"run: {run['run_id']}\npage: {backend.page('runs', 'details', run['run_id'])}")
    if wait:
        _follow(backend, run["run_id"], found.tasks, patience)


def _follow(backend: Any, run_id: str, tasks: frozenset[str], patience: Any) -> None:
    """Waits, tells how the run has ended, and ends with 1 where it has failed."""
    from tofner_kubeflow.pipelines.backend import NotThere
    from tofner_kubeflow.pipelines.follow import follow, outcome

    try:
        run = follow(backend, run_id, tasks, patience, typer.echo)
    except NotThere:
        raise
    except (PassingFault, BadInput) as error:  # a token may end before the run does
        raise type(error)(f"{error}\nto wait for it again: --follow {run_id}") from error
    succeeded, said = outcome(run, backend.page("runs", "details", run_id))
    if said:
        typer.echo(said, err=not succeeded)
    if not succeeded:
        raise typer.Exit(1)


def schedule(
    host: Host,
    name: Annotated[str, typer.Option(help="The schedule's name; one of a name and experiment is kept.")],
    package: Package_ = None,
    cron: Annotated[
        str, typer.Option(help='A crontab\'s five fields: "30 2 * * *", in UTC unless the cluster says otherwise.')
    ] = "",
    every: Annotated[str, typer.Option(help="A period instead: 24h, 7d.")] = "",
    namespace: Namespace = "",
    experiment: Experiment = "tofner",
    version: Version = "",
    registry: Registry = "",
    profile: Profile = "gpu",
    param: Param = [],  # noqa: B006
    token_file: TokenFile = None,
    ca_cert: CaCert = None,
    service_account: ServiceAccount = "",
    docs: Docs = "",
    pause: Annotated[bool, typer.Option("--pause", help="Switch the schedule off.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Switch it on again.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete it; runs that it has started stay.")] = False,
) -> None:
    """Keep a recurring run in Kubeflow: made, replaced when anything differs, left alone when nothing does.

    Each run uses the pipeline's version of now and every parameter as given here; one run at a time, and none is
    caught up on. A schedule that somebody has paused stays paused.

    Example: tofner schedule build/tof.yaml --host https://kubeflow.example --name nightly --cron "30 2 * * *"
    """
    from tofner_kubeflow.pipelines import schedule as schedules
    from tofner_kubeflow.pipelines.backend import Backend
    from tofner_kubeflow.pipelines.cron import period_s, six_fields
    from tofner_kubeflow.pipelines.package import arguments
    from tofner_kubeflow.pipelines.uploads import find_experiment

    actions = [word for word, on in (("pause", pause), ("resume", resume), ("delete", delete)) if on]
    if len(actions) + bool(cron) + bool(every) != 1:
        raise BadSettings(Problem("schedule", "none or several", "one of --cron, --every, --pause, --resume, --delete"))
    if actions and (package or param):
        raise BadSettings(Problem(f"--{actions[0]}", "a pipeline or parameters too", "a schedule's name"))
    backend = Backend(host, token_file, ca_cert)
    if actions:
        there = find_experiment(backend, experiment, namespace)
        lines = schedules.switch(backend, name, there, actions[0])
    else:
        trigger = schedules.by_cron(six_fields(cron)) if cron else schedules.by_period(period_s(every))
        found, revision = package_and_revision(package, version, registry, profile)
        values = arguments(found, param)
        in_experiment, uploaded = upload_to(backend, found, revision, docs, experiment, namespace)
        wanted = schedules.content(
            name, in_experiment, uploaded, values, trigger, service_account, f"Code revision: {revision}"
        )
        lines = schedules.keep(backend, wanted)
    typer.echo("\n".join(lines))


def package_and_revision(path: Path | None, version: str, registry: str, profile: str) -> tuple[Any, str]:
    """The compiled pipeline and its code revision."""
    from tofner_kubeflow.pipelines.package import read_package, revision_of
    from tofner_kubeflow.pipelines.submit import compiled_now, revision_here

    if path is not None and registry:
        raise BadSettings(Problem("--registry", "a compiled pipeline too", "one of them", "its images are fixed"))
    if path is not None:
        package = read_package(path)
        return package, version or revision_of(package)
    revision = version or revision_here()
    with tempfile.TemporaryDirectory() as scratch:
        return compiled_now(Path(scratch), revision, registry, profile), revision


def upload_to(backend: Any, package: Any, revision: str, docs: str, experiment: str, namespace: str) -> tuple[str, Any]:
    """The experiment's id and the pipeline's version on the server; both are made if they are not there."""
    from tofner_kubeflow.pipelines.package import told
    from tofner_kubeflow.pipelines.uploads import experiment_id, upload

    about = told(package, revision, docs or _documentation())
    in_experiment = experiment_id(backend, experiment, namespace)
    uploaded = upload(backend, package, revision, about, namespace)
    typer.echo(f"version: {uploaded.name} ({'uploaded' if uploaded.fresh else 'was there'})")
    return in_experiment, uploaded


def _documentation() -> str:
    """Address of the documentation that the installed distribution names, if it names one."""
    entries = metadata.metadata("tofner").get_all("Project-URL") or []
    urls = {label: url.strip() for label, _, url in (one.partition(",") for one in entries)}
    return urls.get("Documentation", "")

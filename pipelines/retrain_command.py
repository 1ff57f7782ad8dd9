"""`tofner retrain`: what CI calls, after a change, at night, or when tags have drifted."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from tofner.errors import BadSettings, Problem
from tofner_kubeflow.pipelines.server_commands import (
    CaCert,
    Docs,
    Experiment,
    Namespace,
    Package_,
    Param,
    Profile,
    Registry,
    RunName,
    ServiceAccount,
    TokenFile,
    Version,
    package_and_revision,
    upload_to,
)

SWITCHES = {"mlm": "mlm_stage", "mrc": "mrc_stage", "pseudo": "pseudo", "order": "order"}  # of the graph's parameters


def retrain(
    package: Package_ = None,
    host: Annotated[
        str, typer.Option(help="Address of the Kubeflow Pipelines UI.", envvar="KF_PIPELINES_ENDPOINT")
    ] = "",
    work: Annotated[
        Path | None, typer.Option(help="Run on this machine, in this folder, and ask no server.", show_default=False)
    ] = None,
    param: Param = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help="Also where nothing has changed.")] = False,
    because: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    timeout: Annotated[
        str,
        typer.Option(help="Longest wait, as 5h; the run goes on after it, and the same command waits again."),
    ] = "",
    deadline: Annotated[str, typer.Option(help="Longest run on a server; it is ended then.")] = "24h",
    no_progress_timeout: Annotated[
        str, typer.Option(help="Longest wait without a changed task; the run goes on after it.")
    ] = "6h",
    summary: Annotated[
        Path | None, typer.Option(help="File to append what came of it to, as Markdown.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to append key=value lines to.", show_default=False)] = None,
    name: RunName = "",
    namespace: Namespace = "",
    experiment: Experiment = "tofner",
    version: Version = "",
    registry: Registry = "",
    profile: Profile = "gpu",
    token_file: TokenFile = None,
    ca_cert: CaCert = None,
    service_account: ServiceAccount = "",
    docs: Docs = "",
) -> None:
    """Train a model again if anything that it is made from has changed, wait, and tell whether it is the latest now.

    Data, encoder, settings, code and images are compared with those of the last retraining that succeeded, which the
    store remembers. Of one model there is one retraining at a time; a run that somebody has stopped waiting for is
    waited for by the same command.

    Exit codes: 0 nothing to do, or retrained, also where the gate held the model back; 1 the run failed; 2 wrong
    input; 75 another retraining is at work, no answer, or no progress: the same command later.

    Example: tofner retrain --host https://kubeflow.example --param preset=wnut16 --param data=s3://bucket/data
    """
    from tofner.stages.plan import made_from
    from tofner_kubeflow.pipelines import retrain as retraining
    from tofner_kubeflow.pipelines.cron import seconds
    from tofner_kubeflow.pipelines.follow import Patience
    from tofner_kubeflow.pipelines.processes import stoppable

    if work is None and not host:
        raise BadSettings(Problem("retrain", "neither --host nor --work", "a server, or a folder of this machine"))
    longest = timedelta(seconds=seconds(deadline, "--deadline"))
    own_s = seconds(timeout, "--timeout") if timeout else None
    patience = Patience(own_s, seconds(no_progress_timeout, "--no-progress-timeout"))
    with contextlib.ExitStack() as stack:
        if work is not None:
            stack.enter_context(stoppable(lambda: ""))
            if package is not None:
                raise BadSettings(
                    Problem("--work", "a compiled pipeline too", "one of them", "a folder compiles its own")
                )
            values = stack.enter_context(_here(work, param))
            planned, graph = _planned(values), ""
            place: retraining.Place = retraining.OnThisMachine(values, work.expanduser().resolve(), typer.echo)
            prefix = name or "retrain"
        else:
            from tofner_kubeflow.pipelines.backend import Backend
            from tofner_kubeflow.pipelines.package import arguments
            from tofner_kubeflow.pipelines.uploads import experiment_id

            backend = Backend(host, token_file, ca_cert)
            found, revision = package_and_revision(package, version, registry, profile)
            values = arguments(found, param)
            planned, graph = _planned(values), found.data.decode()
            if package is None:  # its images are of the code that is here, and that is compared by itself
                graph = graph.replace(revision, "")
            place = retraining.OnServer(
                backend,
                lambda: upload_to(backend, found, revision, docs, experiment, namespace)[1],
                experiment_id(backend, experiment, namespace),
                values,
                found.tasks,
                patience,
                service_account,
                f"Code revision: {revision}",
                typer.echo,
            )
            prefix = name or f"{found.name}-{revision}"
        model = planned.model_name
        told = retraining.retrain(
            planned.store,
            model,
            made_from(planned, graph),
            place,
            prefix=prefix,
            why=because,
            force=force,
            longest=longest,
            say=typer.echo,
        )
    page = retraining.to_markdown(told, model)
    typer.echo(page.rstrip(), err=told.outcome == "failed")
    _append(summary, page)
    _append(output, "".join(f"{key}={value}\n" for key, value in retraining.outputs(told).items()))
    if told.outcome == "failed":
        raise typer.Exit(1)


@contextlib.contextmanager
def _here(work: Path, param: list[str]) -> Iterator[dict[str, Any]]:
    """Values of the graph's parameters for a run on this machine, its object store up."""
    import tempfile

    from tofner.sample.place import data_or_sample
    from tofner_kubeflow.pipelines import workbench
    from tofner_kubeflow.pipelines.cluster import laptop
    from tofner_kubeflow.pipelines.compile import compile_tof
    from tofner_kubeflow.pipelines.package import arguments, read_package

    given = dict(one.partition("=")[::2] for one in param)
    rounds = given.get("iterations", "")
    most = max(1, int(rounds)) if rounds.isdigit() else 1
    with tempfile.TemporaryDirectory() as scratch:
        values = arguments(read_package(compile_tof(Path(scratch) / "tof.yaml", laptop(most))), param)
    work = work.expanduser().resolve()
    with workbench.object_store(str(given.get("store", "")), work) as kept:
        data = data_or_sample(values["preset"], values["data"], kept)
        yield values | {"store": kept, "data": data}


def _planned(values: Mapping[str, Any]) -> Any:
    """The plan of a run with these values; whatever is wrong with them or with the data is said now."""
    from tofner.stages.steps import resolve

    told = ("preset", "data", "store", "encoder", "iterations", "seed", "overrides", "model_name")
    switches = {switch: values[parameter] for switch, parameter in SWITCHES.items()}
    return resolve(switches, *(values[key] for key in told))


def _append(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BadSettings(Problem(str(path), error.strerror or str(error), "a file that can be written")) from error

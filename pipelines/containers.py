"""A graph's tasks in containers on this machine, held as tightly as a cluster's pods: `tofner run --runner docker`.

`kfp.local.DockerRunner` says what is run. How it is run is said here: KFP's own loop takes a container that is gone
before it was asked for its exit code for one that ended well, and leaves one behind when it is interrupted.

Tasks see the store, and one folder of the run for what KFP passes on; nothing else of this machine. That folder may be
written by anybody, since the images' user is nobody here, and lies in one that only its owner may enter. Whoever calls
must be able to remove it again, so tasks run without a mask for modes.
"""

import codecs
import contextlib
import fcntl
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import SplitResult, urlsplit

from docker.client import DockerClient
from docker.errors import APIError, DockerException, NotFound
from docker.types import Mount
from kfp import local
from kfp.local import docker_task_handler
from requests.exceptions import RequestException

from tofner.errors import BadInput, BadSettings, PassingFault, Problem, TofnerError
from tofner.stages import CACHE
from tofner.stages.config import CONFIGS
from tofner.stages.revision import LIBRARIES, ROOT, code_revision, library_versions, made_by
from tofner_kubeflow.components.images import TAGGER, TRAINER
from tofner_kubeflow.pipelines.cluster import CONFIG_KEYS
from tofner_kubeflow.pipelines.processes import GOES_ON

USER = "10001:0"  # the images' own, said here as it is in k8s/
LABEL = "tofner.work"  # of every container; its value is the run's folder
# What a pod gets of ConfigMap and Secret, and what belongs to this machine: proxies, threads, patience, KFP's folder.
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
PASSED = re.compile(
    rf"{'|'.join((*CONFIG_KEYS, *KEYS))}|AWS_ENDPOINT_URL_S3|AWS_DEFAULT_REGION|(?i:https?_proxy|no_proxy)|"
    rf"OMP_NUM_THREADS|MKL_\w+|TOFNER_STORAGE_\w+|TOFNER_ERROR_FILE|{CACHE}"
)
SIZE = re.compile(r"(?P<number>\d+)(?P<unit>[kmgt])?i?b?", re.IGNORECASE)
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
Say = Callable[[str], Any]
LEAST_BYTES = 256 << 20  # below it Python does not get through its imports
WITHOUT_MASK = ["sh", "-c", 'umask 0; exec "$@"', "sh"]
# Says in JSON whether a container can write the run's folder and reach the store, and which code it holds.
PROBE = """
import json, os, socket, sys
folder, host, port = sys.argv[1:]
told = {"writes": os.path.exists(os.path.join(folder, "probe")) and os.access(folder, os.W_OK), "reaches": True}
try:
    if host:
        socket.create_connection((host, int(port)), 10).close()
except OSError:
    told["reaches"] = False
try:
    from tofner.stages.config import CONFIGS
    from tofner.stages.revision import code_revision
    told["code"] = {name: code_revision(name) for name in CONFIGS}
except ImportError:
    told["code"] = {}
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Image:
    """An image of this machine: a name for people, and the digest that says what it holds."""

    name: str
    id: str


class Containers:
    """Runs tasks and the tagger in containers while the context lasts; none is left when it ends, however it ends.

    Attributes:
        shared: the folder that tasks may write, at the same path inside and outside.
        trainer: the image of the tasks.
        fault: why the last container failed, if that was the daemon's doing, or for want of memory.
    """

    def __init__(self, work: Path, image: str, tagger: str, memory: str) -> None:
        """
        Args:
            image: the trainer's; empty for the newest one here.
            tagger: the tagger's; empty for the one of the trainer's revision.
            memory: a container's limit, such as `8g`.
        """
        self.shared = work / "containers" / "shared"
        self._work, self._memory, self._memory_text = work, size(memory), memory
        self._asked = (image, tagger)
        self.fault: TofnerError | None = None

    def __enter__(self) -> "Containers":
        """
        Raises:
            BadInput: no daemon answers, an image is not here, or another run uses the folder.
        """
        self._client = connect()
        try:
            self.trainer, self._tagger = find_images(self._client, *self._asked)
            labels = "name=selinux" in self._client.info().get("SecurityOptions", [])
            self._mode = "rw,z" if labels else "rw"  # as KFP mounts the folder
            self.shared.mkdir(parents=True, exist_ok=True)
            self.shared.parent.chmod(0o700)
            self.shared.chmod(0o777)
            self._lock = take_lock(self.shared.parent / "owner.lock")
            self._remove_all()  # what a run left behind that was killed
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._remove_all()
        finally:
            self._lock.close()
            self._client.close()

    @contextlib.contextmanager
    def runner(self) -> Iterator[local.DockerRunner]:
        """KFP's runner with the limits of `options`, and `run` in the place of its loop."""
        original = docker_task_handler.run_docker_container
        docker_task_handler.run_docker_container = self.run
        try:
            yield local.DockerRunner(entrypoint=WITHOUT_MASK, **self.options(os.environ))
        finally:
            docker_task_handler.run_docker_container = original

    def options(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """What a container may and gets, as docker-py has it: the pods' security context and the store's address.

        The embedded store listens on loopback alone, and its other ports ask for no key: so a container shares the
        machine's network where the store's address is one of loopback, and nowhere else.
        """
        return {
            "user": USER,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": self._memory,
            "memswap_limit": self._memory,  # with memory: no swap
            "mounts": [Mount("/tmp", None)],  # on disk as a pod's, and gone with the container
            "network_mode": "host" if loopback(environment) else "bridge",
            "labels": {LABEL: str(self._work)},
            "environment": {name: value for name, value in environment.items() if PASSED.fullmatch(name)},
        }

    def run(
        self,
        client: Any,
        image: str,
        command: list[str],
        volumes: Mapping[str, Any],
        say: Say | None = None,
        **given: Any,
    ) -> int:
        """Run a container to its end, in the place of the function of `kfp.local`; its output goes to `say` by lines
        or to the `print` that KFP has put in the place of Python's.

        Returns:
            Its exit code; 125, as the docker command has it, where the daemon failed. `fault` says why then, and why it
            is not zero where memory was short.
        """
        container, started = None, False
        try:
            container = client.containers.create(image.rpartition("@")[2], command, volumes=volumes, **given)
            container.start()
            started = True
            for line in lines(container.logs(stream=True, follow=True)):
                (say or print)(line)
            code = int(container.wait()["StatusCode"])
            container.reload()
            if code and container.attrs["State"]["OOMKilled"]:
                found = f"{self._memory_text}, which was not enough"
                fix = f"give more, or make stages.STAGE.batch_size smaller; {GOES_ON}"
                self._blame(BadSettings(Problem("--memory", found, "memory for this task", fix)))
        except (DockerException, RequestException) as error:
            return self._blame(_why(error, started))
        finally:
            if container is not None:
                _remove(container)
        return code

    def _blame(self, fault: TofnerError) -> int:
        """Keep the first reason: tasks that do not depend on the one that failed may still follow."""
        self.fault = self.fault or fault
        return 125

    def probe(self) -> None:
        """See that a container reaches the store and the run's folder, before KFP's first task waits for them; and say
        so where the image holds other code than this installation.

        Raises:
            BadInput: it cannot, or does not start.
        """
        mark = self.shared / "probe"
        mark.touch()
        store = store_address(os.environ)
        asked = [store.hostname or "", str(store.port or 80)] if loopback(os.environ) else ["", ""]
        said: list[str] = []
        shared = {str(self.shared): {"bind": str(self.shared), "mode": self._mode}}
        code = self._run(self.trainer, ["python3", "-c", PROBE, str(self.shared), *asked], said.append, shared)
        mark.unlink(missing_ok=True)
        if code:
            raise self.fault or BadInput(
                Problem("--image", f"{self.trainer.name}, which ends with code {code}: {' '.join(said[-1:])}", TRAINER)
            )
        told = json.loads(said[-1])
        if not told["code"]:
            found, fix = f"{self.trainer.name}, which holds no tofner", "`make images` builds it"
            raise BadInput(Problem("--image", found, "the trainer's image", fix))
        where = "the daemon runs elsewhere, or shares other folders alone; run where it runs, or give another --work"
        if not told["writes"]:
            raise BadInput(Problem(str(self.shared), "no such folder in a container", "one that is shared", where))
        if not told["reaches"]:
            fix = "a daemon without root, or in a machine of its own, has another loopback: give --store at an address "
            fix += "that both reach, as S3_ENDPOINT_URL"
            raise BadInput(Problem(store.geturl(), "no way there from a container", "the store", fix))
        known = [name for name in CONFIGS if _has_its_libraries(name)]  # whoever runs containers needs no torch
        other = sorted(name for name in known if told["code"].get(name) != code_revision(name))
        if other:
            stages = ", ".join(other)
            print(f"{self.trainer.name} holds other code or libraries than this installation, and runs them: {stages}")

    def tag(self, model: str, text: str, output: str) -> None:
        """`tofner tag` in the tagger's container.

        Raises:
            TofnerError: what the tagger ended with.
        """
        said: list[str] = []

        def say(line: str) -> None:
            said.append(line)
            print(f"  tag | {line}", flush=True)

        print("> tag", flush=True)
        command = ["tag", "--model", model, "--input", text, "--output", output, "--cache", "/tmp/cache"]
        code = self._run(self._tagger, command, say, {})
        if code:
            message = said[-1].removeprefix("tofner: ") if said else f"its container ended with code {code}"
            kinds = {kind.exit_code: kind for kind in (BadInput, PassingFault)}
            raise self.fault or kinds.get(code, PassingFault)(f"tag: {message}")

    def _run(self, image: Image, command: list[str], say: Say, volumes: Mapping[str, Any]) -> int:
        return self.run(self._client, image.id, command, volumes, say, **self.options(os.environ))

    def _remove_all(self) -> None:
        with contextlib.suppress(DockerException, RequestException):
            for one in self._client.containers.list(all=True, filters={"label": f"{LABEL}={self._work}"}):
                _remove(one)


def _has_its_libraries(stage: str) -> bool:
    """Whether this installation could run a stage itself, and so knows its revision."""
    return all(name in library_versions() for library in made_by(stage, ROOT)[1] for name in LIBRARIES[library])


def _why(error: Exception, started: bool) -> TofnerError:
    """What it means that the daemon did not run a container to its end."""
    if started and isinstance(error, NotFound):
        return PassingFault(f"its container was removed from outside; {GOES_ON}")
    if not started and isinstance(error, APIError) and error.is_client_error():
        return BadInput(Problem("its container", cause(error), "one that starts"))
    return PassingFault(f"the Docker daemon failed: {cause(error)}; {GOES_ON}")


def connect() -> DockerClient:
    """A client of the daemon that DOCKER_HOST names, else of the usual one.

    Raises:
        BadInput: none answers.
    """
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        client = DockerClient.from_env()
        client.ping()
    except (DockerException, RequestException) as error:
        fix = "start it, or set DOCKER_HOST to its address (`docker context ls` shows those of the docker command)"
        raise BadInput(Problem("--runner docker", f"{cause(error)} at {where}", "a Docker daemon", fix)) from error
    return client


def find_images(client: DockerClient, trainer: str, tagger: str) -> tuple[Image, Image]:
    """The images of a run; see `Containers`.

    Raises:
        BadInput: one is not here; both are named.
    """
    problems: list[Problem] = []
    if not trainer:
        named = [(one, tag) for one in client.images.list() for tag in one.tags if _is_called(tag, TRAINER)]
        trainer = max(named, key=lambda item: str(item[0].attrs["Created"]), default=(None, ""))[1]
    if not trainer:
        fix = "`make images` builds it, or name one by --image"
        raise BadInput(Problem("--image", f"no image called {TRAINER} here", "the trainer's image", fix))
    found = [_find(client, "--image", trainer, problems)]
    if not tagger and TRAINER not in trainer:
        problems.append(Problem("--tagger-image", "nothing", f"the tagger's image for {trainer}"))
    else:
        found.append(_find(client, "--tagger-image", tagger or trainer.replace(TRAINER, TAGGER), problems))
    if problems:
        raise BadInput(problems)
    return found[0], found[1]


def _is_called(tag: str, name: str) -> bool:
    return tag.rpartition(":")[0].rpartition("/")[2] == name


def _find(client: DockerClient, option: str, name: str, problems: list[Problem]) -> Image:
    try:
        return Image(name, str(client.images.get(name).id))
    except DockerException as error:
        found = f"{name}, which is not here" if isinstance(error, NotFound) else f"{name}: {cause(error)}"
        problems.append(Problem(option, found, "an image of this machine", f"`make images` or `docker pull {name}`"))
        return Image(name, "")


def take_lock(path: Path) -> IO[str]:
    """One run a folder; the lock goes with the run, however it dies. Raises BadInput."""
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        fix = "wait for it to end, or give another --work"
        raise BadInput(Problem(str(path.parent), "containers of another run", "a free folder", fix)) from None
    return lock


def size(text: str) -> int:
    """Bytes of `8g`, `8Gi` or `512m`; units are powers of 1,024, as Docker has them. Raises BadSettings."""
    found = SIZE.fullmatch(text.strip())
    number = int(found["number"]) * UNITS[(found["unit"] or "").lower()] if found else 0
    if number < LEAST_BYTES:
        raise BadSettings(Problem("--memory", repr(text), f"a size from {LEAST_BYTES >> 20}m on, for example 8g"))
    return number


def store_address(environment: Mapping[str, str]) -> SplitResult:
    """Where S3 is, if that is said."""
    return urlsplit(environment.get("S3_ENDPOINT_URL") or environment.get("AWS_ENDPOINT_URL_S3") or "")


def loopback(environment: Mapping[str, str]) -> bool:
    """Whether the store's address is one that a container of a network of its own cannot reach."""
    host = store_address(environment).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of a container's output, whose pieces may end anywhere, in a letter too; `\\r` ends one as well."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    pending = ""
    for chunk in chunks:
        *whole, pending = (pending + decoder.decode(chunk)).split("\n")
        yield from whole
    if pending := pending + decoder.decode(b"", final=True):
        yield pending.rstrip("\n")


def cause(error: BaseException) -> str:
    """The first reason of a chain of errors, in a line."""
    reasons = [error]
    while (inner := reasons[-1].__cause__ or reasons[-1].__context__) and inner not in reasons:
        reasons.append(inner)
    for reason in reversed(reasons):
        for part in (reason, *reason.args):
            if isinstance(part, OSError) and isinstance(part.strerror, str):
                return part.strerror
    return " ".join(str(getattr(error, "explanation", None) or error).split())


def _remove(container: Any) -> None:
    """Kill and remove, with what it kept in /tmp; gone already is fine."""
    with contextlib.suppress(DockerException, RequestException):
        container.remove(force=True, v=True)

"""A double of the Docker daemon on loopback: containers are plain processes on this machine, with the variables and the
command that they were created with. It keeps what each one was created with, and what was removed.

Answers have the fields that docker-py reads (API 1.41, recorded from Docker 20.10).
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback import LoopbackServer

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # `python3` is this one


class DockerDaemon(LoopbackServer):
    """Serves the images named in `images` (name -> id); set DOCKER_HOST to `host`.

    Attributes:
        created: bodies of the requests that created containers, in order.
        removed: queries of the requests that removed some.
        alive: ids of containers that were not removed.
        short_of_memory: exit codes that are told as killed for want of memory.
        environment: variables that every process gets besides its own.
        refuses: the answer to every container that is to be started.
        before: called before a process is started.
    """

    def __init__(self, folder: Path, images: dict[str, str]) -> None:
        super().__init__()
        self.folder, self.images = folder, images
        self.environment: dict[str, str] = {}
        self.refuses: tuple[int, Any] | None = None
        self.before: Callable[[], object] = lambda: None
        self.created: list[dict[str, Any]] = []
        self.removed: list[dict[str, list[str]]] = []
        self.short_of_memory: set[int] = set()
        self.alive: dict[str, dict[str, Any]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def host(self) -> str:
        return self.endpoint.replace("http://", "tcp://")

    def leave(self, labels: dict[str, str]) -> str:
        """A container that somebody left behind; its id."""
        return self._create({"Labels": labels, "Cmd": ["sleep", "600"], "Image": ""})

    def processes(self) -> list[subprocess.Popen[bytes]]:
        """Those that were started and not removed."""
        return list(self._processes.values())

    def take_away(self) -> None:
        """Remove every container, as `docker rm -f` does."""
        for identity in list(self.alive):
            self._container("DELETE", identity, [], {})

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(request.path)
        _, _, path = (
            parts.path.removeprefix("/").partition("/") if parts.path.startswith("/v1") else ("", "", parts.path)
        )
        words = [unquote(word) for word in path.strip("/").split("/")]
        status, content = self._do(request.command, words, parse_qs(parts.query), body)
        request.close_connection = True
        request.send_response(status)
        request.send_header("Connection", "close")
        request.send_header("Content-Type", "application/json" if not isinstance(content, bytes) else "text/plain")
        request.end_headers()
        request.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

    def _do(  # noqa: PLR0911  (one a route)
        self, method: str, words: list[str], query: dict[str, list[str]], body: bytes
    ) -> tuple[int, Any]:
        answers: dict[str, Any] = {"_ping": b"OK", "version": {"ApiVersion": "1.41", "Version": "20.10"}, "info": {}}
        if words[0] in answers:
            return 200, answers[words[0]]
        match (method, *words):
            case ("GET", "images", "json"):
                return 200, [{"Id": identity} for identity in self.images.values()]
            case ("GET", "images", *name, "json"):
                return self._image("/".join(name))
            case ("POST", "containers", "create"):
                self.created.append(json.loads(body))
                return 201, {"Id": self._create(self.created[-1]), "Warnings": []}
            case ("GET", "containers", "json"):
                wanted = dict(one.split("=", 1) for one in json.loads(query["filters"][0])["label"])
                return 200, [
                    {"Id": one}
                    for one, made in self.alive.items()
                    if wanted.items() <= (made.get("Labels") or {}).items()
                ]
            case (_, "containers", identity, *what):
                if identity not in self.alive:
                    return 404, {"message": f"No such container: {identity}"}
                return self._container(method, identity, what, query)
        raise NotImplementedError(f"{method} {words}")

    def _image(self, name: str) -> tuple[int, Any]:
        for tag, identity in self.images.items():
            if name in (tag, identity):
                tags = [one for one, its in self.images.items() if its == identity]
                created = f"2026-11-{10 + list(self.images).index(tag)}T10:00:00Z"
                return 200, {"Id": identity, "RepoTags": tags, "Created": created}
        return 404, {"message": f"No such image: {name}"}

    def _create(self, made: dict[str, Any]) -> str:
        identity = uuid.uuid4().hex
        self.alive[identity] = made
        return identity

    def _container(self, method: str, identity: str, what: list[str], query: dict[str, list[str]]) -> tuple[int, Any]:
        if method == "DELETE":
            self.removed.append(query)
            del self.alive[identity]
            process = self._processes.pop(identity, None)
            if process:
                process.kill()
                process.wait()
            return 204, b""
        if what == ["start"]:
            if self.refuses:
                return self.refuses
            self._start(identity)
            return 204, b""
        process = self._processes.get(identity)
        if what == ["logs"]:
            assert process
            process.wait()
            return 200, self._log(identity)
        if what == ["wait"]:
            assert process
            return 200, {"StatusCode": _code(process)}
        code = _code(process) if process and process.poll() is not None else 0
        state = {"ExitCode": code, "OOMKilled": code in self.short_of_memory}
        return 200, {"Id": identity, "State": state, "Config": {"Tty": False}, "Image": self.alive[identity]["Image"]}

    def _start(self, identity: str) -> None:
        made = self.alive[identity]
        given = dict(one.split("=", 1) for one in made.get("Env") or [])
        tagger = [name for name, its in self.images.items() if its == made["Image"] and "tagger" in name]
        entrypoint = made.get("Entrypoint") or ([sys.executable, "-m", "tofner.cli"] if tagger else [])
        self.before()
        with (self.folder / identity).open("wb") as log:
            self._processes[identity] = subprocess.Popen(
                [*entrypoint, *made["Cmd"]],
                env={"PATH": PATH, "PYTHONUNBUFFERED": "1", "HOME": str(self.folder), **self.environment, **given},
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def _log(self, identity: str) -> bytes:
        """In frames of seven bytes: kind of stream, length, content."""
        text = (self.folder / identity).read_bytes()
        pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
        return b"".join(b"\x01\0\0\0" + len(piece).to_bytes(4, "big") + piece for piece in pieces)


def _code(process: subprocess.Popen[bytes]) -> int:
    """As a daemon tells it: 128 and the number of the signal."""
    code = process.wait()
    return code if code >= 0 else 128 - code

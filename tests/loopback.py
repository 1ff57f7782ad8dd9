"""HTTP servers on loopback for the storage tests: one answers as told, one spoils traffic to a real server."""

import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

Matches = Callable[[str, str], bool]  # (method, path with query) -> whether the fault is meant for this request


@dataclass(frozen=True)
class Request:
    """A request as it arrived: header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break on purpose here: no traces on stderr."""


class LoopbackServer:
    """A threaded HTTP server on a free port while the context lasts.

    `seen` lists (method, path) of its requests in order of arrival, `requests` the same with headers.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else headers and body, sent apart, cost 40 ms on a connection kept alive

            def serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                outer.seen.append((self.command, self.path))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append(Request(self.command, self.path, headers))
                outer.answer(self, body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        raise NotImplementedError


class ScriptedS3(LoopbackServer):
    """Answers each request by the next of `script`: (status, body, headers); the last one again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[tuple[int, bytes, dict[str, str]]] = []

    def says(self, *answers: tuple[int, str]) -> None:
        """Answer by S3 errors of these statuses and codes; 200 gives the code as the object's contents."""
        self.seen.clear()
        self.script = [(s, code.encode() if s == 200 else _error(code), {"ETag": '"e"'}) for s, code in answers]

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        status, content, headers = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        _reply(request, status, headers, content)


class FaultyProxy(LoopbackServer):
    """Passes requests on to a real S3 server, and spoils those that `break_next` names.

    Faults that the server does not see: those of `ANSWERS`, `reset` (connection closed) and `hang` (no answer until the
    client gives up). `vanish`: a part of an upload, acknowledged and not kept; other requests are passed on. `lost`:
    done by the server, its answer lost. `flip`: the request's last byte changed. Of the answer's body: `cut` ends
    half-way, `short` is half of it and says so, `garble` has a bit changed in the middle, `trickle` comes in
    `TRICKLES` pieces.
    """

    ANSWERS: ClassVar = {  # status and code
        "slow_down": (503, "SlowDown"),
        "internal": (500, "InternalError"),
        "denied": (403, "AccessDenied"),
        "stranger": (403, "InvalidAccessKeyId"),
        "expired": (400, "ExpiredToken"),
    }
    OF_BODIES: ClassVar = ("cut", "short", "garble", "flip")
    TRICKLES, TRICKLE_S = 8, 0.005

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = str(urlsplit(target).netloc)
        self.before: Callable[[str, str], object] = lambda method, path: None  # runs before a request is passed on
        self._faults: list[tuple[str, Matches]] = []
        self._striking: tuple[str, Matches] | None = None
        self.struck = 0
        self._lock = threading.Lock()

    def break_next(self, *faults: str, matches: Matches = lambda method, path: True) -> None:
        """Spoil the next matching requests, one fault each, in this order."""
        self._faults = [(fault, matches) for fault in faults]
        self._striking = None

    def strike(self, fault: str, at: int = 0, times: int | None = 1, matches: Matches = lambda *_: True) -> None:
        """Let `at` matching requests pass, and spoil the `times` after them; None: all after them.

        `struck` counts those in which there was something to spoil."""
        seen = 0

        def here(method: str, path: str) -> bool:
            nonlocal seen
            if not matches(method, path):
                return False
            seen += 1
            return at < seen and (times is None or seen <= at + times)

        with self._lock:
            self._striking, self.struck = (fault, here), 0

    @property
    def faults_left(self) -> int:
        return len(self._faults)

    def _take(self, method: str, path: str) -> str:
        with self._lock:
            if self._striking and self._striking[1](method, path):
                fault = self._striking[0]
                self.struck += fault not in self.OF_BODIES and (fault != "vanish" or "partNumber=" in path)
                return fault
            for i, (fault, matches) in enumerate(self._faults):
                if matches(method, path):
                    del self._faults[i]
                    return fault
        return ""

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        self.before(request.command, request.path)
        fault = self._take(request.command, request.path)
        if fault in self.ANSWERS:
            status, code = self.ANSWERS[fault]
            _reply(request, status, {}, _error(code))
        elif fault == "reset":
            _hang_up(request)
        elif fault == "hang":
            request.connection.recv(1)  # nothing comes but the end
            _hang_up(request)
        elif fault == "vanish" and "partNumber=" in request.path:
            _reply(request, 200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b"")
        elif fault == "flip" and body:
            self.struck += 1
            self._pass_on(request, body[:-1] + bytes([body[-1] ^ 1]), fault)
        else:
            self._pass_on(request, body, fault)

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes, fault: str) -> None:
        upstream = http.client.HTTPConnection(self._target, timeout=30)
        try:
            # The client's Host header goes along, since the signature covers it.
            upstream.request(request.command, request.path, body, dict(request.headers))
            answer = upstream.getresponse()
            content = answer.read()
        except OSError:
            fault = "lost"
        finally:
            upstream.close()
        if fault == "lost":
            _hang_up(request)
            return
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("content-length", "transfer-encoding")}
        length = int(answer.getheader("Content-Length") or 0) if request.command == "HEAD" else len(content)
        half = len(content) // 2
        self.struck += fault in ("cut", "short", "garble") and bool(content)
        if fault == "short" and content:
            content, length = content[:half], half
        elif fault == "garble" and content:
            content = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        pace = (self.TRICKLES, self.TRICKLE_S) if fault == "trickle" else (1, 0.0)
        _reply(request, answer.status, headers, content[:half] if fault == "cut" else content, length, *pace)
        if fault == "cut":
            _hang_up(request)


def _error(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>told so</Message></Error>'.encode()


def _reply(
    request: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, str],
    content: bytes,
    length: int | None = None,
    pieces: int = 1,
    pause_s: float = 0.0,
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    if status != 204:
        request.send_header("Content-Length", str(len(content) if length is None else length))
    request.end_headers()
    if request.command != "HEAD":
        step = -(-len(content) // pieces) or 1
        for start in range(0, len(content), step):
            time.sleep(pause_s)
            request.wfile.write(content[start : start + step])
            request.wfile.flush()
    request.wfile.flush()


def _hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.shutdown(socket.SHUT_RDWR)

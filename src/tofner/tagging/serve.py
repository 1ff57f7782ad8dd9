"""The tagger behind HTTP: `POST /tag`, `GET /health`, `/ready`, `/metrics`. Needs the extra `serve`.

    curl -s localhost:8080/tag -d '{"text": "Merkel met Obama."}'

`/tag` takes what `tag` reads: one JSON record, a list of records, or JSON lines; it answers in the same form, each
record as it was written, with its `entities`. A bad record refuses its request (400) and names the place. Requests take
turns and are tagged together (`tofner.tagging.turns`); since results do not depend on what shares a batch, nobody sees
a difference but in speed.

    400 bad record or JSON          413 body, record count or amount of text over its limit
    408 the body did not come       503 it would wait too long, or the service starts or ends: see Retry-After
    504 took too long after all
"""

import asyncio
import contextlib
import errno
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tofner.errors import BadSettings, PassingFault, Problem
from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.engine.texts import Entity, Source, Words
from tofner.tagging.formats.jsonl import elements, parse_json, with_entities, without
from tofner.tagging.formats.record import Unusable, record_source
from tofner.tagging.turns import WORD_CHARACTERS, Overloaded, Stopping, TooMuch, Turns

_FIRST_WORDS = 512  # tagged at the start, to warm up and to know about how fast it goes
_LARGE_BYTES = 64 * 1024  # a body of more is parsed in a thread, so that other requests go on meanwhile


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how long it may wait.

    Attributes:
        body_bytes: of a request; records: in a request.
        wait_s: the longest that a request may be expected to wait for others; past it, 503 at once.
        timeout_s: from a request's arrival to its answer.
        header_s: from a connection, or the first byte of a request, to the end of its headers.
        slice_words: tagged in one go; larger requests are cut into slices that take turns.
        drain_s: between a signal to end and the end of listening: a load balancer needs time to see /ready.
    """

    body_bytes: int = 4 * 2**20
    records: int = 4096
    wait_s: float = 5.0
    timeout_s: float = 30.0
    header_s: float = 10.0
    slice_words: int = 1024
    drain_s: float = 0.0


class _Refused(Exception):
    """A request that gets an error answer."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class Metrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        new: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "tofner_requests_total", "Requests to /tag; 499: the client went away", ["status"], **new
        )
        edges = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self.seconds = Histogram("tofner_request_seconds", "From arrival to answer", buckets=edges, **new)
        self.records = Counter("tofner_records_total", "Records tagged", **new)
        self.words = Counter("tofner_words_total", "Words tagged", **new)
        self.entities = Counter("tofner_entities_total", "Entities found", ["label"], **new)
        self.queue_words = Gauge("tofner_queue_words", "Words that wait or are being tagged", **new)
        self.expected_wait = Gauge("tofner_expected_wait_seconds", "Expected wait of a small request", **new)


class Service:
    """The state of a server: what it tags with, whether it is ready, whether it is about to end."""

    def __init__(self, tagger: Tagger, limits: Limits) -> None:
        self.tagger, self.limits, self.metrics = tagger, limits, Metrics()
        self.turns: Turns | None = None
        self.draining = False

    def start(self) -> None:
        """One text through everything before /ready says yes: memory is mapped, weights are packed, speed is known."""
        self.tagger.tag(["Ready?"])
        text = " ".join(f"{i % 7}word{i}" for i in range(_FIRST_WORDS))  # no window twice
        begun = time.perf_counter()
        self.tagger.tag([text])
        rate = _FIRST_WORDS / max(1e-6, time.perf_counter() - begun)
        limits = self.limits
        self.turns = Turns(self.tagger, limits.slice_words, limits.wait_s, limits.timeout_s, rate)
        self.metrics.queue_words.set_function(lambda: float(self.turns.words) if self.turns else 0.0)
        self.metrics.expected_wait.set_function(lambda: self.turns.expected_wait_s() if self.turns else 0.0)

    async def close(self) -> None:
        turns, self.turns = self.turns, None
        if turns is not None:
            turns.stop()
            await asyncio.to_thread(turns.close)

    async def tag(self, request: Request) -> Response:
        start = time.perf_counter()
        try:
            response = await self._answer(request)
        except _Refused as refused:
            response = _error(refused.status, refused.reason, refused.headers)
        except Overloaded as error:
            response = _error(503, str(error), {"Retry-After": str(math.ceil(error.retry_s))})
        except TooMuch as error:
            response = _error(413, str(error))
        except Stopping:
            response = _error(503, "the service ends", {"Retry-After": "1", "Connection": "close"})
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        except Exception:
            self.metrics.requests.labels("500").inc()
            raise
        self.metrics.requests.labels(str(response.status_code)).inc()
        self.metrics.seconds.observe(time.perf_counter() - start)
        return response

    async def _answer(self, request: Request) -> Response:
        """Read, admit, tag; all within the time. What nobody waits for any more is dropped.

        Raises:
            _Refused, Overloaded, TooMuch, Stopping, ClientDisconnect.
        """
        limits = self.limits
        if self.turns is None:
            raise _Refused(503, "not ready", {"Retry-After": "1"})
        self.turns.check(_about(request) // WORD_CHARACTERS // 2)
        clock = asyncio.get_running_loop().time
        end = clock() + limits.timeout_s
        try:
            body = await asyncio.wait_for(_body(request, limits.body_bytes), limits.timeout_s)
        except TimeoutError:
            late = f"the body did not come within {limits.timeout_s:g} s"
            raise _Refused(408, late, {"Connection": "close"}) from None
        work = asyncio.ensure_future(self._tagged(self.turns, body))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({work, gone}, timeout=max(0.0, end - clock()), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if gone.done():
                raise ClientDisconnect
            raise _Refused(504, f"no answer within {limits.timeout_s:g} s")
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _tagged(self, turns: Turns, body: bytes) -> Response:
        rows, form, words = await _aside(body, lambda: self._read(body))
        found = await turns.tag(words)
        self.metrics.records.inc(len(rows))
        self.metrics.words.inc(sum(len(row.words) for row in words))
        for row in found:
            for entity in row:
                self.metrics.entities.labels(entity.label).inc()
        kind = "x-ndjson" if form == "lines" else "json"
        content = await _aside(body, lambda: _written(rows, form, words, found))
        return Response(content, media_type=f"application/{kind}")

    def _read(self, body: bytes) -> tuple[list[str], str, list[Words]]:
        rows, form = _parse(body)
        if len(rows) > self.limits.records:
            raise _Refused(413, f"{len(rows)} records; at most {self.limits.records}")
        return rows, form, _words(rows, self.tagger.words)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        turns = self.turns
        if turns is None or self.draining:
            return _error(503, "the service ends" if self.draining else "not ready")
        try:
            turns.check(1)
        except (Overloaded, Stopping) as error:
            return _error(503, str(error) or "the service ends")
        model = self.tagger.model
        about = {"model": model.uri, "digest": model.digest, "precision": model.precision}
        return JSONResponse({"status": "ready", **about, "types": model.types})

    async def show_metrics(self, request: Request) -> Response:
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def create_app(service: Service) -> Starlette:
    """The service over a loaded model."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        await service.close()

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
        ("/tag", service.tag, "POST"),
        ("/health", service.health, "GET"),
        ("/ready", service.ready, "GET"),
        ("/metrics", service.show_metrics, "GET"),
    ]
    return Starlette(routes=[Route(path, end, methods=[method]) for path, end, method in routes], lifespan=lifespan)


def _about(request: Request) -> int:
    """Bytes that the request says it has."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 16 else 0


async def _body(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _Refused(413, f"a body of more than {limit} bytes", {"Connection": "close"})
        parts.append(part)
    return b"".join(parts)


async def _gone(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _aside(body: bytes, work: Callable[[], Any]) -> Any:
    """`work()`, in a thread where the body is large."""
    return await asyncio.to_thread(work) if len(body) > _LARGE_BYTES else work()


def _parse(body: bytes) -> tuple[list[str], str]:
    """Records as they are written, and the form they came in: `one`, `list` or `lines`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(400, f"byte {error.start} is not UTF-8") from None
    try:
        value = parse_json(text)
        return (elements(text), "list") if isinstance(value, list) else ([text.strip(" \t\r\n")], "one")
    except Unusable as error:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise _Refused(400, str(error)) from None
    return lines, "lines"


def _words(rows: Sequence[str], cut: Callable[[Source], Words]) -> list[Words]:
    found = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(cut(record_source(parse_json(row))))
        except Unusable as error:
            raise _Refused(400, f"record {number}: {error}") from None
    return found


def _written(rows: Sequence[str], form: str, words: Sequence[Words], found: Sequence[Sequence[Entity]]) -> bytes:
    answers = [
        with_entities(without(row, "entities").encode(), [entity.as_record(one.text is None) for entity in entities])
        for row, one, entities in zip(rows, words, found, strict=True)
    ]
    if form == "lines":
        return b"".join(answers)
    bare = [answer.removesuffix(b"\n") for answer in answers]
    return b"[" + b", ".join(bare) + b"]" if form == "list" else bare[0]


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)


def serve(tagger: Tagger, host: str = "127.0.0.1", port: int = 8080, limits: Limits | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in hand and return.

    At the first signal /ready says no; `drain_s` later nothing new is accepted. A second signal ends the drain, and
    whoever still waits gets 503.

    Raises:
        BadSettings: the address cannot be listened on.
        PassingFault: another process listens there.
    """
    from tofner.tagging.server import run

    service = Service(tagger, limits or Limits())
    with _listening(host, port) as bound:
        run(create_app(service), bound, service)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    place = f"{host}:{port}"
    if not 0 <= port <= 65535:
        raise BadSettings(Problem(place, f"port {port}", "a port from 0 to 65535, 0 for any that is free"))
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, OverflowError, UnicodeError) as error:
        raise BadSettings(Problem(place, str(error), "an address of this machine and a free port")) from error
    with bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PassingFault(f"{place}: another process listens there; end it or take another --port") from error
            raise BadSettings(Problem(place, str(error), "an address of this machine and a free port")) from error
        yield bound

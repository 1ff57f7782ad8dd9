"""The tagger behind HTTP: `POST /tag`, `GET /health`, `/ready`, `/metrics`. Needs the extra `serve`.

    curl -s localhost:8080/tag -d '{"text": "Merkel met Obama."}'

`/tag` takes what `tag` reads: one JSON record, a list of records, or JSON lines; it answers in the same form, each
record with its `entities`. A bad record refuses its request (400) and names the place. Requests that arrive together
are tagged together; since results do not depend on what shares a batch, nobody sees a difference but in speed.

    400 bad record or JSON   413 body or record count over its limit   503 queue full, or not ready   504 took too long
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tofner.tagging.engine.tagger import Tagger
from tofner.tagging.engine.texts import Entity, Words, to_words
from tofner.tagging.formats.record import Unusable, record_source


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how long it may wait.

    Attributes:
        body_bytes: of a request; records: in a request.
        queue_words: that wait or are being tagged, of all requests together; past it, 503.
        timeout_s: from a request's arrival to its answer.
        group_words: tagged together at most (a larger request is its own group).
    """

    body_bytes: int = 4 * 2**20
    records: int = 4096
    queue_words: int = 500_000
    timeout_s: float = 30.0
    group_words: int = 8192


class Overloaded(Exception):
    """The queue is full."""


class _Refused(Exception):
    """A request that gets an error answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass
class _Waiting:
    words: list[Words]
    size: int
    answer: "asyncio.Future[list[list[Entity]]]"


class Batcher:
    """Joins waiting requests into groups. A group starts when a core is free: under load groups grow by themselves,
    without it nobody waits."""

    def __init__(self, tagger: Tagger, limits: Limits, metrics: "Metrics") -> None:
        self.tagger, self.limits, self.metrics = tagger, limits, metrics
        self.waiting: list[_Waiting] = []
        self.words = 0  # waiting or being tagged
        self.free = tagger.threads
        self.threads = ThreadPoolExecutor(tagger.threads, "tofner-group")
        self.tasks: set[asyncio.Task[None]] = set()

    async def tag(self, words: list[Words]) -> list[list[Entity]]:
        """Entities of the inputs of one request.

        Raises:
            Overloaded: too much waits already.
        """
        size = sum(len(row.words) for row in words)
        if self.words and self.words + size > self.limits.queue_words:
            raise Overloaded
        self.words += size
        one = _Waiting(words, size, asyncio.get_running_loop().create_future())
        self.waiting.append(one)
        self._start()
        try:
            return await one.answer
        finally:
            if one in self.waiting:  # given up before it began
                self.waiting.remove(one)
                self.words -= size

    def _start(self) -> None:
        while self.waiting and self.free:
            group = [self.waiting.pop(0)]
            size = group[0].size
            while self.waiting and size + self.waiting[0].size <= self.limits.group_words:
                size += self.waiting[0].size
                group.append(self.waiting.pop(0))
            self.free -= 1
            task = asyncio.get_running_loop().create_task(self._run(group, size))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _run(self, group: list[_Waiting], size: int) -> None:
        self.metrics.group_words.observe(size)
        flat = [words for one in group for words in one.words]
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.threads, self.tagger.tag_group, flat)
            at = 0
            for one in group:
                if not one.answer.done():
                    one.answer.set_result(found[at : at + len(one.words)])
                at += len(one.words)
        except Exception as error:
            for one in group:
                if not one.answer.done():
                    one.answer.set_exception(error)
        finally:
            self.words -= size
            self.free += 1
            self._start()

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)


class Metrics:
    """What Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        new: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("tofner_requests_total", "Requests to /tag", ["status"], **new)
        edges = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self.seconds = Histogram("tofner_request_seconds", "From arrival to answer", buckets=edges, **new)
        self.records = Counter("tofner_records_total", "Records tagged", **new)
        self.words = Counter("tofner_words_total", "Words tagged", **new)
        self.entities = Counter("tofner_entities_total", "Entities found", ["label"], **new)
        self.queue_words = Gauge("tofner_queue_words", "Words that wait or are being tagged", **new)
        sizes = (16, 64, 256, 1024, 4096, 16384)
        self.group_words = Histogram("tofner_group_words", "Words tagged together", buckets=sizes, **new)


def create_app(tagger: Tagger, limits: Limits | None = None) -> Starlette:
    """The service over a loaded model."""
    limits = limits or Limits()
    metrics = Metrics()
    state: dict[str, Batcher] = {}

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # One text through everything before /ready says yes: memory is mapped, weights are packed.
        await asyncio.to_thread(tagger.tag, ["Ready?"])
        state["batcher"] = Batcher(tagger, limits, metrics)
        metrics.queue_words.set_function(lambda: float(state["batcher"].words) if state else 0.0)
        yield
        batcher = state.pop("batcher")
        await asyncio.to_thread(batcher.close)

    async def tag(request: Request) -> Response:
        start = time.perf_counter()
        try:
            work = _tag(request, state["batcher"], limits, metrics)
            response: Response = await asyncio.wait_for(work, limits.timeout_s)
        except _Refused as refused:
            response = _error(refused.status, refused.reason)
        except Overloaded:
            response = _error(503, "too much text is waiting; try again", {"Retry-After": "1"})
        except TimeoutError:
            response = _error(504, f"no answer within {limits.timeout_s:g} s")
        except Exception:
            metrics.requests.labels("500").inc()
            raise
        metrics.requests.labels(str(response.status_code)).inc()
        metrics.seconds.observe(time.perf_counter() - start)
        return response

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(request: Request) -> Response:
        batcher = state.get("batcher")
        if batcher is None or batcher.words >= limits.queue_words:
            return _error(503, "not ready")
        about = {"model": tagger.model.uri, "digest": tagger.model.digest, "precision": tagger.model.precision}
        return JSONResponse({"status": "ready", **about, "types": tagger.model.types})

    async def show_metrics(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], str]] = [
        ("/tag", tag, "POST"),
        ("/health", health, "GET"),
        ("/ready", ready, "GET"),
        ("/metrics", show_metrics, "GET"),
    ]
    return Starlette(routes=[Route(path, end, methods=[method]) for path, end, method in routes], lifespan=lifespan)


async def _tag(request: Request, batcher: Batcher, limits: Limits, metrics: Metrics) -> Response:
    body = await _body(request, limits.body_bytes)
    records, form = _parse(body)
    if len(records) > limits.records:
        raise _Refused(413, f"{len(records)} records; at most {limits.records}")
    words = await asyncio.to_thread(_words, records)
    found = await batcher.tag(words)
    metrics.records.inc(len(records))
    metrics.words.inc(sum(len(row.words) for row in words))
    for row in found:
        for entity in row:
            metrics.entities.labels(entity.label).inc()
    answers = [
        {**record, "entities": [entity.as_record("tokens" in record) for entity in row]}
        for record, row in zip(records, found, strict=True)
    ]
    if form == "lines":
        text = "".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
        return Response(text.encode(), media_type="application/x-ndjson")
    value: Any = answers if form == "list" else answers[0]
    return Response(json.dumps(value, ensure_ascii=False).encode(), media_type="application/json")


async def _body(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _Refused(413, f"a body of more than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def _parse(body: bytes) -> tuple[list[Any], str]:
    """Records, and the form they came in: `one`, `list` or `lines`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Refused(400, f"byte {error.start} is not UTF-8") from None
    try:
        value = json.loads(text)
        return (value, "list") if isinstance(value, list) else ([value], "one")
    except RecursionError:
        raise _Refused(400, "JSON nested too deeply") from None
    except ValueError as error:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise _Refused(400, f"broken JSON: {error}") from None
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise _Refused(400, f"record {number}: broken JSON: {error}") from None
    return records, "lines"


def _words(records: Sequence[Any]) -> list[Words]:
    rows = []
    for number, record in enumerate(records, 1):
        try:
            rows.append(to_words(record_source(record)))
        except Unusable as error:
            raise _Refused(400, f"record {number}: {error}") from None
    return rows


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)


def serve(tagger: Tagger, host: str = "127.0.0.1", port: int = 8080, limits: Limits | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests in hand are answered first."""
    import uvicorn

    uvicorn.run(create_app(tagger, limits), host=host, port=port, log_level="warning", timeout_graceful_shutdown=30)

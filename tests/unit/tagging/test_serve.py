"""The HTTP service, over a real socket; and its queue, in a loop of the test's own.

Nothing here waits for time to pass: a tagger that must be slow is held back by an event.
"""

import asyncio
import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner import cli
from tofner.tagging import Tagger
from tofner.tagging.engine.texts import to_words

uvicorn = pytest.importorskip("uvicorn")
serve = pytest.importorskip("tofner.tagging.serve")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return Tagger.load(publish_tiny(tmp_path_factory.mktemp("model")), threads=2)


@contextmanager
def running(tagger: Tagger, **limits: Any) -> Iterator[int]:
    """A server on a free port, while the context lasts."""
    ready = threading.Event()

    class Server(uvicorn.Server):  # type: ignore[name-defined,misc]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    def run() -> None:
        try:
            server.run([bound])
        finally:
            ready.set()

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        app = serve.create_app(tagger, serve.Limits(**limits))
        server = Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        try:
            assert server.started
            yield int(bound.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def port(tagger: Tagger) -> Iterator[int]:
    with running(tagger, body_bytes=100_000, records=50) as number:
        yield number


def test_forms(port: int, tagger: Tagger) -> None:
    text = "Angela Merkel met Obama 🙂 in New York."
    expected = [entity.as_record() for entity in tagger.tag([text])[0]]
    one = {"id": 7, "text": text, "x": None}
    status, body = ask(port, "/tag", json.dumps(one).encode())
    assert (status, json.loads(body)) == (200, {**one, "entities": expected})
    tokens = {"tokens": ["New", "York"]}
    status, body = ask(port, "/tag", json.dumps([one, tokens]).encode())
    assert status == 200
    assert json.loads(body)[0]["entities"] == expected
    assert all("start_token" in entity for entity in json.loads(body)[1]["entities"])
    status, body = ask(port, "/tag", (json.dumps(one) + "\n" + json.dumps(tokens) + "\n").encode())
    assert json.loads(body.splitlines()[0])["entities"] == expected
    assert json.loads(ask(port, "/tag", b"[]")[1]) == []


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "broken JSON"),
        (b"5", 400, "record 1: JSON int"),
        (b'[{"text": "a"}, {}]', 400, "record 2: neither"),
        (b'{"text": "a"}\n{"text"', 400, "record 2: broken JSON"),
        (b'{"text": "\xff"}', 400, "not UTF-8"),
        (b'{"text": "\\ud800"}', 400, "surrogate"),
        (b"[" * 50_000, 400, ""),
        (b"[" + b",".join([b'{"text": ""}'] * 51) + b"]", 413, "51 records"),
        (b'{"text": "' + b"x" * 200_000 + b'"}', 413, "100000 bytes"),
    ],
)
def test_refusals(port: int, body: bytes, status: int, said: str) -> None:
    got, answer = ask(port, "/tag", body)
    assert got == status
    assert said in json.loads(answer)["error"]


def test_health_ready_metrics(port: int) -> None:
    assert ask(port, "/health")[0] == 200
    status, body = ask(port, "/ready")
    assert (status, json.loads(body)["types"]) == (200, ["LOC", "ORG", "PER"])
    ask(port, "/tag", b'{"text": "New York"}')
    text = ask(port, "/metrics")[1].decode()
    assert 'tofner_requests_total{status="200"}' in text
    assert "tofner_request_seconds_bucket" in text
    assert ask(port, "/nowhere")[0] == 404
    assert ask(port, "/tag")[0] == 405


def test_many_at_once_get_their_own_answers(port: int, tagger: Tagger) -> None:
    texts = [f"Angela met Obama {i} in New York" * (1 + i % 3) for i in range(60)]
    expected = [[entity.as_record() for entity in row] for row in tagger.tag(texts)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda text: ask(port, "/tag", json.dumps({"text": text}).encode()), texts))
    assert [status for status, _ in answers] == [200] * 60
    assert [json.loads(body)["entities"] for _, body in answers] == expected


class Held:
    """A tagger that answers when it is released, at the latest when the context ends; `entered`: a group reached it."""

    def __init__(self, tagger: Tagger) -> None:
        self.tagger, self.threads, self.model = tagger, 1, tagger.model
        self.entered, self.released = threading.Event(), threading.Event()
        self.groups: list[list[str]] = []

    def tag(self, texts: list[str]) -> Any:
        return self.tagger.tag(texts)

    def tag_group(self, group: list[Any]) -> Any:
        self.groups.append([words.text for words in group])
        self.entered.set()
        self.released.wait()
        return self.tagger.tag_group(group)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *exc: object) -> None:
        self.released.set()


def gauge(port: int) -> str:
    lines = ask(port, "/metrics")[1].decode().splitlines()
    return next(line for line in lines if line.startswith("tofner_queue_words "))


def test_a_full_queue_refuses_and_the_request_in_hand_is_answered(tagger: Tagger) -> None:
    held = Held(tagger)
    with running(held, timeout_s=600.0, queue_words=4) as port, ThreadPoolExecutor(1) as pool, held:  # type: ignore[arg-type]
        first = pool.submit(ask, port, "/tag", b'{"text": "a b c"}')
        held.entered.wait()
        assert gauge(port) == "tofner_queue_words 3.0"
        assert ask(port, "/ready")[0] == 200
        status, body = ask(port, "/tag", b'{"text": "d e"}')
        assert (status, "waiting" in json.loads(body)["error"]) == (503, True)
        second = pool.submit(ask, port, "/tag", b'{"text": "d"}')  # begins after the first: the pool has one thread
        held.released.set()
        assert (first.result()[0], second.result()[0]) == (200, 200)
        assert gauge(port) == "tofner_queue_words 0.0"
        assert held.groups == [["a b c"], ["d"]]


def test_not_ready_while_the_queue_is_full(tagger: Tagger) -> None:
    held = Held(tagger)
    with running(held, timeout_s=600.0, queue_words=3) as port, ThreadPoolExecutor(1) as pool, held:  # type: ignore[arg-type]
        first = pool.submit(ask, port, "/tag", b'{"text": "a b c"}')
        held.entered.wait()
        assert ask(port, "/ready")[0] == 503
        assert ask(port, "/health")[0] == 200
        held.released.set()
        assert first.result()[0] == 200
        assert ask(port, "/ready")[0] == 200


def test_a_request_that_gets_no_answer_ends_with_504(tagger: Tagger) -> None:
    held = Held(tagger)
    with running(held, timeout_s=0.05) as port, held:  # type: ignore[arg-type]
        status, body = ask(port, "/tag", b'{"text": "a b c"}')
        assert (status, json.loads(body)["error"]) == (504, "no answer within 0.05 s")


def test_the_queue_counts_what_waits_and_what_was_given_up(tagger: Tagger) -> None:
    """One core: the first request is tagged alone, those that wait meanwhile together, one of them gave up before."""
    held = Held(tagger)

    async def scenario() -> list[Any]:
        batcher = serve.Batcher(held, serve.Limits(queue_words=11, group_words=6), serve.Metrics())
        loop = asyncio.get_running_loop()
        rows = ["a b c", "d e", "given up", "f", "g h i"]
        tasks = []
        for row in rows:
            tasks.append(loop.create_task(batcher.tag([to_words(row)])))
            await asyncio.sleep(0)  # the task runs up to where it waits
        assert batcher.words == 3 + 2 + 2 + 1 + 3
        refused = loop.create_task(batcher.tag([to_words("two more")]))
        await asyncio.sleep(0)
        assert refused.done(), "it may not wait"
        assert isinstance(refused.exception(), serve.Overloaded)
        tasks[2].cancel()
        await asyncio.gather(tasks[2], return_exceptions=True)
        assert batcher.words == 3 + 2 + 1 + 3
        await asyncio.to_thread(held.entered.wait)
        held.released.set()
        found = await asyncio.gather(*(task for i, task in enumerate(tasks) if i != 2))
        await asyncio.gather(*batcher.tasks)
        assert (batcher.words, batcher.free) == (0, 1)
        batcher.close()
        return found

    with held:
        found = asyncio.run(scenario())
    assert held.groups == [["a b c"], ["d e", "f", "g h i"]]
    assert found == [tagger.tag([row]) for row in ("a b c", "d e", "f", "g h i")]


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits(tagger: Tagger) -> None:
    async def scenario() -> Any:
        batcher = serve.Batcher(tagger, serve.Limits(queue_words=2), serve.Metrics())
        found = await batcher.tag([to_words("New York Ajax Madrid")])
        batcher.close()
        return found

    assert asyncio.run(scenario()) == tagger.tag(["New York Ajax Madrid"])


def test_a_fault_of_the_engine_reaches_everybody_in_the_group(tagger: Tagger) -> None:
    class Broken(Held):
        def tag_group(self, group: list[Any]) -> Any:
            raise MemoryError("no room")

    async def scenario() -> list[Any]:
        batcher = serve.Batcher(Broken(tagger), serve.Limits(), serve.Metrics())
        found = await asyncio.gather(*(batcher.tag([to_words("x")]) for _ in range(3)), return_exceptions=True)
        await asyncio.gather(*batcher.tasks)
        assert (batcher.words, batcher.free) == (0, 1)
        batcher.close()
        return found

    assert [str(error) for error in asyncio.run(scenario())] == ["no room"] * 3


@pytest.mark.parametrize(("count", "status"), [(50, 200), (51, 413)])
def test_as_many_records_as_the_limit_says(port: int, count: int, status: int) -> None:
    lines = b'{"text": ""}\n' * count
    got, body = ask(port, "/tag", lines)
    assert got == status
    assert body == b'{"text": "", "entities": []}\n' * 50 if status == 200 else b"51 records" in body


@pytest.mark.parametrize(("size", "status"), [(100_000, 200), (100_001, 413)])
def test_a_body_as_long_as_the_limit_says(port: int, size: int, status: int) -> None:
    assert ask(port, "/tag", b'{"text": ""}'.ljust(size))[0] == status


def test_one_record_is_answered_in_its_own_form(port: int) -> None:
    assert ask(port, "/tag", b'{"text": ""}') == (200, b'{"text": "", "entities": []}')
    assert ask(port, "/tag", b'[{"text": ""}]') == (200, b'[{"text": "", "entities": []}]')


def test_a_pod_that_is_stopped_while_its_model_is_fetched_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As process 1 Python has no action for SIGTERM of its own: without one the kubelet would wait, then kill."""
    before = signal.getsignal(signal.SIGTERM)

    def fetch(*_: object, **__: object) -> None:
        assert signal.getsignal(signal.SIGTERM) not in (before, signal.SIG_DFL)
        if stopped:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("tofner.tagging.Tagger.load", fetch)
    monkeypatch.setattr(serve, "serve", lambda *_: served.append(signal.getsignal(signal.SIGTERM)))
    stopped, served = True, list[object]()
    try:
        with pytest.raises(SystemExit) as ended:
            cli.serve("s3://bucket/model")
        assert ended.value.code == 75
        assert served == []
        signal.signal(signal.SIGTERM, before)
        stopped = False
        cli.serve("s3://bucket/model")
        assert served == [before]  # the server's own handler raises the signal again for the one before it
    finally:
        signal.signal(signal.SIGTERM, before)

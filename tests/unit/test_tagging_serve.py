"""The HTTP service, over a real socket."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner.tagging import Tagger

uvicorn = pytest.importorskip("uvicorn")
serve = pytest.importorskip("tofner.tagging.serve")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return Tagger.load(publish_tiny(tmp_path_factory.mktemp("model")), threads=2)


@contextmanager
def running(tagger: Tagger, **limits: Any) -> Iterator[int]:
    """A server on a free port, while the context lasts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    app = serve.create_app(tagger, serve.Limits(**limits))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
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


class Slow:
    """A tagger that takes its time."""

    def __init__(self, tagger: Tagger, seconds: float) -> None:
        self.tagger, self.seconds = tagger, seconds
        self.threads, self.model = 1, tagger.model

    def tag(self, texts: list[str]) -> Any:
        return self.tagger.tag(texts)

    def tag_group(self, group: Any) -> Any:
        time.sleep(self.seconds)
        return self.tagger.tag_group(group)


def test_timeouts_and_a_full_queue(tagger: Tagger) -> None:
    with running(Slow(tagger, 0.5), timeout_s=0.2, queue_words=4) as port:  # type: ignore[arg-type]
        with ThreadPoolExecutor(3) as pool:
            bodies = [b'{"text": "a b c"}'] * 3
            statuses = sorted(status for status, _ in pool.map(lambda body: ask(port, "/tag", body), bodies))
        assert statuses == [503, 503, 504]
        time.sleep(0.6)
        text = ask(port, "/metrics")[1].decode()
        assert "tofner_queue_words 0.0" in text

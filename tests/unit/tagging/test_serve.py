"""The HTTP service, over a real socket.

Nothing here waits for time to pass: a tagger that must be slow is held back by an event.
"""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_tagger import publish_tiny
from tofner import cli
from tofner.errors import BadSettings, PassingFault
from tofner.tagging import Tagger

uvicorn = pytest.importorskip("uvicorn")
serve = pytest.importorskip("tofner.tagging.serve")
server_ = pytest.importorskip("tofner.tagging.server")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return Tagger.load(publish_tiny(tmp_path_factory.mktemp("model")), threads=2)


@contextmanager
def serving(tagger: Any, **limits: Any) -> Iterator[tuple[int, Any]]:
    """A server on a free port and its service, while the context lasts."""
    ready = threading.Event()

    class Server(server_.Server):  # type: ignore[name-defined,misc]
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
        service = serve.Service(tagger, serve.Limits(**limits))
        server = Server(server_.configured(serve.create_app(service), service), service)
        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        try:
            assert server.started
            service.server = server
            yield int(bound.getsockname()[1]), service
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def running(tagger: Any, **limits: Any) -> Iterator[int]:
    with serving(tagger, **limits) as (port, _):
        yield port


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    return ask_all(port, path, body)[:2]


def ask_all(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read(), headers
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


REFUSED = [
    (b"{", 400, "broken JSON"),
    (b"5", 400, "record 1: JSON int"),
    (b'[{"text": "a"}, {}]', 400, "record 2: neither"),
    (b'{"text": "a"}\n{"text"', 400, "record 2: broken JSON"),
    (b'{"text": "\xff"}', 400, "not UTF-8"),
    (b'{"text": "\\ud800"}', 400, "surrogate"),
    (b"[" * 50_000, 400, ""),
    (b"[" + b",".join([b'{"text": ""}'] * 51) + b"]", 413, "51 records"),
    (b'{"text": "' + b"x" * 200_000 + b'"}', 413, "100000 bytes"),
    (b'{"text": "a", "x": NaN}', 400, "NaN, which is no JSON"),
]


@pytest.mark.parametrize(("body", "status", "said"), REFUSED)
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
    """A tagger that answers when it is released, at the latest when the context ends; `entered`: a slice reached it."""

    def __init__(self, tagger: Tagger, threads: int = 1) -> None:
        self.tagger, self.threads, self.model = tagger, threads, tagger.model
        self.entered, self.released = threading.Event(), threading.Event()
        self.groups: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tagger, name)

    def tag_group(self, group: list[Any]) -> Any:
        self.groups.append([words.text for words in group])
        self.entered.set()
        self.released.wait()
        return self.tagger.tag_group(group)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *exc: object) -> None:
        self.released.set()


def slow(service: Any, words_per_s: float = 1.0) -> None:
    """The service knows itself to be slow."""
    service.turns.rate.words, service.turns.rate.seconds = words_per_s, 1.0


def gauge(port: int) -> str:
    lines = ask(port, "/metrics")[1].decode().splitlines()
    return next(line for line in lines if line.startswith("tofner_queue_words "))


def test_whoever_would_wait_too_long_is_refused_and_the_request_in_hand_is_answered(tagger: Tagger) -> None:
    held = Held(tagger)
    with serving(held, timeout_s=600.0, wait_s=2.0) as (port, service), ThreadPoolExecutor(1) as pool, held:
        slow(service)
        first = pool.submit(ask, port, "/tag", b'{"text": "a b c"}')
        until(held.entered.is_set)
        assert gauge(port) == "tofner_queue_words 3.0"
        status, body, headers = ask_all(port, "/tag", b'{"text": "d e"}')
        assert (status, headers["retry-after"]) == (503, "3")
        assert json.loads(body) == {"error": "too much text is waiting; try again in 3 s"}
        assert ask(port, "/ready")[0] == 503
        assert ask(port, "/health")[0] == 200
        held.released.set()
        assert first.result()[0] == 200
        assert ask(port, "/ready")[0] == 200
        slow(service)
        assert ask(port, "/tag", b'{"text": "d e"}')[0] == 200
        assert gauge(port) == "tofner_queue_words 0.0"
        assert held.groups == [["a b c"], ["d e"]]


def test_a_large_body_is_refused_before_it_is_read(tagger: Tagger) -> None:
    held = Held(tagger)
    with serving(held, timeout_s=600.0, wait_s=2.0) as (port, service), ThreadPoolExecutor(1) as pool, held:
        slow(service)
        first = pool.submit(ask, port, "/tag", b'{"text": "a b c"}')
        until(held.entered.is_set)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")  # and no body
            assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
        held.released.set()
        assert first.result()[0] == 200


def test_more_than_can_be_done_in_time_is_refused_as_too_much(tagger: Tagger) -> None:
    with serving(tagger, timeout_s=30.0, wait_s=30.0) as (port, service):
        slow(service, 2.0)
        assert ask(port, "/tag", json.dumps({"text": "a " * 60}).encode())[0] == 200
        slow(service, 2.0)
        status, body = ask(port, "/tag", json.dumps({"text": "a " * 70}).encode())
        assert (status, json.loads(body)["error"]) == (413, "about 35 s of work; at most 30 s, in several requests")
        slow(service, 2.0)
        assert ask(port, "/ready")[0] == 200


def test_a_request_that_gets_no_answer_ends_with_504_and_leaves_nothing(tagger: Tagger) -> None:
    held = Held(tagger)
    with serving(held, timeout_s=0.05, wait_s=1e9) as (port, service), held:
        slow(service, 1e9)
        status, body = ask(port, "/tag", b'{"text": "a b c"}')
        assert (status, json.loads(body)["error"]) == (504, "no answer within 0.05 s")
        assert gauge(port) == "tofner_queue_words 0.0"


def test_a_client_that_goes_away_takes_its_work_with_it(tagger: Tagger) -> None:
    held = Held(tagger)
    with serving(held, timeout_s=600.0) as (port, service), ThreadPoolExecutor(1) as pool, held:
        first = pool.submit(ask, port, "/tag", b'{"text": "a b c"}')
        until(held.entered.is_set)
        body = b'{"text": "nobody waits"}'
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            until(lambda: service.turns.words == 5)
        until(lambda: service.turns.words == 3)
        held.released.set()
        assert first.result()[0] == 200
        assert held.groups == [["a b c"]]


def until(there: Callable[[], bool]) -> None:
    """Waits for what another thread will do, for far longer than it needs."""
    for _ in range(5_000):
        if there():
            return
        threading.Event().wait(0.002)
    raise AssertionError("it did not happen")


def test_equal_requests_at_the_same_time_get_equal_answers(tagger: Tagger) -> None:
    """Requests are told apart by who sent them, and not by what is in them."""
    held = Held(tagger)
    body = b'{"text": "Angela Merkel met Obama in New York"}'
    with serving(held, timeout_s=600.0) as (port, service), ThreadPoolExecutor(25) as pool, held:
        expected = pool.submit(ask, port, "/tag", body)
        until(held.entered.is_set)
        others = [pool.submit(ask, port, "/tag", body) for _ in range(24)]
        until(lambda: len(service.turns.requests) == 25)
        held.released.set()
        assert expected.result()[0] == 200
        assert [one.result() for one in others] == [expected.result()] * 24


def test_a_small_request_answers_the_same_after_every_odd_one(port: int) -> None:
    small = b'{"text": "Angela Merkel met Obama in New York", "n": 1.50}'
    expected = ask(port, "/tag", small)
    assert expected[0] == 200

    def cancelled(body: bytes, sent: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            head = b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall((head + body)[: len(head) + sent])

    odd: list[Callable[[], object]] = [
        *(lambda body=body: ask(port, "/tag", body) for body, *_ in REFUSED),
        lambda: ask(port, "/tag", json.dumps({"text": "New York " * 9000}).encode()),
        lambda: ask(port, "/tag", json.dumps({"tokens": ["x" * 50_000, "", "\u200b"]}).encode()),
        lambda: ask(port, "/tag", b""),
        lambda: ask(port, "/tag"),
        lambda: ask(port, "/tag/../..", b"x"),
        lambda: cancelled(small, 10),
        lambda: cancelled(json.dumps({"text": "New York " * 9000}).encode(), 90_000),
        lambda: cancelled(small, len(small)),
    ]
    for one in odd:
        one()
        assert ask(port, "/tag", small) == expected


def test_records_are_passed_on_as_they_were_written(port: int, tagger: Tagger) -> None:
    """What Python would write otherwise: large and long numbers, half a surrogate pair, the order of equal names."""
    found = json.dumps([entity.as_record() for entity in tagger.tag(["New York"])[0]], ensure_ascii=False)
    long = "9" * 5000
    one = '{"a": 1e400, "b":1.50,"c": "\\ud800", "entities" : [{"x": 1}], "text": "New York", "a": ' + long + "}"
    same = '{"a": 1e400, "b":1.50,"c": "\\ud800", "text": "New York", "a": ' + long + f', "entities": {found}}}'
    assert ask(port, "/tag", f" {one}\n".encode()) == (200, same.encode())
    assert ask(port, "/tag", f"[{one} ,{one}]".encode()) == (200, f"[{same}, {same}]".encode())
    assert ask(port, "/tag", f"{one}\r\n{one}".encode()) == (200, f"{same}\n{same}\n".encode())


def test_a_connection_that_sends_no_headers_is_closed(tagger: Tagger) -> None:
    with running(tagger, header_s=0.05) as port:
        for begun in (b"", b"POST /tag HTTP/1.1\r\nHo"):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(begun)
                assert connection.recv(10) == b"", "closed"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:  # also in its second request
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = connection.recv(1000)
            connection.sendall(b"GET /hea")
            while more := connection.recv(1000):
                answer += more
            assert answer.count(b"alive") == 1
        assert ask(port, "/health")[0] == 200


def test_a_body_that_does_not_come_ends_with_408(tagger: Tagger) -> None:
    with (
        running(tagger, timeout_s=0.05) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        connection.sendall(b"POST /tag HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        answer = b""
        while more := connection.recv(1000):
            answer += more
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_after_a_signal_not_ready_then_what_is_in_hand_is_answered(tagger: Tagger) -> None:
    held = Held(tagger)
    with (
        serving(held, timeout_s=600.0, drain_s=1e6) as (port, service),
        ThreadPoolExecutor(1) as pool,
        held,
    ):
        first = pool.submit(ask, port, "/tag", b'{"text": "a b c"}')
        until(held.entered.is_set)
        service.server.handle_exit(signal.SIGTERM, None)
        until(lambda: service.draining)
        status, body = ask(port, "/ready")
        assert (status, json.loads(body)) == (503, {"error": "the service ends"})
        second = pool.submit(ask, port, "/health")
        held.released.set()
        assert (first.result()[0], second.result()[0]) == (200, 200), "it listens while others learn of it"
        assert not service.server.should_exit


def test_a_second_signal_tells_whoever_waits(tagger: Tagger) -> None:
    held = Held(tagger)
    with serving(held, timeout_s=600.0) as (port, service), ThreadPoolExecutor(2) as pool, held:
        waiting = [pool.submit(ask, port, "/tag", b'{"text": "a b c"}') for _ in range(2)]
        until(lambda: len(service.turns.requests) == 2)
        service.server.handle_exit(signal.SIGINT, None)
        service.server.handle_exit(signal.SIGINT, None)
        assert [one.result()[0] for one in waiting] == [503, 503]
        assert all("ends" in json.loads(one.result()[1])["error"] for one in waiting)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_its_address_and_ends_with_0_when_it_is_told_to(
    number: signal.Signals, tmp_path: Path, free_port: int
) -> None:
    publish_tiny(tmp_path)
    code = "import sys; from tofner.cli import main; sys.argv[1:] = sys.argv[2:]; main()"
    command = ["serve", "--model", str(tmp_path), "--port", str(free_port), "--threads", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", code, "-", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            until(lambda: server.poll() is not None or is_ready(free_port))
            assert ask(free_port, "/tag", b'{"text": "a"}')[0] == 200
            server.send_signal(number)
            said, _ = server.communicate()
        finally:
            server.kill()
    address = f"http://127.0.0.1:{free_port}/tag"
    assert (server.returncode, said.decode()) == (0, f"ready: {tmp_path} at {address}\n")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int) -> bool:
    try:
        return ask(port, "/ready")[0] == 200
    except OSError:
        return False


def test_an_address_that_cannot_be_listened_on_is_told(tagger: Tagger) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PassingFault, match="another process listens there"):
            serve.serve(tagger, "127.0.0.1", taken.getsockname()[1])
    for host, port in (("127.0.0.1", 80800), ("256.0.0.1", 80), ("203.0.113.1", 8080)):
        with pytest.raises(BadSettings, match=f"{host}:{port}"):
            serve.serve(tagger, host, port)


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_pod_that_is_stopped_while_its_model_is_fetched_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals, code: int
) -> None:
    """As process 1 Python has no action for SIGTERM of its own: without one the kubelet would wait, then kill."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}

    def fetch(*_: object, **__: object) -> None:
        assert signal.getsignal(number) not in (before[number], signal.SIG_DFL)
        signal.raise_signal(number)

    monkeypatch.setattr("tofner.tagging.Tagger.load", fetch)
    monkeypatch.setattr(serve, "serve", lambda *_: pytest.fail("it was stopped"))
    monkeypatch.setattr(sys, "argv", ["tofner", "serve", "--model", "s3://bucket/model"])
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr("tofner.child._leaving", [])
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
        assert capsys.readouterr().err.count(f"tofner: stopped by {number.name}") == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in before.items():
            signal.signal(one, handler)

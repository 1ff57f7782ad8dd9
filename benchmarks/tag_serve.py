"""The service under load: requests/s, p50 and p99 beside the engine's own throughput.

    python benchmarks/tag_serve.py --model FOLDER --data FILE.conll.gz [--clients 16] [--requests 2000] [--precision
    int8]

Each client keeps one connection and sends one text a request, the next when the answer is there. Server and clients
share the machine, as a sidecar would.
"""

import argparse
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tag import read_texts

_SERVER = """
import sys
from tofner.tagging import Tagger
from tofner.tagging.serve import serve
serve(Tagger.load(sys.argv[1], sys.argv[2], int(sys.argv[4])), "127.0.0.1", int(sys.argv[3]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(port: int, within_s: float = 60.0) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the service did not become ready")


def client(port: int, texts: list[str], times: list[float], failures: list[int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for text in texts:
        start = time.perf_counter()
        connection.request("POST", "/tag", json.dumps({"text": text}).encode())
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - start)
        if answer.status != 200:
            failures.append(answer.status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    from tofner.tagging import Tagger

    read = read_texts(given.data, given.requests)
    texts = (read * -(-given.requests // len(read)))[: given.requests]
    words = sum(len(text.split()) for text in texts)
    with Tagger.load(given.model, given.precision, given.threads) as tagger:
        tagger.tag(texts[:50])
        start = time.perf_counter()
        tagger.tag(texts)
        alone = time.perf_counter() - start
    port = free_port()
    arguments = [str(given.model), given.precision, str(port), str(given.threads)]
    server = subprocess.Popen([sys.executable, "-c", _SERVER, *arguments])
    try:
        wait_ready(port)
        times: list[float] = []
        failures: list[int] = []
        parts = [texts[i :: given.clients] for i in range(given.clients)]
        threads = [threading.Thread(target=client, args=(port, part, times, failures)) for part in parts]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()
    times.sort()
    middle, late = (times[min(len(times) - 1, int(len(times) * q))] * 1000 for q in (0.5, 0.99))
    print(f"engine: {len(texts) / alone:.0f} texts/s, {words / alone:.0f} words/s")
    print(
        f"service, {given.clients} clients: {len(texts) / took:.0f} requests/s, {words / took:.0f} words/s, "
        f"p50 {middle:.0f} ms, p99 {late:.0f} ms, {len(failures)} failed"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""The service at its peak, at 80 % and at 300 % of it: goodput, statuses, p50, p99, memory of the server.

    python benchmarks/serve_load.py --model FOLDER --data FILE.conll.gz [--seconds 30] [--precision int8]

The peak is what 16 clients get who each send the next request when the answer is there. Then requests come at a rate of
their own, however the service does (an open loop): a client that waits would hide an overload. Connections are used
again, as proxies and load generators do. The service has the first half of this machine's cores and a thread for each,
the clients have the other half (Linux): three times the load is three times the clients' work, which must not be taken
from the service.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tag import read_texts
from tag_serve import _SERVER, free_port, wait_ready

_CLIENTS = 16
_MOST_OPEN = 512  # requests on their way at once
_TIMEOUT_S = 60


@dataclass
class Seen:
    """What came back: seconds of good answers, and how often each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: str, seconds: float) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status == "200":
                self.seconds.append(seconds)


_own = threading.local()  # the connection of a thread


def ask(port: int, body: bytes, seen: Seen) -> None:
    start = time.perf_counter()
    try:
        if getattr(_own, "connection", None) is None:
            _own.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        _own.connection.request("POST", "/tag", body)
        answer = _own.connection.getresponse()
        answer.read()
        status = str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        status, _own.connection = type(error).__name__, None
    seen.add(status, time.perf_counter() - start)


def at_rate(port: int, bodies: list[bytes], rate: float, seconds: float) -> tuple[Seen, float]:
    """Send `rate` requests a second for `seconds`; returns what came back and the time until the last answer."""
    seen = Seen()
    start = time.perf_counter()
    with ThreadPoolExecutor(_MOST_OPEN) as pool:
        for number in range(int(rate * seconds)):
            wait = start + number / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            pool.submit(ask, port, bodies[number % len(bodies)], seen)
    return seen, time.perf_counter() - start


def peak(port: int, bodies: list[bytes]) -> float:
    """Good answers a second of clients that wait for theirs."""
    seen = Seen()
    start = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for body in bodies:
            pool.submit(ask, port, body, seen)
    return len(seen.seconds) / (time.perf_counter() - start)


def memory_mib(pid: int) -> int:
    """Resident memory of a process (Linux)."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:")) // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.8, 3.0], help="as shares of the peak")
    given = parser.parse_args()
    texts = read_texts(given.data, 2000)
    bodies = [json.dumps({"text": text}).encode() for text in texts]
    port = free_port()
    cores = sorted(os.sched_getaffinity(0))
    half = max(1, len(cores) // 2)
    arguments = [str(given.model), given.precision, str(port), str(half)]
    os.sched_setaffinity(0, cores[:half])
    server = subprocess.Popen([sys.executable, "-c", _SERVER, *arguments])
    os.sched_setaffinity(0, cores[half:] or cores)
    try:
        wait_ready(port)
        best = peak(port, bodies)
        place = f"server on {half} of {len(cores)} cores, {memory_mib(server.pid)} MiB"
        print(f"peak: {best:.0f} good answers/s of {_CLIENTS} clients, {place}", flush=True)
        for share in given.rates:
            seen, took = at_rate(port, bodies, share * best, given.seconds)
            times = sorted(seen.seconds) or [float("nan")]
            middle, late = (times[min(len(times) - 1, int(len(times) * q))] * 1000 for q in (0.5, 0.99))
            told = ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items()))
            print(
                f"{share:.0%}: {len(seen.seconds) / took:.0f} good answers/s ({len(seen.seconds) / took / best:.0%} of "
                f"the peak), p50 {middle:.0f} ms, p99 {late:.0f} ms, {told}, server {memory_mib(server.pid)} MiB"
            )
    finally:
        server.terminate()
        ended = server.wait()
    print(f"exit code after SIGTERM: {ended}")
    return 0 if ended == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

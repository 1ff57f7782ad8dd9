"""The HTTP server around the service: connections that send nothing are closed, and a signal ends it in order."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tofner.logs import tell

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from tofner.tagging.serve import Service

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_MORE_S = 2.0  # beside a request's own time, until whoever still waits is told


def protocol(header_s: float) -> type[H11Protocol]:
    """uvicorn's HTTP/1.1 with a limit on the time that headers may take; it has one between requests only."""

    class Protocol(H11Protocol):
        waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._wait()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            if self.waiting is None:
                self.waiting = self.loop.call_later(header_s, self.timeout_keep_alive_handler)

        def _stop_waiting(self) -> None:
            if self.waiting is not None:
                self.waiting.cancel()
                self.waiting = None

    return Protocol


class Server(uvicorn.Server):
    """uvicorn's server, which ends with 0 after a signal instead of by the signal."""

    def __init__(self, config: uvicorn.Config, service: "Service") -> None:
        super().__init__(config)
        self.service = service
        self.signals = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain; the second ends it, and tells who waits."""
        self.signals += 1
        loop = self.loop
        if loop is None:  # it has not begun
            self.should_exit = True
        else:
            loop.call_soon_threadsafe(self._end)

    loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started and not self.should_exit:
            for one in sockets or ():
                host, port = one.getsockname()[:2]
                address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
                tell(f"ready: {self.service.tagger.model.uri} at {address}/tag", address=address)

    def _end(self) -> None:
        self.service.draining = True
        if self.signals > 1:
            self.should_exit = True
            self._tell()
        else:
            assert self.loop is not None
            self.loop.call_later(self.service.limits.drain_s, self._listen_no_more)

    def _listen_no_more(self) -> None:
        self.should_exit = True

    def _tell(self) -> None:
        if self.service.turns is not None:
            self.service.turns.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nothing new; what is in hand is answered, by 503 when its time is over."""
        timer = asyncio.get_running_loop().call_later(self.service.limits.timeout_s + _MORE_S, self._tell)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


def configured(app: "Starlette", service: "Service", **more: Any) -> uvicorn.Config:
    """How uvicorn serves the app."""
    limits = service.limits
    grace = int(limits.timeout_s + 2 * _MORE_S) + 1
    http = protocol(limits.header_s)
    return uvicorn.Config(
        app, http=http, ws="none", log_level="warning", timeout_graceful_shutdown=grace, lifespan="on", **more
    )


def run(app: "Starlette", bound: socket.socket, service: "Service") -> None:
    """Serve on a bound socket until a signal."""
    Server(configured(app, service), service).run([bound])

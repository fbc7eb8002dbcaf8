"""The two listeners of a process, traffic and management, and how they end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from demo_shop.frame.frame import Frame

_KEEP_ALIVE_S: Final = 75  # above what proxies keep (60 s): the proxy, not we, must end an idle connection
_LAST_ANSWERS_S: Final = 15
_ACCEPTED_PER_TURN: Final = 16
_HEADERS_WITHIN_S: Final = 10.0
_MOST_UNFINISHED_HEADER_BYTES: Final = 64 * 1024
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose headers never end, in bytes or in time."""

    _unfinished_bytes = 0
    _reading_headers = True
    _hurry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry = self.loop.call_later(_HEADERS_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._reading_headers and not self.transport.is_closing():
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > _MOST_UNFINISHED_HEADER_BYTES:
                self.transport.write(_TOO_LONG)
                self.transport.close()

    def on_message_begin(self) -> None:
        self._reading_headers, self._unfinished_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._reading_headers = False
        self._rest()
        super().on_headers_complete()

    def _give_up(self) -> None:
        if self._reading_headers and not self.transport.is_closing():
            self.transport.close()

    def _rest(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None


class _Server(uvicorn.Server):
    """Leaves the signals to us: two servers share one process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(frame: Frame, traffic: ASGIApp) -> None:
    """Serves until SIGTERM or SIGINT, then drains for `drain_s` and waits for the last answers."""
    settings = frame.settings
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with frame.running():
        servers = [
            _Server(_config(traffic, settings.host, settings.port)),
            _Server(_config(frame.management(), settings.host, settings.management_port)),
        ]
        frame.drain.count_connections_with(lambda: len(servers[0].server_state.connections))
        running = [asyncio.create_task(server.serve(sockets=listeners(server.config))) for server in servers]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            frame.log.info("stopping", drain_s=settings.drain_s)
            frame.drain.start_stopping(frame.clock())
            await asyncio.sleep(settings.drain_s)
        for server, task in zip(servers, running, strict=True):
            server.should_exit = True
            await task
        stopped.cancel()


def listeners(config: uvicorn.Config) -> list[socket.socket]:
    """The port's socket and copies of it, each of which takes one new connection per turn of the event loop.

    libuv takes no more than one per turn and socket (libuv/libuv#3696). With one socket, a busy loop left clients with
    new connections waiting for seconds where neither admission nor any metric sees them.
    """
    first = config.bind_socket()
    return [first, *(first.dup() for _ in range(_ACCEPTED_PER_TURN - 1))]


def _config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )

"""A small HTTP server that answers what a test tells it to: pods' management ports, Patroni's REST API."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    body: Any
    authorization: str | None

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class FakeHttp:
    """`answer` gets each request and says status and JSON. `hang` lets requests wait until the end of the test."""

    answer: Callable[[Asked], tuple[int, Any]] = lambda asked: (200, {})
    asked: list[Asked] = field(default_factory=list)
    hang: bool = False
    port: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]

    def end(self) -> None:
        self._over.set()

    def wait(self) -> None:
        self._over.wait(30.0)


@contextlib.contextmanager
def serving(host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeHttp]:
    fake = FakeHttp()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length) if length else b""
            asked = Asked(self.command, self.path, json.loads(raw) if raw else None, self.headers.get("Authorization"))
            fake.asked.append(asked)
            if fake.hang:
                self.close_connection = True
                return fake.wait()
            status, body = fake.answer(asked)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Tests read `asked`."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads, server.block_on_close = True, False
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.end()
        server.shutdown()
        server.server_close()
        thread.join()

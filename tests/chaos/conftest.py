"""A shop made of one handler, for tests of the load: slow, refusing or dead as the test wants it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest

PRODUCTS = 200


@dataclass
class FakeShop:
    """What the test tells the shop, and what the shop saw."""

    url: str = ""
    page_delay_s: float = 0.0
    connections: int = 0
    #: The answer to the n-th sending (from 1) of an order: status and body.
    order_answer: Callable[[int], tuple[int, dict]] = field(
        default=lambda n: (201, {"state": "confirmed", "total_cents": 500})
    )
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sendings: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bodies: dict[str, list[dict]] = field(default_factory=lambda: defaultdict(list))
    carts: count = field(default_factory=lambda: count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, headers: dict[str, str], body: dict) -> tuple[int, dict]:
        with self.lock:
            self.paths.append(f"{method} {path}")
            self.headers.append(headers)
            if path == "/api/v1/categories":
                return 200, {"items": [{"slug": "lamps", "name": "Lamps", "count": 7}]}
            if path.startswith("/api/v1/products?"):
                best = [{"id": product, "name": f"Brass Reading Lamp {product}"} for product in range(1, 101)]
                return 200, {"items": best, "total": PRODUCTS}
            if path == "/api/v1/carts":
                return 201, {"cart_id": f"cart-{next(self.carts)}"}
            if path == "/api/v1/orders":
                key = headers["idempotency-key"]
                self.sendings[key] += 1
                self.bodies[key].append(body)
                status, answer = self.order_answer(self.sendings[key])
                return status, {"id": f"order-of-{key}", **answer} if status < 300 else answer
            if path.startswith("/api/v1/carts/"):
                return 200, {"lines": [], "total_cents": 500}
        time.sleep(self.page_delay_s)
        return 200, {}


@pytest.fixture
def fake_shop() -> Iterator[FakeShop]:
    shop = FakeShop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def setup(self) -> None:
            super().setup()
            shop.connections += 1

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size) or b"{}")
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answered = shop.answer(self.command, self.path, headers, body)
            text = json.dumps(answered).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:  # clients that hang up are part of the tests
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        shop.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield shop
        finally:
            server.shutdown()
            thread.join()

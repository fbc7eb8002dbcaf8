"""The HTTP server of a replica: numbers, health, probes and decisions, each answered from memory."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from foresail.telemetry.health import Verdict

log = logging.getLogger("foresail.telemetry")

_MOST_DECISIONS = 500


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served. All are called in worker threads, and must not wait for anybody."""

    registry: CollectorRegistry
    health: Callable[[], Verdict]
    readiness: Callable[[], Verdict]
    probes: Callable[[], Any]  # a JSON value
    decisions: Callable[[str | None, int], list[dict[str, Any]]]  # of a workload, at most so many


class TelemetryServer:
    """Serves in a thread with an event loop of its own: nothing that a tick or kopf does can keep it from answering."""

    def __init__(self, pages: Pages, port: int, host: str | None = None) -> None:
        """`host` None: all addresses. Port 0: any free one, see `port` after `start`."""
        self._pages, self._host = pages, host
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._problem: Exception | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="foresail-http", daemon=True)

    def start(self, timeout_s: float = 10.0) -> None:
        """Returns when it listens; raises `OSError` when it cannot."""
        self._thread.start()
        self._started.wait(timeout_s)
        if self._problem is not None:
            raise self._problem

    def stop(self, timeout_s: float = 5.0) -> None:
        if self._thread.is_alive() and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            log.exception("telemetry_server_failed")
            self._problem = error
        finally:
            self._loop.close()
            self._started.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        runner = web.AppRunner(self._app(), access_log=None, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application()
        pages = self._pages
        app.router.add_get("/metrics", _answering(lambda request: _metrics(pages.registry)))
        app.router.add_get("/healthz", _answering(lambda request: _verdict(pages.health())))
        app.router.add_get("/readyz", _answering(lambda request: _verdict(pages.readiness())))
        app.router.add_get("/probes", _answering(lambda request: _json(pages.probes())))
        app.router.add_get("/decisions", _answering(self._decisions))
        return app

    def _decisions(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "100")
        if not text.isdecimal() or not 0 < int(text) <= _MOST_DECISIONS:
            return _json({"error": f"limit is {text!r}, but must be from 1 to {_MOST_DECISIONS}"}, 400)
        return _json(self._pages.decisions(request.query.get("workload"), int(text)))


def _answering(make: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Made in a worker thread: thousands of series take tens of milliseconds, and health must not wait for them."""

    async def answer(request: web.Request) -> web.Response:
        return await asyncio.to_thread(make, request)

    return answer


def _metrics(registry: CollectorRegistry) -> web.Response:
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _verdict(verdict: Verdict) -> web.Response:
    return _json(verdict.as_json(), 200 if verdict.ok else 503)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value), status=status, content_type="application/json")

"""Calls to other services: deadlines, retries and hedged calls within budgets, failover between addresses."""

from __future__ import annotations

import asyncio
import json as json_text
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import aiohttp

from demo_shop.frame import context
from demo_shop.frame.budgets import CallBudget, LatencyWindow
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import UpstreamUnavailable

Method = Literal["GET", "POST", "PUT", "DELETE"]

_MOST_TRIES: Final = 3
_CONNECTION_LIFETIME_S: Final = 30.0  # so that new pods get their share and drained ones lose theirs
_TRY_AGAIN: Final = frozenset({502, 503, 504})
_AVOID_S: Final = 1.0  # an address that just failed is left alone so long, while there are others


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said. `json` is None for an empty or unreadable body."""

    status: int
    json: Any
    headers: Mapping[str, str]

    @property
    def problem_code(self) -> str | None:
        """The `code` of a problem+json answer."""
        return self.json.get("code") if self.status >= 400 and isinstance(self.json, dict) else None


class _NotSent(Exception):
    """No connection: the service cannot have seen the call."""


class _NoAnswer(Exception):
    """The call was sent, and no answer came."""


class Upstream:
    """One service that we call, at one address or several."""

    def __init__(
        self, role: str, addresses: Sequence[str], metrics: Metrics, *, rng: random.Random | None = None
    ) -> None:
        self.role = role
        self._addresses, self._metrics, self._rng = tuple(addresses), metrics, rng or random.Random()
        self._turn = 0
        self._failed_at_s: dict[str, float] = {}
        self._retries = CallBudget(share=0.1, least=10)
        self._hedges = CallBudget(share=0.05)
        self._latencies = LatencyWindow()
        self._session: aiohttp.ClientSession | None = None
        self._session_since_s = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, path: str, **options: Any) -> Answer:
        """Options as `call`."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        """Options as `call`; sent again after an uncertain failure only with `idempotent=True`."""
        return await self.call("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Answer:
        """Options as `call`."""
        return await self.call("PUT", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """Options as `call`."""
        return await self.call("DELETE", path, **options)

    async def call(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 2.0,
        patience_s: float = 0.0,
        hedge: bool = False,
        idempotent: bool | None = None,
    ) -> Answer:
        """The service's answer, whatever its status.

        `timeout_s` bounds each try, the request's own deadline bounds all. Idempotent calls are made again up to twice
        within the retry budget; with `patience_s` any call that the service cannot have seen, and every idempotent one,
        is made again until that time has passed (a service that restarts). `hedge` makes a second GET when the first
        is slower than most. Raises `UpstreamUnavailable`.
        """
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        until_s = self._until_s(start_s, max(timeout_s, patience_s))
        repeatable = method != "POST" if idempotent is None else idempotent
        body = None if json is None else _encoded(json)
        self._retries.note_call(start_s)
        self._hedges.note_call(start_s)
        tries = 0
        while True:
            tries += 1
            left_s = until_s - loop.time()
            if left_s <= 0:
                raise UpstreamUnavailable(self.role, "no time left to ask")
            one = self._one_try(method, path, params, body, headers, min(timeout_s, left_s))
            try:
                answer = await (self._hedged(one, method, path, params, headers, timeout_s) if hedge else one)
            except (_NotSent, _NoAnswer) as error:
                again, why = repeatable or isinstance(error, _NotSent), str(error)
            else:
                if answer.status not in _TRY_AGAIN or not repeatable:
                    return answer
                again, why = True, f"status {answer.status}"
                if not self._may_try_again(tries, patience_s, start_s):
                    return answer
            if not again or not self._may_try_again(tries, patience_s, start_s):
                raise UpstreamUnavailable(self.role, why)
            self._metrics.client_retries.labels(self.role, "retry").inc()
            await asyncio.sleep(min(0.5, 0.02 * 2.0**tries) * self._rng.uniform(0.5, 1.0))

    def _until_s(self, start_s: float, span_s: float) -> float:
        deadline_s = context.deadline_s.get()
        return start_s + span_s if deadline_s is None else min(deadline_s, start_s + span_s)

    def _may_try_again(self, tries: int, patience_s: float, start_s: float) -> bool:
        now_s = asyncio.get_running_loop().time()
        if patience_s > 0.0:
            return now_s < start_s + patience_s
        if tries >= _MOST_TRIES:
            return False
        if not self._retries.take(now_s):
            self._metrics.client_retries.labels(self.role, "refused").inc()
            return False
        return True

    async def _hedged(
        self,
        first: Coroutine[Any, Any, Answer],
        method: Method,
        path: str,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str] | None,
        timeout_s: float,
    ) -> Answer:
        """The quicker of two calls; the second starts when the first is slower than 95 % and the budget allows."""
        slow_s = self._latencies.quantile_s(0.95)
        running = asyncio.ensure_future(first)
        if slow_s is None:
            return await running
        try:
            done, _ = await asyncio.wait({running}, timeout=max(0.02, slow_s))
            if done or not self._hedges.take(asyncio.get_running_loop().time()):
                return await running
            self._metrics.client_retries.labels(self.role, "hedge").inc()
            second = asyncio.ensure_future(self._one_try(method, path, params, None, headers, timeout_s))
        except asyncio.CancelledError:
            running.cancel()
            raise
        return await _first_good(running, second)

    async def _one_try(
        self,
        method: Method,
        path: str,
        params: Mapping[str, str | int] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        timeout_s: float,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        address, begun_s, status = self._next_address(loop.time()), time.perf_counter(), 0
        try:
            async with self._open_session(loop.time()).request(
                method,
                address + path,
                params=params,
                data=body,
                headers=_travelling_headers(headers, body, timeout_s),
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=1.0),
                allow_redirects=False,
            ) as response:
                text = await response.read()
                status = response.status
                self._failed_at_s.pop(address, None)
                return Answer(status, _decoded(text), response.headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._failed_at_s[address] = loop.time()
            raise _NotSent(f"{address}: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _NoAnswer(f"{address}: {type(error).__name__} {error}".rstrip()) from error
        finally:
            took_s = time.perf_counter() - begun_s
            if status:
                self._latencies.note(took_s)
            self._metrics.client_duration_s.labels(self.role, method, str(status)).observe(took_s)

    def _next_address(self, now_s: float) -> str:
        """Round robin over the addresses that did not just fail."""
        for _ in self._addresses:
            self._turn += 1
            address = self._addresses[self._turn % len(self._addresses)]
            if now_s - self._failed_at_s.get(address, float("-inf")) > _AVOID_S:
                return address
        return self._addresses[self._turn % len(self._addresses)]

    def _open_session(self, now_s: float) -> aiohttp.ClientSession:
        if self._session is not None and now_s - self._session_since_s > _CONNECTION_LIFETIME_S:
            self._close_later(self._session)
            self._session = None
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=128, keepalive_timeout=20.0, ttl_dns_cache=5)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
            self._session_since_s = now_s
        return self._session

    def _close_later(self, session: aiohttp.ClientSession) -> None:
        """Lets the calls under way on the old connections finish."""

        async def close() -> None:
            try:
                await asyncio.sleep(20.0)
            finally:
                await session.close()

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        closing = list(self._closing)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


async def _first_good(first: asyncio.Future[Answer], second: asyncio.Future[Answer]) -> Answer:
    """The first of two calls that succeeded; when both failed, what the last one said."""
    waiting = {first, second}
    try:
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            good = [call for call in done if call.exception() is None]
            if good or not waiting:
                return (good or list(done))[0].result()
    finally:
        for call in waiting:
            call.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _travelling_headers(own: Mapping[str, str] | None, body: bytes | None, timeout_s: float) -> dict[str, str]:
    """The caller's headers and what travels with the request."""
    headers = dict(own or {})
    if body is not None:
        headers["Content-Type"] = "application/json"
    for name, variable in (
        ("X-Request-Id", context.request_id),
        ("X-Priority", context.priority),
        ("X-Synthetic", context.synthetic),
    ):
        if (value := variable.get()) is not None:
            headers[name] = value
    headers["X-Timeout-Ms"] = str(max(1, int(timeout_s * 1000.0)))
    return headers


def _encoded(value: Any) -> bytes:
    return json_text.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _decoded(text: bytes) -> Any:
    if not text:
        return None
    try:
        return json_text.loads(text)
    except ValueError:
        return None

"""The eyes of the fast lane: once a second, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import aiohttp

from foresail.objects.fast_plan import FastPlan, GatewayPod, Peer
from foresail.objects.gateway_counters import CounterSpec, GatewayMeter, Reading, metered, read_counts
from foresail.objects.probing import ProbeSettings, probe_all
from foresail.objects.vantages import (
    VantageReport,
    Vantages,
    probes_seen,
    published,
    received,
    silent_nodes,
)
from policies.model import ProbeSeen

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FastSettings:
    """period_s: between two rounds, which begin at whole periods of Unix time: all replicas look at the same moment.
    timeout_s: of a gateway's metrics page and of a peer's report. second_ask_s: where a probe failed, peers are asked
    again so much later. page_bytes: a longer page is not read. stale_s: an older look says nothing."""

    period_s: float = 1.0
    timeout_s: float = 0.8
    second_ask_s: float = 0.1
    page_bytes: int = 8 * 1024 * 1024
    stale_s: float = 3.0
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    counter: CounterSpec = field(default_factory=CounterSpec)


@dataclass(frozen=True, slots=True)
class FastLook:
    """What one round saw; fields are those of `policies.model.FastSeen`."""

    at_s: float
    probes: tuple[ProbeSeen, ...] = ()
    gateway_failed_ratio: float | None = None
    gateway_rate_rps: float | None = None
    gateway_recent_rps: dict[str, tuple[float, ...]] = field(default_factory=dict)
    silent_nodes: frozenset[str] = frozenset()


class FastWatch:
    """`plan` says what to look at and must answer at once; `others` are vantage points beside the peers in it."""

    def __init__(
        self,
        plan: Callable[[], FastPlan],
        settings: FastSettings | None = None,
        others: Vantages | None = None,
        clock: Callable[[], float] = time.time,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_look` is called from the watch's thread when a round is over."""
        self._plan = plan
        self._settings = settings or FastSettings()
        self._others = others
        self._clock = clock
        self._on_look = on_look
        self._meter = GatewayMeter()
        self._own: tuple[float, VantageReport] | None = None
        self._look: FastLook | None = None
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="fast-watch", daemon=True)

    def look(self, now_s: float) -> FastLook:
        """The newest round; one without probes where the last is too old to mean anything."""
        newest = self._look
        return FastLook(now_s) if newest is None or now_s - newest.at_s > self._settings.stale_s else newest

    def published(self, now_s: float) -> dict[str, object] | None:
        """Our own probes as a peer reads them; None before the first round."""
        own = self._own
        return None if own is None else published(own[1], max(0.0, now_s - own[0]))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None and not loop.is_closed():
            loop.call_soon_threadsafe(wake.set)
        if self._thread.is_alive():
            self._thread.join(5.0)

    def is_running(self) -> bool:
        return self._thread.is_alive()

    async def look_once(self, session: aiohttp.ClientSession) -> FastLook:
        """Probes, metrics pages and peers' reports of this second, all at once."""
        plan = self._plan()
        probing = asyncio.create_task(self._probe(plan))
        reading = asyncio.create_task(self._read_gateways(session, plan.gateways))
        asking = asyncio.create_task(self._ask_peers(session, plan.peers))
        await asyncio.gather(probing, reading, asking)
        own, reports = probing.result(), asking.result()
        if False in own.answers.values():
            reports = await self._ask_again(session, plan.peers, reports)
        at_s = self._clock()
        beside = () if self._others is None else self._others.reports(at_s)
        look = FastLook(
            at_s=at_s,
            probes=probes_seen(plan.probed, (own, *reports, *beside)),
            gateway_failed_ratio=self._meter.failed_ratio,
            gateway_rate_rps=self._meter.rate_rps,
            gateway_recent_rps=dict(self._meter.recent_rps),
            silent_nodes=silent_nodes(plan.peers, reports),
        )
        self._look = look
        return look

    async def _probe(self, plan: FastPlan) -> VantageReport:
        """Published as soon as it is known: peers wait for it."""
        answers = await asyncio.to_thread(probe_all, plan.probed, self._settings.probe)
        own = VantageReport(plan.zone, answers)
        self._own = (self._clock(), own)
        return own

    async def _read_gateways(self, session: aiohttp.ClientSession, pods: Iterable[GatewayPod]) -> None:
        asked = tuple(pods)
        found = await asyncio.gather(*(self._read(session, pod.url) for pod in asked))
        readings: dict[str, dict[str, Reading | None]] = {}
        for pod, reading in zip(asked, found, strict=True):
            readings.setdefault(pod.workload, {})[pod.pod] = reading
        self._meter = metered(self._meter, readings)

    async def _read(self, session: aiohttp.ClientSession, url: str) -> Reading | None:
        asked_at_s = self._clock()
        page = await self._page(session, url)
        answered_at_s = self._clock()
        counts = None if page is None else read_counts(page, self._settings.counter)
        return None if counts is None else Reading(counts, asked_at_s, answered_at_s)

    async def _ask_peers(self, session: aiohttp.ClientSession, peers: Iterable[Peer]) -> tuple[VantageReport, ...]:
        return tuple(await asyncio.gather(*(self._ask_peer(session, peer) for peer in peers)))

    async def _ask_again(
        self, session: aiohttp.ClientSession, peers: tuple[Peer, ...], before: tuple[VantageReport, ...]
    ) -> tuple[VantageReport, ...]:
        """What peers said at the beginning was of the round before. Those that were silent then are not waited for."""
        awake = [peer for peer, said in zip(peers, before, strict=True) if not said.silent]
        if not awake:
            return before
        await asyncio.sleep(self._settings.second_ask_s)  # their round ends when ours does, give or take
        fresh = iter(await self._ask_peers(session, awake))
        return tuple(said if said.silent or (newer := next(fresh)).silent else newer for said in before)

    async def _ask_peer(self, session: aiohttp.ClientSession, peer: Peer) -> VantageReport:
        try:
            async with session.get(peer.url) as answer:
                value = await answer.json(content_type=None) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            value = None
        return received(value, peer.zone)

    async def _page(self, session: aiohttp.ClientSession, url: str) -> str | None:
        try:
            async with session.get(url) as answer:
                if answer.status != 200:
                    return None
                body = bytearray()
                async for part in answer.content.iter_any():
                    body += part
                    if len(body) > self._settings.page_bytes:
                        return None
                return body.decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    def session(self) -> aiohttp.ClientSession:
        """Connections stay open from second to second. Proxies of the environment are passed by: these are pod IPs."""
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        return aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0), trust_env=False)

    def _run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        async with self.session() as session:
            while not self._stop.is_set():
                due_s = (self._clock() // self._settings.period_s + 1.0) * self._settings.period_s
                try:
                    await self.look_once(session)
                    self._on_look()
                except Exception:  # noqa: BLE001 - a thread that dies would leave the fast lane blind without a word
                    _log.exception("fast_watch_error")
                await self._pause(max(0.0, due_s - self._clock()))

    async def _pause(self, delay_s: float) -> None:
        assert self._wake is not None
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return

"""Start-up, liveness and readiness of one process, as values. Times are seconds of one clock that the caller chooses.

Checks run in the background, so that answering a probe costs nothing. Liveness knows no dependency: restarting this
process mends no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

#: Returns None when all is well, else a sentence; raising says the same with the exception's words.
Check = Callable[[], Awaitable[str | None]]
Clock = Callable[[], float]

CHECK_EVERY_S: Final = 1.0
CHECK_TIMEOUT_S: Final = 1.0
STALE_AFTER_S: Final = 5.0
STUCK_AFTER_S: Final = 10.0
BEAT_EVERY_S: Final = 0.5
LAG_REMEMBERED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class CheckState:
    """What a check last found. `ok` and `age_s` are None before its first result."""

    name: str
    needed: bool  # for readiness; else it is only shown
    ok: bool | None
    why: str | None
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    checks: tuple[CheckState, ...]


@dataclass(frozen=True, slots=True)
class Liveness:
    alive: bool
    beat_age_s: float
    lag_s: float  # worst lateness of the event loop within the last 30 s


@dataclass(frozen=True, slots=True)
class _Result:
    why: str | None
    at_s: float


class Health:
    """The checks of one process, their last results, and the heartbeat of its event loop."""

    def __init__(self, clock: Clock, registry: CollectorRegistry | None = None) -> None:
        self._clock = clock
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._results: dict[str, _Result] = {}
        self._vetoes: dict[str, Callable[[float], str | None]] = {}
        self._looked_at_s: float | None = None
        self._was_ready = False
        self._beat_s = clock()
        self._lags: deque[tuple[float, float]] = deque()  # (when, how late)
        if registry is not None:
            ready = Gauge("shop_ready", "1 while the process is ready", registry=registry)
            ready.set_function(lambda: float(self.readiness(self._clock()).ready))
            lag = Gauge("shop_event_loop_lag_seconds", "Worst lateness within 30 s", registry=registry)
            lag.set_function(lambda: self.liveness(self._clock()).lag_s)

    def ready_when(self, name: str, check: Check) -> None:
        """The process is ready only while the check finds nothing wrong."""
        self._add(name, check, needed=True)

    def report_when(self, name: str, check: Check) -> None:
        """The check is shown; what it finds makes nothing unready."""
        self._add(name, check, needed=False)

    def unready_while(self, veto: Callable[[float], str | None], name: str = "drain") -> None:
        """`veto(now_s)` says at once, without a check, why the process is not ready; None: it may be."""
        self._vetoes[name] = veto

    def readiness(self, now_s: float) -> Readiness:
        """Ready when every needed check was fine at most 5 s ago and nothing vetoes."""
        checks = tuple(self._state(name, needed, now_s) for name, (_, needed) in self._checks.items())
        vetoes = tuple(
            CheckState(name, True, False, why, 0.0)
            for name, veto in self._vetoes.items()
            if (why := veto(now_s)) is not None
        )
        fine = self._looked_at_s is not None and all(c.ok for c in checks if c.needed)
        return Readiness(fine and not vetoes, checks + vetoes)

    def started(self) -> bool:
        """Whether the process was ready once. Stays true from then on."""
        return self._was_ready

    def liveness(self, now_s: float) -> Liveness:
        """Alive while the event loop's heartbeat is at most 10 s old."""
        age_s = max(0.0, now_s - self._beat_s)
        recent = [lag_s for at_s, lag_s in self._lags if at_s >= now_s - LAG_REMEMBERED_S]
        return Liveness(age_s <= STUCK_AFTER_S, age_s, max(0.0, age_s - BEAT_EVERY_S, *recent))

    def beat(self, now_s: float) -> None:
        """The event loop is still turning."""
        self._lags.append((now_s, max(0.0, now_s - self._beat_s - BEAT_EVERY_S)))
        while self._lags[0][0] < now_s - LAG_REMEMBERED_S:
            self._lags.popleft()
        self._beat_s = now_s

    async def look(self) -> None:
        """Runs every check once, at the same time, each for at most 1 s."""
        await asyncio.gather(*(self._run(name, check) for name, (check, _) in self._checks.items()))
        self._looked_at_s = self._clock()
        self._was_ready = self._was_ready or self.readiness(self._looked_at_s).ready

    async def watch(self) -> None:
        """Looks every second for as long as the process runs."""
        while True:
            await self.look()
            await asyncio.sleep(CHECK_EVERY_S)

    async def keep_beating(self) -> None:
        """The heartbeat, for as long as the process runs."""
        while True:
            self.beat(self._clock())
            await asyncio.sleep(BEAT_EVERY_S)

    def _add(self, name: str, check: Check, *, needed: bool) -> None:
        if name in self._checks:
            raise ValueError(f"a check is already called {name!r}: choose another name")
        self._checks[name] = (check, needed)

    async def _run(self, name: str, check: Check) -> None:
        limit = asyncio.timeout(CHECK_TIMEOUT_S)
        try:
            async with limit:
                why = await check()
        except Exception as error:  # noqa: BLE001 - whatever a check raises is its finding, and shown as such
            why = f"no answer within {CHECK_TIMEOUT_S:g} s" if limit.expired() else f"{type(error).__name__}: {error}"
        self._results[name] = _Result(why, self._clock())

    def _state(self, name: str, needed: bool, now_s: float) -> CheckState:
        result = self._results.get(name)
        if result is None:
            return CheckState(name, needed, None, "not checked yet", None)
        age_s = max(0.0, now_s - result.at_s)
        if age_s > STALE_AFTER_S:
            return CheckState(name, needed, None, f"the last result is {age_s:.0f} s old", age_s)
        return CheckState(name, needed, result.why is None, result.why, age_s)

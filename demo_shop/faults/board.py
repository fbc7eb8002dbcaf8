"""The faults of one process: which run, how far they have come, and whether this very answer is hit.

Times are Unix seconds. Without a running fault everything here costs one look at `any_active`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from demo_shop.faults.catalogue import Catalogue, FaultName
from demo_shop.faults.fault import Ended, Fault, FaultRequest, FaultState

log = logging.getLogger("demo_shop.faults")

ShareLost = Callable[[float], Awaitable[None]]


class UnknownFault(Exception):
    """This process has no such fault; `known` are those it has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no fault {name!r} here; there are {', '.join(known)}")
        self.name, self.known = name, tuple(known)


class MagnitudeTooGreat(Exception):
    """The magnitude is beyond what the fault can be asked for."""


class FaultBoard:
    """Starts, ends and answers for the faults of one process. `seed` tells processes with equal requests apart."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Callable[[], float],
        registry: CollectorRegistry | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.catalogue = dict(catalogue)
        self.any_active = False
        self.changed = asyncio.Event()  # set at every start and stop
        self._seed = seed
        self._running: dict[FaultName, Fault] = {}
        self._rngs: dict[FaultName, random.Random] = {}
        self._ended: dict[FaultName, tuple[Fault, float, Ended]] = {}
        self._first_end_s = float("inf")
        self._share_lost: list[ShareLost] = []
        if registry is not None:
            registry.register(_FaultMetrics(self, clock))

    def start(self, name: str, request: FaultRequest, now_s: float) -> FaultState:
        """The fault runs as asked. The request that already runs changes nothing, another one replaces it.

        Raises `UnknownFault` and `MagnitudeTooGreat`.
        """
        known = self._known(name)
        facts = self.catalogue[known]
        magnitude = facts.default_magnitude if request.magnitude is None else request.magnitude
        if magnitude > facts.greatest:
            raise MagnitudeTooGreat(
                f"{magnitude:g} is too much for {known}: at most {facts.greatest:g} ({facts.meaning})"
            )
        self._retire(now_s)
        standing = self._running.get(known)
        asked = Fault(known, magnitude, request.ramp_s, request.duration_s, request.seed, now_s)
        if standing is not None and _same_request(standing, asked):
            return self.state(known, now_s)
        self._running[known] = asked
        self._rngs[known] = random.Random(f"{self._seed}/{known}/{request.seed}")
        self._ended.pop(known, None)
        self._note()
        _tell("fault started" if standing is None else "fault replaced", asked)
        return self.state(known, now_s)

    def stop(self, name: str, now_s: float) -> FaultState:
        """The fault does not run. One that did not run is left as it was. Raises `UnknownFault`."""
        known = self._known(name)
        self._retire(now_s)
        fault = self._running.pop(known, None)
        if fault is not None:
            self._end(fault, now_s, Ended.ASKED)
            self._note()
        return self.state(known, now_s)

    def stop_all(self, now_s: float) -> tuple[FaultState, ...]:
        for name in tuple(self._running):
            self.stop(name, now_s)
        return self.states(now_s)

    def level(self, name: str, now_s: float) -> float:
        """How far the fault has come, 0..1."""
        if not self.any_active:
            return 0.0
        fault = self._running.get(name)  # type: ignore[call-overload]
        return 0.0 if fault is None else fault.level(now_s)

    def magnitude(self, name: str, now_s: float) -> float:
        """Level × magnitude, in the fault's unit; 0 while it does not run."""
        if not self.any_active:
            return 0.0
        fault = self._running.get(name)  # type: ignore[call-overload]
        return 0.0 if fault is None else fault.level(now_s) * fault.magnitude

    def share_hit(self, name: str, now_s: float) -> bool:
        """Whether this one is among the share that the fault hits; drawn from the fault's own seeded numbers."""
        share = self.magnitude(name, now_s)
        return share > 0.0 and self._rngs[FaultName(name)].random() < share

    def delay_s(self, now_s: float) -> float:
        """By how much an answer is late now."""
        if not self.any_active:
            return 0.0
        self._retire(now_s)
        return self.magnitude(FaultName.SLOW_DEPENDENCY, now_s) + self.magnitude(FaultName.LATENCY_CREEP, now_s)

    def error_now(self, now_s: float) -> bool:
        """Whether this answer is an injected error."""
        return self.any_active and self.share_hit(FaultName.ERROR_BURST, now_s)

    def active(self, now_s: float) -> tuple[Fault, ...]:
        """The faults that run."""
        self._retire(now_s)
        return tuple(self._running.values())

    def state(self, name: str, now_s: float) -> FaultState:
        """The fault's latest run in this process. Raises `UnknownFault`."""
        known = self._known(name)
        self._retire(now_s)
        meaning = self.catalogue[known].meaning
        if (running := self._running.get(known)) is not None:
            return _state(running, meaning, running.level(now_s))
        if (ended := self._ended.get(known)) is not None:
            fault, stopped_at_s, because = ended
            return _state(fault, meaning, 0.0, stopped_at_s, because)
        return FaultState(known, meaning, active=False, level=0.0)

    def states(self, now_s: float) -> tuple[FaultState, ...]:
        return tuple(self.state(name, now_s) for name in self.catalogue)

    def on(self, name: str, lose_share: ShareLost) -> None:
        """`lose_share(share)` is called when the fault takes that share of what is left. For `cache_loss` alone."""
        if self._known(name) is not FaultName.CACHE_LOSS:
            raise UnknownFault(name, [FaultName.CACHE_LOSS])
        self._share_lost.append(lose_share)

    def leave_out(self, name: FaultName) -> None:
        """This process cannot be hit by the fault after all, having nothing that it could hit."""
        self.catalogue.pop(name, None)

    async def lose_share(self, share: float) -> None:
        """Lets everybody who registered lose `share` of what is left."""
        for lose in self._share_lost:
            await lose(share)

    def _known(self, name: str) -> FaultName:
        for known in self.catalogue:
            if known == name:
                return known
        raise UnknownFault(name, list(self.catalogue))

    def _retire(self, now_s: float) -> None:
        """Takes down what has run for its duration."""
        if now_s < self._first_end_s:
            return
        for fault in [f for f in self._running.values() if f.ends_at_s <= now_s]:
            del self._running[fault.name]
            self._end(fault, fault.ends_at_s, Ended.DURATION)
        self._note()

    def _end(self, fault: Fault, at_s: float, because: Ended) -> None:
        self._ended[fault.name] = (fault, at_s, because)
        _tell("fault ended", fault, because=because)

    def _note(self) -> None:
        self.any_active = bool(self._running)
        self._first_end_s = min((f.ends_at_s for f in self._running.values()), default=float("inf"))
        self.changed.set()


class _FaultMetrics(Collector):
    """Reads the board at each scrape, so that a level is never older than the scrape."""

    def __init__(self, board: FaultBoard, clock: Callable[[], float]) -> None:
        self._board, self._clock = board, clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        active = GaugeMetricFamily("shop_fault_active", "1 while the fault runs", labels=["fault"])
        level = GaugeMetricFamily("shop_fault_level", "How far the fault has come, 0 to 1", labels=["fault"])
        start = GaugeMetricFamily(
            "shop_fault_start_time_seconds", "When its latest run began, Unix time", labels=["fault"]
        )
        stop = GaugeMetricFamily(
            "shop_fault_stop_time_seconds",
            "When that run ended, Unix time; absent while it runs",
            labels=["fault"],
        )
        for state in self._board.states(self._clock()):
            active.add_metric([state.name], float(state.active))
            level.add_metric([state.name], state.level)
            if state.started_at is not None:
                start.add_metric([state.name], state.started_at)
            if state.stopped_at is not None:
                stop.add_metric([state.name], state.stopped_at)
        yield from (active, level, start, stop)


def _same_request(standing: Fault, asked: Fault) -> bool:
    return (standing.magnitude, standing.ramp_s, standing.duration_s, standing.seed) == (
        asked.magnitude,
        asked.ramp_s,
        asked.duration_s,
        asked.seed,
    )


def _state(
    fault: Fault, meaning: str, level: float, stopped_at_s: float | None = None, because: Ended | None = None
) -> FaultState:
    return FaultState(
        name=fault.name,
        meaning=meaning,
        active=stopped_at_s is None,
        level=level,
        magnitude=fault.magnitude,
        ramp_s=fault.ramp_s,
        duration_s=fault.duration_s,
        seed=fault.seed,
        started_at=fault.started_at_s,
        ends_at=fault.ends_at_s,
        stopped_at=stopped_at_s,
        ended_because=because,
    )


def _tell(event: str, fault: Fault, **besides: str) -> None:
    fields = {"fault": fault.name, "magnitude": fault.magnitude, "seed": fault.seed, **besides}
    log.warning(event, extra={"fields": fields})

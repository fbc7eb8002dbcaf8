"""The engine: what the world tells it between events, and what it reads from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulation.kernel import loop, probing, tables
from simulation.kernel.counters import (
    Accounting,
    Balance,
    ClientBins,
    Orders,
    PodCounters,
    ServiceBins,
    ServiceCounters,
    client_bins,
    orders,
    pod_counters,
    service_counters,
)
from simulation.kernel.draws import mixed, uniform
from simulation.kernel.memory import ZONES, fresh_state
from simulation.kernel.plan import Plan
from simulation.kernel.pointer import described
from simulation.kernel.tables import State

_CFS_PHASE: Final = 0x6366  # salt of the draws that place pods' quota periods


class PodState(IntEnum):
    GONE = tables.GONE  # the slot is free; what the pod was doing fails at once
    SERVING = tables.SERVING
    REFUSING = tables.REFUSING  # no process behind the address: connections are refused, work under way fails at once
    DARK = tables.DARK  # packets are lost: callers wait for their timeouts, work under way is lost without a word


class ProbeKind(IntEnum):
    READINESS = probing.READINESS
    LIVENESS = probing.LIVENESS


class NoticeKind(IntEnum):
    READY = probing.READY
    UNREADY = probing.UNREADY
    LIVENESS_FAILED = probing.LIVENESS_FAILED


@dataclass(frozen=True, slots=True)
class Notice:
    t_s: float
    kind: NoticeKind
    pod: int


class Engine:
    """A run of a plan. Times are seconds of simulated time, pods are slots from 0 to `plan.max_pods - 1`.

    All setters act at `now_s`.
    """

    def __init__(self, plan: Plan, start_s: float, *, max_visits: int = 1 << 17) -> None:
        self.plan: Final = plan
        self._keep(fresh_state(plan, start_s, max_visits))
        self._service_index: Final = {service.name: i for i, service in enumerate(plan.services)}
        self._operation_index: Final = {operation.name: i for i, operation in enumerate(plan.operations)}
        self._births = 0
        self._end_s = float(self._state.clock["client_origin_s"][0]) + self._state.client_latency.shape[0]
        self._last_arrival_s = start_s
        self.pods: Final[PodCounters] = pod_counters(self._state)
        self.services: Final[ServiceCounters] = service_counters(self._state)
        self.clients: Final[ClientBins] = client_bins(self._state)

    @property
    def now_s(self) -> float:
        return float(self._state.clock["now_s"][0])

    @property
    def refused_full(self) -> int:
        """Attempts that failed because all visits that fit in memory were in use."""
        return int(self._state.clock["refused_full"][0])

    def add_arrivals(
        self, times_s: NDArray[np.float64], classes: NDArray[np.integer[Any]], ids: NDArray[np.integer[Any]]
    ) -> None:
        """Clients to come, in the order of time, none before now, nor before those already added.

        `classes` index `plan.classes`. `ids` are the run's own and unique: every random draw hangs on them.
        Raises ValueError for times that go back or lie beyond `plan.duration_s`.
        """
        if len(times_s) == 0:
            return
        if times_s[0] < max(self._last_arrival_s, self.now_s) or np.any(np.diff(times_s) < 0):
            raise ValueError("arrivals come in the order of time and not before now")
        if times_s[-1] >= self._end_s:
            raise ValueError(f"an arrival at {times_s[-1]} s lies beyond the plan's duration of {self._end_s} s")
        if np.min(classes) < 0 or np.max(classes) >= len(self.plan.classes):
            raise ValueError(f"classes are 0 to {len(self.plan.classes) - 1}")
        self._last_arrival_s = float(times_s[-1])
        new = np.zeros(len(times_s), tables.ARRIVAL)
        new["time_s"], new["kind"], new["id"] = times_s, classes, ids
        placed = new[self._state.classes["order"][new["kind"]] != 0]
        slips = np.zeros(len(placed), tables.ORDER)
        slips["id"], slips["intended_s"] = placed["id"], placed["time_s"]
        slips["acked_s"] = slips["committed_s"] = -1.0
        clock = self._state.clock
        pending = self._state.arrivals[int(clock["next_arrival"][0]) :]
        clock["next_arrival"] = 0
        self._keep(
            self._state._replace(
                arrivals=np.concatenate([pending, new]), orders=np.concatenate([self._state.orders, slips])
            )
        )

    def add_pod(
        self, service: str, cores: float, zone: int, *, cfs_period_s: float = 0.1, cfs_phase: float | None = None
    ) -> int:
        """A new pod, serving, in nobody's endpoints and without probes. Raises RuntimeError when no slot is free.

        `cfs_phase` is the share of its first quota period that is over already; None draws it.
        """
        if not 0 <= zone < ZONES:
            raise ValueError(f"zones are 0 to {ZONES - 1}")
        if cores <= 0 or cfs_period_s <= 0:
            raise ValueError("cores and cfs_period_s are positive")
        free = np.flatnonzero(self._state.pods["state"] == tables.GONE)
        if len(free) == 0:
            raise RuntimeError(f"all {self.plan.max_pods} pod slots are in use")
        p, index = int(free[0]), self._service_index[service]
        generation = int(self._state.pods[p]["generation"]) + 1
        self._state.pods[p] = np.zeros((), tables.POD)
        pod = self._state.pods[p]
        pod["service"], pod["generation"], pod["zone"], pod["state"] = index, generation, zone, tables.SERVING
        pod["cores"], pod["period_s"], pod["quota_s"] = cores, cfs_period_s, cores * cfs_period_s
        pod["limited"] = self.plan.services[index].threads > cores
        pod["speed"], pod["cpu_at_s"], pod["stalled_until_s"] = 1.0, self.now_s, -math.inf
        pod["period_end_s"] = self.now_s + cfs_period_s * (
            1.0 - (self._drawn_phase() if cfs_phase is None else cfs_phase)
        )
        pod["throttle_due_s"] = math.inf
        for queue in ("slot", "cpu", "pool"):
            pod[f"{queue}_head"] = pod[f"{queue}_tail"] = tables.NOBODY
        self._state.pod_latency[p] = 0
        self.clear_probes(p)
        self._state.clock["pods_high"] = max(int(self._state.clock["pods_high"][0]), p + 1)
        return p

    def _drawn_phase(self) -> float:
        self._births += 1
        return uniform(np.uint64(mixed(np.uint64(self.plan.seed % 2**64), _CFS_PHASE)), self._births)

    def set_state(self, pod: int, state: PodState) -> None:
        """Work under way at a pod that stops serving ends now. A pod that goes leaves its endpoints and its slot."""
        old = self._pod(pod)["state"]
        self._state.pods[pod]["state"] = state
        if old == tables.SERVING and state != PodState.SERVING:
            self._enter(loop.LOSE_WORK if state == PodState.DARK else loop.FAIL_WORK, pod)
        if state != PodState.GONE:
            return
        self.clear_probes(pod)
        service = int(self._state.pods[pod]["service"])
        weights = self._weights(service)
        weights.pop(pod, None)
        self._set_weights(service, weights)

    def set_endpoints(self, service: str, pods: Sequence[int], weights: Sequence[float] | None = None) -> None:
        """The pods that callers choose from, at random by weight. Weight 0 is the same as leaving a pod out."""
        index = self._service_index[service]
        shares = [1.0] * len(pods) if weights is None else list(weights)
        if len(shares) != len(pods) or len(set(pods)) != len(pods) or min(shares, default=0.0) < 0:
            raise ValueError("each pod comes once, with one weight that is not negative")
        for pod in pods:
            if self._pod(pod)["service"] != index:
                raise ValueError(f"pod {pod} is not one of {service}'s")
        self._set_weights(index, dict(zip(pods, shares, strict=True)))

    def _weights(self, service: int) -> dict[int, float]:
        count = int(self._state.services[service]["endpoints"])
        pods = self._state.endpoints[service, :count].tolist()
        shares = np.diff(self._state.endpoint_weights[service, :count], prepend=0.0).tolist()
        return dict(zip(pods, shares, strict=True))

    def _set_weights(self, service: int, weights: dict[int, float]) -> None:
        used = {pod: weight for pod, weight in weights.items() if weight > 0}
        total = sum(used.values())
        row = self._state.services[service]
        row["endpoints"] = len(used)
        row["weighted"] = len(used) > 0 and min(used.values()) < max(used.values()) * (1.0 - 1e-9)
        self._state.endpoints[service, : len(used)] = list(used)
        self._state.endpoint_weights[service, : len(used)] = np.cumsum(list(used.values())) / total if used else []

    def set_speed(self, pod: int, speed: float) -> None:
        """CPU speed as a factor of the nominal one; what is left of work under way is done at the new speed."""
        if not 0 < speed < math.inf:
            raise ValueError("speed is positive")
        if self._pod(pod)["speed"] != speed:
            self._enter(loop.CHANGE_SPEED, pod, speed)

    def set_extra_wait(self, pod: int, wait_s: float) -> None:
        """Time added to each visit whose CPU work ends from now on. It holds the slot."""
        self._pod(pod)["extra_wait_s"] = wait_s

    def set_error_ratio(self, pod: int, ratio: float) -> None:
        """Share of visits that fail after their CPU work."""
        self._pod(pod)["error_ratio"] = ratio

    def set_pool_leak(self, pod: int, connections: int) -> None:
        """Connections of the pod's pool that nobody has and nobody gets."""
        self._pod(pod)["pool_leak"] = connections
        self._enter(loop.ADMIT_TO_POOL, pod)

    def set_work_factor(self, operation: str, factor: float) -> None:
        """CPU work of the operation's visits that reach a pod from now on, as a factor of the plan's."""
        self._state.operations[self._operation_index[operation]]["work_factor"] = factor

    def set_call_probability(self, operation: str, callee: str, probability: float) -> None:
        """Probability of the calls that `operation` makes to the operation `callee`. KeyError if it makes none."""
        row = self._state.operations[self._operation_index[operation]]
        edges = self._state.edges[row["first_call"] : row["call_end"]]
        chosen = edges["operation"] == self._operation_index[callee]
        if not chosen.any():
            raise KeyError(f"{operation} does not call {callee}")
        edges["probability"][chosen] = probability

    def set_zone_cut(self, zone: int, cut: bool) -> None:
        """Packets that leave while the zone is cut, between it and anything outside it, are lost."""
        self._state.zone_cut[zone] = cut
        self._state.clock["cuts"] = np.count_nonzero(self._state.zone_cut)

    def set_optional_ceiling(self, ceiling: float) -> None:
        """Share of optional calls that are made (0..1)."""
        self._state.clock["optional_ceiling"] = ceiling

    def set_probe(
        self,
        pod: int,
        kind: ProbeKind,
        period_s: float,
        timeout_s: float,
        failure_threshold: int,
        success_threshold: int,
        first_at_s: float,
        cpu_s: float = 0.0005,
    ) -> None:
        """Starts a probe afresh: an unready verdict for readiness, no failures so far."""
        self._pod(pod)
        if period_s <= 0 or timeout_s <= 0 or failure_threshold < 1 or success_threshold < 1:
            raise ValueError("a probe's period, timeout and thresholds are positive")
        self.clear_probe(pod, kind)
        probe = self._state.probes[2 * pod + kind]
        probe["period_s"], probe["timeout_s"], probe["cpu_s"] = period_s, timeout_s, cpu_s
        probe["failure_threshold"], probe["success_threshold"] = failure_threshold, success_threshold
        probe["next_s"], probe["active"] = max(first_at_s, self.now_s), 1
        clock = self._state.clock
        clock["next_probe_s"] = min(float(clock["next_probe_s"][0]), float(probe["next_s"]))

    def clear_probes(self, pod: int) -> None:
        for kind in ProbeKind:
            self.clear_probe(pod, kind)

    def clear_probe(self, pod: int, kind: ProbeKind) -> None:
        index = 2 * pod + kind
        probe = self._state.probes[index]
        if probe["awaited"] and probe["visit"] >= 0:
            self._state.visits[probe["visit"]]["parent"] = tables.NOBODY
        self._state.probes[index] = np.zeros((), tables.PROBE_STATE)
        probe["visit"], probe["deadline_s"] = tables.NOBODY, math.inf

    def advance(self, until_s: float) -> list[Notice]:
        """Runs to `until_s`, or to the first notice: then `now_s` is the notice's time, and the list holds it."""
        if until_s < self.now_s:
            raise ValueError(f"time does not go back: {until_s} is before {self.now_s}")
        self._make_room_for_bins(until_s)
        while True:
            self._enter(loop.ADVANCE, tables.NOBODY, until_s)
            clock = self._state.clock[0]
            if clock["stop"] == tables.NO_STOP:
                return []
            if clock["commits"] == len(self._state.commits):
                self._make_room_for_commits()
            if clock["stop"] == tables.NOTICE:
                return [Notice(self.now_s, NoticeKind(int(clock["notice_kind"])), int(clock["notice_pod"]))]

    def drain_service_bins(self, before_s: float) -> ServiceBins:
        """Seconds of service bins that ended by `before_s` and by now, and that no earlier call has returned."""
        clock = self._state.clock
        first_s = int(clock["service_origin_s"][0])
        n = max(math.floor(min(before_s, self.now_s)) - first_s, 0)
        bins, latency = self._state.service_bins, self._state.service_latency
        used = min(math.floor(self.now_s) - first_s + 1, len(bins))
        done = ServiceBins(
            first_s=first_s,
            offered=bins["offered"][:n].copy(),
            ok=bins["ok"][:n].copy(),
            failed=bins["failed"][:n].copy(),
            latency=latency[:n].copy(),
        )
        for array in (bins, latency):
            array[: used - n] = array[n:used].copy()
            array[used - n : used] = np.zeros((), array.dtype)
        clock["service_origin_s"] = first_s + n
        return done

    @property
    def orders(self) -> Orders:
        return orders(self._state)

    def lose_commits(self, since_s: float) -> int:
        """Un-stores what was committed at or after `since_s`, as an asynchronous failover does; how many commits."""
        clock = self._state.clock
        end = int(clock["commits"][0])
        log = self._state.commits[:end]
        keep = int(np.searchsorted(log["time_s"], since_s, side="left"))
        rows = self._state.orders
        np.subtract.at(rows["commits"], log["order"][keep:], 1)
        rows["committed_s"][(rows["commits"] == 0)] = -1.0
        clock["commits"] = keep
        return end - keep

    def accounting(self) -> Accounting:
        """Who came, who was served, who was not, and who is still under way."""
        clock, visits = self._state.clock[0], self._state.visits[: int(self._state.clock["visits_high"][0])]
        alive = (visits["stage"] != tables.FREE) & (visits["stage"] != tables.DEAD)
        clients = np.count_nonzero(alive & (visits["kind"] == tables.CLIENT))
        calling = visits[alive & (visits["open"] != 0) & (visits["kind"] != tables.PROBE)]
        services = self._state.edges["service"][calling["call"]]
        in_flight = np.bincount(services, minlength=len(self.plan.services))
        return Accounting(
            clients=Balance(int(clock["arrived"]), int(clock["ok"]), int(clock["failed"]), int(clients)),
            services={
                name: Balance(
                    int(self.services.attempts[i]),
                    int(self.services.ok[i]),
                    int(self.services.failed[i]),
                    int(in_flight[i]),
                )
                for name, i in self._service_index.items()
            },
        )

    def backlog_s(self, pod: int) -> float:
        """CPU seconds at speed 1 of the visits that have come and not yet begun to run."""
        visits = self._state.visits[: int(self._state.clock["visits_high"][0])]
        waiting = (visits["stage"] == tables.QUEUED) | (visits["stage"] == tables.CPU_QUEUED)
        return float(visits["work_s"][waiting & (visits["pod"] == pod)].sum())

    def _pod(self, pod: int) -> np.void:
        row: np.void = self._state.pods[pod]
        if pod < 0 or row["state"] == tables.GONE:
            raise ValueError(f"there is no pod {pod}")
        return row

    def _enter(self, command: int, pod: int, value: float = 0.0) -> None:
        loop.enter(self._address, command, pod, float(value))

    def _keep(self, state: State) -> None:
        self._state = state
        self._block = described(state)  # compiled code reads it by address; it must live as long as the state
        self._address = int(self._block.ctypes.data)

    def _make_room_for_bins(self, until_s: float) -> None:
        bins, latency = self._state.service_bins, self._state.service_latency
        needed = math.floor(until_s - float(self._state.clock["service_origin_s"][0])) + 1
        if needed <= len(bins):
            return
        more = max(needed, 2 * len(bins)) - len(bins)
        self._keep(
            self._state._replace(
                service_bins=np.concatenate([bins, np.zeros((more, *bins.shape[1:]), bins.dtype)]),
                service_latency=np.concatenate([latency, np.zeros((more, *latency.shape[1:]), latency.dtype)]),
            )
        )

    def _make_room_for_commits(self) -> None:
        log = self._state.commits
        self._keep(self._state._replace(commits=np.concatenate([log, np.zeros_like(log)])))

"""What the engine has counted, as arrays to read. Views are live: they go on counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.kernel.tables import State

Counts = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PodCounters:
    """By pod slot, since the pod was added; as the pod itself would report them. Live views."""

    cpu_s: Floats
    throttled_s: Floats  # time in which it might not run because of its CPU limit
    requests: Counts  # answered, rejections included, probes not
    errors: Counts  # answered with a failure, rejections included
    rejected: Counts  # its queue was full
    dropped: Counts  # taken from the queue after the caller had given up
    latency_sum_s: Floats  # from arrival at the pod to its answer; rejections not included
    latency: Counts  # (pods, 64) the same latencies, by `histogram.edges_s()`
    in_progress: Counts  # gauges from here on
    queued: Counts
    pool_in_use: Counts
    pool_leaked: Counts  # taken and never given back; a pool counts them as in use
    pool_waiting: Counts


@dataclass(frozen=True, slots=True)
class ServiceCounters:
    """By service, as its callers see it: an attempt ends with its answer or its timeout. Live views."""

    offered: Counts  # first attempts
    attempts: Counts
    ok: Counts
    failed: Counts


@dataclass(frozen=True, slots=True)
class ServiceBins:
    """Finished seconds of all services: row i is the second that begins at `first_s + i`."""

    first_s: int
    offered: Counts  # (seconds, services) first attempts begun
    ok: Counts  # attempts ended
    failed: Counts
    latency: Counts  # (seconds, services, 64) of attempts ended, failed ones too, as their callers saw them


@dataclass(frozen=True, slots=True)
class ClientBins:
    """Client requests by the second of their intended start; column i begins at `first_s + i`. Live views."""

    first_s: int
    arrived: Counts  # (classes, seconds), and so are those below
    ok: Counts
    slow: Counts  # ok, but later than the SLO
    degraded: Counts  # ok, but something optional is missing
    failed: Counts
    abandoned: Counts  # failed because the client gave up
    latency: Counts  # (seconds, 64) all classes: until a good answer or until giving up; other failures not included


@dataclass(frozen=True, slots=True)
class Orders:
    """Every order that clients have placed, by intended start. Copies."""

    ids: NDArray[np.int64]
    intended_s: Floats
    acked: NDArray[np.bool_]
    acked_s: Floats  # -1: not acknowledged
    commits: NDArray[np.int32]  # times it is stored now
    committed_s: Floats  # first commit that still stands; -1: none


@dataclass(frozen=True, slots=True)
class Balance:
    arrived: int
    ok: int
    failed: int
    in_flight: int  # counted by looking, not by subtracting


@dataclass(frozen=True, slots=True)
class Accounting:
    """arrived = ok + failed + in flight, always, for clients and for the attempts on each service."""

    clients: Balance
    services: dict[str, Balance]

    def is_balanced(self) -> bool:
        balances = (self.clients, *self.services.values())
        return all(balance.arrived == balance.ok + balance.failed + balance.in_flight for balance in balances)


def pod_counters(state: State) -> PodCounters:
    pods = state.pods
    return PodCounters(
        cpu_s=pods["cpu_s"],
        throttled_s=pods["stall_total_s"],
        requests=pods["requests"],
        errors=pods["errors"],
        rejected=pods["rejected"],
        dropped=pods["dropped"],
        latency_sum_s=pods["latency_sum_s"],
        latency=state.pod_latency,
        in_progress=pods["in_progress"],
        queued=pods["queued"],
        pool_in_use=pods["pool_in_use"],
        pool_leaked=pods["pool_leak"],
        pool_waiting=pods["pool_waiting"],
    )


def service_counters(state: State) -> ServiceCounters:
    rows = state.services
    return ServiceCounters(offered=rows["offered"], attempts=rows["attempts"], ok=rows["ok"], failed=rows["failed"])


def client_bins(state: State) -> ClientBins:
    rows = state.client_bins
    return ClientBins(
        first_s=int(state.clock["client_origin_s"][0]),
        arrived=rows["arrived"],
        ok=rows["ok"],
        slow=rows["slow"],
        degraded=rows["degraded"],
        failed=rows["failed"],
        abandoned=rows["abandoned"],
        latency=state.client_latency,
    )


def orders(state: State) -> Orders:
    rows = state.orders[: int(state.clock["next_order"][0])]
    return Orders(
        ids=rows["id"].copy(),
        intended_s=rows["intended_s"].copy(),
        acked=rows["acked"].copy(),
        acked_s=rows["acked_s"].copy(),
        commits=rows["commits"].copy(),
        committed_s=rows["committed_s"].copy(),
    )

"""Labelled episodes out of the simulated shop: what its monitoring shows while faults run in its pods and stores.

Every run is a small shop of its own, built here and unlike the shipped topologies: each service has one pod, one fault
and one signal that is recorded. Most faults go on until the limit is reached. The others do no harm: ramps level off
below it, a taken CPU comes back, and slow leaks end when most of their way is still before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from forecasting.failures import SignalKind
from forecasting.forecast import Floats
from policies.model import SignalTarget
from simulation.failure_episodes import STEP_S, Episode, ending_at_failure
from simulation.failure_shapes import rolling_mean
from simulation.feeds.prometheus import Prometheus
from simulation.feeds.signals import SignalLog
from simulation.scenario import Scenario, scenario_of
from simulation.schedule import Schedule
from simulation.streams import generator
from simulation.world import World

#: Signals that one run yields.
EPISODES_PER_RUN = 7
_HISTORY_S = 2.0 * 3600.0
_WATCHED_FROM = 90
_AFTERMATH_S = 1800.0
_SCRAPE_S = 15.0
_FAILING_SHARE = 0.6
#: What the SLO bears of failed answers; the feed's own limit is 1.
_ERROR_LIMIT = 0.15
#: A container that was killed for memory shows up as a drop of this share of the limit.
_KILLED_DROP = 0.15
#: Ratios are read over five minutes, as alerting rules do.
_SMOOTHED = frozenset({SignalKind.LATENCY, SignalKind.ERRORS})
_SMOOTHED_POINTS = 5
#: From the fault's beginning to the limit, (least, most).
_MINUTES: Mapping[SignalKind, tuple[float, float]] = {
    SignalKind.MEMORY: (15.0, 200.0),
    SignalKind.CONNECTION_POOL: (15.0, 120.0),
    SignalKind.LATENCY: (15.0, 120.0),
    SignalKind.ERRORS: (15.0, 120.0),
    SignalKind.QUEUE: (12.0, 40.0),
    SignalKind.DISK: (20.0, 200.0),
    SignalKind.REPLICATION_LAG: (15.0, 120.0),
}
#: Faults that build up without end: leaks and fills.
_CUT_SHORT = frozenset({SignalKind.MEMORY, SignalKind.CONNECTION_POOL, SignalKind.DISK})


class _Trouble(NamedTuple):
    """One service's fault. `until` is the share of the way to the limit where it levels off or ends, None: never."""

    service: str
    kind: SignalKind
    start_s: float
    minutes: float
    until: float | None


class _Tape(SignalLog):
    """Keeps every value of every signal, and shows nothing to controllers: there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.times_s: list[float] = []
        self.values: dict[tuple[SignalKind, str], list[tuple[float, float]]] = {}
        self.limits: dict[tuple[SignalKind, str], float] = {}

    def record(
        self, at_s: float, targets: Sequence[SignalTarget], values: Sequence[float], limits: Sequence[float]
    ) -> None:
        self.times_s.append(at_s)
        for target, value, limit in zip(targets, values, limits, strict=True):
            self.values.setdefault((target.kind, target.workload), []).append((at_s, value))
            self.limits[target.kind, target.workload] = limit


def shop_episodes(name: str, seed: int) -> tuple[Episode, ...]:
    """The labelled signals of one simulated run, at most `EPISODES_PER_RUN`."""
    rng = generator(seed, "failure shop", name)
    troubles = _troubles(rng)
    scenario = _scenario(name, troubles, rng)
    world, tape = World(scenario, seed), _Tape()
    prometheus, schedule = Prometheus(world, seed, tape), Schedule()
    schedule.every(_SCRAPE_S, prometheus.first_s, prometheus.scrape)
    schedule.run(world, scenario.duration_s)
    episodes = (_episode(name, trouble, tape) for trouble in troubles)
    return tuple(episode for episode in episodes if episode is not None)


def _troubles(rng: np.random.Generator) -> tuple[_Trouble, ...]:
    kinds = {
        "ledger": SignalKind.MEMORY,
        "basket": SignalKind.MEMORY,
        "tills": SignalKind.CONNECTION_POOL,
        "labels": SignalKind.LATENCY,
        "stamps": SignalKind.ERRORS,
        "courier": SignalKind.QUEUE,
        "vault": SignalKind.DISK if rng.random() < 0.5 else SignalKind.REPLICATION_LAG,
    }
    return tuple(_trouble(service, kind, rng) for service, kind in kinds.items())


def _trouble(service: str, kind: SignalKind, rng: np.random.Generator) -> _Trouble:
    start_s = _HISTORY_S + rng.uniform(0.0, 3600.0)
    low, high = _MINUTES[kind]
    if rng.random() < _FAILING_SHARE:
        return _Trouble(service, kind, start_s, float(np.exp(rng.uniform(np.log(low), np.log(high)))), None)
    if kind in _CUT_SHORT:  # nobody could know that it ends: it does so while there still is much time
        return _Trouble(service, kind, start_s, rng.uniform(120.0, 240.0), rng.uniform(0.3, 0.6))
    return _Trouble(service, kind, start_s, rng.uniform(low, high), rng.uniform(0.5, 0.9))


def _scenario(name: str, troubles: Sequence[_Trouble], rng: np.random.Generator) -> Scenario:
    services = [_service(trouble, rng) for trouble in troubles]
    operations: list[dict[str, Any]] = [
        {"name": f"{s['name']}.ask", "cpu_ms": _cpu_ms(s["name"]), "wait_ms": _WAITS_MS.get(s["name"], 0.0)}
        for s in services
    ]
    next(o for o in operations if o["name"] == "tills.ask")["calls"] = [{"to": "vault.ask", "pool": True}]
    entries = [trouble.service for trouble in troubles if trouble.service != "vault"]
    classes = [
        {"name": entry, "share": 1.0, "operation": f"{entry}.ask", "patience_s": 7200.0, "slo_s": 1.0}
        for entry in entries
    ]
    ends_s = max(trouble.start_s + 60.0 * trouble.minutes for trouble in troubles)
    duration_s = 1.1 * ends_s + _AFTERMATH_S
    faults = [_fault(trouble, services[place], duration_s) for place, trouble in enumerate(troubles)]
    raw: dict[str, Any] = {
        "name": f"failures-{name.rpartition('/')[2]}",
        "duration_s": duration_s,
        "warm_up_s": 120.0,
        "history": {"hours": 0, "days_remembered": 0},
        "load": {
            "rps": 2.0 * len(entries),
            "roughness": rng.uniform(0.02, 0.2),
            "diurnal": {"amplitude": rng.uniform(0.0, 0.3), "peak_at_s": rng.uniform(0.0, 86_400.0)},
        },
        "topology": {
            "nodes": [{"zone": zone, "count": 2, "cpu": 8, "memory_mib": 32_768} for zone in ("east", "west")],
            "services": services,
            "operations": operations,
            "classes": classes,
        },
        "faults": faults,
    }
    return scenario_of(raw, raw["name"])


#: Requests that wait hold memory and connections, so that these follow the load.
_WAITS_MS = {"ledger": 1500.0, "basket": 900.0, "vault": 1200.0, "labels": 100.0}


def _cpu_ms(service: str) -> float:
    """The courier is loaded well enough for a queue to grow when its CPU is taken."""
    return {"courier": 200.0, "vault": 5.0}.get(service, 25.0)


def _service(trouble: _Trouble, rng: np.random.Generator) -> dict[str, Any]:
    limit_mib = round(float(np.exp(rng.uniform(np.log(300.0), np.log(4000.0)))))
    service: dict[str, Any] = {
        "name": trouble.service,
        "replicas": 1,
        "memory_limit_mib": limit_mib,
        "memory_base_mib": round(limit_mib * rng.uniform(0.2, 0.6)),
        "memory_per_request_mib": limit_mib * rng.uniform(0.002, 0.015) if trouble.kind is SignalKind.MEMORY else 0.0,
        "queue": int(rng.integers(300, 2000)),
        "concurrency": 16 if trouble.kind is SignalKind.QUEUE else 128,
        "liveness": None,
        "readiness": {"period_s": 60.0, "failure_threshold": 1000},
    }
    if trouble.service == "tills":
        service["pool_size"] = int(rng.integers(8, 60))
    if trouble.service == "vault":
        disk_mib = round(rng.uniform(4000.0, 60_000.0))
        service |= {
            "kind": "store",
            "replicas": 2,
            "database": {
                "synchronous": False,
                "disk_mib": disk_mib,
                "disk_used_mib": round(disk_mib * rng.uniform(0.2, 0.7)),
                "disk_growth_mib_per_hour": round(disk_mib * rng.uniform(0.0, 0.002), 1),
            },
        }
    return service


def _fault(trouble: _Trouble, service: dict[str, Any], run_s: float) -> dict[str, Any]:
    """The fault that brings the signal to its limit in about the trouble's minutes."""
    minutes = trouble.minutes
    ends_s = run_s if trouble.until is None else trouble.start_s + 60.0 * minutes * trouble.until
    fault: dict[str, Any] = {
        "service": trouble.service,
        "start_s": trouble.start_s,
        "duration_s": ends_s - trouble.start_s,
    }
    match trouble.kind:
        case SignalKind.MEMORY:
            room = service["memory_limit_mib"] - service["memory_base_mib"]
            return fault | {"kind": "memory_leak", "magnitude": room / minutes}
        case SignalKind.CONNECTION_POOL:
            return fault | {"kind": "pool_creep", "magnitude": service["pool_size"] / minutes}
        case SignalKind.DISK:
            room = service["database"]["disk_mib"] - service["database"]["disk_used_mib"]
            return fault | {"kind": "disk_fill", "magnitude": room / minutes}
        case SignalKind.QUEUE:
            # The rest of the CPU serves less than comes: what is left over fills the queue in about so many minutes.
            spare_rps = 1.6 * service["queue"] / (60.0 * minutes)
            burnt = min(0.9, max(0.1, 1.0 - _cpu_ms("courier") / 1000.0 * max(0.3, 2.0 - spare_rps)))
            return fault | {"kind": "cpu_burn", "magnitude": burnt}
        case SignalKind.LATENCY:
            return fault | {"kind": "latency_creep", **_ramped(trouble, run_s, 1.0)}
        case SignalKind.ERRORS:
            return fault | {"kind": "error_burst", **_ramped(trouble, run_s, _ERROR_LIMIT)}
        case SignalKind.REPLICATION_LAG:
            return fault | {"kind": "replication_lag", **_ramped(trouble, run_s, 20.0)}


def _ramped(trouble: _Trouble, run_s: float, limit: float) -> dict[str, float]:
    """A ramp that passes `limit` after the trouble's minutes, or levels off below it, and stays to the run's end."""
    lasts_s = run_s - trouble.start_s
    share = 1.5 if trouble.until is None else trouble.until
    ramp_s = min(60.0 * trouble.minutes * share, lasts_s)
    return {"duration_s": lasts_s, "ramp_s": ramp_s, "magnitude": limit * ramp_s / (60.0 * trouble.minutes)}


def _episode(run: str, trouble: _Trouble, tape: _Tape) -> Episode | None:
    """The signal on a regular grid, cut at its failure; None where a signal failed that was to stay below."""
    kind = trouble.kind
    recorded = tape.values.get((kind, trouble.service))
    if recorded is None:
        return None
    limit = _ERROR_LIMIT if kind is SignalKind.ERRORS else tape.limits[kind, trouble.service]
    values = _on_grid(tape.times_s, recorded)
    onset = int(np.searchsorted(np.asarray(tape.times_s), trouble.start_s))
    if kind in _SMOOTHED:
        values = rolling_mean(values, _SMOOTHED_POINTS)
    if kind is SignalKind.MEMORY and trouble.until is None:
        values = _with_kill(values, onset, limit)
    values, failure = ending_at_failure(values, limit)
    if (failure is None) != (trouble.until is not None) or (failure is not None and failure <= onset):
        return None
    shape = "fault" if failure is not None else "fault-ends"
    name = f"{run}/{trouble.service}"
    onset_if_fails = None if failure is None else onset
    return Episode(name, name, kind, "shop", shape, values, limit, _WATCHED_FROM, onset_if_fails, failure)


def _on_grid(times_s: Sequence[float], recorded: Sequence[tuple[float, float]]) -> Floats:
    """One value per scrape of signals, the last known one where nothing was measured."""
    known = {round(at_s / STEP_S): value for at_s, value in recorded if np.isfinite(value)}
    values = np.empty(len(times_s))
    last = next(iter(known.values()), 0.0)
    for place, at_s in enumerate(times_s):
        last = known.get(round(at_s / STEP_S), last)
        values[place] = last
    return values


def _with_kill(values: Floats, onset: int, limit: float) -> Floats:
    """The kernel kills between two scrapes: the sample after it is where the limit was reached."""
    drops = np.flatnonzero(np.diff(values[onset:]) < -_KILLED_DROP * limit)
    if drops.size == 0:
        return values
    killed = onset + int(drops[0]) + 1
    marked = values[: killed + 1].copy()
    marked[killed] = max(limit, float(values[killed - 1]))
    return marked

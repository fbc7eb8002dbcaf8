"""Random shops: trees of services, some with a store behind them, sized so that an ordinary day fits."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np

_ZONES = ("a", "b", "c")
_NODE_CORES = 8.0
_MOST_PODS_PER_SERVICE = 14

#: Who calls whom with which probability: service 0 is the entry, each other one has a single caller before it.
Calls = Mapping[int, tuple[tuple[int, float], ...]]


def log_between(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_calls(rng: np.random.Generator) -> Calls:
    """Who calls whom with which probability: service 0 is the entry, each other one has a single caller before it."""
    count = int(rng.integers(1, 7))
    calls: dict[int, tuple[tuple[int, float], ...]] = dict.fromkeys(range(count), ())
    for service in range(1, count):
        caller = int(rng.integers(service))
        calls[caller] += ((service, float(rng.choice((1.0, round(rng.uniform(0.1, 0.95), 2))))),)
    return calls


def visits_behind(calls: Calls) -> float:
    """Expected visits behind the entry for one request."""
    return sum(_share(calls).values()) - 1.0


def _share(calls: Calls) -> dict[int, float]:
    """Expected visits of each service for one request."""
    visits = {0: 1.0}
    for caller in sorted(calls):
        for callee, probability in calls[caller]:
            visits[callee] = visits[caller] * probability
    return visits


def draw_topology(
    rng: np.random.Generator,
    calls: Calls,
    has_store: bool,
    rps: float,
    scaled: bool,
) -> dict[str, Any]:
    """Services from the leaves to the entry, so that callers know how long those behind them take."""
    visits = _share(calls)
    asks_store = int(rng.choice(list(calls))) if has_store else None
    services: list[dict[str, Any]] = []
    operations: list[dict[str, Any]] = []
    takes_s: dict[str, float] = {}  # mean of an idle system, all calls included

    def add(index: int, service: dict[str, Any], cpu_ms: float, wait_ms: float, behind: list[dict[str, Any]]) -> None:
        name = service["name"]
        services.append(service)
        operations.append(
            {
                "name": f"{name}.do",
                "cpu_ms": round(cpu_ms, 3),
                "wait_ms": round(wait_ms, 1),
                "distribution": str(rng.choice(("exponential", "lognormal"))),
                "cv": round(rng.uniform(0.3, 1.6), 2),
                "calls": behind,
            }
        )
        called_s = sum(takes_s[call["to"].partition(".")[0]] * call["probability"] for call in behind)
        takes_s[name] = (cpu_ms + wait_ms) / 1000.0 + called_s
        # Little's law: without room for what is in progress on an ordinary day it would fail all the time.
        per_pod_rps = rps * visits[index] / service["replicas"]
        in_progress = ceil(6.0 * per_pod_rps * takes_s[name])
        service["concurrency"] += in_progress
        service["memory_limit_mib"] += service["memory_per_request_mib"] * in_progress
        if "pool_size" in service:
            service["pool_size"] += ceil(6.0 * per_pod_rps * takes_s["keeper"])

    if asks_store is not None:
        store, cpu_ms = _store(rng, rps * visits[asks_store])
        add(asks_store, store, cpu_ms, rng.uniform(0.0, 6.0), [])
    for index in sorted(calls, reverse=True):
        service, cpu_ms = _service(rng, _name(index), rps * visits[index], scaled)
        behind = [
            _call(rng, _name(callee), probability, takes_s[_name(callee)]) for callee, probability in calls[index]
        ]
        if index == asks_store:
            service["pool_size"] = int(log_between(rng, 4, 40))
            behind.append({**_call(rng, "keeper", 1.0, takes_s["keeper"]), "pool": True, "optional": False})
        wait_ms = float(rng.choice((0.0, log_between(rng, 5.0, 300.0))))
        add(index, service, cpu_ms, wait_ms, behind)
    patience_s = round(rng.uniform(3.0, 15.0) + 8.0 * takes_s["entry"], 1)
    return {
        "nodes": _nodes(services),
        "services": services[::-1],
        "operations": operations[::-1],
        "classes": [{"name": "request", "share": 1.0, "operation": "entry.do", "patience_s": patience_s}],
    }


def _name(service: int) -> str:
    return "entry" if service == 0 else f"part-{service}"


def _service(rng: np.random.Generator, name: str, rate_rps: float, scaled: bool) -> tuple[dict[str, Any], float]:
    """A service for that rate, and the CPU work of one visit in ms. Its pods are up to four fifths busy."""
    limit = round(rng.uniform(0.5, 2.0), 2)
    request = round(limit * rng.uniform(0.5, 1.0), 2)
    pods = int(rng.integers(2, 7))
    busy = rng.uniform(0.2, 0.8)
    cpu_ms = float(np.clip(1000.0 * pods * limit * busy / max(rate_rps, 0.05), 0.5, 150.0))
    base_mib = log_between(rng, 60.0, 1500.0)
    limit_mib = base_mib * rng.uniform(1.2, 3.0)
    service: dict[str, Any] = {
        "name": name,
        "replicas": pods,
        "cpu_request": request,
        "cpu_limit": limit,
        "threads": ceil(limit),
        "memory_base_mib": round(base_mib, 1),
        "memory_limit_mib": round(limit_mib, 1),
        "memory_request_mib": round(base_mib * 1.05, 1),
        "memory_per_request_mib": round(log_between(rng, 0.02, 3.0), 3),
        "concurrency": int(log_between(rng, 8, 200)),
        "queue": int(log_between(rng, 8, 400)),
        "balancing": str(rng.choice(("random", "least_requests"))),
        "startup": {
            "image_pull_s": round(rng.uniform(2.0, 30.0), 1),
            "time_s": round(log_between(rng, 3.0, 90.0), 1),
            "cpu_cores": round(limit * rng.uniform(0.3, 1.0), 2),
            "warm_up_s": round(float(rng.choice((0.0, rng.uniform(10.0, 120.0)))), 1),
            "cold_speed": round(rng.uniform(0.3, 1.0), 2),
        },
    }
    if scaled:
        service["hpa"] = {
            "min_replicas": int(rng.integers(1, pods + 1)),
            "max_replicas": int(rng.integers(pods + 1, _MOST_PODS_PER_SERVICE + 1)),
            "metrics": [{"target": round(rng.uniform(35.0, 90.0), 1)}],
        }
    return service, cpu_ms


def _store(rng: np.random.Generator, rate_rps: float) -> tuple[dict[str, Any], float]:
    """A store whose primary is up to half busy, and the CPU work of one transaction in ms."""
    threads = int(rng.integers(2, 5))
    cpu_ms = float(np.clip(1000.0 * threads * rng.uniform(0.05, 0.5) / max(rate_rps, 0.05), 0.2, 60.0))
    disk_mib = log_between(rng, 4_000.0, 200_000.0)
    store = {
        "name": "keeper",
        "kind": "store",
        "replicas": int(rng.integers(2, 4)),
        "threads": threads,
        "cpu_request": 0.5 * threads,
        "cpu_limit": float(threads),
        "memory_base_mib": 600.0,
        "memory_request_mib": 800.0,
        "memory_limit_mib": 3000.0,
        "memory_per_request_mib": 4.0,
        "concurrency": int(rng.integers(40, 300)),
        "queue": int(rng.integers(40, 300)),
        "liveness": None,
        "database": {
            "synchronous": bool(rng.random() < 0.5),
            "disk_mib": round(disk_mib, 1),
            "disk_used_mib": round(disk_mib * rng.uniform(0.1, 0.8), 1),
            "disk_growth_mib_per_hour": round(disk_mib * log_between(rng, 1e-4, 2e-2), 2),
        },
    }
    return store, cpu_ms


def _call(rng: np.random.Generator, to: str, probability: float, takes_s: float) -> dict[str, Any]:
    """Who calls waits several times as long as an idle callee takes."""
    return {
        "to": f"{to}.do",
        "probability": probability,
        "timeout_s": round(log_between(rng, 0.3, 4.0) + 6.0 * takes_s, 2),
        "retries": int(rng.integers(0, 3)),
        "optional": bool(rng.random() < 0.2),
    }


def _nodes(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Room for every pod that may come, and a node to spare in each zone."""
    cores = sum(s["cpu_request"] * s.get("hpa", {}).get("max_replicas", s["replicas"]) for s in services)
    mib = sum(s["memory_request_mib"] * s.get("hpa", {}).get("max_replicas", s["replicas"]) for s in services)
    per_zone = ceil(cores / _NODE_CORES / len(_ZONES)) + 1
    memory_mib = max(16_384.0, 1.5 * mib / (per_zone * len(_ZONES)))
    return [{"zone": zone, "count": per_zone, "cpu": _NODE_CORES, "memory_mib": round(memory_mib)} for zone in _ZONES]

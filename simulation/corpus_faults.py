"""What goes wrong in the shops of the corpus, and who comes in crowds."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulation.corpus_topologies import log_between
from simulation.scenario import FaultKind

#: Nothing begins in the first minutes, so that there is a "before".
_CALM_S = 900.0
_MOST_FAULTS = 3
_IN_PODS = (
    FaultKind.MEMORY_LEAK, FaultKind.MEMORY_LEAK, FaultKind.LATENCY_CREEP, FaultKind.ERROR_BURST, FaultKind.CPU_BURN,
    FaultKind.SLOW_DEPENDENCY, FaultKind.POD_CRASH, FaultKind.CRASH_LOOP, FaultKind.LOCK_CONTENTION,
)  # fmt: skip
_AROUND = (FaultKind.NODE_LOSS, FaultKind.NOISY_NEIGHBOUR, FaultKind.METRICS_OUTAGE)
_IN_STORES = (FaultKind.DISK_FILL, FaultKind.DISK_FILL, FaultKind.REPLICATION_LAG, FaultKind.PRIMARY_LOSS)


def draw_crowds(rng: np.random.Generator, duration_s: float) -> list[dict[str, Any]]:
    """No, one or two crowds: sales that come at once, and rises that nobody planned."""
    crowds = []
    for _ in range(int(rng.choice(3, p=(0.45, 0.4, 0.15)))):
        sudden = rng.random() < 0.5
        lasts_s = log_between(rng, 240.0, 5400.0)
        ramp_s = lasts_s * (rng.uniform(0.0, 0.1) if sudden else rng.uniform(0.2, 0.9))
        crowds.append(
            {
                "kind": FaultKind.FLASH_SALE if sudden else FaultKind.VIRAL_RAMP,
                "start_s": round(rng.uniform(_CALM_S, duration_s - 300.0), 1),
                "duration_s": round(lasts_s, 1),
                "ramp_s": round(ramp_s, 1),
                "magnitude": round(1.0 + float(np.exp(rng.normal(np.log(0.8), 0.6))), 2),
            }
        )
    return crowds


def draw_faults(rng: np.random.Generator, topology: dict[str, Any], duration_s: float) -> list[dict[str, Any]]:
    """Up to three faults that the topology can have, sized by the service that they hit."""
    services = {service["name"]: service for service in topology["services"]}
    pooled = [name for name, service in services.items() if service.get("pool_size")]
    kinds = [*_IN_PODS, *_AROUND, *((FaultKind.POOL_CREEP,) * 3 if pooled else ())]
    kinds += _IN_STORES if "keeper" in services else ()
    faults = []
    for _ in range(min(_MOST_FAULTS, int(rng.poisson(1.3)))):
        kind = kinds[int(rng.integers(len(kinds)))]
        start_s = rng.uniform(_CALM_S, duration_s - 900.0)
        fault: dict[str, Any] = {
            "kind": kind,
            "start_s": round(start_s, 1),
            "duration_s": round(log_between(rng, 300.0, 7200.0), 1),
            "seed": int(rng.integers(1_000_000)),
        }
        if kind is FaultKind.POOL_CREEP:
            fault["service"] = pooled[0]
        elif kind in _IN_STORES:
            fault["service"] = "keeper"
        elif kind not in _AROUND:
            fault["service"] = str(rng.choice([name for name in services if name != "keeper"]))
        faults.append(fault | _size(rng, kind, services.get(fault.get("service", ""), {}), fault["duration_s"]))
    return faults


def _size(rng: np.random.Generator, kind: FaultKind, service: dict[str, Any], lasts_s: float) -> dict[str, Any]:
    """How large the fault grows and how quickly; what fills up does so within a part of the fault, or not quite."""
    ramp_s = round(lasts_s * rng.uniform(0.0, 0.95), 1)
    fills_in_min = lasts_s / 60.0 * rng.uniform(0.3, 1.6)
    some = {"pods": int(rng.integers(1, service.get("replicas", 1) + 1))} if rng.random() < 0.6 else {}
    match kind:
        case FaultKind.MEMORY_LEAK:
            room_mib = service["memory_limit_mib"] - service["memory_base_mib"]
            return {"magnitude": round(room_mib / fills_in_min, 3), **some}
        case FaultKind.POOL_CREEP:
            return {"magnitude": round(service["pool_size"] / fills_in_min, 4), **some}
        case FaultKind.DISK_FILL:
            room_mib = service["database"]["disk_mib"] - service["database"]["disk_used_mib"]
            return {"magnitude": round(room_mib / fills_in_min, 2)}
        case FaultKind.LATENCY_CREEP:
            return {"magnitude": round(rng.uniform(0.1, 3.0), 2), "ramp_s": ramp_s, **some}
        case FaultKind.SLOW_DEPENDENCY | FaultKind.LOCK_CONTENTION:
            return {"magnitude": round(rng.uniform(0.05, 0.9), 3), "ramp_s": ramp_s}
        case FaultKind.ERROR_BURST:
            return {"magnitude": round(rng.uniform(0.02, 0.6), 3), "ramp_s": ramp_s, **some}
        case FaultKind.CPU_BURN:
            return {"magnitude": round(service["cpu_limit"] * rng.uniform(0.1, 0.8), 3), "ramp_s": ramp_s, **some}
        case FaultKind.CRASH_LOOP:
            return {"magnitude": round(rng.uniform(0.1, 0.6), 2)}
        case FaultKind.POD_CRASH:
            return {"magnitude": 1.0, **some}
        case FaultKind.NOISY_NEIGHBOUR:
            return {"magnitude": round(rng.uniform(0.2, 0.9), 2), "ramp_s": ramp_s}
        case FaultKind.REPLICATION_LAG:
            return {"magnitude": round(rng.uniform(4.0, 60.0), 1), "ramp_s": ramp_s}
        case FaultKind.METRICS_OUTAGE:
            return {"duration_s": round(rng.uniform(45.0, 900.0), 1)}
        case _:
            return {}

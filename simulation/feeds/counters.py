"""What the pods' own counters say at one moment, and the rates between two such moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from simulation.kernel.histogram import edges_s
from simulation.world import World

_P99 = 0.99
_UPPER_EDGES_S = edges_s()[1:]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Cumulative counters by engine slot. `slots` names the pods that could be reached."""

    at_s: float
    slots: Mapping[str, int]
    cpu_s: Floats
    requests: Floats
    errors: Floats
    rejected: Floats
    latency_sum_s: Floats
    histogram: Floats  # (slots, buckets)


def snapshot(world: World, slots: Mapping[str, int], at_s: float) -> Snapshot:
    pods = world.engine.pods
    return Snapshot(
        at_s,
        slots,
        world.usage.cpu_s(at_s),
        np.array(pods.requests, dtype=np.float64),
        np.array(pods.errors, dtype=np.float64),
        np.array(pods.rejected, dtype=np.float64),
        np.array(pods.latency_sum_s),
        np.array(pods.latency, dtype=np.float64),
    )


@dataclass(frozen=True, slots=True)
class Rates:
    """Per slot over the last scrape interval; NaN where a pod has none. Lists, since single values are read."""

    at_s: float
    slots: Mapping[str, int]  # pods seen at both ends of the interval
    rate_rps: list[float]
    rejected_rps: list[float]
    error_ratio: list[float]
    latency_mean_s: list[float]
    latency_p99_s: list[float]
    cpu_cores: list[float]
    answered: Floats  # histogram of the interval's answers, (slots, buckets)


def rates_between(before: Snapshot, now: Snapshot) -> Rates:
    """Rates over the interval. A slot that has passed to another pod meanwhile has no rate yet."""
    elapsed_s = now.at_s - before.at_s
    requests = now.requests - before.requests
    served = np.maximum(requests, 1.0)
    idle = requests <= 0
    error_ratio = (now.errors - before.errors) / served
    error_ratio[idle] = np.nan
    latency_mean_s = (now.latency_sum_s - before.latency_sum_s) / served
    latency_mean_s[idle] = np.nan
    answered = now.histogram - before.histogram
    return Rates(
        at_s=now.at_s,
        slots={name: slot for name, slot in now.slots.items() if before.slots.get(name) == slot},
        rate_rps=(requests / elapsed_s).tolist(),
        rejected_rps=((now.rejected - before.rejected) / elapsed_s).tolist(),
        error_ratio=error_ratio.tolist(),
        latency_mean_s=latency_mean_s.tolist(),
        latency_p99_s=p99_s(answered).tolist(),
        cpu_cores=((now.cpu_s - before.cpu_s) / elapsed_s).tolist(),
        answered=answered,
    )


def p99_s(counts: Floats) -> Floats:
    """Upper edge of the bucket that holds the 99th percentile, per row; NaN without any answer.

    Like Prometheus, the last bucket answers its lower edge.
    """
    cumulative = np.cumsum(counts, axis=-1)
    total = cumulative[..., -1:]
    bucket = np.argmax(cumulative >= _P99 * total, axis=-1)
    bucket = np.minimum(bucket, len(_UPPER_EDGES_S) - 2)
    return np.asarray(np.where(total[..., 0] > 0, _UPPER_EDGES_S[bucket], np.nan))

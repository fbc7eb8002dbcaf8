"""How busy a workload's pods may be before waiting in them breaks its SLO latency, learned from what is measured.

Where work waits for CPU, latency grows like 1 / (1 − utilisation) whatever the work is: for one server and exponential
work the 99th percentile is ln 100 ≈ 4.6 times the work of one request over that. The learned *stretch* is this factor.
It cannot exceed what a pod's own CPU can explain: latency beyond that comes from elsewhere and more pods are no cure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policies.model import PodSeen

HALF_LIFE_S = 900.0
LEAST_UTILIZATION = 0.25  # idler pods have little waiting of their own to learn from
MOST_UTILIZATION = 0.85  # beyond it latency tells how long the overload has lasted
LEAST_REQUESTS_RPS = 5.0  # of the workload: a scrape interval of fewer has no 99th percentile
TRUSTED_LOOKS = 8.0  # until these the ceiling is drawn to 1
LARGEST_STRETCH = 6.0  # 4.6 for exponential work on one core; work more variable than that waits longer
LOWEST_CEILING = 0.30  # a tail that leaves less room than this is not bought with pods


@dataclass(frozen=True, slots=True)
class TailState:
    """Forgetting mean of the log of the stretch, and what it rests on."""

    looks: float = 0.0
    log_stretch: float = 0.0
    updated_at_s: float | None = None


def learn(
    state: TailState,
    warm: Sequence[PodSeen],
    latency_p99_s: float | None,
    capacity_rps: float,
    limit_cores: float | None,
    now_s: float,
) -> TailState:
    """The state after one look at warm pods that carry `capacity_rps` each. What tells nothing changes nothing."""
    if latency_p99_s is None or latency_p99_s <= 0.0 or not warm:
        return state
    rate_rps = sum(pod.rate_rps or 0.0 for pod in warm)
    utilization = rate_rps / (capacity_rps * len(warm))
    if rate_rps < LEAST_REQUESTS_RPS or not LEAST_UTILIZATION <= utilization <= MOST_UTILIZATION:
        return state
    stretch = latency_p99_s * (1.0 - utilization) * capacity_rps
    found = math.log(min(stretch, largest_stretch(limit_cores)))
    elapsed_s = 0.0 if state.updated_at_s is None else max(0.0, now_s - state.updated_at_s)
    kept = state.looks * 0.5 ** (elapsed_s / HALF_LIFE_S)
    looks = kept + 1.0
    return TailState(looks, (kept * state.log_stretch + found) / looks, now_s)


def largest_stretch(limit_cores: float | None) -> float:
    """Of the work of one request spread over all cores: one request has only one of them."""
    return LARGEST_STRETCH * max(1.0, limit_cores or 1.0)


def ceiling(state: TailState, capacity_rps: float, slo_latency_s: float) -> float | None:
    """The utilisation at which the 99th percentile meets the SLO, from `LOWEST_CEILING` to 1.

    None while unknown, and where even idle pods would miss the SLO: then pods are no cure.
    """
    if state.looks <= 0.0:
        return None
    tail_s = math.exp(state.log_stretch) / capacity_rps
    if tail_s >= slo_latency_s:
        return None
    trust = min(1.0, state.looks / TRUSTED_LOOKS)
    return max(LOWEST_CEILING, 1.0 - trust * tail_s / slo_latency_s)

"""Requests per second that one pod of a workload carries within its SLO, learned while it serves.

CPU per request comes from an exponentially forgetting regression of the pods' CPU on their rate, so that idle CPU is
not charged to requests; capacity is the CPU limit divided by it. A pod that saturates below that (its threads, its
locks, its pool) teaches a lower *knee*, which fades when it is not seen again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

from policies import tail
from policies.model import PodSeen, WorkloadPolicy, WorkloadSeen
from policies.tail import TailState

WARM_UP_S = 60.0  # start-up CPU of a pod still shows in its first scrapes after Ready
HALF_LIFE_S = 1200.0
LEAST_RATE_RPS = 0.2  # below this a scrape interval holds too few requests to charge CPU to
IDLE_PULL = 0.01  # pulls the idle share to 0 unless rates differ by more than about 10 %: then it is identified
OUTLIER_FACTOR = 2.0  # a pod that burns twice its peers' CPU per request does something else
TRUSTED_WEIGHT = 20.0  # observations until the declared prior is forgotten
IDLE_UTILIZATION = 0.05  # of the CPU limit: what a pod uses below that is mostly not its requests'
TELLING_UTILIZATION = 0.15  # from here on a declared prior is not asked any more
DRIFT_SLACK = 0.05  # Page–Hinkley on the log of CPU per request: changes below 5 % are followed by forgetting alone
DRIFT_ALARM = 0.8  # … a change by 30 % is found in 4 looks, one by 10 % in about 20
LARGEST_SURPRISE = 0.7
KNEE_LOOKS = 2  # consecutive saturated looks before they teach anything
KNEE_BELOW = 0.85  # of the CPU capacity: above it, saturation is the CPU itself
KNEE_LEAST = 0.4  # of the CPU capacity: a stalled dependency also saturates pods, and must not ask for tenfold pods
KNEE_HALF_LIFE_S = 1800.0
LARGEST_ERROR = 0.5


class CapacitySource(StrEnum):
    PRIOR = "prior"
    CPU = "cpu"
    KNEE = "knee"


@dataclass(frozen=True, slots=True)
class Capacity:
    """Per pod. `relative_error` is one standard deviation as a share of `rps`.

    `slo_utilization`: the share of `rps` beyond which waiting breaks the SLO latency; None where unknown, and where
    more pods are no cure.
    """

    rps: float
    relative_error: float
    source: CapacitySource
    slo_utilization: float | None = None

    @property
    def safe_rps(self) -> float:
        """The capacity to plan with: one standard deviation low."""
        return self.rps / (1.0 + self.relative_error)


@dataclass(frozen=True, slots=True)
class Moments:
    """Forgetting sums over (rate, CPU) of warm pods."""

    weight: float = 0.0
    rate: float = 0.0
    cpu: float = 0.0
    rate_rate: float = 0.0
    rate_cpu: float = 0.0
    cpu_cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class CapacityState:
    """What was measured since the pods' resources or image last changed, the drift test, and the knee."""

    generation: int | None = None
    limit_cores: float | None = None
    moments: Moments = field(default_factory=Moments)
    updated_at_s: float | None = None
    drift_up: float = 0.0
    drift_down: float = 0.0
    drifts: int = 0
    saturated_looks: int = 0
    knee_rps: float | None = None
    tail: TailState = field(default_factory=TailState)


def learn(state: CapacityState, seen: WorkloadSeen, policy: WorkloadPolicy, now_s: float) -> CapacityState:
    """The state after one look. Pods that start, drain or belong to a rollout teach nothing."""
    limit_cores = seen.cpu_limit_cores or seen.cpu_request_cores
    if state.generation != seen.spec_generation:
        state = CapacityState(seen.spec_generation, limit_cores)
    pods = [] if seen.rollout_in_progress else [pod for pod in seen.pods if _is_warm(pod, now_s)]
    if not pods:
        return state if limit_cores == state.limit_cores else replace(state, limit_cores=limit_cores)
    points = _alike([(pod.worked_rps, pod.cpu_cores) for pod in pods if pod.worked_rps and pod.cpu_cores])
    elapsed_s = 0.0 if state.updated_at_s is None else max(0.0, now_s - state.updated_at_s)
    moments, up, down, drifts = state.moments, state.drift_up, state.drift_down, state.drifts
    if points:
        up, down = _drift(state, points)
        if up >= DRIFT_ALARM or down >= DRIFT_ALARM:
            # What was learned before counts no more than one observation from now on.
            moments = _scaled(moments, 1.0 / max(1.0, moments.weight))
            up, down, drifts = 0.0, 0.0, drifts + 1
        moments = _with_points(moments, points, 0.5 ** (elapsed_s / HALF_LIFE_S))
    looks = state.saturated_looks + 1 if seen.saturated else 0
    knee_rps = state.knee_rps
    if looks or knee_rps is not None:
        measured = _from_cpu(moments, limit_cores)
        ceiling_rps = measured.rps if measured is not None else policy.scaling.capacity_prior_rps
        knee_rps = _knee(knee_rps, looks, pods, ceiling_rps, elapsed_s)
    waiting = state.tail if looks else _tail(state.tail, seen, pods, moments, limit_cores, now_s)
    return CapacityState(state.generation, limit_cores, moments, now_s, up, down, drifts, looks, knee_rps, waiting)


def estimate(state: CapacityState, policy: WorkloadPolicy) -> Capacity | None:
    """Capacity per pod, None while neither a declared prior nor enough measurements with a CPU limit exist."""
    prior_rps = policy.scaling.capacity_prior_rps
    measured = _from_cpu(state.moments, state.limit_cores)
    if measured is not None and prior_rps is not None:
        trust = _trust(state.moments, state.limit_cores)
        measured = replace(measured, rps=trust * measured.rps + (1.0 - trust) * prior_rps) if trust > 0.0 else None
    if measured is not None:
        slo = tail.ceiling(state.tail, measured.rps, policy.slo_latency_s)
        measured = replace(measured, slo_utilization=slo)
    if measured is None and prior_rps is not None:
        measured = Capacity(prior_rps, 0.0, CapacitySource.PRIOR)
    if state.knee_rps is not None and (measured is None or state.knee_rps < measured.rps):
        slo = None if measured is None else measured.slo_utilization
        if measured is not None and slo is not None:
            slo = min(1.0, slo * measured.rps / state.knee_rps)
        return Capacity(state.knee_rps, 0.05, CapacitySource.KNEE, slo)
    return measured


def _tail(
    state: TailState,
    seen: WorkloadSeen,
    warm: Sequence[PodSeen],
    moments: Moments,
    limit_cores: float | None,
    now_s: float,
) -> TailState:
    """What latency teaches, once CPU has taught what one request's work is."""
    measured = _from_cpu(moments, limit_cores)
    if measured is None:
        return state
    return tail.learn(state, warm, seen.latency_p99_s, measured.rps, limit_cores, now_s)


def _is_warm(pod: PodSeen, now_s: float) -> bool:
    return (
        pod.ready_at_s is not None
        and not pod.deleting
        and pod.traffic_on
        and now_s - pod.ready_at_s >= WARM_UP_S
        and pod.rate_rps is not None
        and pod.rate_rps >= LEAST_RATE_RPS
    )


def _alike(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points without those far from their peers in CPU per request; two pods cannot outvote each other."""
    if len(points) < 3:
        return points
    usual = median(cpu / rate for rate, cpu in points)
    return [(rate, cpu) for rate, cpu in points if usual / OUTLIER_FACTOR <= cpu / rate <= usual * OUTLIER_FACTOR]


def _drift(state: CapacityState, points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The two sums of the drift test after these points."""
    line = _line(state.moments)
    if line is None:
        return 0.0, 0.0
    idle_cores, cores_per_rps = line
    used = expected = 0.0
    for rate, cpu in points:
        used += cpu
        expected += idle_cores + cores_per_rps * rate
    surprise = max(-LARGEST_SURPRISE, min(LARGEST_SURPRISE, math.log(used / expected)))
    return max(0.0, state.drift_up + surprise - DRIFT_SLACK), max(0.0, state.drift_down - surprise - DRIFT_SLACK)


def _scaled(old: Moments, keep: float) -> Moments:
    return Moments(
        old.weight * keep,
        old.rate * keep,
        old.cpu * keep,
        old.rate_rate * keep,
        old.rate_cpu * keep,
        old.cpu_cpu * keep,
    )


def _with_points(old: Moments, points: Sequence[tuple[float, float]], keep: float) -> Moments:
    weight, rate, cpu = old.weight * keep, old.rate * keep, old.cpu * keep
    rate_rate, rate_cpu, cpu_cpu = old.rate_rate * keep, old.rate_cpu * keep, old.cpu_cpu * keep
    for one_rate, one_cpu in points:
        weight += 1.0
        rate += one_rate
        cpu += one_cpu
        rate_rate += one_rate * one_rate
        rate_cpu += one_rate * one_cpu
        cpu_cpu += one_cpu * one_cpu
    return Moments(weight, rate, cpu, rate_rate, rate_cpu, cpu_cpu)


def _line(moments: Moments) -> tuple[float, float] | None:
    """(idle cores, cores per request per second) of one pod; both ≥ 0."""
    if moments.weight < 1.0 or moments.rate <= 0.0 or moments.cpu <= 0.0:
        return None
    pulled = moments.weight * (1.0 + IDLE_PULL)
    spread = pulled * moments.rate_rate - moments.rate * moments.rate
    slope = (pulled * moments.rate_cpu - moments.rate * moments.cpu) / spread if spread > 0.0 else 0.0
    idle = (moments.cpu - slope * moments.rate) / pulled
    if slope <= 0.0 or idle < 0.0:
        return 0.0, moments.rate_cpu / moments.rate_rate
    return idle, slope


def _from_cpu(moments: Moments, limit_cores: float | None) -> Capacity | None:
    line = _line(moments)
    if line is None or limit_cores is None:
        return None
    idle_cores, cores_per_rps = line
    # An idle share above half the limit is not believed: it would make the capacity of a busy pod vanish.
    rps = max(limit_cores - idle_cores, 0.5 * limit_cores) / cores_per_rps
    weight = moments.weight
    squares = moments.cpu_cpu - idle_cores * moments.cpu - cores_per_rps * moments.rate_cpu
    spread = (1.0 + IDLE_PULL) * moments.rate_rate / weight - (moments.rate / weight) ** 2
    error = math.sqrt(max(0.0, squares) / (weight * weight * spread)) / cores_per_rps if spread > 0.0 else 1.0
    return Capacity(rps, min(LARGEST_ERROR, error + 0.5 / (1.0 + weight)), CapacitySource.CPU)


def _trust(moments: Moments, limit_cores: float | None) -> float:
    """Between 0, a declared prior alone, and 1, what was measured alone: idle pods do not tell what busy ones carry."""
    if limit_cores is None or moments.cpu <= 0.0:
        return 0.0
    # Weighed by CPU, as the regression weighs by rate: a busy hour still counts while the pods idle after it.
    utilization = moments.cpu_cpu / moments.cpu / limit_cores
    busy = (utilization - IDLE_UTILIZATION) / (TELLING_UTILIZATION - IDLE_UTILIZATION)
    return min(1.0, max(0.0, busy), moments.weight / TRUSTED_WEIGHT)


def _knee(
    knee_rps: float | None, looks: int, pods: Sequence[PodSeen], ceiling_rps: float | None, elapsed_s: float
) -> float | None:
    """The knee after a look; `looks` is how many in a row were saturated, `ceiling_rps` the CPU capacity."""
    carried_rps = median((pod.rate_rps or 0.0) * (1.0 - (pod.error_ratio or 0.0)) for pod in pods)
    if looks == 0:
        return None if knee_rps is None else _faded(knee_rps, carried_rps, ceiling_rps, elapsed_s)
    if looks < KNEE_LOOKS or carried_rps <= 0.0 or (ceiling_rps is not None and carried_rps > KNEE_BELOW * ceiling_rps):
        return knee_rps
    found_rps = carried_rps if ceiling_rps is None else max(carried_rps, KNEE_LEAST * ceiling_rps)
    return found_rps if knee_rps is None else 0.7 * knee_rps + 0.3 * found_rps


def _faded(knee_rps: float, carried_rps: float, ceiling_rps: float | None, elapsed_s: float) -> float | None:
    """The knee after a look without saturation: at least what was carried, drawn back to the CPU capacity by time."""
    if ceiling_rps is None:
        return max(knee_rps, carried_rps)
    faded = ceiling_rps - (ceiling_rps - knee_rps) * 0.5 ** (elapsed_s / KNEE_HALF_LIFE_S)
    faded = max(faded, carried_rps)
    return faded if faded < 0.97 * ceiling_rps else None

"""Pods that are worse than their peers. All of them being bad is nobody's fault that a drain could mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from policies.model import PodSeen, WorkloadSeen

SETTLED_S = 90.0  # a pod younger than this is slow because it is cold
LEAST_RATE_RPS = 0.5
WINDOW_S = 30.0  # what the scrape's means are about
LEAST_ERRORS = 5.0  # failed answers in that window before a share means anything
ERROR_MARGIN = 0.05  # share of failed answers above the peers'
LATENCY_DEVIATIONS = 5.0  # robust standard deviations above the peers' median
LATENCY_MARGIN_RATIO = 0.5  # … and this much of that median
LATENCY_MARGIN_OF_SLO = 0.10  # … and this much of the SLO: nobody feels the difference below
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Outlier:
    """One pod against the median of its peers, in the unit of `signal`: share of errors or mean seconds."""

    pod: str
    signal: str  # "errors" or "latency"
    value: float
    peers: float

    @property
    def work_ratio(self) -> float:
        """What it does in the time its peers do 1 (0..1). Nothing, when it fails: failing fast attracts traffic."""
        if self.signal == "errors":
            return 0.0
        return min(1.0, self.peers / self.value) if self.value > 0.0 else 1.0


def worst(workload: WorkloadSeen, slo_latency_s: float, now_s: float) -> Outlier | None:
    """The pod that stands out most, errors before latency; None when none does or nothing can be compared."""
    if not _may_have_one(workload.pods, slo_latency_s):
        return None
    pods = [pod for pod in workload.endpoints if _is_comparable(pod, now_s)]
    return _failing(pods) or _slow(pods, slo_latency_s)


def _may_have_one(pods: Sequence[PodSeen], slo_latency_s: float) -> bool:
    """A cheap look that spares healthy workloads the statistics."""
    slowest, fastest, errors = 0.0, float("inf"), 0.0
    for pod in pods:
        latency_s, error_ratio = pod.latency_mean_s, pod.error_ratio
        if latency_s is not None:
            slowest, fastest = max(slowest, latency_s), min(fastest, latency_s)
        if error_ratio is not None and error_ratio > errors:
            errors = error_ratio
    return errors >= ERROR_MARGIN or slowest - fastest >= LATENCY_MARGIN_OF_SLO * slo_latency_s


def _is_comparable(pod: PodSeen, now_s: float) -> bool:
    settled = pod.ready_at_s is not None and now_s - pod.ready_at_s >= SETTLED_S
    return settled and (pod.rate_rps or 0.0) >= LEAST_RATE_RPS


def _failing(pods: Sequence[PodSeen]) -> Outlier | None:
    known = [(pod.error_ratio, pod) for pod in pods if pod.error_ratio is not None]
    if len(known) < 2:
        return None
    ratio, pod = max(known, key=lambda entry: (entry[0], entry[1].name))
    peers = median(other for other, candidate in known if candidate is not pod)
    errors = ratio * (pod.rate_rps or 0.0) * WINDOW_S
    return (
        Outlier(pod.name, "errors", ratio, peers) if ratio - peers >= ERROR_MARGIN and errors >= LEAST_ERRORS else None
    )


def _slow(pods: Sequence[PodSeen], slo_latency_s: float) -> Outlier | None:
    known = [(pod.latency_mean_s, pod) for pod in pods if pod.latency_mean_s is not None]
    if len(known) < 2:
        return None
    latency_s, pod = max(known, key=lambda entry: (entry[0], entry[1].name))
    others = [other for other, candidate in known if candidate is not pod]
    peers = median(others)
    spread = MAD_TO_SIGMA * median(abs(other - peers) for other in others)
    margin = max(LATENCY_DEVIATIONS * spread, LATENCY_MARGIN_RATIO * peers, LATENCY_MARGIN_OF_SLO * slo_latency_s)
    return Outlier(pod.name, "latency", latency_s, peers) if latency_s - peers >= margin else None

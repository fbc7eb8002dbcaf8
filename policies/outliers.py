"""Pods that are worse than their peers. All of them being bad is nobody's fault that a drain could mend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from policies.model import PodSeen, WorkloadSeen

SIGNALS = frozenset({"errors", "latency", "cpu"})
SETTLED_S = 90.0  # a pod younger than this is slow because it is cold
LEAST_RATE_RPS = 0.5
SCRAPE_S = 15.0  # what the scrape's means are about
LEAST_ERRORS = 3.0  # failed answers in that time before a share means anything
ERROR_MARGIN = 0.05  # share of failed answers above the peers'
ERROR_FACTOR = 3.0  # … and so many times theirs: where all fail, the cause is behind them
ERROR_DEVIATIONS = 4.0  # … and beyond the chance of so few answers
CERTAIN_ERRORS = 12.0  # so many failed answers of one pod are no coincidence
CLEAN_ERRORS = 0.01  # … while its peers fail next to none
DEVIATIONS = 5.0  # robust standard deviations above the peers' median
SAMPLING_DEVIATIONS = 10.0  # of the mean of so few answers: latencies have heavy tails, and busy pods long queues
LATENCY_MARGIN_RATIO = 0.5  # … and this much of that median
LATENCY_MARGIN_OF_SLO = 0.10  # … and this much of the SLO: nobody feels the difference below
LATENCY_HARM_OF_SLO = 0.4  # a mean from which on the slowest answers exceed the SLO
CPU_MARGIN = 0.20  # of the limit, above what its peers would use at its rate
CPU_MARGIN_RATIO = 0.4  # … and this much of what they would
BUSY_UTILIZATION = 0.85  # of the limit: a pod that works so hard is slow, and it shows nothing about its health
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Outlier:
    """One pod against the median of its peers, in the unit of `signal`: share of errors, mean seconds, cores."""

    pod: str
    signal: str  # "errors", "latency" or "cpu"
    value: float
    peers: float
    harm: float  # how far it is towards hurting users: from 1 on it does
    certain: bool = False  # more than one look's worth of evidence

    @property
    def work_ratio(self) -> float:
        """What it does in the time its peers do 1 (0..1). Nothing, when it fails: failing fast attracts traffic."""
        if self.signal == "errors":
            return 0.0
        return min(1.0, self.peers / self.value) if self.value > 0.0 else 1.0


def worst(workload: WorkloadSeen, slo_latency_s: float, now_s: float) -> Outlier | None:
    """The pod that does, or may soon do, most harm; None when none stands out or nothing can be compared.

    While its peers have no CPU to spare, a slow pod is a busy one and is left alone; so is one that rejects requests
    because it has none either.
    """
    limit_cores = workload.cpu_limit_cores
    if not _may_have_one(workload.pods, slo_latency_s, limit_cores):
        return None
    pods = [pod for pod in workload.endpoints if _is_comparable(pod, now_s)]
    if len(pods) < 2:
        return None
    found = [_failing(pods), _slow(pods, slo_latency_s, limit_cores), _burning(pods, limit_cores)]
    odd = [outlier for outlier in found if outlier is not None and not _overloaded(outlier, pods, limit_cores)]
    return max(odd, key=lambda outlier: outlier.harm, default=None)


def _may_have_one(pods: Sequence[PodSeen], slo_latency_s: float, limit_cores: float | None) -> bool:
    """A cheap look that spares healthy workloads the statistics."""
    slowest, fastest, errors, most, least = 0.0, float("inf"), 0.0, 0.0, float("inf")
    for pod in pods:
        latency_s, error_ratio, cores = pod.latency_mean_s, pod.error_ratio, pod.cpu_cores
        if latency_s is not None:
            slowest, fastest = max(slowest, latency_s), min(fastest, latency_s)
        if error_ratio is not None and error_ratio > errors:
            errors = error_ratio
        if cores is not None:
            most, least = max(most, cores), min(least, cores)
    # With little traffic a burning pod may use no more than half of the margin above its peers.
    burns = limit_cores is not None and most - least >= 0.5 * CPU_MARGIN * limit_cores
    return burns or errors >= ERROR_MARGIN or slowest - fastest >= LATENCY_MARGIN_OF_SLO * slo_latency_s


def _is_comparable(pod: PodSeen, now_s: float) -> bool:
    settled = pod.ready_at_s is not None and now_s - pod.ready_at_s >= SETTLED_S
    return settled and (pod.rate_rps or 0.0) >= LEAST_RATE_RPS


def _overloaded(odd: Outlier, pods: Sequence[PodSeen], limit_cores: float | None) -> bool:
    if limit_cores is None:
        return False
    busy = BUSY_UTILIZATION * limit_cores
    others = [pod.cpu_cores for pod in pods if pod.cpu_cores is not None and pod.name != odd.pod]
    if not others or median(others) < busy:
        return False
    own = next((pod.cpu_cores for pod in pods if pod.name == odd.pod), None)
    return odd.signal != "errors" or own is None or own >= busy


def _failing(pods: Sequence[PodSeen]) -> Outlier | None:
    known = [(pod.error_ratio, pod) for pod in pods if pod.error_ratio is not None]
    if len(known) < 2:
        return None
    ratio, pod = max(known, key=lambda entry: (entry[0], entry[1].name))
    peers = median(other for other, candidate in known if candidate is not pod)
    answers = (pod.rate_rps or 0.0) * SCRAPE_S
    errors = ratio * answers
    chance = ERROR_DEVIATIONS * math.sqrt(peers * (1.0 - peers) / max(answers, 1.0))
    if ratio - peers < max(ERROR_MARGIN, chance) or ratio < ERROR_FACTOR * peers or errors < LEAST_ERRORS:
        return None
    certain = errors >= CERTAIN_ERRORS and peers <= CLEAN_ERRORS
    return Outlier(pod.name, "errors", ratio, peers, harm=ratio / ERROR_MARGIN, certain=certain)


def _slow(pods: Sequence[PodSeen], slo_latency_s: float, limit_cores: float | None) -> Outlier | None:
    known = [(pod.latency_mean_s, pod) for pod in pods if pod.latency_mean_s is not None]
    if len(known) < 2:
        return None
    latency_s, pod = max(known, key=lambda entry: (entry[0], entry[1].name))
    others = [other for other, candidate in known if candidate is not pod]
    peers = median(others)
    answers = max((pod.rate_rps or 0.0) * SCRAPE_S, 1.0)
    margin = max(
        DEVIATIONS * _deviation(others, peers),
        SAMPLING_DEVIATIONS * peers / math.sqrt(answers) / _idle_share(pod, pods, limit_cores),
        LATENCY_MARGIN_RATIO * peers,
        LATENCY_MARGIN_OF_SLO * slo_latency_s,
    )
    harm = latency_s / (LATENCY_HARM_OF_SLO * slo_latency_s)
    return Outlier(pod.name, "latency", latency_s, peers, harm) if latency_s - peers >= margin else None


def _idle_share(own: PodSeen, pods: Sequence[PodSeen], limit_cores: float | None) -> float:
    """CPU to spare (0.05..1) of a pod or of its peers, whichever has less: the less, the longer a queue lasts."""
    used = [pod.cpu_cores for pod in pods if pod.cpu_cores is not None and pod is not own]
    if limit_cores is None or not used:
        return 1.0
    return max(0.05, 1.0 - max(median(used), own.cpu_cores or 0.0) / limit_cores)


def _burning(pods: Sequence[PodSeen], limit_cores: float | None) -> Outlier | None:
    """A pod whose CPU does not go into requests. It hurts nobody until its limit is reached, and then at once."""
    if limit_cores is None:
        return None
    known = [(pod.cpu_cores, pod.worked_rps, pod) for pod in pods if pod.cpu_cores is not None and pod.worked_rps]
    if len(known) < 2:
        return None
    fair_rps = sum(rate_rps for _, rate_rps, _ in known) / len(known)
    beyond = [
        (cores - usual * rate_rps, usual, pod)
        for (cores, rate_rps, pod), usual in zip(known, _usual(known), strict=True)
    ]
    worst_excess, usual, odd = max(beyond, key=lambda entry: (entry[0], entry[2].name))
    others = [cores - usual * rate_rps for cores, rate_rps, pod in known if pod is not odd]
    # At the rate of its fair share: with less traffic by weight it would only look better.
    peers = usual * fair_rps
    margin = max(CPU_MARGIN * limit_cores, CPU_MARGIN_RATIO * peers, DEVIATIONS * _deviation(others, median(others)))
    if worst_excess < margin:
        return None
    cores = peers + worst_excess
    return Outlier(odd.name, "cpu", cores, peers, harm=cores / limit_cores / BUSY_UTILIZATION)


def _usual(known: Sequence[tuple[float, float, PodSeen]]) -> list[float]:
    """For each pod the cores that its peers use per request a second."""
    per_request = [cores / rate_rps for cores, rate_rps, _ in known]
    return [median(per_request[:place] + per_request[place + 1 :]) for place in range(len(known))]


def _deviation(values: Sequence[float], middle: float) -> float:
    """A robust standard deviation; 0 for one value."""
    return MAD_TO_SIGMA * median(abs(value - middle) for value in values)

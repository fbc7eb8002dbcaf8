"""Answers about pods → what each of them does and uses now, and its failure signals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from forecasting.forecast import Floats
from foresail.prometheus.answers import Frame, Labels
from foresail.prometheus.joining import Joiner
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.settings import Reading
from foresail.prometheus.tables import Merge, Rows, added, larger, put, share, without_negatives
from foresail.prometheus.usage import USAGE
from foresail.prometheus.watched import PodMetrics

MIB = float(2**20)
_NOTHING = PodMetrics()


@dataclass(slots=True)
class PodRows:
    """Rows by figure and pod ("namespace/pod"), living pods of watched workloads only."""

    by_figure: dict[str, Rows] = field(default_factory=dict)
    problems: Counter[UnknownReason] = field(default_factory=Counter)

    def of(self, figure: str) -> Rows:
        return self.by_figure.get(figure, {})


def pod_rows(frames: Iterable[Frame | None], joiner: Joiner, reading: Reading) -> PodRows:
    rows = PodRows()
    for frame in frames:
        if frame is None:
            continue
        pools: dict[str, dict[str, Rows]] = {}
        known, negative = without_negatives(frame.values)  # nothing about a pod can be below 0
        rows.problems[UnknownReason.NEGATIVE] += negative
        for labels, values in zip(frame.labels, known, strict=True):
            preset, figure = joiner.tag(labels)
            pod = _pod(labels, figure, joiner, reading)
            if pod is None or not _meant(preset, pod, joiner):
                rows.problems[UnknownReason.NO_OWNER] += 1
            elif figure in _FULLEST:
                put(pools.setdefault(figure, {}).setdefault(pod, {}), _place(labels), values, added)
            else:
                put(rows.by_figure.setdefault(figure, {}), pod, values, _MERGE.get(figure, added))
        for used, (size, share_name) in _FULL_OF.items():
            _fullest(pools.get(used, {}), pools.get(size, {}), share_name, size, rows)
    return rows


def pod_metrics(rows: PodRows) -> dict[str, PodMetrics]:
    """The last step of every pod of which anything is known."""
    requests, errors, busy_s = rows.of("requests"), rows.of("errors"), rows.of("busy_s")
    latency, cores, memory = rows.of("latency_p99"), rows.of("cpu_cores"), rows.of("memory_bytes")
    answer = {}
    for pod in requests.keys() | cores.keys() | memory.keys() | latency.keys():
        rate_rps = _last(requests, pod)
        served = rate_rps is not None and rate_rps > 0.0
        memory_bytes = _last(memory, pod)
        seen = PodMetrics(
            rate_rps=rate_rps,
            error_ratio=min(1.0, (_last(errors, pod) or 0.0) / rate_rps) if rate_rps and served else None,
            latency_mean_s=_ratio(_last(busy_s, pod), rate_rps),
            latency_p99_s=_last(latency, pod),
            cpu_cores=_last(cores, pod),
            memory_mib=None if memory_bytes is None else memory_bytes / MIB,
        )
        if seen != _NOTHING:
            answer[pod] = seen
    return answer


def error_ratios(rows: PodRows) -> Rows:
    errors = rows.of("errors")
    return {
        pod: share(errors.get(pod, np.full(requests.shape, np.nan)), requests)
        for pod, requests in rows.of("requests").items()
    }


def mean_latencies_s(rows: PodRows) -> Rows:
    """Unknown for a pod that answered nothing."""
    requests = rows.of("requests")
    return {
        pod: np.divide(busy, requests[pod], out=np.full(busy.shape, np.nan), where=requests[pod] > 0.0)
        for pod, busy in rows.of("busy_s").items()
        if pod in requests
    }


_MERGE: Mapping[str, Merge] = {"latency_p99": larger, "lag_s": larger}
#: Figures of which a pod may have several, by pool or claim: the fullest one counts.
_FULLEST = frozenset({"pool_used", "pool_size", "disk_used", "disk_size"})
_FULL_OF = {"pool_used": ("pool_size", "pool_share"), "disk_used": ("disk_size", "disk_share")}


def _fullest(
    used: Mapping[str, Rows], size: Mapping[str, Rows], share_name: str, size_name: str, rows: PodRows
) -> None:
    """Share used and size of the pool that is the fullest now."""
    for pod, by_place in used.items():
        best: tuple[float, Floats, Floats] | None = None
        for place, taken in by_place.items():
            whole = size.get(pod, {}).get(place)
            if whole is None:
                continue
            taken_share = share(taken, whole)
            newest = float(np.nan_to_num(taken_share[-1], nan=-1.0))
            if best is None or newest > best[0]:
                best = (newest, taken_share, whole)
        if best is not None:
            rows.by_figure.setdefault(share_name, {})[pod] = best[1]
            rows.by_figure.setdefault(size_name, {})[pod] = best[2]


def _pod(labels: Labels, figure: str, joiner: Joiner, reading: Reading) -> str | None:
    if figure in ("disk_used", "disk_size"):
        namespace = labels.get(reading.namespace_label, "")
        return joiner.pod_of_claim(namespace, labels.get("persistentvolumeclaim", ""))
    return joiner.pod(labels)


def _meant(preset: str, pod: str, joiner: Joiner) -> bool:
    """Whether the pod's workload takes its figures from there."""
    workload = joiner.watched.get(joiner.index.pods[pod].workload)
    return workload is not None and preset in (USAGE, workload.preset)


def _place(labels: Labels) -> str:
    names = ("pool", "db_client_connection_pool_name", "persistentvolumeclaim")
    return next((labels[name] for name in names if labels.get(name)), "")


def _last(rows: Rows, pod: str) -> float | None:
    row = rows.get(pod)
    value = float("nan") if row is None else float(row[-1])
    return None if value != value else value


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole

"""Answers about pods → failure signals with the limits at which something breaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from forecasting.forecast import Floats
from foresail.prometheus.demand_answers import Answered
from foresail.prometheus.joining import Joiner
from foresail.prometheus.pod_answers import MIB, PodRows, error_ratios, mean_latencies_s
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.settings import Reading
from foresail.prometheus.signal_log import SignalTable
from foresail.prometheus.tables import Rows, larger, put
from foresail.prometheus.watched import PodFacts, Watched
from policies.model import SignalKind, SignalTarget

_Signal = tuple[SignalKind, Floats, float]


def signal_table(
    rows: PodRows, custom: Iterable[Answered], joiner: Joiner, reading: Reading, steps: int
) -> SignalTable:
    """Every signal with a known limit. A limit that nobody declared is no limit: there is no such signal."""
    own = _own_signals(custom, joiner, rows)
    errors, latencies = error_ratios(rows), mean_latencies_s(rows)
    targets: list[SignalTarget] = []
    values: list[Floats] = []
    limits: list[float] = []
    for pod, facts in joiner.index.pods.items():
        watched = joiner.watched.get(facts.workload)
        if watched is None:
            continue
        replaced = {expression.about for expression in watched.expressions}
        found = [
            signal
            for signal in _of_presets(pod, facts, watched, rows, errors, latencies, reading)
            if signal[0] not in replaced
        ]
        for kind, row, limit in (*found, *_of_users(pod, watched, own)):
            if not 0.0 < limit < float("inf"):
                continue
            targets.append(SignalTarget(kind, facts.workload, pod.partition("/")[2]))
            values.append(row)
            limits.append(limit)
    table = np.stack(values) if values else np.zeros((0, steps))
    return SignalTable(tuple(targets), table, np.asarray(limits, dtype=np.float64))


def _of_presets(
    pod: str,
    facts: PodFacts,
    watched: Watched,
    rows: PodRows,
    errors: Rows,
    latencies: Rows,
    reading: Reading,
) -> Iterator[_Signal]:
    memory = rows.of("memory_bytes").get(pod)
    if memory is not None and facts.memory_limit_mib:
        yield SignalKind.MEMORY, memory / MIB, facts.memory_limit_mib
    if pod in rows.of("pool_share"):
        yield _full(SignalKind.CONNECTION_POOL, rows.of("pool_share")[pod], rows.of("pool_size")[pod], 1.0)
    if pod in rows.of("disk_share"):
        yield _full(SignalKind.DISK, rows.of("disk_share")[pod], rows.of("disk_size")[pod], MIB)
    if watched.queue_limit and pod in rows.of("queued"):
        yield SignalKind.QUEUE, rows.of("queued")[pod], watched.queue_limit
    if pod in latencies:
        yield SignalKind.LATENCY, latencies[pod], watched.slo_latency_s
    if pod in errors:
        yield SignalKind.ERRORS, errors[pod], 1.0
    if pod in rows.of("lag_s"):
        yield SignalKind.REPLICATION_LAG, rows.of("lag_s")[pod], reading.replication_lag_limit_s


def _full(kind: SignalKind, taken_share: Floats, size: Floats, unit: float) -> _Signal:
    """A share as an amount of the size that holds now, so that a resize does not look like a jump."""
    known = size[~np.isnan(size)]
    limit = float(known[-1]) / unit if known.size else float("nan")
    return kind, taken_share * limit, limit


def _of_users(pod: str, watched: Watched, own: dict[SignalKind, Rows]) -> Iterator[_Signal]:
    for expression in watched.expressions:
        if isinstance(expression.about, SignalKind) and expression.limit is not None:
            row = own.get(expression.about, {}).get(pod)
            if row is not None:
                yield expression.about, row, expression.limit


def _own_signals(custom: Iterable[Answered], joiner: Joiner, rows: PodRows) -> dict[SignalKind, Rows]:
    own: dict[SignalKind, Rows] = {}
    for query, frame in custom:
        kinds: dict[str, list[SignalKind]] = {}
        for user, about in query.users:
            if isinstance(about, SignalKind):
                kinds.setdefault(user, []).append(about)
        if not kinds or frame is None:
            continue
        for labels, values in zip(frame.labels, frame.values, strict=True):
            pod = joiner.pod(labels)
            if pod is None or joiner.index.pods[pod].workload not in kinds:
                rows.problems[UnknownReason.NO_OWNER] += 1
                continue
            for kind in kinds[joiner.index.pods[pod].workload]:
                put(own.setdefault(kind, {}), pod, values, larger)
    return own

"""Requests of the load, by the second in which they were due: what clients saw, as the scoring wants it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from chaos.experiments.shop_map import ENTERS_AT
from chaos.load.records import Record, Verdict
from simulation.kernel.histogram import BUCKETS, edges_s
from simulation.result import Accounting, ClientSeconds, Counts
from simulation.scenario import Scenario

TIMED_OUT = "timeout"


def client_seconds(records: Iterable[Record], scenario: Scenario, zero_s: float) -> ClientSeconds:
    """`zero_s` is when t = 0 was, in seconds since the load began; requests before it and after the end are left out.

    A request that was skipped failed: its client got nothing. One that was never sent since the one before it failed
    never arrived. What clients cannot see, which content was left out, is unknown.
    """
    classes = scenario.topology.classes
    rows = {c.operation: row for row, c in enumerate(classes)}
    slo_ms = [1000.0 * (scenario.slo.latency_s if c.slo_s is None else c.slo_s) for c in classes]
    seconds = max(1, int(scenario.duration_s))
    arrived, ok, slow, failed = (np.zeros((len(classes), seconds), dtype=np.int64) for _ in range(4))
    latencies: list[tuple[int, float]] = []
    for record in records:
        second = int(np.floor(record.due_s - zero_s))
        if record.verdict in (Verdict.RETRIED, Verdict.BLOCKED) or not 0 <= second < seconds:
            continue
        row = rows[ENTERS_AT[record.operation]]
        arrived[row, second] += 1
        if record.answered_well:
            ok[row, second] += 1
            slow[row, second] += record.latency_ms > slo_ms[row]
        else:
            failed[row, second] += 1
        if record.answered_well or record.error == TIMED_OUT:
            latencies.append((second, record.latency_ms / 1000.0))
    return ClientSeconds(
        classes=tuple(c.name for c in classes),
        arrived=arrived,
        ok=ok,
        slow=slow,
        failed=failed,
        degraded=None,
        latency_histogram=_histogram(latencies, seconds),
        bucket_edges_s=edges_s(),
    )


def accounting(client: ClientSeconds) -> Accounting:
    """Every scored request was answered, given up or skipped; a load run ends with none in flight."""
    arrived, ok, failed = (int(counts.sum()) for counts in (client.arrived, client.ok, client.failed))
    return Accounting(arrived, ok, failed, arrived - ok - failed)


def _histogram(latencies: list[tuple[int, float]], seconds: int) -> Counts:
    """`(seconds, buckets)`: until a good answer or until giving up."""
    counts: NDArray[np.int64] = np.zeros((seconds, BUCKETS), dtype=np.int64)
    if latencies:
        second, latency_s = np.array(latencies).T
        bucket = np.searchsorted(edges_s()[1:-1], latency_s, side="right")
        np.add.at(counts, (second.astype(np.int64), bucket), 1)
    return counts

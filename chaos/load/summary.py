"""What a load run showed: counts, latencies, orders and downtime, worked out from its records and its ledger."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chaos.load.ledger import LedgerOrder, Outcome
from chaos.load.records import Record, Verdict
from forecasting.forecast import Floats
from simulation.result import ClientSeconds
from simulation.scoring.downtime import Health, health

LATE_MS = 50.0


@dataclass(frozen=True, slots=True)
class OperationFigures:
    """Requests of one kind. An order counts once, from its first attempt's due time to its last word.

    Latencies count from when a request was due, of those answered properly or timed out; None without one.
    """

    count: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """Orders by what their client knows in the end; `retries` are further attempts with the same key."""

    attempted: int
    acknowledged: int
    rejected: int
    unknown: int
    retries: int
    rejected_because: dict[str, int]


@dataclass(frozen=True, slots=True)
class UpTime:
    """Seconds as clients saw them, by the scoreboard's definition; without traffic a second is unknown."""

    downtime_s: int
    up_s: int
    unknown_s: int


@dataclass(frozen=True, slots=True)
class ProbeFigures:
    """The synthetic customer's view."""

    sent: int
    ok: int
    rejected: int  # sold out or price changed: the shop works, the probe's product does not
    failed: int
    skipped: int
    p50_ms: float | None
    p99_ms: float | None
    uptime: UpTime


@dataclass(frozen=True, slots=True)
class Ended:
    """How the sending process ended, and what a request cost it."""

    ended_s: float
    stopped_early: bool
    given_up: int  # arrivals whose answers nobody waited for any more
    cpu_ms_per_request: float


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """offered = sent + skipped + blocked; `sent` counts no retries; `late` are requests begun over 50 ms after due."""

    run_id: str
    started_at: float  # seconds since the epoch
    duration_s: float
    stopped_early: bool
    offered: int
    sent: int
    late: int
    skipped: int
    blocked: int
    unfinished: int
    offered_rps: float
    achieved_rps: float  # requests answered properly per second
    failed: int
    by_operation: dict[str, OperationFigures]
    by_status: dict[str, int]  # all attempts; words where no answer came
    orders: OrderFigures
    downtime_s: int
    uptime: UpTime
    probe: ProbeFigures | None
    cpu_ms_per_request: float  # of the load generator, probes included

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def summarised(
    run_id: str,
    started_at: float,
    ended: Ended,
    records: Sequence[Record],
    probes: Sequence[Record] | None,
    orders: Sequence[LedgerOrder],
    slo_latency_s: float,
) -> LoadSummary:
    """The summary of a run; `probes` None: there was no probe. Orders of other runs in the ledger are left out."""
    verdicts = Counter(record.verdict for record in records)
    whole = [record for record in records if record.verdict is not Verdict.RETRIED]
    sent = sum(verdicts[v] for v in (Verdict.OK, Verdict.REJECTED, Verdict.FAILED))
    lasted_s = max(ended.ended_s, 1e-9)
    uptime = up_time(whole, ended.ended_s, slo_latency_s)
    own = [order for order in orders if order.key.startswith(f"{run_id}-")]
    return LoadSummary(
        run_id=run_id,
        started_at=started_at,
        duration_s=ended.ended_s,
        stopped_early=ended.stopped_early,
        offered=sent + verdicts[Verdict.SKIPPED] + verdicts[Verdict.BLOCKED],
        sent=sent,
        late=sum(record.lag_ms > LATE_MS for record in records),
        skipped=verdicts[Verdict.SKIPPED],
        blocked=verdicts[Verdict.BLOCKED],
        unfinished=ended.given_up,
        offered_rps=(sent + verdicts[Verdict.SKIPPED] + verdicts[Verdict.BLOCKED]) / lasted_s,
        achieved_rps=(verdicts[Verdict.OK] + verdicts[Verdict.REJECTED]) / lasted_s,
        failed=verdicts[Verdict.FAILED],
        by_operation=_by_operation(whole),
        by_status=_by_status(records),
        orders=_orders([order for order in own if not order.synthetic]),
        downtime_s=uptime.downtime_s,
        uptime=uptime,
        probe=None if probes is None else _probe(probes, ended.ended_s, slo_latency_s),
        cpu_ms_per_request=ended.cpu_ms_per_request,
    )


def up_time(records: Iterable[Record], lasted_s: float, slo_latency_s: float) -> UpTime:
    """Down, up and unknown seconds."""
    if lasted_s <= 0.0:
        return UpTime(0, 0, 0)
    seen = client_health(records, lasted_s, slo_latency_s)
    return UpTime(seen.downtime_s, int((seen.known & ~seen.down).sum()), int((~seen.known).sum()))


def client_health(records: Iterable[Record], lasted_s: float, slo_latency_s: float) -> Health:
    """Each second of a run, which must have lasted.

    A skipped request is bad: its client got nothing. A blocked one never was.
    """
    seconds = math.ceil(lasted_s)
    asked = [record for record in records if record.answered_well or record.bad]
    second = np.array([min(seconds - 1, int(record.due_s)) for record in asked], dtype=np.int64)
    well = np.array([record.answered_well for record in asked], dtype=bool)
    slow = well & np.array([record.latency_ms > slo_latency_s * 1000.0 for record in asked], dtype=bool)

    def counted(these: Any) -> Any:
        return np.bincount(second[these], minlength=seconds).astype(np.int64)[None, :]

    client = ClientSeconds(
        classes=("all",),
        arrived=counted(np.ones(len(asked), dtype=bool)),
        ok=counted(well),
        slow=counted(slow),
        failed=counted(~well),
        degraded=np.zeros((1, seconds), dtype=np.int64),
        latency_histogram=np.zeros((seconds, 0), dtype=np.int64),
        bucket_edges_s=np.zeros(1),
    )
    return health(client)


def _by_operation(records: Sequence[Record]) -> dict[str, OperationFigures]:
    found = {}
    for operation in sorted({record.operation for record in records}):
        own = [r for r in records if r.operation == operation and (r.answered_well or r.verdict is Verdict.FAILED)]
        latencies = np.array([r.latency_ms for r in own if r.answered_well or r.error == "timeout"])
        found[operation] = OperationFigures(
            count=len(own),
            failed=sum(r.verdict is Verdict.FAILED for r in own),
            p50_ms=_quantile(latencies, 0.5),
            p95_ms=_quantile(latencies, 0.95),
            p99_ms=_quantile(latencies, 0.99),
        )
    return found


def _by_status(records: Sequence[Record]) -> dict[str, int]:
    sent = (r for r in records if r.verdict not in (Verdict.SKIPPED, Verdict.BLOCKED))
    return dict(sorted(Counter(str(r.status) if r.status else r.error or "no answer" for r in sent).items()))


def _orders(orders: Sequence[LedgerOrder]) -> OrderFigures:
    outcomes = Counter(order.outcome for order in orders)
    reasons = Counter(order.reason or "unsaid" for order in orders if order.outcome is Outcome.REJECTED)
    return OrderFigures(
        attempted=len(orders),
        acknowledged=outcomes[Outcome.ACKNOWLEDGED],
        rejected=outcomes[Outcome.REJECTED],
        unknown=outcomes[Outcome.UNKNOWN],
        retries=sum(max(0, len(order.attempts) - 1) for order in orders),
        rejected_because=dict(sorted(reasons.items())),
    )


def _probe(probes: Sequence[Record], lasted_s: float, slo_latency_s: float) -> ProbeFigures:
    verdicts = Counter(record.verdict for record in probes)
    latencies = np.array([record.latency_ms for record in probes if record.answered_well])
    return ProbeFigures(
        sent=len(probes) - verdicts[Verdict.SKIPPED],
        ok=verdicts[Verdict.OK],
        rejected=verdicts[Verdict.REJECTED],
        failed=verdicts[Verdict.FAILED],
        skipped=verdicts[Verdict.SKIPPED],
        p50_ms=_quantile(latencies, 0.5),
        p99_ms=_quantile(latencies, 0.99),
        uptime=up_time(probes, lasted_s, slo_latency_s),
    )


def _quantile(values: Floats, share: float) -> float | None:
    return float(np.quantile(values, share)) if values.size else None

"""The gateway's own counters, second by second: how much is offered, and what share of it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prometheus_client.parser import text_string_to_metric_families

RECENT_S = 10  # seconds of counts that are kept
FIRST_FAILURE = 500
_MOST_GAP_S = 5.0  # between two readings of a pod; a mean over longer is nothing of the last second


@dataclass(frozen=True, slots=True)
class CounterSpec:
    """Which counter tells requests and how they ended. `status_labels`: the first that is there is taken."""

    metric: str = "http_server_request_duration_seconds_count"
    status_labels: tuple[str, ...] = ("http_response_status_code", "status", "code", "response_code", "status_code")
    labels: Mapping[str, str] = field(default_factory=dict)  # only series that bear these


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests since the process began."""

    total: float
    failed: float


def read_counts(page: str, spec: CounterSpec) -> Counts | None:
    """The sums over all series of a metrics page; None where the counter is not in it, or the page cannot be read.

    Status 0 (no answer), 5xx and anything that is no number count as failed.
    """
    # Parsing a whole page of a busy gateway, every second, would cost more than everything else in the fast lane.
    lines = [line for line in page.splitlines() if line.startswith((f"{spec.metric}{{", f"{spec.metric} "))]
    if not lines:
        return None
    total = failed = 0.0
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if any(sample.labels.get(key) != value for key, value in spec.labels.items()):
                    continue
                total += sample.value
                failed += sample.value if _is_failure(sample.labels, spec) else 0.0
    except (ValueError, KeyError, IndexError):
        return None
    return Counts(total, failed) if 0.0 <= failed <= total < float("inf") else None


def _is_failure(labels: Mapping[str, str], spec: CounterSpec) -> bool:
    status = next((labels[label] for label in spec.status_labels if label in labels), None)
    if status is None:
        return False
    return not status.isdecimal() or int(status) == 0 or int(status) >= FIRST_FAILURE


@dataclass(frozen=True, slots=True)
class Reading:
    """A pod's counts of some moment between the question and the answer."""

    counts: Counts
    asked_at_s: float
    answered_at_s: float

    def since_s(self, before: Reading) -> float:
        """How long after another one. Between two questions or two answers, whichever is longer: an answer that came
        late makes the time to the next one look short, and ordinary demand like a surge."""
        return max(self.asked_at_s - before.asked_at_s, self.answered_at_s - before.answered_at_s)


@dataclass(frozen=True, slots=True)
class GatewayMeter:
    """What the last readings came to. None: not known; a gateway that is not known is not in `recent_rps`."""

    rate_rps: float | None = None
    failed_ratio: float | None = None
    recent_rps: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    last: Mapping[str, Reading] = field(default_factory=dict)  # by `workload/pod`


def metered(meter: GatewayMeter, readings: Mapping[str, Mapping[str, Reading | None]]) -> GatewayMeter:
    """The meter after a round. `readings`: by gateway workload, by pod; None: the pod did not answer.

    A pod counts once it was read twice. A gateway is known while at least half of its pods answer: those that do not
    may be dead, and what they would have served is not offered to anybody else within the second.
    """
    last: dict[str, Reading] = {}
    recent: dict[str, tuple[float, ...]] = {}
    rates: list[float] = []
    total_rps = failed_rps = 0.0
    for workload, pods in readings.items():
        known = 0
        rate_rps = 0.0
        for pod, reading in pods.items():
            key = f"{workload}/{pod}"
            before = meter.last.get(key)
            if reading is None:
                if before is not None:
                    last[key] = before
                continue
            last[key] = reading
            if before is None or not 0.0 < (elapsed_s := reading.since_s(before)) <= _MOST_GAP_S:
                continue
            known += 1
            counts = reading.counts
            # A counter that fell back began anew with its process.
            restarted = counts.total < before.counts.total
            since = Counts(0.0, 0.0) if restarted else before.counts
            rate_rps += (counts.total - since.total) / elapsed_s
            total_rps += (counts.total - since.total) / elapsed_s
            failed_rps += max(0.0, counts.failed - since.failed) / elapsed_s
        if known and 2 * known >= len(pods):
            rates.append(rate_rps)
            recent[workload] = (*meter.recent_rps.get(workload, ()), rate_rps)[-RECENT_S:]
    if not rates or len(rates) < len(readings):
        return replace(meter, rate_rps=None, failed_ratio=None, recent_rps=recent, last=last)
    ratio = failed_rps / total_rps if total_rps > 0.0 else None
    return GatewayMeter(sum(rates), ratio, recent, last)

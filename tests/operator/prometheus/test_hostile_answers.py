"""Whatever a server says, nothing is thrown, nothing becomes zero, and the reason has a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from mock_prometheus import Hostile, MockPrometheus, SyntheticShop, mock_prometheus

from foresail.prometheus.answers import Frame
from foresail.prometheus.client import PrometheusClient, PromQl
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.settings import Connection, Reading
from foresail.prometheus.watched import PodFacts, PodIndex, Watched

NOW_S = 1_800_000_006.0  # 6 s after a step


class Counted:
    def __init__(self) -> None:
        self.reasons: Counter[UnknownReason] = Counter()

    def query_took(self, query: str, took_s: float) -> None:
        assert took_s >= 0.0

    def unknown(self, query: str, reason: UnknownReason, count: int) -> None:
        self.reasons[reason] += count


@pytest.fixture
def mock() -> Iterator[MockPrometheus]:
    with mock_prometheus(SyntheticShop(workloads=2, pods=2)) as server:
        server.now_s = NOW_S
        yield server


def client_of(server: MockPrometheus) -> Impatient:
    connection = Connection(server.url, timeout_s=10.0, largest_answer_bytes=1_000_000)
    return Impatient(PrometheusClient(connection, wall_clock=lambda: NOW_S))


def patience_s(hostile: Hostile) -> float:
    """Short only where no answer comes, so that a slow machine mistakes nothing for silence."""
    return 0.1 if hostile in (Hostile.SILENT, Hostile.DRIP) else 10.0


class Impatient:
    """A client whose patience a test can change."""

    def __init__(self, client: PrometheusClient) -> None:
        self._client, self.timeout_s = client, 10.0

    def instant(self, query: str, at_s: float, timeout_s: float | None = None) -> Frame:
        return self._client.instant(query, at_s, self.timeout_s)

    def range(self, query: str, start_s: float, end_s: float, step_s: float, timeout_s: float | None = None) -> Frame:
        return self._client.range(query, start_s, end_s, step_s, self.timeout_s)


def metrics_of(client: PromQl, shop: SyntheticShop, counted: Counted) -> PrometheusMetrics:
    metrics = PrometheusMetrics(client, Reading(demand_points=64, signal_points=10), recorder=counted)
    pods = {pod: PodFacts(key, 256.0) for key in shop.names() for pod in shop.pods_of(key)}
    metrics.watch([Watched(key) for key in shop.names()], PodIndex(pods))
    return metrics


UNUSABLE = [
    (Hostile.EMPTY, UnknownReason.EMPTY),
    (Hostile.WARNINGS, UnknownReason.PARTIAL),
    (Hostile.SILENT, UnknownReason.TIMED_OUT),
    (Hostile.DRIP, UnknownReason.TIMED_OUT),
    (Hostile.HUGE, UnknownReason.TOO_LARGE),
    (Hostile.SCALAR, UnknownReason.WRONG_TYPE),
    (Hostile.OTHER_TYPE, UnknownReason.WRONG_TYPE),
    (Hostile.DUPLICATES, UnknownReason.DUPLICATE),
    (Hostile.ERROR, UnknownReason.REFUSED),
    (Hostile.ERROR_WITH_200, UnknownReason.REFUSED),
    (Hostile.HTML, UnknownReason.NOT_JSON),
    (Hostile.CUT_OFF, UnknownReason.NOT_JSON),
    (Hostile.UNAVAILABLE, UnknownReason.HTTP_STATUS),
    (Hostile.REDIRECT, UnknownReason.HTTP_STATUS),
    (Hostile.HUNG_UP, UnknownReason.UNREACHABLE),
    (Hostile.SKEWED, UnknownReason.CLOCK_SKEW),
    (Hostile.OLD, UnknownReason.WRONG_TIME),
    (Hostile.NAN, UnknownReason.NOT_FINITE),
    (Hostile.INFINITE, UnknownReason.NOT_FINITE),
    (Hostile.NEGATIVE, UnknownReason.NEGATIVE),
    (Hostile.TEXT, UnknownReason.MALFORMED),
    (Hostile.NULL, UnknownReason.MALFORMED),
    (Hostile.ROWS, UnknownReason.MALFORMED),
    (Hostile.LIST, UnknownReason.MALFORMED),
]


@pytest.mark.parametrize(("hostile", "reason"), [pytest.param(*case, id=case[0].value) for case in UNUSABLE])
def test_a_useless_answer_makes_everything_unknown_and_says_why(
    mock: MockPrometheus, hostile: Hostile, reason: UnknownReason
) -> None:
    counted = Counted()
    client = client_of(mock)
    metrics = metrics_of(client, mock.shop, counted)
    mock.hostile, client.timeout_s = hostile, patience_s(hostile)

    metrics.start(NOW_S)
    metrics.refresh(NOW_S)

    assert counted.reasons[reason] > 0
    assert metrics.demand_history(NOW_S) is None
    assert metrics.signal_history(NOW_S) is None
    assert metrics.metrics_age_s(NOW_S) is None
    assert all(one.offered_rps is None and one.error_ratio is None for one in metrics.workloads.values())
    assert all(pod.rate_rps is None for pod in metrics.pods.values())


@pytest.mark.parametrize("hostile", [pytest.param(one, id=one.value) for one, _ in UNUSABLE])
def test_recovers_with_the_first_good_answer_and_fills_what_was_missed(mock: MockPrometheus, hostile: Hostile) -> None:
    client = client_of(mock)
    metrics = metrics_of(client, mock.shop, Counted())
    metrics.start(NOW_S)
    metrics.refresh(NOW_S)
    mock.hostile, client.timeout_s = hostile, patience_s(hostile)
    metrics.refresh(NOW_S + 15.0)
    mock.hostile, client.timeout_s = None, 10.0

    metrics.refresh(NOW_S + 30.0)

    history = metrics.demand_history(NOW_S + 30.0)
    assert history is not None
    assert metrics.workloads["shop-0/web-0"].offered_rps == pytest.approx(history.values_rps[0, -1])
    assert metrics.metrics_age_s(NOW_S + 30.0) == 6.0

"""Every preset against answers of a real Prometheus: recorded ones always, live ones where the program is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from real_prometheus import (
    INDEX,
    NOW_S,
    READING,
    WATCHED,
    WEB_1,
    WEB_2,
    Replaying,
    available,
    observed,
    real_prometheus,
)

from demo_shop.frame.metrics import Metrics
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.queries import Question, plan
from foresail.prometheus.settings import Connection
from policies.model import SignalKind

_NO_PROGRAM = pytest.mark.skipif(
    not available() and os.environ.get("CI") != "true", reason="prometheus and promtool are not installed"
)


@contextmanager
def recorded() -> Iterator[PrometheusMetrics]:
    yield observed(Replaying())


@contextmanager
def live() -> Iterator[PrometheusMetrics]:
    with real_prometheus() as url:
        yield observed(PrometheusClient(Connection(url)))


@pytest.fixture(scope="module", params=["recorded", pytest.param("live", marks=_NO_PROGRAM)])
def metrics(request: pytest.FixtureRequest) -> Iterator[PrometheusMetrics]:
    with recorded() if request.param == "recorded" else live() as seen:
        yield seen


def test_demand_is_what_was_wanted_without_probes_and_retries(metrics: PrometheusMetrics) -> None:
    web = metrics.workloads["shop/web"]

    # Callers sent 24 a second, one of them again. 1 was answered 503, and 1.5 were shed by the gateway's own count.
    assert web.offered_rps == pytest.approx(23.0)
    assert web.error_ratio == pytest.approx(1.0 / 23.0)
    assert web.rejected_rps == pytest.approx(1.5)
    assert web.saturated
    # 90 % within 0.1 s and all within 0.4 s: the 99th percentile is 0.09 / 0.10 of the way from 0.1 to 0.4.
    assert web.latency_p99_s == pytest.approx(0.37)


def test_a_mesh_and_two_ingresses_say_the_same_in_their_own_words(metrics: PrometheusMetrics) -> None:
    meshed, routed, backed = (metrics.workloads[f"shop/{name}"] for name in ("meshed", "routed", "backed"))

    assert meshed.offered_rps == pytest.approx(33.0)  # as the caller's proxy saw it
    assert meshed.error_ratio == pytest.approx(3.0 / 33.0)  # which never reached the pod
    assert meshed.latency_p99_s == pytest.approx(0.37)
    assert (routed.offered_rps, routed.error_ratio) == (pytest.approx(10.0), pytest.approx(0.2))
    assert (backed.offered_rps, backed.rejected_rps) == (pytest.approx(5.0), pytest.approx(1.0))


def test_a_counter_that_began_again_makes_no_dent(metrics: PrometheusMetrics) -> None:
    history = metrics.demand_history(NOW_S)

    assert history is not None
    np.testing.assert_allclose(history.values_rps[history.workloads.index("shop/web")], 23.0)


def test_pods_use_what_their_containers_use(metrics: PrometheusMetrics) -> None:
    first, second = metrics.pods[f"shop/{WEB_1}"], metrics.pods[f"shop/{WEB_2}"]

    assert (first.rate_rps, second.rate_rps) == (pytest.approx(11.0), pytest.approx(10.0))
    assert first.error_ratio == pytest.approx(1.0 / 11.0)
    assert second.latency_mean_s == pytest.approx(0.05)
    assert first.cpu_cores == pytest.approx(0.5)  # neither the pause container nor the sum of both
    assert first.memory_mib == 100.0  # of two generations of the container the larger
    assert second.cpu_cores == pytest.approx(0.25)  # no cAdvisor there: the process' own
    assert second.memory_mib == 60.0


def test_a_gauge_of_three_minutes_ago_is_unknown(metrics: PrometheusMetrics) -> None:
    assert "shop/patroni-1" not in metrics.pods  # it had a gauge of memory, but nothing since


def test_failure_signals_have_their_units_and_limits(metrics: PrometheusMetrics) -> None:
    signals = metrics.signal_history(NOW_S)

    assert signals is not None
    newest = {
        (target.kind, target.member): (value, limit)
        for target, value, limit in zip(
            signals.targets, signals.values[:, -1].tolist(), signals.limits.tolist(), strict=True
        )
    }
    assert newest[SignalKind.MEMORY, WEB_1] == (100.0, 110.0)
    assert newest[SignalKind.MEMORY, WEB_2] == (60.0, 110.0)
    assert newest[SignalKind.CONNECTION_POOL, WEB_1] == (pytest.approx(6.0), 10.0)
    assert newest[SignalKind.QUEUE, WEB_1] == (5.0, 8.0)
    assert newest[SignalKind.QUEUE, WEB_2] == (7.0, 8.0)  # nobody counts its queue: what is being answered
    assert newest[SignalKind.LATENCY, WEB_2] == (pytest.approx(0.05), 0.08)
    assert newest[SignalKind.DISK, "patroni-0"] == (pytest.approx(700.0), 1000.0)
    assert newest[SignalKind.REPLICATION_LAG, "patroni-1"] == (15.0, 20.0)
    assert (SignalKind.REPLICATION_LAG, "patroni-0") not in newest


def test_every_question_was_answered(metrics: PrometheusMetrics) -> None:
    assert metrics.queries <= 12
    assert metrics.metrics_age_s(NOW_S) == 3.0
    assert metrics.pods.keys() <= INDEX.pods.keys()


def test_the_shop_counts_under_the_names_and_labels_that_the_preset_asks_for() -> None:
    shop = Metrics()
    asked = " ".join(text for question in Question for text in plan(WATCHED, READING).parts[question])

    for metric, labels in (
        (shop.server_duration_s, ("route", "status")),
        (shop.client_duration_s, ("upstream",)),
        (shop.client_retries, ("upstream", "kind")),
        (shop.pool_count, ("pool", "state")),
        (shop.pool_max, ("pool",)),
        (shop.server_active, ()),
    ):
        (family,) = metric.describe()
        assert family.name in asked
        assert set(labels) <= set(metric._labelnames)

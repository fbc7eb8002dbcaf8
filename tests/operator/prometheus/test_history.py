"""What is remembered: aligned, with gaps where nothing was measured, and the same after a restart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from mock_prometheus import Hostile, MockPrometheus, Series, SyntheticShop, mock_prometheus

from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.demand_log import DemandLog
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.settings import Connection, Reading
from foresail.prometheus.watched import PodFacts, PodIndex, Watched
from policies.model import SignalKind

#: 3 s after a step and after a minute, when both have settled.
NOW_S = 1_800_000_003.0
SMALL = Reading(demand_points=600, signal_points=30)


@pytest.fixture
def mock() -> Iterator[MockPrometheus]:
    with mock_prometheus(SyntheticShop(workloads=3, pods=2)) as server:
        yield server


def started(mock: MockPrometheus, reading: Reading = SMALL, now_s: float = NOW_S) -> PrometheusMetrics:
    metrics = PrometheusMetrics(PrometheusClient(Connection(mock.url)), reading)
    watch(metrics, mock.shop)
    metrics.start(now_s)
    return metrics


def watch(metrics: PrometheusMetrics, shop: SyntheticShop) -> None:
    pods = {pod: PodFacts(key, memory_limit_mib=200.0) for key in shop.names() for pod in shop.pods_of(key)}
    metrics.watch([Watched(key) for key in shop.names()], PodIndex(pods))


def offered(shop: SyntheticShop, key: str, times: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return shop.pods * shop.rate_rps(key, times)


def test_starts_with_the_points_that_the_forecaster_reads_first(mock: MockPrometheus) -> None:
    metrics = started(mock)

    history = metrics.demand_history(NOW_S)

    assert history is not None
    assert history.values_rps.shape == (3, 512)
    assert (history.step_s, history.last_at_s) == (15.0, 1_800_000_000.0)
    times = 1_800_000_000.0 - 15.0 * np.arange(512)[::-1]
    np.testing.assert_allclose(history.values_rps[1], offered(mock.shop, "shop-0/web-1", times))


def test_older_history_comes_with_the_ticks(mock: MockPrometheus) -> None:
    metrics = started(mock)

    metrics.refresh(NOW_S)

    history = metrics.demand_history(NOW_S)
    assert history is not None
    assert history.values_rps.shape == (3, 600)
    assert np.isfinite(history.values_rps).all()


def test_pieces_are_bounded_in_size(mock: MockPrometheus) -> None:
    # 6 rows for each of 3 workloads: 180 samples are 10 steps.
    metrics = started(mock, Reading(demand_points=32, signal_points=9, largest_fill=180))
    ranges = [asked for asked in mock.asked if asked.path.endswith("query_range") and "offered" in asked.query]

    history = metrics.demand_history(NOW_S)

    steps = [(float(r.parameters["end"]) - float(r.parameters["start"])) / 15.0 + 1 for r in ranges]
    assert steps == [10, 10, 10, 2]
    assert history is not None
    assert history.values_rps.shape == (3, 32)


def test_each_tick_adds_one_column(mock: MockPrometheus) -> None:
    metrics = started(mock)

    for tick in range(4):
        metrics.refresh(NOW_S + 15.0 * tick)

    history = metrics.demand_history(NOW_S + 45.0)
    assert history is not None
    times = 1_800_000_045.0 - 15.0 * np.arange(4)[::-1]
    np.testing.assert_allclose(history.values_rps[0, -4:], offered(mock.shop, "shop-0/web-0", times))


def test_a_second_tick_in_the_same_step_asks_nothing_and_changes_nothing(mock: MockPrometheus) -> None:
    metrics = started(mock, Reading(demand_points=16, signal_points=9))
    metrics.refresh(NOW_S)
    metrics.refresh(NOW_S + 1.0)
    before, workloads = len(mock.asked), dict(metrics.workloads)

    metrics.refresh(NOW_S + 2.0)

    assert [asked.query for asked in mock.asked[before:]] == []
    assert metrics.workloads == workloads


def test_what_nobody_measured_stays_a_gap_and_is_never_repeated(mock: MockPrometheus) -> None:
    gone_s = NOW_S - 3.0 + 15.0
    whole = mock.shop.series("otel-http/offered")
    mock.extra["otel-http/offered"] = [
        Series(one.labels, lambda t, values=one.values: np.where(t == gone_s, np.nan, values(t))) for one in whole
    ]
    metrics = started(mock)

    for tick in range(3):
        metrics.refresh(NOW_S + 15.0 * tick)

    history = metrics.demand_history(NOW_S + 30.0)
    assert history is not None
    assert np.isnan(history.values_rps[:, -2]).all()
    assert np.isfinite(history.values_rps[:, [-3, -1]]).all()


def test_a_late_tick_asks_for_what_it_missed(mock: MockPrometheus) -> None:
    metrics = started(mock)
    metrics.refresh(NOW_S)

    metrics.refresh(NOW_S + 75.0)

    history = metrics.demand_history(NOW_S + 75.0)
    assert history is not None
    times = 1_800_000_075.0 - 15.0 * np.arange(6)[::-1]
    np.testing.assert_allclose(history.values_rps[2, -6:], offered(mock.shop, "shop-0/web-2", times))


def test_an_outage_that_is_too_long_for_one_answer_is_filled_in_pieces(mock: MockPrometheus) -> None:
    # 6 rows for each of 3 workloads: 180 samples are 10 steps.
    metrics = started(mock, Reading(demand_points=64, signal_points=9, largest_fill=180))
    for tick in range(5):
        metrics.refresh(NOW_S + 15.0 * tick)
    before = len(mock.asked)

    for tick in range(35, 38):
        metrics.refresh(NOW_S + 15.0 * tick)

    history = metrics.demand_history(NOW_S + 15.0 * 37)
    spans = [
        (float(asked.parameters["end"]) - float(asked.parameters["start"])) / 15.0 + 1.0
        for asked in mock.asked[before:]
        if asked.path.endswith("range") and "offered" in asked.query and float(asked.parameters["end"]) > NOW_S
    ]
    assert history is not None
    times = history.last_at_s - 15.0 * np.arange(64)[::-1]
    np.testing.assert_allclose(history.values_rps[0], offered(mock.shop, "shop-0/web-0", times))
    # 31 steps were missed: 10 at once and 20 more in the same tick; the last one alone is no range.
    assert spans == [10.0, 10.0, 10.0]


def test_a_clock_that_is_set_back_makes_nothing_of_the_future_look_new(mock: MockPrometheus) -> None:
    metrics = started(mock)
    metrics.refresh(NOW_S)
    earlier_s = NOW_S - 3600.0

    metrics.refresh(earlier_s)

    history = metrics.demand_history(earlier_s)
    assert history is not None
    assert history.last_at_s == 1_800_000_000.0 - 3600.0
    assert metrics.metrics_age_s(earlier_s) == 3.0
    seen = metrics.workloads["shop-0/web-0"].offered_rps
    assert seen == pytest.approx(offered(mock.shop, "shop-0/web-0", np.array([history.last_at_s]))[0])


def test_values_of_pods_go_when_prometheus_does(mock: MockPrometheus) -> None:
    metrics = started(mock)
    metrics.refresh(NOW_S)
    mock.hostile = Hostile.HUNG_UP

    metrics.refresh(NOW_S + 15.0)

    assert not metrics.pods


def test_while_prometheus_is_away_the_newest_columns_are_unknown_and_age_is(mock: MockPrometheus) -> None:
    metrics = started(mock)
    metrics.refresh(NOW_S)
    mock.hostile = Hostile.UNAVAILABLE

    metrics.refresh(NOW_S + 15.0)
    metrics.refresh(NOW_S + 30.0)

    history = metrics.demand_history(NOW_S + 30.0)
    assert history is not None
    assert history.last_at_s == 1_800_000_030.0
    assert np.isnan(history.values_rps[:, -2:]).all()
    assert np.isfinite(history.values_rps[:, -3]).all()
    assert metrics.metrics_age_s(NOW_S + 30.0) is None
    assert not metrics.workloads


def test_a_restarted_operator_knows_what_the_old_one_knew(mock: MockPrometheus) -> None:
    running = started(mock)
    for tick in range(20):
        running.refresh(NOW_S + 15.0 * tick)
    now_s = NOW_S + 15.0 * 19

    restarted = started(mock, now_s=now_s)
    restarted.refresh(now_s)

    old, new = running.demand_history(now_s), restarted.demand_history(now_s)
    assert old is not None
    assert new is not None
    np.testing.assert_allclose(new.values_rps, old.values_rps)
    np.testing.assert_array_equal(new.saturated, old.saturated)
    old_signals, new_signals = running.signal_history(now_s), restarted.signal_history(now_s)
    assert old_signals is not None
    assert new_signals is not None
    assert set(new_signals.targets) == set(old_signals.targets)
    order = [new_signals.targets.index(target) for target in old_signals.targets]
    np.testing.assert_allclose(new_signals.values[order], old_signals.values)
    assert restarted.workloads == running.workloads


def test_a_new_workload_gets_its_past_and_the_others_keep_theirs(mock: MockPrometheus) -> None:
    metrics = started(mock)
    metrics.refresh(NOW_S)
    mock.shop.workloads = 4
    mock._cache.clear()
    watch(metrics, mock.shop)

    metrics.refresh(NOW_S + 15.0)

    history = metrics.demand_history(NOW_S + 15.0)
    assert history is not None
    assert history.workloads[3] == "shop-0/web-3"
    assert np.isfinite(history.values_rps).all()


def test_a_workload_that_left_is_forgotten(mock: MockPrometheus) -> None:
    metrics = started(mock)
    metrics.refresh(NOW_S)
    mock.shop.workloads = 1
    watch(metrics, mock.shop)

    metrics.refresh(NOW_S + 60.0)

    history, signals = metrics.demand_history(NOW_S + 60.0), metrics.signal_history(NOW_S + 60.0)
    assert history is not None
    assert signals is not None
    assert history.workloads == ("shop-0/web-0",)
    assert {target.workload for target in signals.targets} == {"shop-0/web-0"}


def test_yesterday_and_last_week_are_those_of_the_forecast_steps(mock: MockPrometheus) -> None:
    metrics = started(mock, Reading(signal_points=9))
    for tick in range(5):  # 6144 points come in pieces, last week after them
        metrics.refresh(NOW_S + 15.0 * tick)
    now_s = NOW_S + 60.0

    history = metrics.demand_history(now_s)

    assert history is not None
    assert history.values_rps.shape == (3, 6144)
    ahead = history.last_at_s + 15.0 * np.arange(1, 65)
    for earlier, days in ((history.same_time_yesterday, 1), (history.same_time_last_week, 7)):
        assert earlier is not None
        np.testing.assert_allclose(earlier[0], offered(mock.shop, "shop-0/web-0", ahead - 86_400.0 * days))


def test_a_store_that_forgot_last_week_says_none(mock: MockPrometheus) -> None:
    mock.shop.since_s = NOW_S - 4000.0
    metrics = started(mock, Reading(signal_points=9))
    for tick in range(5):
        metrics.refresh(NOW_S + 15.0 * tick)

    history = metrics.demand_history(NOW_S + 60.0)

    assert history is not None
    assert history.same_time_yesterday is None
    assert history.same_time_last_week is None
    # 4,000 s before 1,800,000,003 is 266 whole steps before 1,800,000,000; 4 more came.
    assert history.values_rps.shape == (3, 271)


def test_signals_are_those_of_whole_minutes(mock: MockPrometheus) -> None:
    metrics = started(mock)

    signals = metrics.signal_history(NOW_S)

    assert signals is not None
    assert (signals.step_s, signals.last_at_s) == (60.0, 1_800_000_000.0)
    row = next(row for row, target in enumerate(signals.targets) if target.kind is SignalKind.MEMORY)
    times = 1_800_000_000.0 - 60.0 * np.arange(30)[::-1]
    np.testing.assert_allclose(signals.values[row], 100.0 + (times % 7200.0) / 100.0)
    assert signals.limits[row] == 200.0


def test_old_signals_are_no_signals(mock: MockPrometheus) -> None:
    metrics = started(mock)

    assert metrics.signal_history(NOW_S + 60.0 * 30) is None


def test_a_log_keeps_what_it_knows_and_forgets_what_is_too_old() -> None:
    log = DemandLog(points=4)
    log.keep(["a", "b"])
    quiet = np.zeros((2, 1), dtype=bool)

    log.write(100, ["a", "b"], np.array([[1.0], [np.nan]]), quiet)
    log.write(100, ["b", "a"], np.array([[3.0], [2.0]]), quiet)  # a was known already
    log.write(95, ["a", "b"], np.array([[9.0], [9.0]]), quiet)  # too old

    values, saturated = log.window(101, 4)
    np.testing.assert_array_equal(values, [[1.0, np.nan], [3.0, np.nan]])
    assert saturated.sum() == 0


def test_a_log_moves_on_over_many_columns_and_keeps_the_newest() -> None:
    log = DemandLog(points=3)
    log.keep(["a"])

    for step in range(5000):
        log.write(step, ["a"], np.array([[float(step)]]), np.zeros((1, 1), dtype=bool))

    values, _ = log.window(4999, 3)
    assert values.tolist() == [[4997.0, 4998.0, 4999.0]]
    assert log.nbytes < 10_000

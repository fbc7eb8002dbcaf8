"""What monitoring shows of a world, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.alarm_evidence import LINGERS_POINTS
from policies.model import SignalKind, SignalTarget
from simulation.feeds.counters import p99_s
from simulation.feeds.metrics_server import HOUSEKEEPING_BEAT_S, MetricsServer
from simulation.feeds.prometheus import Prometheus
from simulation.feeds.signals import SignalLog
from simulation.kernel.histogram import edges_s
from simulation.scenario import Fault, FaultKind, Scenario
from simulation.schedule import Schedule
from simulation.world import World


def watched(scenario: Scenario, until_s: float) -> tuple[World, Prometheus, MetricsServer]:
    """A world with both feeds, run to `until_s`; kubelets read at even seconds, metrics-server at whole fifteens."""
    world = World(scenario, seed=3)
    prometheus, metrics_server = Prometheus(world, seed=3), MetricsServer(world, seed=3)
    schedule = Schedule()
    schedule.every(HOUSEKEEPING_BEAT_S, world.now_s, metrics_server.housekeep)
    schedule.every(15.0, world.now_s, metrics_server.scrape)
    schedule.every(15.0, prometheus.first_s, prometheus.scrape)
    schedule.run(world, until_s)
    return world, prometheus, metrics_server


@pytest.fixture
def calm(small_shop: Scenario) -> Scenario:
    return small_shop.model_copy(update={"faults": (), "load": small_shop.load.model_copy(update={"knots": ()})})


def test_cpu_sample_is_the_work_of_the_requests_over_its_window(calm: Scenario) -> None:
    """30 requests/s of 20 ms over two gateway pods are 0.3 cores each, give or take Poisson noise and probes."""
    world, _, metrics_server = watched(calm, 60.0)
    metrics_server.look(60.0)

    samples = [metrics_server.cpu(pod.name) for pod in world.services["gateway"].pods]

    # a reading every 10 to 20 s on a beat of 2 s, of which a scrape every 15 s may miss one
    assert all(sample is not None and sample.at_s <= 60.0 and 10.0 <= sample.window_s <= 42.0 for sample in samples)
    assert sum(sample.usage_m for sample in samples if sample is not None) == pytest.approx(600, rel=0.35)


def test_a_pod_without_two_readings_has_no_cpu_sample(calm: Scenario) -> None:
    world, _, metrics_server = watched(calm, 60.0)
    world.scale("gateway", 3)
    world.advance(75.0)
    metrics_server.housekeep(75.0)
    metrics_server.scrape(75.0)
    metrics_server.look(76.0)
    newest = max(world.services["gateway"].pods, key=lambda pod: pod.created_s)

    assert newest.created_s > 60.0
    assert metrics_server.cpu(newest.name) is None
    assert metrics_server.memory(newest.name) is not None


def test_a_scrape_is_not_seen_before_it_has_arrived(calm: Scenario) -> None:
    world, _, metrics_server = watched(calm, 61.0)
    name = world.services["gateway"].pods[0].name
    metrics_server.look(61.0)
    before = metrics_server.cpu(name)
    world.advance(82.0)
    metrics_server.housekeep(82.0)  # more than 20 s later it is every pod's turn
    metrics_server.scrape(82.0)

    metrics_server.look(82.4)
    early = metrics_server.cpu(name)
    metrics_server.look(82.5)
    late = metrics_server.cpu(name)

    assert early == before
    assert late is not None and late.at_s == 82.0


def test_kubelets_read_each_container_in_its_own_time(calm: Scenario) -> None:
    world, _, metrics_server = watched(calm, 120.0)
    metrics_server.look(120.0)
    samples = [metrics_server.cpu(pod.name) for service in world.services.values() for pod in service.pods]

    assert len({sample.at_s for sample in samples if sample is not None}) > 1


def test_a_rate_stays_while_nothing_new_was_read(calm: Scenario) -> None:
    world, _, metrics_server = watched(calm, 119.0)
    name = world.services["gateway"].pods[0].name
    metrics_server.look(119.0)
    before = metrics_server.cpu(name)

    metrics_server.scrape(119.5)
    metrics_server.scrape(119.6)
    metrics_server.look(121.0)

    assert before is not None
    after = metrics_server.cpu(name)
    metrics_server.scrape(121.0)
    metrics_server.look(122.0)
    assert metrics_server.cpu(name) == after


def test_demand_at_each_service_is_what_the_call_graph_says(calm: Scenario) -> None:
    """30 requests/s at the gateway make 45 visits/s at the catalog; means over four minutes of Poisson arrivals."""
    _, prometheus, _ = watched(calm, 239.0)
    scrape = prometheus.query(239.0)
    assert scrape is not None

    gateway, catalog = np.nanmean(prometheus.demand.recent(scrape.column, 15), axis=1)

    assert gateway == pytest.approx(30.0, rel=0.1)
    assert catalog / gateway == pytest.approx(1.5, rel=0.05)


def test_history_from_before_the_run_continues_into_it(calm: Scenario) -> None:
    _, prometheus, _ = watched(calm, 120.0)
    scrape = prometheus.query(120.0)
    assert scrape is not None

    history = prometheus.demand.history(scrape.column)

    assert history.values_rps.shape == (2, 512)
    assert history.last_at_s == pytest.approx(scrape.at_s)
    assert np.isfinite(history.values_rps[:, :500]).all()
    assert history.values_rps[0, :500].mean() == pytest.approx(30.0, rel=0.1)
    assert history.values_rps[0, :500].std() > 1.0  # clients come one by one there too
    assert history.same_time_yesterday is not None and history.same_time_yesterday.shape == (2, 64)
    assert history.same_time_last_week is None  # nobody remembers it


def test_a_metrics_outage_leaves_a_gap_and_no_answer(calm: Scenario) -> None:
    outage = Fault(kind=FaultKind.METRICS_OUTAGE, start_s=60, duration_s=60)
    scenario = calm.model_copy(update={"faults": (outage,)})

    world, prometheus, metrics_server = watched(scenario, 119.0)
    assert prometheus.query(119.0) is None
    metrics_server.look(119.0)
    stale = metrics_server.cpu(world.services["gateway"].pods[0].name)
    assert stale is not None and stale.at_s <= 60.0

    _, prometheus, _ = watched(scenario, 200.0)
    scrape = prometheus.query(200.0)
    assert scrape is not None
    recent = prometheus.demand.recent(scrape.column, 12)[0]
    # Four scrapes are lost, and with them the first rate after the outage.
    assert np.isnan(recent).sum() == 5
    assert np.isfinite(recent[-1])


def test_delayed_metrics_are_as_old_as_the_delay(calm: Scenario) -> None:
    delay = Fault(kind=FaultKind.METRICS_DELAY, start_s=30, duration_s=200, magnitude=60.0)

    _, prometheus, _ = watched(calm.model_copy(update={"faults": (delay,)}), 180.0)
    scrape = prometheus.query(180.0)

    assert scrape is not None
    assert 60.0 <= 180.0 - scrape.at_s < 60.0 + 15.0 + 2.0


def test_demand_is_flagged_when_pods_reject(calm: Scenario) -> None:
    """300 requests/s on two pods of 50: queues fill, and what reaches the catalog says nothing of demand."""
    flood = calm.model_copy(update={"load": calm.load.model_copy(update={"knots": ((0.0, 1.0), (1.0, 10.0))})})

    _, prometheus, _ = watched(flood, 60.0)
    scrape = prometheus.query(60.0)

    assert scrape is not None
    assert scrape.services["gateway"].saturated
    assert scrape.services["catalog"].saturated
    assert scrape.services["gateway"].offered_rps == pytest.approx(300.0, rel=0.1)


def test_p99_is_the_upper_edge_of_its_bucket() -> None:
    counts = np.zeros((3, 64))
    counts[0, 10] = 99
    counts[0, 20] = 1
    counts[1, 63] = 5

    p99 = p99_s(counts)

    assert p99[0] == edges_s()[11]  # 99 of 100 lie in bucket 10
    assert p99[1] == edges_s()[63]  # the last bucket answers its lower edge
    assert np.isnan(p99[2])


def target(kind: SignalKind, pod: str) -> SignalTarget:
    return SignalTarget(kind, "web", pod)


def shown(log: SignalLog) -> set[str]:
    assert log.latest is not None
    return {seen.key for seen in log.latest.targets}


def test_only_signals_that_may_reach_their_limit_are_shown_and_the_nearest_of_each_workload() -> None:
    log = SignalLog()
    targets = [target(SignalKind.MEMORY, pod) for pod in ("flat", "high", "rising")]
    for minute in range(9):
        log.record(60.0 * minute, targets, [100.0, 300.0, 100.0 + 4.0 * minute], [500.0] * 3)

    # 4 MiB a minute bring 132 MiB to 612 in two hours; 300 of 500 MiB are above one half.
    assert shown(log) == {"memory/web/high", "memory/web/rising"}


def test_a_signal_that_fell_again_is_watched_for_half_an_hour() -> None:
    log = SignalLog()
    targets = [target(SignalKind.MEMORY, "once"), target(SignalKind.ERRORS, "other")]
    log.record(0.0, targets, [400.0, 0.3], [500.0, 1.0])
    for minute in range(1, LINGERS_POINTS):
        log.record(60.0 * minute, targets, [100.0, 0.3], [500.0, 1.0])
    assert "memory/web/once" in shown(log)

    log.record(60.0 * LINGERS_POINTS, targets, [100.0, 0.3], [500.0, 1.0])

    assert shown(log) == {"errors/web/other"}


def test_the_past_of_a_signal_stays_with_it_when_others_come_and_go() -> None:
    log = SignalLog()
    log.record(0.0, [target(SignalKind.MEMORY, "a"), target(SignalKind.MEMORY, "b")], [400.0, 450.0], [500.0, 500.0])
    log.record(60.0, [target(SignalKind.MEMORY, "b"), target(SignalKind.MEMORY, "c")], [460.0, 300.0], [500.0, 500.0])

    assert log.latest is not None
    by_key = dict(zip((t.member for t in log.latest.targets), log.latest.values, strict=True))
    assert by_key["b"][-2:].tolist() == [450.0, 460.0]
    assert np.isnan(by_key["c"][-2]) and by_key["c"][-1] == 300.0
    assert set(by_key) == {"b", "c"}

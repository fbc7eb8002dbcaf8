import numpy as np
import pytest

from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow
from chaos.experiments.measured.series import Span, over_steps, standing
from chaos.experiments.measured.service_seconds import (
    Rows,
    actual_demand,
    jain_index,
    pod_hours,
    resizes,
    service_seconds,
)
from chaos.experiments.problems import RunFailed

SPAN = Span(1000.0, 10)


def known(values):
    return [None if v != v else v for v in values.tolist()]


def test_a_value_stands_until_the_next_one_but_not_for_ever():
    # Seen at the end of seconds 1 and 3 (1001 and 1003); five seconds later it is too old.
    seen = standing([1001.0, 1003.0], [2, 4], SPAN)

    assert known(seen) == [2, 2, 4, 4, 4, 4, 4, 4, None, None]


def test_nothing_is_known_before_the_first_look():
    assert known(standing([1004.5], [2], Span(1000.0, 6))) == [None, None, None, None, 2, 2]


def test_a_value_of_prometheus_is_about_the_step_before_it():
    # Steps of 5 s that end at 1000, 1005 and 1010; the middle one is unknown.
    assert known(over_steps([1000.0, 1005.0, 1010.0], [1.0, None, 3.0], 5.0, SPAN)) == [None] * 5 + [3.0] * 5


def workloads(topology, desired=2, at_s=range(1000, 1011)):
    return [WorkloadRow(float(t), s.name, desired, desired, desired, None) for t in at_s for s in topology.services]


def test_services_are_told_by_the_names_of_the_topology(scenario):
    topology = scenario().topology
    rows = Rows(
        workloads(topology),
        [ServiceRow(1005.0, "gateway", 20.0, None, 10.0, 90.0), ServiceRow(1010.0, "gateway", 20.0, 5.0, 10.0, 90.0)],
        [PodRow(1005.0, "gateway", "g-1", 10.0, 0.3), PodRow(1005.0, "gateway", "g-2", 10.0, 0.9)],
        step_s=5.0,
    )

    seen = service_seconds(rows, topology, SPAN)

    assert seen.services[0] == "gateway"
    # Without a failure Prometheus has no series of failures: none is none, where requests are known.
    assert seen.failed_rps[0].tolist() == [0.0] * 5 + [5.0] * 5
    assert seen.ok_rps[0].tolist() == [20.0] * 5 + [15.0] * 5
    # 0.6 cores on average of 0.6 requested; nothing is known of the second step.
    assert known(seen.cpu_utilization[0]) == pytest.approx([1.0] * 5 + [None] * 5)
    # A store serves no HTTP.
    assert np.isnan(seen.offered_rps[seen.services.index("redis")]).all()
    assert seen.replicas_ready[seen.services.index("redis")].tolist() == [2.0] * 10


def test_unseen_seconds_cost_as_much_as_the_others_and_controllers_are_counted(scenario):
    topology = scenario().topology
    rows = Rows(workloads(topology, at_s=range(1000, 1004)), [], [], 5.0)  # the API was away for some seconds

    hours = pod_hours(service_seconds(rows, topology, SPAN), own_pods=0.5)

    # Ten services of two pods each and half a pod, for ten seconds.
    assert hours == pytest.approx(20.5 * 10 / 3600)


def test_a_run_without_pod_counts_cannot_be_judged(scenario):
    topology = scenario().topology
    rows = Rows([], [], [], 5.0)

    with pytest.raises(RunFailed, match="no pod counts of gateway"):
        pod_hours(service_seconds(rows, topology, SPAN), 0.0)


@pytest.fixture
def scaled(scenario):
    return scenario().topology


def gateway(at_s, desired, floor):
    return WorkloadRow(float(at_s), "gateway", desired, desired, desired, floor)


def test_a_rise_to_a_raised_floor_is_the_floors_and_every_other_one_the_hpas(scaled):
    rows = [gateway(1000, 2, 2), gateway(1001, 5, 5), gateway(1002, 7, 5), gateway(1003, 5, 5), gateway(1004, 2, 2)]

    told = [(r.at_s, r.before, r.after, r.by) for r in resizes(rows, scaled, SPAN, with_floors=True)]

    assert told == [(1.0, 2, 5, "floor"), (2.0, 5, 7, "hpa"), (3.0, 7, 5, "hpa"), (4.0, 5, 2, "hpa")]


def test_where_nobody_sets_floors_every_rise_is_the_hpas(scaled):
    rows = [gateway(1000, 2, 2), gateway(1001, 5, 5)]

    assert [r.by for r in resizes(rows, scaled, SPAN, with_floors=False)] == ["hpa"]


def test_demand_is_the_mean_of_what_is_known_in_each_quarter_minute():
    offered = np.concatenate((np.full(10, 4.0), np.full(5, np.nan), np.full(15, np.nan), np.full(7, 1.0)))[None, :]

    assert known(actual_demand(offered)[0]) == [4.0, None]


def test_balance_is_jains_index_over_pods_that_were_there_all_the_time(scaled):
    steps = [1005.0, 1010.0]
    rows = [PodRow(t, "gateway", pod, rate, None) for t in steps for pod, rate in (("a", 30.0), ("b", 10.0))]
    rows.append(PodRow(1010.0, "gateway", "new", 100.0, None))

    index = jain_index(rows, scaled, Span(1000.0, 40))

    # (60 + 20)² / (2 · (60² + 20²)) = 6400 / 8000.
    assert index.shape == (10, 2)
    assert index[0, 0] == pytest.approx(0.8)
    assert np.isnan(index[0, 1]) and np.isnan(index[1]).all()

"""What is seen means the same in the simulator and on a cluster: decisions tried out in one hold for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from port_eyes import (
    API_AWAY_S,
    DEAD_NODE,
    DIES_S,
    METRICS_AWAY_S,
    NOT_READY_S,
    ZONES,
    Eyes,
    live_eyes,
    simulated_eyes,
)
from recorded_look import recorded_look
from small_world import LastValue

from policies.decision import Action, Decision, SetFloor, SetTraffic
from policies.loop import ControlLoop
from policies.model import (
    FastSeen,
    Observation,
    PodSeen,
    PolicySet,
    ScalingPolicy,
    WorkloadPolicy,
    WorkloadSeen,
)

TICK_S = 15.0


@pytest.fixture(params=["simulated", "live"])
def eyes(request: pytest.FixtureRequest) -> Iterator[Eyes]:
    with simulated_eyes() if request.param == "simulated" else live_eyes() as found:
        yield found


def observed(eyes: Eyes, until_s: float) -> Observation:
    """The last of the looks that a loop takes until then."""
    for at_s in np.arange(until_s % TICK_S, until_s, TICK_S).tolist():
        eyes.wait(at_s)
        eyes.metrics.observe(eyes.time(at_s))
    eyes.wait(until_s)
    return eyes.metrics.observe(eyes.time(until_s))


def glanced(eyes: Eyes, at_s: float) -> FastSeen:
    eyes.wait(at_s)
    return eyes.metrics.observe_fast(eyes.time(at_s))


def gateway(eyes: Eyes, seen: Observation | FastSeen) -> WorkloadSeen:
    workloads = seen.workloads.values() if isinstance(seen.workloads, Mapping) else seen.workloads
    return next(workload for workload in workloads if workload.name == eyes.gateway)


def check_terms(seen: Observation, workload: WorkloadSeen) -> None:
    """What every figure of a look means, whoever looked."""
    demand, signals = seen.demand, seen.signals
    assert demand is not None and workload.offered_rps is not None and demand.step_s == 15.0
    assert demand.values_rps.shape == demand.saturated.shape and demand.values_rps.shape[0] == len(demand.workloads)
    assert seen.now_s - 30.0 <= demand.last_at_s <= seen.now_s
    assert demand.values_rps[demand.workloads.index(workload.name), -1] == pytest.approx(workload.offered_rps)
    assert seen.metrics_age_s is not None and 0.0 <= seen.metrics_age_s <= 20.0
    assert workload.error_ratio is None or 0.0 <= workload.error_ratio <= 1.0
    for pod in workload.pods:
        assert pod.rate_rps is not None and 0.0 < pod.rate_rps <= 1.1 * workload.offered_rps
        assert pod.cpu_cores is not None and 0.0 <= pod.cpu_cores <= 2.0
        assert pod.error_ratio is not None and 0.0 <= pod.error_ratio <= 1.0
        assert pod.latency_mean_s is not None and 0.001 <= pod.latency_mean_s <= 10.0
    assert signals is not None and signals.step_s == 60.0 and signals.last_at_s <= seen.now_s
    assert signals.values.shape[0] == signals.limits.shape[0] == len(signals.targets)
    assert (signals.limits > 0.0).all()


def on_dead_node(workload: WorkloadSeen) -> PodSeen:
    (pod,) = (pod for pod in workload.pods if pod.node == DEAD_NODE)
    return pod


# Objects


def test_workloads_and_their_pods_are_as_the_api_shows_them(eyes: Eyes) -> None:
    seen = observed(eyes, 100.0)

    workload = gateway(eyes, seen)
    assert (workload.replicas, workload.hpa_min, len(workload.pods)) == (4, 2, 4)
    assert workload.hpa_max is not None and workload.hpa_max >= 10 and workload.cpu_limit_cores is not None
    assert not workload.rollout_in_progress and not workload.paused
    for pod in workload.pods:
        assert pod.ready_at_s is not None and pod.created_at_s <= pod.ready_at_s <= seen.now_s
        assert pod.running and pod.traffic_on and not pod.detached and not pod.deleting
        assert pod.node is not None and ZONES[pod.node] == pod.zone
    assert {node.name: (node.zone, node.ready, node.cordoned) for node in seen.nodes} == {
        name: (zone, True, False) for name, zone in ZONES.items()
    }


def test_a_look_changes_nothing(eyes: Eyes) -> None:
    first = observed(eyes, 100.0)
    again = eyes.metrics.observe(eyes.time(100.0))

    assert again.workloads == first.workloads and again.nodes == first.nodes
    assert again.metrics_age_s == first.metrics_age_s


def test_a_pod_out_of_rotation_is_ready_and_no_endpoint_and_still_probed(eyes: Eyes) -> None:
    pod = gateway(eyes, observed(eyes, 100.0)).pods[0].name

    eyes.carry_out(SetTraffic(eyes.gateway, pod, on=False, expires_at_s=eyes.time(300.0)))
    seen = glanced(eyes, 101.0)

    taken = next(found for found in gateway(eyes, seen).pods if found.name == pod)
    assert taken.ready and not taken.traffic_on
    assert pod not in {endpoint.name for endpoint in gateway(eyes, seen).endpoints}
    assert pod in {probe.pod for probe in seen.probes}


# Metrics


def test_figures_mean_the_same_to_every_looker(eyes: Eyes) -> None:
    seen = observed(eyes, 150.0)

    check_terms(seen, gateway(eyes, seen))


def test_recorded_answers_of_a_real_prometheus_are_told_in_the_same_terms() -> None:
    seen = recorded_look()

    (web,) = seen.workloads
    check_terms(seen, web)
    assert web.saturated and web.offered_rps == pytest.approx(23.0)  # as they were recorded


def test_demand_is_requests_a_second_the_newest_last(eyes: Eyes) -> None:
    seen = observed(eyes, 150.0)

    demand, workload = seen.demand, gateway(eyes, seen)
    assert demand is not None and demand.step_s == 15.0
    values = demand.values_rps[demand.workloads.index(eyes.gateway)]
    assert values.shape == (demand.values_rps.shape[1],) and demand.saturated.shape == demand.values_rps.shape
    assert seen.now_s - 30.0 <= demand.last_at_s <= seen.now_s
    # Clients come one by one: 1800 of them in fifteen seconds, give or take 42.
    assert workload.offered_rps == pytest.approx(120.0, rel=0.15)
    assert values[-1] == pytest.approx(workload.offered_rps)
    assert np.nanmean(values[-8:]) == pytest.approx(120.0, rel=0.1)


def test_a_pod_s_figures_are_those_of_its_own_requests(eyes: Eyes) -> None:
    pods = gateway(eyes, observed(eyes, 150.0)).pods

    assert sum(pod.rate_rps or 0.0 for pod in pods) == pytest.approx(120.0, rel=0.15)
    for pod in pods:
        assert pod.rate_rps is not None and pod.cpu_cores is not None and pod.latency_mean_s is not None
        # A request is 20 ms of work; probes and what goes on beside are more.
        assert 0.02 * pod.rate_rps * 0.8 <= pod.cpu_cores <= 0.02 * pod.rate_rps * 1.5 + 0.1
        assert pod.error_ratio is not None and 0.0 <= pod.error_ratio <= 0.05
        assert 0.005 < pod.latency_mean_s < 1.0


def test_failure_signals_name_living_pods_and_have_limits_in_their_own_unit(eyes: Eyes) -> None:
    seen = observed(eyes, 190.0)

    signals = seen.signals
    assert signals is not None and signals.step_s == 60.0 and signals.last_at_s <= seen.now_s
    assert signals.values.shape[0] == signals.limits.shape[0] == len(signals.targets)
    living = {pod.name for workload in seen.workloads for pod in workload.pods}
    assert {target.member for target in signals.targets} <= living
    assert eyes.gateway in {target.workload for target in signals.targets}
    newest = signals.values[:, -1]
    assert (newest[np.isfinite(newest)] < signals.limits[np.isfinite(newest)]).all()  # all is well


def test_without_prometheus_figures_are_unknown_and_objects_are_not(eyes: Eyes) -> None:
    seen = observed(eyes, METRICS_AWAY_S[0] + 40.0)

    workload = gateway(eyes, seen)
    assert seen.metrics_age_s is None and seen.api_ok
    assert (workload.offered_rps, workload.error_ratio, workload.latency_p99_s) == (None, None, None)
    assert not workload.saturated
    assert len(workload.endpoints) == 4


def test_what_was_not_measured_is_a_gap_and_never_zero(eyes: Eyes) -> None:
    back_s = METRICS_AWAY_S[1] + 35.0
    demand = observed(eyes, back_s).demand

    assert demand is not None
    values = demand.values_rps[demand.workloads.index(eyes.gateway)]
    times_s = demand.last_at_s - demand.step_s * np.arange(len(values))[::-1] - eyes.time(0.0)
    away = values[(times_s >= METRICS_AWAY_S[0] + 15.0) & (times_s < METRICS_AWAY_S[1])]
    assert len(away) >= 2 and np.isnan(away).all()
    assert np.nanmin(values) > 60.0 and np.isfinite(values[-1])


def test_metrics_have_an_age_and_are_no_older_than_a_scrape_and_its_delay(eyes: Eyes) -> None:
    ages = [observed(eyes, at_s).metrics_age_s for at_s in (101.0, 107.0, 113.0)]

    assert all(age_s is not None and 0.0 <= age_s <= 20.0 for age_s in ages)


# The API server away


def test_objects_are_stale_and_said_to_be_so_while_the_api_server_is_away(eyes: Eyes) -> None:
    before = gateway(eyes, observed(eyes, API_AWAY_S[0] - 5.0))
    away = observed(eyes, API_AWAY_S[0] + 25.0)
    back = observed(eyes, API_AWAY_S[1] + 5.0)

    assert (away.api_ok, back.api_ok) == (False, True)
    assert [pod.name for pod in gateway(eyes, away).pods] == [pod.name for pod in before.pods]


# A node that dies


def test_every_endpoint_answers_from_two_zones_while_nothing_is_wrong(eyes: Eyes) -> None:
    observed(eyes, 100.0)
    seen = glanced(eyes, 101.0)

    probes = [probe for probe in seen.probes if probe.workload == eyes.gateway]
    assert {probe.pod for probe in probes} == {pod.name for pod in gateway(eyes, seen).endpoints}
    for probe in probes:
        assert probe.node is not None and ZONES[probe.node] == probe.zone
        assert probe.ok_by_vantage == {"a": True, "b": True}


def test_pods_of_a_dead_node_answer_nobody_long_before_the_api_knows(eyes: Eyes) -> None:
    observed(eyes, DIES_S - 5.0)
    seen = glanced(eyes, DIES_S + 3.0)

    assert all(node.ready for node in seen.nodes)
    assert on_dead_node(gateway(eyes, seen)).ready
    answers = {probe.node: set(probe.ok_by_vantage.values()) for probe in seen.probes if probe.workload == eyes.gateway}
    assert answers == {node: {node != DEAD_NODE} for node in ZONES}


def test_a_node_given_up_is_not_ready_and_its_pods_are_neither_though_they_still_count(eyes: Eyes) -> None:
    seen = observed(eyes, NOT_READY_S + 5.0)

    workload = gateway(eyes, seen)
    lost = on_dead_node(workload)
    assert {node.name for node in seen.nodes if node.ready is False} == {DEAD_NODE}
    assert not lost.ready and not lost.deleting and lost.rate_rps is None
    assert workload.replicas == len(workload.pods) == 4 and len(workload.endpoints) == 3
    assert lost.name not in {probe.pod for probe in glanced(eyes, NOT_READY_S + 6.0).probes}


class Doing:
    """Hands whose floors and labels the eyes see; without `labels`, no pod is ever taken out of rotation."""

    def __init__(self, eyes: Eyes, labels: bool) -> None:
        self.eyes, self.labels, self.done = eyes, labels, list[tuple[float, Action]]()

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool:
        self.done.append((now_s - self.eyes.time(0.0), action))
        if isinstance(action, SetTraffic) and not self.labels:
            return False
        if isinstance(action, SetFloor | SetTraffic):
            self.eyes.carry_out(action)
        return True

    def floors(self) -> list[tuple[float, int]]:
        name = self.eyes.gateway
        return [(at_s, a.floor) for at_s, a in self.done if isinstance(a, SetFloor) and a.workload == name]


def lived_through(eyes: Eyes, until_s: float, labels: bool = True, fast: bool = True) -> Doing:
    """A loop from five minutes before the node's death on, its fast lane awake from then on."""
    doing = Doing(eyes, labels)
    policy = WorkloadPolicy(eyes.gateway, scaling=ScalingPolicy(min_replicas=2, max_replicas=10))
    loop = ControlLoop(eyes.metrics, LastValue(), LastValue(), doing, PolicySet({eyes.gateway: policy}))
    for second in range(int(DIES_S) - 300, int(until_s) + 1):
        eyes.wait(float(second))
        if fast and second >= DIES_S:
            loop.fast_tick(eyes.time(second))
        if second % 15 == 7:
            loop.tick(eyes.time(second))
    return doing


def risen(doing: Doing, since_s: float) -> list[int]:
    """By how much floors written since then exceed the last one before the node's death."""
    before = [floor for at_s, floor in doing.floors() if at_s < DIES_S]
    return [floor - before[-1] for at_s, floor in doing.floors() if at_s >= since_s]


@pytest.mark.parametrize("labels", [pytest.param(True, id="taken-out"), pytest.param(False, id="label-refused")])
def test_pods_that_are_seen_to_be_dead_are_made_up_for_by_the_floor_within_a_tick(eyes: Eyes, labels: bool) -> None:
    """Whether or not they could be taken out of rotation. Their ReplicaSet counts them for minutes."""
    doing = lived_through(eyes, DIES_S + 20.0, labels)

    asked_at_s = [at_s for at_s, action in doing.done if isinstance(action, SetTraffic) and not action.on]
    assert DIES_S <= asked_at_s[0] <= DIES_S + 3.0
    assert risen(doing, DIES_S)[:1] == [1]


def test_pods_that_no_probe_sees_are_made_up_for_once_their_node_is_given_up(eyes: Eyes) -> None:
    doing = lived_through(eyes, NOT_READY_S + 20.0, fast=False)

    assert risen(doing, NOT_READY_S)[:1] == [1]


def test_a_floor_for_dead_pods_stands_as_long_as_they_count(eyes: Eyes) -> None:
    doing = lived_through(eyes, NOT_READY_S + 200.0)

    assert min(risen(doing, DIES_S)) == 1

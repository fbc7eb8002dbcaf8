"""Objects and Prometheus joined into what the loop observes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from mock_prometheus import Hostile, MockPrometheus, SyntheticShop
from synthetic_cluster import objects_of, policy_of, state_of

from foresail.declared import Declared
from foresail.live_metrics import LiveMetrics, as_declared
from foresail.objects.fast_watch import FastLook
from foresail.objects.object_state import ObjectState
from foresail.objects.object_watch import ObjectsHealth
from foresail.policy_store import PolicyStore
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.settings import Connection, Reading
from foresail.resources.mapping import Mapped
from foresail.settings import Settings
from foresail.watching import databases, fast_plan, pod_index, watched
from policies.model import DatabaseSeen, ProbeSeen, SignalHistory, SignalKind, SignalTarget
from policies.ports import MetricsUnavailable

NOW_S = 1_800_000_005.0  # five seconds after a step, when its scrapes can be seen
SHOP = SyntheticShop(workloads=3, pods=2)


class Objects:
    def __init__(self, seen: ObjectState | None) -> None:
        self.seen, self.ok = seen, True

    def state(self) -> ObjectState | None:
        return self.seen

    def health(self, now_s: float) -> ObjectsHealth:
        return ObjectsHealth(self.ok, 1.0, {})


class Databases:
    def seen(self, now_s: float) -> tuple[DatabaseSeen, ...]:
        return (DatabaseSeen("pg", "shop-0/pg", None),)


class Fast:
    def look(self, now_s: float) -> FastLook:
        probe = ProbeSeen("shop-0/web-0", "p", None, "a", {"a": True})
        return FastLook(now_s, (probe,), 0.25, 40.0, {"shop-0/web-0": (39.0, 40.0)})


@pytest.fixture
def prometheus() -> Iterator[MockPrometheus]:
    mock = MockPrometheus(SHOP)
    yield mock
    mock.close()


@pytest.fixture
def numbers(prometheus: MockPrometheus) -> Iterator[PrometheusMetrics]:
    made = PrometheusClient(Connection(prometheus.url, timeout_s=2.0))
    yield PrometheusMetrics(made, Reading(demand_points=40, signal_points=10))
    made.close()


@pytest.fixture
def objects() -> Objects:
    return Objects(state_of(objects_of(SHOP)))


def declared(objects: Objects, policy: dict[str, Any] | None = None) -> Declared:
    store = PolicyStore()
    store.listed(store.listing(), [policy or policy_of(SHOP)])
    return Declared(store, objects, lambda: False)


@pytest.fixture
def metrics(objects: Objects, numbers: PrometheusMetrics) -> LiveMetrics:
    return LiveMetrics(objects, declared(objects), numbers, Databases(), Fast())


def test_a_workload_has_its_objects_and_its_metrics(metrics: LiveMetrics) -> None:
    seen = metrics.observe(NOW_S)

    web = seen.workloads[1]
    times = np.array([NOW_S - 5.0])
    pod_rps = float(SHOP.rate_rps("shop-0/web-1", times)[0])
    assert (web.name, web.replicas, web.hpa_min, web.hpa_max, web.cpu_limit_cores) == ("shop-0/web-1", 2, 2, 50, 1.0)
    assert web.offered_rps == pytest.approx(2.0 * pod_rps)
    assert [pod.rate_rps for pod in web.pods] == pytest.approx([pod_rps, pod_rps])
    assert web.pods[0].cpu_cores == pytest.approx(0.01 * pod_rps) and web.pods[0].ready
    assert web.error_ratio == pytest.approx(0.01)
    assert seen.api_ok and seen.metrics_age_s == pytest.approx(5.0)
    assert seen.nodes[0].name == "n1" and seen.databases[0].name == "pg"


def test_history_comes_with_the_first_look(metrics: LiveMetrics) -> None:
    seen = metrics.observe(NOW_S)

    assert seen.demand is not None and seen.demand.workloads == ("shop-0/web-0", "shop-0/web-1", "shop-0/web-2")
    assert seen.demand.last_at_s == NOW_S - 5.0 and np.isfinite(seen.demand.values_rps).all()
    assert seen.signals is not None
    memory = [target for target in seen.signals.targets if target.kind is SignalKind.MEMORY]
    row = seen.signals.targets.index(memory[0])
    assert seen.signals.limits[row] == 256.0


def test_workloads_without_policy_are_not_looked_at(objects: Objects, numbers: PrometheusMetrics) -> None:
    policy = policy_of(SHOP)
    policy["spec"]["targets"] = policy["spec"]["targets"][:1]

    seen = LiveMetrics(objects, declared(objects, policy), numbers, Databases(), Fast()).observe(NOW_S)

    assert [workload.name for workload in seen.workloads] == ["shop-0/web-0"]
    assert seen.demand is not None and seen.demand.workloads == ("shop-0/web-0",)


def test_without_an_answer_metrics_are_unknown_and_objects_are_not(
    metrics: LiveMetrics, prometheus: MockPrometheus
) -> None:
    prometheus.hostile = Hostile.UNAVAILABLE

    seen = metrics.observe(NOW_S)

    assert seen.metrics_age_s is None
    assert seen.workloads[0].offered_rps is None and seen.workloads[0].replicas == 2
    assert {pod.rate_rps for pod in seen.workloads[0].pods} == {None}


def test_without_a_prometheus_at_all_it_is_the_same(objects: Objects) -> None:
    seen = LiveMetrics(objects, declared(objects), None, Databases(), Fast()).observe(NOW_S)

    assert seen.metrics_age_s is None and seen.demand is None and seen.signals is None
    assert seen.workloads[0].offered_rps is None and seen.workloads[0].replicas == 2


def test_stale_objects_are_flagged(metrics: LiveMetrics, objects: Objects) -> None:
    objects.ok = False

    assert not metrics.observe(NOW_S).api_ok


def test_before_objects_are_listed_nothing_can_be_observed(metrics: LiveMetrics, objects: Objects) -> None:
    objects.seen = None

    with pytest.raises(MetricsUnavailable):
        metrics.observe(NOW_S)
    with pytest.raises(MetricsUnavailable):
        metrics.observe_fast(NOW_S)


def test_the_fast_lane_sees_probes_and_the_objects_of_this_second(metrics: LiveMetrics, objects: Objects) -> None:
    metrics.observe(NOW_S)
    changed = objects_of(SHOP)
    next(body for body in changed if body["kind"] == "Pod")["metadata"]["labels"]["foresail.dev/traffic"] = "off"
    objects.seen = state_of(changed)

    seen = metrics.observe_fast(NOW_S + 1.0)

    assert seen.probes[0].ok_by_vantage == {"a": True}
    assert (seen.gateway_failed_ratio, seen.gateway_rate_rps) == (0.25, 40.0)
    assert seen.gateway_recent_rps == {"shop-0/web-0": (39.0, 40.0)}
    assert sorted(pod.traffic_on for pod in seen.workloads["shop-0/web-0"].pods) == [False, True]
    assert seen.workloads["shop-0/web-0"].offered_rps is not None


def test_the_fast_lane_asks_prometheus_nothing(metrics: LiveMetrics, prometheus: MockPrometheus) -> None:
    metrics.observe(NOW_S)
    asked = len(prometheus.asked)

    metrics.observe_fast(NOW_S + 1.0)

    assert len(prometheus.asked) == asked


def history() -> SignalHistory:
    targets = (SignalTarget(SignalKind.MEMORY, "shop-0/web-0", "a"), SignalTarget(SignalKind.DISK, "shop-0/web-0", "a"))
    return SignalHistory(targets, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([256.0, 99.0]), 60.0, NOW_S)


def mapped_with(*signals: dict[str, Any]) -> Mapped:
    policy = copy.deepcopy(policy_of(SHOP))
    policy["spec"]["failureSignals"] = list(signals)
    return declared(Objects(state_of(objects_of(SHOP))), policy).mapped(NOW_S)


def test_a_declared_limit_goes_before_the_workloads_own() -> None:
    found = as_declared(history(), mapped_with({"kind": "Memory", "limit": 200.0}))

    assert found is not None and found.limits.tolist() == [200.0, 99.0]


def test_a_signal_that_is_switched_off_is_gone() -> None:
    found = as_declared(history(), mapped_with({"kind": "Memory", "enabled": False}))

    assert found is not None and [target.kind for target in found.targets] == [SignalKind.DISK]
    assert found.values.tolist() == [[3.0, 4.0]]
    assert as_declared(None, mapped_with()) is None


def test_what_adapters_look_at_follows_the_policy() -> None:
    policy = policy_of(SHOP)
    policy["spec"]["targets"][1] = {
        "name": "pg", "role": "Store", "workload": {"kind": "Deployment", "name": "web-1"},
    }  # fmt: skip
    policy["spec"]["databases"] = [{"target": "pg", "scope": "pg-main", "restPort": 9008}]
    policy["spec"]["metrics"]["expressions"] = [
        {"signal": "Demand", "promql": "sum(up)"},
        {"signal": "Queue", "promql": "sum by (pod) (waiting)"},
    ]
    policy["spec"]["failureSignals"] = [{"kind": "Queue", "limit": 40.0}]
    state = state_of(objects_of(SHOP))
    found = declared(Objects(state), policy).mapped(NOW_S)

    asked = watched(found)
    index = pod_index(state, found)
    plan = fast_plan(state, found, Settings(namespace="foresail", node="n1", http_port=8080))

    assert [one.workload for one in asked] == ["shop-0/web-0", "shop-0/web-1", "shop-0/web-2"]
    assert [(one.promql, one.limit) for one in asked[0].expressions] == [
        ("sum(up)", None), ("sum by (pod) (waiting)", 40.0),
    ]  # fmt: skip
    assert asked[0].queue_limit == 40.0
    assert len(index.pods) == 6 and {facts.memory_limit_mib for facts in index.pods.values()} == {256.0}
    assert [(one.name, one.workload, one.port) for one in databases(found)] == [("pg-main", "shop-0/web-1", 9008)]
    # Stores are no gateways; the pods of the others show their counters at the management port.
    assert {pod.workload for pod in plan.gateways} == {"shop-0/web-0", "shop-0/web-2"}
    assert plan.gateways[0].url == "http://127.0.0.1:9090/metrics" and plan.zone == "a"


def test_pods_that_are_out_of_rotation_may_fall_silent() -> None:
    bodies = objects_of(SHOP)
    pods = [body for body in bodies if body["kind"] == "Pod"]
    pods[0]["metadata"]["labels"]["foresail.dev/traffic"] = "off"
    pods[1]["metadata"]["labels"]["foresail.dev/traffic"] = "on"

    index = pod_index(state_of(bodies), mapped_with())

    serving = [index.pods[f"shop-0/{pod['metadata']['name']}"].serves for pod in pods]
    assert serving == [False] + [True] * 5


def test_before_objects_are_known_there_is_nothing_to_probe() -> None:
    plan = fast_plan(None, mapped_with(), Settings(node="n1"))

    assert plan.zone == "n1" and plan.probed == () and plan.gateways == ()

from dataclasses import replace

import numpy as np
import pytest

from chaos.clusters.plan import ZONE_LABEL, NodePlace
from chaos.experiments.live_plan import live_plan
from chaos.experiments.places import places_of
from chaos.experiments.problems import PlanRefused
from chaos.experiments.shop_map import live_mix, merged, shop_values
from chaos.load.mix import Operation
from simulation.scenario import FaultKind, load_scenario


def refusal(scenario, limits):
    with pytest.raises(PlanRefused) as refused:
        live_plan(scenario, 1, limits)
    return str(refused.value)


def test_the_warm_up_is_played_before_the_scenario(scenario, limits):
    plan = live_plan(scenario(), 1, limits)

    assert (plan.warm_up_s, plan.load_s) == (120.0, 420.0)


def test_a_shorter_warm_up_is_said_and_keeps_the_same_rates_at_the_same_time(scenario, limits):
    rough = scenario(load={"rps": 20, "roughness": 0.3})
    whole, short = live_plan(rough, 1, limits), live_plan(rough, 1, replace(limits, warm_up_s=60.0))

    # t = 0 is 120 s into the one and 60 s into the other.
    assert short.shape.rates_rps()(np.array([60.0])) == pytest.approx(whole.shape.rates_rps()(np.array([120.0])))
    assert "warm_up_s: shortened from 120 to 60 s" in map(str, short.differences)


def test_history_that_is_not_played_is_said(scenario, limits):
    told = [str(d) for d in live_plan(scenario(), 1, limits).differences]

    assert any(line.startswith("history: 3 h and 1 earlier days are not played") for line in told)


def test_services_that_begin_smaller_than_in_the_simulator_are_said(scenario, limits):
    told = [str(d) for d in live_plan(scenario(), 1, limits).differences]

    # Of the shop's services gateway, catalog and recommendations begin with more pods than their HPA's minimum.
    assert any("gateway, catalog, recommendations begin with minReplicas" in line for line in told)


def test_more_requests_than_allowed_are_refused_with_the_time_and_the_scale_that_fits(scenario, limits):
    sale = {"kind": "flash_sale", "start_s": 100, "duration_s": 60, "magnitude": 6}

    # 20 × 6 = 120 requests/s from t = 100 on; half of that is allowed.
    message = refusal(scenario(faults=[sale]), limits)

    assert "load: peaks at 120 requests/s at t = 100 s, --max-rps allows 60" in message
    assert "--scale 0.5" in message


def test_a_scale_makes_it_fit_and_is_said(scenario, limits):
    sale = {"kind": "flash_sale", "start_s": 100, "duration_s": 60, "magnitude": 6}

    plan = live_plan(scenario(faults=[sale]), 1, replace(limits, scale=0.5))

    assert plan.peak_rps == pytest.approx(60.0)
    assert "load: every rate is multiplied by 0.5" in map(str, plan.differences)


def test_crowds_are_load_and_not_injected(scenario, limits):
    faults = [
        {"kind": "flash_sale", "start_s": 100, "duration_s": 60, "magnitude": 2},
        {"kind": "pod_crash", "service": "gateway", "start_s": 50},
    ]

    plan = live_plan(scenario(faults=faults), 1, limits)

    assert [(planned.index, planned.fault.kind) for planned in plan.faults] == [(1, FaultKind.POD_CRASH)]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param({"kind": "disk_fill", "service": "postgres"}, "faults.0.kind: no disk_fill live", id="disk"),
        pytest.param({"kind": "metrics_delay"}, "faults.0.kind: no metrics_delay live", id="metrics-delay"),
        pytest.param({"kind": "noisy_neighbour"}, "use cpu_burn with pods: 1", id="noisy-neighbour"),
        pytest.param({"kind": "memory_leak", "service": "redis"}, "faults.0.service: redis is no process", id="store"),
        pytest.param({"kind": "lock_contention", "service": "cart"}, "these can: inventory", id="role-without-locks"),
        pytest.param({"kind": "primary_loss", "service": "redis"}, "use postgres", id="primary-of-redis"),
        pytest.param({"kind": "zone_loss", "zone": "c"}, "faults.0.zone: the cluster has no third zone", id="zone"),
        pytest.param({"kind": "node_loss", "node": "node-b-2"}, "no machine of the cluster stands for", id="node"),
        pytest.param({"kind": "node_loss", "magnitude": 3}, "faults.0.magnitude: 3 nodes are all 3", id="all-nodes"),
    ],
)
def test_what_cannot_be_done_live_is_refused_with_field_and_reason(scenario, limits, fault, told):
    assert told in refusal(scenario(faults=[{"start_s": 10, **fault}]), limits)


def test_a_fault_that_this_cluster_cannot_make_is_refused(scenario, limits):
    less = replace(limits, abilities=limits.abilities - {FaultKind.API_OUTAGE})

    assert "nothing on this cluster can make a api_outage" in refusal(
        scenario(faults=[{"kind": "api_outage", "start_s": 10}]), less
    )


def test_every_refusal_is_told_at_once(scenario, limits):
    faults = [{"kind": "metrics_delay", "start_s": 10}, {"kind": "disk_fill", "service": "postgres", "start_s": 10}]

    message = refusal(scenario(faults=faults, load={"rps": 500}), limits)

    assert "load:" in message and "faults.0.kind" in message and "faults.1.kind" in message


def test_a_topology_of_other_services_is_refused(limits):
    message = refusal(load_scenario("one-service"), limits)

    assert "topology.services.0.name: the demo shop has no" in message


def test_a_run_of_hours_is_refused(scenario, limits):
    assert "duration_s: 10000 s is longer" in refusal(scenario(duration_s=10_000), limits)


def test_zones_and_nodes_are_matched_in_the_order_of_names(scenario, machines):
    places = places_of(scenario().topology, machines)

    # The shop has zones a, b and c with three nodes each; the cluster two in zone-a and one in zone-b.
    assert dict(places.zones) == {"a": "zone-a", "b": "zone-b"}
    assert dict(places.nodes) == {"node-a-1": "node-1", "node-a-2": "node-3", "node-b-1": "node-2"}
    assert places.zone_of("zone-b") == "b"


def test_a_cluster_with_more_zones_than_the_topology_leaves_some_alone(scenario):
    four = tuple(NodePlace(f"node-{i}", f"zone-{i}") for i in range(4))

    assert set(places_of(scenario().topology, four).zones.values()) == {"zone-0", "zone-1", "zone-2"}


def test_visits_have_the_shares_of_the_classes(scenario):
    shares = live_mix(scenario().topology).shares

    # browse 0.62 is split as 0.13 : 0.22 : 0.31 of 0.66.
    assert shares[Operation.SEARCH] == pytest.approx(0.20)
    assert shares[Operation.CHECKOUT] == pytest.approx(0.06)
    assert shares[Operation.FRONT] == pytest.approx(0.62 * 0.13 / 0.66)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_shop_is_given_the_topologys_bounds_and_resources(scenario):
    values = shop_values(scenario().topology, 0.4, 0.999)

    assert values["roles"]["gateway"] == {
        "minReplicas": 2,
        "maxReplicas": 24,
        "resources": {"requests": {"cpu": "600m", "memory": "256Mi"}, "limits": {"cpu": "1000m", "memory": "512Mi"}},
        "capacityPriorRequestsPerSecond": 67.8,  # what 1 core carries of the mix of the topology
    }
    assert values["postgres"]["members"] == 2
    assert values["shop"]["faults"] is True
    assert "postgres" not in values["roles"]


def test_redis_stands_in_the_last_zone_where_there_are_several(scenario, limits):
    one_zone = replace(limits, machines=tuple(replace(machine, zone="zone-a") for machine in limits.machines))

    assert live_plan(scenario(), 1, limits).values["redis"]["nodeSelector"] == {ZONE_LABEL: "zone-b"}
    assert "nodeSelector" not in live_plan(scenario(), 1, one_zone).values["redis"]


def test_values_are_merged_as_helm_merges_files():
    assert merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}, "d": 4}) == {"a": {"b": 1, "c": [3]}, "d": 4}

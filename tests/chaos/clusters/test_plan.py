"""What a cluster plan says about nodes, zones and timers, and what it refuses."""

from pathlib import Path

import pytest

from chaos.clusters.plan import PRODUCTION, SHORT, ClusterPlan, NodePlace, PlanInvalid, timers_named


def test_nodes_take_zones_in_turn() -> None:
    assert ClusterPlan(nodes=3, zones=2).places() == (
        NodePlace("node-1", "zone-a"),
        NodePlace("node-2", "zone-b"),
        NodePlace("node-3", "zone-a"),
    )


def test_three_zones_have_a_node_each() -> None:
    plan = ClusterPlan(nodes=3, zones=3)

    assert plan.zone_names() == ("zone-a", "zone-b", "zone-c")
    assert [place.zone for place in plan.places()] == ["zone-a", "zone-b", "zone-c"]


def test_production_timers_are_those_of_a_cluster_nobody_tuned() -> None:
    assert (PRODUCTION.node_grace_s, PRODUCTION.eviction_s) == (50, 300)
    assert (PRODUCTION.hpa_sync_s, PRODUCTION.hpa_downscale_stabilisation_s) == (15, 300)


def test_timers_are_found_by_name() -> None:
    assert timers_named("short") is SHORT
    with pytest.raises(PlanInvalid, match="timers: 'slow' is unknown: use short or production"):
        timers_named("slow")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Shop"}, "name: 'Shop'"),
        ({"name": "a.b"}, "name: 'a.b'"),
        ({"name": "a-"}, "name: 'a-'"),
        ({"name": ""}, "name: ''"),
        ({"nodes": 0}, "nodes: 0 is not between 1 and 9"),
        ({"nodes": 2, "zones": 3}, "zones: 3 is not between 1 and 2"),
        ({"memory_mib": 100}, "memory_mib: 100 is below 256"),
        ({"cpus": 0.0}, "cpus: 0 is not above 0"),
        ({"images": (Path("a/x.tar"), Path("b/x.tar"))}, "images: two archives have the same file name"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(given: dict, said: str) -> None:
    with pytest.raises(PlanInvalid) as refused:
        ClusterPlan(**given)

    assert str(refused.value).startswith(said)

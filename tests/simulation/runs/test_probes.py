"""What the fast lane's probes see of pods that live, die and drown."""

from __future__ import annotations

import pytest

from simulation.feeds.probes import Probes
from simulation.scenario import Fault, FaultKind, Scenario
from simulation.topology import NodeGroup
from simulation.world import World


@pytest.fixture
def calm(small_shop: Scenario) -> Scenario:
    return small_shop.model_copy(update={"faults": (), "load": small_shop.load.model_copy(update={"knots": ()})})


def with_fault(scenario: Scenario, **fault: object) -> World:
    world = World(scenario.model_copy(update={"faults": (Fault.model_validate(fault),)}), seed=2)
    world.advance(0.0)
    return world


def look_until(world: World, probes: Probes, until_s: int) -> list[bool]:
    troubled = []
    for second in range(int(world.now_s) + 1, until_s + 1):
        world.advance(float(second))
        troubled.append(probes.look())
    return troubled


def test_nothing_troubles_a_calm_shop(calm: Scenario) -> None:
    world = World(calm, seed=2)
    world.advance(0.0)
    probes = Probes(world)
    probes.look()

    assert not any(look_until(world, probes, 60))
    assert all(all(probe.ok_by_vantage.values()) for probe in probes.probes())
    assert len(probes.probes()) == 4
    assert probes.gateway_failed_ratio == 0.0


def test_pods_of_a_lost_node_fail_from_both_zones_at_once_though_the_api_calls_them_ready(calm: Scenario) -> None:
    world = with_fault(calm, kind=FaultKind.NODE_LOSS, start_s=10, duration_s=120)
    probes = Probes(world)
    probes.look()

    assert look_until(world, probes, 12)[-1]
    lost = {node.name for node in world.nodes.values() if not node.alive}
    on_lost = [probe for probe in probes.probes() if probe.node in lost]
    elsewhere = [probe for probe in probes.probes() if probe.node not in lost]

    assert on_lost and all(set(probe.ok_by_vantage.values()) == {False} for probe in on_lost)
    assert all(set(probe.ok_by_vantage.values()) == {True} for probe in elsewhere)


def test_a_lost_zone_takes_its_own_vantage_point_with_it(calm: Scenario) -> None:
    world = with_fault(calm, kind=FaultKind.ZONE_LOSS, zone="a", start_s=5, duration_s=100)
    world.advance(8.0)

    for probe in Probes(world).probes():
        assert probe.ok_by_vantage == {"a": None, "b": probe.zone == "b"}


def test_a_cut_zones_own_vantage_point_is_not_heard(calm: Scenario) -> None:
    world = with_fault(calm, kind=FaultKind.ZONE_CUT, zone="a", start_s=5, duration_s=100)
    world.advance(8.0)

    for probe in Probes(world).probes():
        assert probe.ok_by_vantage == {"a": None, "b": probe.zone == "b"}


def test_gateway_pods_add_the_zones_where_they_run(calm: Scenario) -> None:
    three_zones = (*calm.topology.nodes, NodeGroup(zone="c", count=1, cpu=8))
    services = tuple(
        service.model_copy(update={"replicas": 3}) if service.name == "gateway" else service
        for service in calm.topology.services
    )
    topology = calm.topology.model_copy(update={"nodes": three_zones, "services": services})
    world = World(calm.model_copy(update={"topology": topology}), seed=2)
    world.advance(0.0)

    assert all(set(probe.ok_by_vantage) == {"a", "b", "c"} for probe in Probes(world).probes())


def test_pods_that_drown_in_work_answer_too_late(calm: Scenario) -> None:
    """300 requests/s want 6 cores of the two gateway pods: after a few seconds more than a second's work waits."""
    flooded = calm.model_copy(update={"load": calm.load.model_copy(update={"knots": ((0.0, 1.0), (1.0, 10.0))})})
    world = World(flooded, seed=2)
    world.advance(0.0)
    probes = Probes(world)
    probes.look()

    assert any(look_until(world, probes, 8))
    gateway = [probe for probe in probes.probes() if probe.workload == "gateway"]
    # They still answer others, so nothing proves them dead.
    assert gateway and all(set(probe.ok_by_vantage.values()) == {None} for probe in gateway)


def test_a_drained_pod_is_still_probed_so_that_it_can_come_back(calm: Scenario) -> None:
    world = World(calm, seed=2)
    world.advance(0.0)
    pod = world.services["gateway"].pods[0]
    world.set_traffic(pod, False)
    world.advance(5.0)

    assert pod.name in [probe.pod for probe in Probes(world).probes()]


def test_a_step_in_demand_calls_for_a_look_within_three_seconds(calm: Scenario) -> None:
    load = calm.load.model_copy(update={"rps": 40.0, "roughness": 0.0})
    sale = Fault(kind=FaultKind.FLASH_SALE, start_s=60, duration_s=60, ramp_s=1, magnitude=2.5)
    world = World(calm.model_copy(update={"load": load, "faults": (sale,)}), seed=2)
    world.advance(0.0)
    probes = Probes(world)
    probes.look()

    assert not any(look_until(world, probes, 60))
    assert any(look_until(world, probes, 63))
    (counts,) = probes.gateway_recent_rps.values()
    assert len(counts) == 10
    assert counts[-1] == probes.gateway_rate_rps

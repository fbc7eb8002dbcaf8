from __future__ import annotations

from simulation.cluster.pods import Pod, Stage
from simulation.world import World

SHOP = """
topology:
  nodes: [{zone: a, count: 2}, {zone: b, count: 2}]
  services:
    - name: web
      cpu_ms: 10
      replicas: 4
      startup: {image_pull_s: 2, cached_pull_s: 1, time_s: 5, spread: 0}
      readiness: {period_s: 2}
load: {rps: 40, roughness: 0}
"""
LOSS = {"kind": "node_loss", "node": "node-a-1", "start_s": 10, "duration_s": 200}


def on_node(world: World, node: str) -> Pod:
    return next(pod for pod in world.services["web"].pods if pod.node == node)


def test_a_lost_node_answers_nothing_at_once_and_is_not_ready_after_50_s(world_of, bad_share) -> None:
    world = world_of(SHOP, faults=[LOSS])
    world.advance(11)
    pod = on_node(world, "node-a-1")
    node = world.nodes["node-a-1"]
    assert (node.alive, node.ready, pod.ready) == (False, True, True)

    world.advance(59.9)
    assert node.ready and pod.endpoint
    world.advance(60.1)
    assert not node.ready and not pod.ready and pod.ready_changed_s == 60

    # a quarter of the requests went to it until the endpoint was gone
    assert bad_share(world, 15, 55) > 0.15
    world.advance(100)
    assert bad_share(world, 65, 90) == 0.0


def test_its_pods_are_evicted_300_s_later_and_made_elsewhere(world_of) -> None:
    world = world_of(SHOP, duration_s=600, faults=[{**LOSS, "duration_s": 500}])
    world.advance(359)
    lost = on_node(world, "node-a-1")
    assert len(world.services["web"].pods) == 4 and not lost.deleting

    world.advance(361)
    assert lost.deleting
    world.advance(380)
    assert world.services["web"].ready_replicas == 4
    assert "node-a-1" not in {pod.node for pod in world.services["web"].owned}

    world.advance(512)  # back at 510: what was deleted meanwhile is cleaned up
    assert lost.stage is Stage.GONE
    assert len(world.services["web"].pods) == 4


def test_a_node_that_comes_back_starts_its_containers_anew(world_of) -> None:
    world = world_of(SHOP, faults=[{**LOSS, "duration_s": 100}])
    world.advance(109)
    pod = on_node(world, "node-a-1")
    world.advance(130)

    assert pod.restarts == 1 and pod.ready and world.nodes["node-a-1"].ready
    before = int(world.engine.pods.requests[pod.slot])
    world.advance(160)
    assert world.engine.pods.requests[pod.slot] > before


def test_a_short_blink_is_never_seen_by_the_api(world_of) -> None:
    world = world_of(SHOP, faults=[{**LOSS, "duration_s": 20}])
    ready = set()
    for second in range(120):
        world.advance(second)
        ready.add(world.nodes["node-a-1"].ready)

    assert ready == {True}
    assert world.services["web"].ready_replicas == 4


def test_a_cut_zone_loses_its_packets_but_its_pods_live_on(world_of, bad_share) -> None:
    cut = {"kind": "zone_cut", "zone": "a", "start_s": 10, "duration_s": 100}
    world = world_of(SHOP, faults=[cut])
    world.advance(40)
    pod = on_node(world, "node-a-1")
    assert pod.stage is Stage.SERVING and world.nodes["node-a-1"].alive
    assert bad_share(world, 12, 38) > 0.3  # half of the pods are behind the cut

    world.advance(100)
    assert [node.ready for node in world.nodes.values()] == [False, False, True, True]
    assert bad_share(world, 65, 98) == 0.0

    world.advance(130)
    assert pod.ready and pod.restarts == 0
    assert all(node.ready for node in world.nodes.values())
    assert bad_share(world, 112, 128) == 0.0


def test_pods_deleted_behind_a_cut_end_when_it_heals(world_of) -> None:
    cut = {"kind": "zone_cut", "zone": "a", "start_s": 10, "duration_s": 100}
    world = world_of(SHOP, faults=[cut])
    world.advance(70)
    world.scale("web", 2)  # the two behind the cut are not Ready: they go first
    world.advance(100)
    stuck = [pod for pod in world.services["web"].pods if pod.deleting]
    assert {pod.zone for pod in stuck} == {"a"}

    world.advance(140)
    assert all(pod.stage is Stage.GONE for pod in stuck)


def test_a_lost_zone_takes_all_its_nodes(world_of) -> None:
    loss = {"kind": "zone_loss", "zone": "b", "start_s": 10, "duration_s": 100}
    world = world_of(SHOP, faults=[loss])
    world.advance(20)

    assert [node.alive for node in world.nodes.values()] == [True, True, False, False]
    assert world.fault_truths[0].targets[:2] == ("b", "node-b-1")
    world.advance(150)
    assert world.services["web"].ready_replicas == 4


def test_without_the_api_server_nothing_is_changed_and_all_of_it_afterwards(world_of) -> None:
    outage = {"kind": "api_outage", "start_s": 10, "duration_s": 60}
    crash = {"kind": "pod_crash", "service": "web", "start_s": 20, "duration_s": 1}
    world = world_of(SHOP, faults=[outage, crash])
    world.advance(15)
    assert not world.api_available()
    world.scale("web", 6)
    world.advance(69)
    assert len(world.services["web"].pods) == 4
    assert world.services["web"].ready_replicas == 4  # the crash was never written down

    world.advance(90)
    assert world.api_available()
    assert world.services["web"].ready_replicas == 6


def test_a_crash_during_an_api_outage_hurts_because_endpoints_stay(world_of, bad_share) -> None:
    crash = {"kind": "pod_crash", "service": "web", "start_s": 20, "duration_s": 1}
    slow = SHOP.replace("time_s: 5", "time_s: 30")
    seen, unseen = (
        world_of(slow, faults=[crash, *more])
        for more in ([], [{"kind": "api_outage", "start_s": 10, "duration_s": 100}])
    )
    for world in (seen, unseen):
        world.advance(60)

    assert bad_share(seen, 24, 50) == 0.0
    assert bad_share(unseen, 24, 50) > 0.15


def test_a_noisy_neighbour_slows_the_pods_of_its_node(world_of, bad_share) -> None:
    thief = {"kind": "noisy_neighbour", "node": "node-a-1", "start_s": 0, "duration_s": 120, "magnitude": 0.95}
    world = world_of(SHOP, load={"rps": 200, "roughness": 0}, faults=[thief])
    world.advance(100)
    victim = on_node(world, "node-a-1")

    # 0.2 of 4 cores are left for a pod that wants 0.5 and more
    assert victim.share < 0.5
    assert bad_share(world, 20, 100) > 0.05
    used_s = world.cpu_used_s()[victim.slot]
    world.advance(110)
    assert world.cpu_used_s()[victim.slot] - used_s < 10 * 0.25

    world.advance(200)
    assert victim.share == 1.0
    assert bad_share(world, 160, 190) == 0.0

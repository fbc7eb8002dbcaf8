from __future__ import annotations

import pytest

from simulation.cluster.deployments import pods_to_delete
from simulation.cluster.pods import Pod
from simulation.topology import Service

THREE_ZONES = """
topology:
  nodes: [{zone: a, count: 2}, {zone: b, count: 2}, {zone: c, count: 2}]
  services:
    - name: web
      cpu_ms: 10
      replicas: 6
      startup: {image_pull_s: 2, cached_pull_s: 1, time_s: 5, spread: 0}
      readiness: {period_s: 2}
load: {rps: 60, roughness: 0}
"""


def pod(name: str, **state: object) -> Pod:
    made = Pod(
        name=name,
        service="web",
        spec=Service(name="web"),
        ordinal=0,
        revision=1,
        created_s=0.0,
        usage=None,  # type: ignore[arg-type]
        node=name,
        phase="Running",
        ready=True,
        ready_changed_s=0.0,
    )
    for key, value in state.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    ("goes_first", "stays"),
    [
        pytest.param({"node": None, "phase": "Pending", "ready": False}, {"ready": False}, id="unscheduled"),
        pytest.param({"phase": "Pending", "ready": False}, {"ready": False}, id="pending"),
        pytest.param({"ready": False}, {"traffic_on": False}, id="not-ready-before-drained"),
        pytest.param({"traffic_on": False}, {"ready_changed_s": 500.0}, id="drained-before-young"),
        pytest.param({"ready_changed_s": 500.0}, {"ready_changed_s": 100.0}, id="ready-for-a-shorter-time"),
        pytest.param({"restarts": 3}, {"restarts": 1}, id="restarted-more-often"),
        pytest.param({"created_s": 9.0}, {"created_s": 1.0}, id="younger"),
    ],
)
def test_scale_down_takes_pods_in_the_upstream_order(goes_first: dict[str, object], stays: dict[str, object]) -> None:
    pods = [pod("stays", **stays), pod("goes", **goes_first)]

    assert [p.name for p in pods_to_delete(pods, 1)] == ["goes"]


def test_crowded_nodes_give_up_pods_first() -> None:
    pods = [pod("alone", node="n1"), pod("one", node="n2"), pod("two", node="n2")]

    assert pods_to_delete(pods, 1)[0].node == "n2"


def test_nothing_is_deleted_when_none_are_too_many() -> None:
    assert pods_to_delete([pod("a")], 0) == []
    assert pods_to_delete([pod("a")], -2) == []


def test_replicas_spread_over_zones_and_nodes(world_of) -> None:
    world = world_of(THREE_ZONES)

    assert sorted(p.node for p in world.services["web"].pods) == sorted(world.nodes)


def test_status_follows_scaling(world_of) -> None:
    world = world_of(THREE_ZONES)
    web = world.services["web"]
    world.advance(0)
    world.scale("web", 8)
    assert (web.desired, web.status_replicas) == (8, 6)
    world.advance(1)
    assert (web.status_replicas, web.ready_replicas) == (8, 6)
    world.advance(20)
    assert web.ready_replicas == 8

    world.scale("web", 2)
    world.advance(21)
    assert (web.status_replicas, len(web.pods)) == (2, 8)  # six are terminating
    world.advance(60)
    assert len(web.pods) == 2
    assert world.engine.clients.failed.sum() == 0


def test_a_cordoned_node_gets_no_new_pods(world_of) -> None:
    world = world_of(THREE_ZONES)
    for name in world.nodes:
        if name != "node-b-1":
            world.cordon(name, True)

    world.scale("web", 9)
    world.advance(0)

    assert [p.node for p in world.services["web"].pods[6:]] == ["node-b-1"] * 3


def test_a_drained_pod_stays_ready_but_gets_no_requests(world_of) -> None:
    world = world_of(THREE_ZONES)
    world.advance(0)
    drained = world.services["web"].pods[2]
    world.set_traffic(drained, False)
    world.advance(3)
    served = int(world.engine.pods.requests[drained.slot])
    world.advance(60)

    assert drained.ready
    assert world.engine.pods.requests[drained.slot] == served
    world.set_traffic(drained, True)
    world.advance(70)
    assert world.engine.pods.requests[drained.slot] > served


def test_a_detached_pod_is_replaced_and_goes_on_serving(world_of) -> None:
    world = world_of(THREE_ZONES)
    web = world.services["web"]
    world.advance(0)
    leaving = web.pods[0]
    world.detach(leaving)
    world.advance(30)
    before = int(world.engine.pods.requests[leaving.slot])
    assert (web.status_replicas, len(web.pods)) == (6, 7)

    world.advance(60)
    assert world.engine.pods.requests[leaving.slot] > before
    assert world.evict(leaving)
    world.advance(120)

    assert leaving not in web.pods and web.ready_replicas == 6
    assert world.engine.clients.failed.sum() == 0


def test_a_reattached_pod_makes_one_too_many(world_of) -> None:
    world = world_of(THREE_ZONES)
    web = world.services["web"]
    world.advance(0)
    pod = web.pods[0]
    world.detach(pod)
    world.advance(30)
    world.reattach(pod)
    world.advance(60)

    assert pod in web.pods
    assert (web.status_replicas, len(web.pods)) == (6, 6)


def test_evictions_respect_the_disruption_budget(world_of) -> None:
    world = world_of(THREE_ZONES)
    world.advance(0)
    # of 6, ⌈25 %⌉ = 2 may be away
    assert world.disruptions_allowed("web") == 2

    evicted = [world.evict(p) for p in list(world.services["web"].pods)[:3]]

    assert evicted == [True, True, False]
    world.advance(60)
    assert world.services["web"].ready_replicas == 6


def test_weights_divide_requests(world_of) -> None:
    world = world_of(THREE_ZONES, load={"rps": 100, "roughness": 0})
    pods = world.services["web"].pods
    world.advance(0)
    world.set_weights("web", {pods[0].name: 0.0, pods[1].name: 5.0})
    world.advance(3)
    before = {p.name: int(world.engine.pods.requests[p.slot]) for p in pods}
    world.advance(300)
    served = [int(world.engine.pods.requests[p.slot]) - before[p.name] for p in pods]

    # 29,700 requests over weights 0, 5, 1, 1, 1, 1
    assert served[0] == 0
    assert served[1] / sum(served) == pytest.approx(5 / 9, abs=0.01)

    world.set_weights("web", {})
    world.advance(302)
    at_reset = int(world.engine.pods.requests[pods[0].slot])
    assert at_reset >= before[pods[0].name]


def test_a_rolling_update_keeps_three_quarters_serving(world_of) -> None:
    loop = {"kind": "crash_loop", "service": "web", "start_s": 10, "duration_s": 200, "magnitude": 0.0}
    world = world_of(THREE_ZONES, faults=[loop])
    web = world.services["web"]
    fewest, most = 6, 6
    rolling = set()
    for second in range(11, 150):
        world.advance(second)
        fewest, most = min(fewest, web.ready_replicas), max(most, web.status_replicas)
        rolling.add(web.rollout_in_progress)

    # 6 desired: ⌊1.5⌋ = 1 unavailable at most, ⌈1.5⌉ = 2 more at most
    assert fewest >= 5 and most <= 8
    assert rolling == {True, False}
    assert web.generation == 2 and {p.revision for p in web.pods} == {2}
    assert world.engine.clients.failed.sum() == 0


def test_names_do_not_hang_on_what_happened_elsewhere(world_of) -> None:
    one, other = world_of(THREE_ZONES, seed=1), world_of(THREE_ZONES, seed=2)

    assert [p.name for p in one.services["web"].pods] == [p.name for p in other.services["web"].pods]
    assert len({p.name for p in one.services["web"].pods}) == 6

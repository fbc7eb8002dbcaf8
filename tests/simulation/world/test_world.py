from __future__ import annotations

import numpy as np
import pytest

from simulation.scenario import parse_scenario
from simulation.world import World

HARD_HOUR = """
name: hard-hour
duration_s: 600
warm_up_s: 60
topology: shop
load: {rps: 80, knots: [[0, 1.0], [300, 1.6]], roughness: 0.1}
faults:
  - {kind: memory_leak, service: catalog, start_s: 20, duration_s: 300, magnitude: 150}
  - {kind: node_loss, start_s: 100, duration_s: 150}
  - {kind: primary_loss, service: postgres, start_s: 200, duration_s: 100}
  - {kind: crash_loop, service: cart, start_s: 250, duration_s: 100}
  - {kind: zone_cut, zone: c, start_s: 300, duration_s: 90}
  - {kind: noisy_neighbour, service: gateway, start_s: 350, duration_s: 60, magnitude: 0.9}
  - {kind: payment_timeouts, service: payment, start_s: 400, duration_s: 60}
  - {kind: flash_sale, start_s: 450, duration_s: 60, magnitude: 2}
"""


def life_of(world: World) -> list[tuple[object, ...]]:
    """What anybody could see of the world, every five seconds."""
    seen: list[tuple[object, ...]] = []
    for t in range(-55, 601, 5):
        world.advance(t)
        if t == 120:
            world.scale("gateway", 9)
        pods = tuple((p.name, p.ready, p.restarts, p.node) for d in world.services.values() for p in d.pods)
        seen.append((pods, world.engine.clients.ok.sum(), world.engine.clients.failed.sum(), world.cpu_used_s().sum()))
    return seen


def test_the_same_seed_gives_the_same_world() -> None:
    scenario = parse_scenario(HARD_HOUR, "t")
    first, again, other = World(scenario, 11), World(scenario, 11), World(scenario, 12)

    life = life_of(first)

    assert life == life_of(again)
    assert life != life_of(other)
    assert first.fault_truths == again.fault_truths
    np.testing.assert_array_equal(first.engine.orders.acked_s, again.engine.orders.acked_s)


def test_it_does_not_matter_in_which_steps_time_advances() -> None:
    scenario = parse_scenario(HARD_HOUR, "t")
    in_one, in_many = World(scenario, 3), World(scenario, 3)

    in_one.advance(400)
    for t in np.arange(-59.5, 400.1, 0.5):
        in_many.advance(float(t))

    assert in_one.now_s == in_many.now_s == 400
    assert in_one.engine.accounting() == in_many.engine.accounting()
    np.testing.assert_allclose(in_one.cpu_used_s(), in_many.cpu_used_s(), rtol=1e-12)  # sums in other orders


def test_every_request_of_a_hard_hour_is_accounted_for() -> None:
    world = World(parse_scenario(HARD_HOUR, "t"), 7)
    for t in range(0, 601, 60):
        world.advance(t)
        assert world.engine.accounting().is_balanced()

    clients = world.engine.accounting().clients
    assert clients.arrived == world.engine.clients.arrived.sum(dtype=np.int64)
    assert clients.failed > 0
    orders = world.engine.orders
    assert (orders.commits <= 1).all()  # idempotent


def test_time_stands_where_it_was_told_to() -> None:
    world = World(parse_scenario(HARD_HOUR, "t"), 1)

    world.advance(12.345)

    assert world.now_s == 12.345
    world.advance(12.345)
    assert world.engine.now_s == pytest.approx(12.345)


def test_nodes_never_promise_more_than_they_have() -> None:
    world = World(parse_scenario(HARD_HOUR, "t"), 5)
    for t in range(0, 600, 20):
        world.advance(t)
        world.scale("catalog", 4 + t % 17)
        for node in world.nodes.values():
            assert node.free_cpu >= -1e-9 and node.free_memory_mib >= -1e-9
            assert node.requested_cpu == pytest.approx(sum(p.spec.cpu_request for p in node.pods.values()))


def test_a_dimmed_shop_does_less_work() -> None:
    scenario = parse_scenario("{name: t, duration_s: 120, topology: shop, load: {rps: 60, roughness: 0}}", "t")
    bright, dim = World(scenario, 1), World(scenario, 1)
    dim.set_ceiling(0.0)
    for world in (bright, dim):
        world.advance(120)

    def work(world: World, service: str) -> float:
        return sum(float(world.cpu_used_s()[pod.slot]) for pod in world.services[service].pods)

    assert work(dim, "recommendations") < 0.05 * work(bright, "recommendations")
    assert work(dim, "catalog") == pytest.approx(work(bright, "catalog"), rel=0.01)
    assert dim.engine.clients.degraded.sum() > 0

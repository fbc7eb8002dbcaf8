"""The bundled shop is healthy at its load and as big as it says."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.kernel.histogram import edges_s
from simulation.scenario import parse_scenario
from simulation.visits import visits_per_operation, visits_per_request
from simulation.world import World


def shop(rps: float, duration_s: float = 300.0) -> World:
    text = f"{{name: t, duration_s: {duration_s}, warm_up_s: 60, topology: shop, load: {{rps: {rps}, roughness: 0}}}}"
    return World(parse_scenario(text, "t"), 1)


@pytest.mark.parametrize("rps", [50, 200])
def test_is_healthy(rps: float) -> None:
    world = shop(rps)
    world.advance(300)
    clients = world.engine.clients
    answered = clients.latency.astype(np.int64).sum(axis=0)
    p99_s = edges_s()[np.searchsorted(np.cumsum(answered), 0.99 * answered.sum()) + 1]

    assert clients.failed.sum() == 0
    assert p99_s < 0.5  # SLO: 1 s
    assert clients.slow.sum(dtype=np.int64) < 0.001 * clients.arrived.sum(dtype=np.int64)


def test_a_request_makes_about_four_and_a_quarter_visits() -> None:
    visits = visits_per_request(shop(1).scenario.topology)
    # browse 0.62 × (1 + 1 + 1 + 0.08 + 0.7) + search 0.2 × (1 + 1 + 1 + 0.25 + 1)
    # + cart 0.12 × (1 + 1 + 2 + 1) + checkout 0.06 × (1 + 1 + 2 + 2 + 1 + 1) = 2.3436 + 0.85 + 0.6 + 0.48
    assert sum(visits.values()) == pytest.approx(4.2736)

    world = shop(100)
    world.advance(300)
    made = int(world.engine.services.offered.sum())
    assert made / world.engine.accounting().clients.arrived == pytest.approx(4.2736, rel=0.01)


def test_has_room_for_twice_what_200_requests_a_second_need() -> None:
    """At 80 % of their CPU requests, the default HPA's aim, and two pods at least."""
    topology = shop(1).scenario.topology
    visits = visits_per_operation(topology)
    needed_cpu = 0.0
    for service in topology.services:
        cores = sum(
            200 * visits[o.name] * o.cpu_ms / 1000 for o in topology.operations if o.name.startswith(f"{service.name}.")
        )
        pods = (
            service.replicas if service.kind == "store" else max(2, int(np.ceil(cores / (0.8 * service.cpu_request))))
        )
        needed_cpu += pods * service.cpu_request

    assert 2 * needed_cpu <= sum(group.count * group.cpu for group in topology.nodes)


def test_survives_the_loss_of_its_primary_with_every_order() -> None:
    text = """
name: t
duration_s: 200
warm_up_s: 60
topology: shop
load: {rps: 100, roughness: 0}
faults: [{kind: primary_loss, service: postgres, start_s: 10, duration_s: 60}]
"""
    world = World(parse_scenario(text, "t"), 1)
    world.advance(200)
    orders = world.engine.orders

    assert world.databases["postgres"].failovers == 1
    assert (orders.commits[orders.acked] == 1).all()
    assert not orders.acked.all()

"""What the call graph implies, worked out by hand for the small shop."""

from __future__ import annotations

import pytest

from simulation.scenario import Scenario
from simulation.visits import callers, capacity_rps, visits_per_operation, visits_per_request


def test_visits_multiply_along_calls_by_their_probability(small_shop: Scenario) -> None:
    visits = visits_per_operation(small_shop.topology)

    assert visits == {"gateway.page": 1.0, "catalog.list": 1.0, "catalog.hints": 0.5}
    assert visits_per_request(small_shop.topology) == {"gateway": 1.0, "catalog": 1.5}


def test_capacity_is_what_uses_up_the_cpu_limit(small_shop: Scenario) -> None:
    capacity = capacity_rps(small_shop.topology)

    assert capacity["gateway"] == pytest.approx(50.0)  # 20 ms on one core
    assert capacity["catalog"] == pytest.approx(75.0)  # 1.5 visits take 15 + 0.5 × 10 = 20 ms


def test_trouble_at_the_gateway_keeps_requests_from_the_catalog(small_shop: Scenario) -> None:
    assert callers(small_shop.topology) == {"gateway": frozenset(), "catalog": frozenset({"gateway"})}

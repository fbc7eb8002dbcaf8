from __future__ import annotations

import pytest

from simulation.corpus_scenarios import corpus_scenario
from simulation.scenario import FaultKind, load_scenario, shipped_scenarios, topology_preset
from simulation.visits import capacity_rps, visits_per_request

SEEDS = range(1_000_000, 1_000_150)


@pytest.fixture(scope="module")
def drawn():
    return [corpus_scenario(seed) for seed in SEEDS]


def test_the_same_seed_draws_the_same_scenario(drawn):
    assert corpus_scenario(SEEDS[7]) == drawn[7]
    assert corpus_scenario(SEEDS[7]).scenario.topology != drawn[8].scenario.topology


def test_no_shop_is_the_shipped_one(drawn):
    shipped = {service["name"] for service in topology_preset("shop")["services"]}

    names = {service.name for one in drawn for service in one.scenario.topology.services}

    assert names.isdisjoint(shipped | {"web"})


def test_no_fault_has_the_sizes_of_a_shipped_one(drawn):
    def sizes(scenario):
        return {(fault.kind, fault.magnitude, fault.start_s, fault.duration_s) for fault in scenario.faults}

    shipped = set().union(*(sizes(load_scenario(name)) for name in shipped_scenarios()))

    assert shipped.isdisjoint(set().union(*(sizes(one.scenario) for one in drawn)))


def test_all_that_a_demand_or_a_pod_can_suffer_occurs(drawn):
    kinds = {fault.kind for one in drawn for fault in one.scenario.faults}

    assert kinds == set(FaultKind) - {
        # Nothing that pods, stores and clients would show, or (delay) only what outages show.
        FaultKind.ZONE_LOSS, FaultKind.ZONE_CUT, FaultKind.PAYMENT_TIMEOUTS, FaultKind.CACHE_LOSS,
        FaultKind.METRICS_DELAY, FaultKind.API_OUTAGE, FaultKind.CONTROLLER_CRASH,
    }  # fmt: skip


def test_most_runs_have_autoscalers_and_some_have_none(drawn):
    scaled = sum(one.hpa for one in drawn)

    # A binomial of 150 × 0.7 = 105, sd sqrt(150 × 0.7 × 0.3) = 5.6.
    assert abs(scaled - 105) < 4 * 5.6
    for one in drawn:
        with_hpa = [service.hpa is not None for service in one.scenario.topology.services if service.kind != "store"]
        assert all(with_hpa) if one.hpa else not any(with_hpa)


def test_an_ordinary_day_fits_the_pods_it_begins_with(drawn):
    for one in drawn:
        topology = one.scenario.topology
        visits, capacity = visits_per_request(topology), capacity_rps(topology)
        for service in topology.services:
            pods = 1 if service.database is not None else service.replicas
            assert one.scenario.load.rps * visits[service.name] <= 0.85 * pods * capacity[service.name]


def test_no_run_costs_more_than_a_few_seconds(drawn):
    for one in drawn:
        per_request = sum(visits_per_request(one.scenario.topology).values())
        assert one.scenario.load.rps * one.scenario.duration_s * per_request <= 6.0e6 * 1.01

"""Runs as wholes: deterministic, paired over arms, accounted for, and unmoved by a restart of the controller."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.arms import ARM_NAMES, ArmUnknown
from simulation.result import RunResult
from simulation.run import TooManyInProgress, run
from simulation.scenario import Fault, FaultKind, Scenario, scenario_of
from simulation.topology import Hpa


@pytest.fixture(scope="module")
def by_arm(small_shop: Scenario) -> dict[str, RunResult]:
    return {arm: run(small_shop, arm, seed=5) for arm in ARM_NAMES}


@pytest.mark.parametrize("arm", ARM_NAMES)
def test_every_request_is_accounted_for(by_arm: dict[str, RunResult], arm: str) -> None:
    accounting = by_arm[arm].accounting

    assert accounting.arrived == accounting.served + accounting.failed + accounting.in_flight
    assert accounting.arrived > 5_000


@pytest.mark.parametrize("arm", ARM_NAMES)
def test_client_seconds_hold_each_arrival_once(by_arm: dict[str, RunResult], arm: str) -> None:
    client = by_arm[arm].client
    unfinished = client.arrived - client.ok - client.failed

    assert client.arrived.shape == (1, 240)
    assert unfinished.min() >= 0
    assert unfinished.sum() == by_arm[arm].accounting.in_flight


def test_all_arms_meet_the_same_clients(by_arm: dict[str, RunResult]) -> None:
    arrivals = [result.client.arrived for result in by_arm.values()]

    assert all(np.array_equal(arrivals[0], other) for other in arrivals[1:])


def test_another_seed_brings_other_clients(small_shop: Scenario, by_arm: dict[str, RunResult]) -> None:
    other = run(small_shop, "hpa-default", seed=6)

    assert not np.array_equal(other.client.arrived, by_arm["hpa-default"].client.arrived)


@pytest.mark.parametrize("arm", ["hpa-tuned", "kpa", "hpa-tuned-fast-lane", "foresail"])
def test_the_same_seed_gives_the_same_run_whatever_ran_before(
    small_shop: Scenario, by_arm: dict[str, RunResult], arm: str
) -> None:
    again = run(small_shop, arm, seed=5)

    assert again.decisions == by_arm[arm].decisions
    assert again.resizes == by_arm[arm].resizes
    assert again.acts == by_arm[arm].acts
    assert again.pod_hours == by_arm[arm].pod_hours
    assert np.array_equal(again.client.latency_histogram, by_arm[arm].client.latency_histogram)
    assert np.array_equal(again.services.cpu_utilization, by_arm[arm].services.cpu_utilization, equal_nan=True)


@pytest.mark.parametrize("arm", ["foresail", "hpa-tuned-fast-lane", "oracle"])
def test_a_restart_of_the_controller_changes_no_decision(
    small_shop: Scenario, by_arm: dict[str, RunResult], arm: str
) -> None:
    times_s = (-20.0, 31.0, 93.4, 150.0, 222.0)
    restarted = run(small_shop.model_copy(update={"restart_controller_at_s": times_s}), arm, seed=5)

    assert restarted.decisions == by_arm[arm].decisions
    assert np.array_equal(restarted.client.ok, by_arm[arm].client.ok)


def test_only_arms_with_a_loop_decide(by_arm: dict[str, RunResult]) -> None:
    deciding = {arm for arm, result in by_arm.items() if result.decisions}

    assert deciding == {arm for arm in ARM_NAMES if arm in ("hpa-tuned-fast-lane", "oracle") or "foresail" in arm}


def test_a_dead_controller_decides_nothing_and_its_successor_waits_for_the_lease(small_shop: Scenario) -> None:
    crash = Fault(kind=FaultKind.CONTROLLER_CRASH, start_s=100, duration_s=5)
    result = run(small_shop.model_copy(update={"faults": (crash,)}), "foresail", seed=5)
    times_s = [decision.at_s for decision in result.decisions]

    # The process is away for five seconds, its lease for fifteen.
    assert not [t for t in times_s if 100 <= t < 115]
    assert [t for t in times_s if t >= 115]
    assert [t for t in times_s if t < 100]


def test_nobody_resizes_anything_while_the_api_server_is_away(small_shop: Scenario) -> None:
    outage = Fault(kind=FaultKind.API_OUTAGE, start_s=60, duration_s=100)
    scenario = small_shop.model_copy(update={"faults": (outage,)})

    for arm in ("hpa-tuned", "kpa", "foresail"):
        times_s = [resize.at_s for resize in run(scenario, arm, seed=5).resizes]
        assert not [t for t in times_s if 60 <= t < 160], arm
        assert [t for t in times_s if t >= 160], arm


def test_settings_given_to_a_run_override_the_tuned_ones(small_shop: Scenario) -> None:
    frugal = run(small_shop, "hpa-tuned", seed=5, settings={"hpa_target_pct": 120})
    generous = run(small_shop, "hpa-tuned", seed=5, settings={"hpa_target_pct": 30})

    assert frugal.pod_hours < generous.pod_hours


def test_an_unknown_arm_is_refused_with_the_names_that_exist(small_shop: Scenario) -> None:
    with pytest.raises(ArmUnknown, match="hpa-tuned-fast-lane"):
        run(small_shop, "hpa-tunned", seed=5)


def test_an_hpa_on_request_rates_reads_them_from_prometheus(small_shop: Scenario) -> None:
    """30 requests/s at 8 per pod are four pods; the load later grows to 75, which is the maximum of ten."""
    by_rate = Hpa.model_validate(
        {
            "min_replicas": 2,
            "max_replicas": 10,
            "metrics": [{"type": "Pods", "name": "requests_per_second", "target_type": "AverageValue", "target": 8}],
        }
    )
    services = tuple(
        s.model_copy(update={"hpa": by_rate}) if s.name == "gateway" else s for s in small_shop.topology.services
    )
    topology = small_shop.topology.model_copy(update={"services": services})

    desired = run(small_shop.model_copy(update={"topology": topology}), "hpa-default", seed=5).services.replicas_desired

    assert 4 <= desired[0, 30] <= 5
    assert desired[0, -1] == 10


def test_a_run_with_more_in_progress_than_can_be_followed_fails() -> None:
    """5,000 requests/s that wait for a minute each: 131,072 are under way after 26 s."""
    flood = scenario_of(
        {
            "name": "flood",
            "duration_s": 35,
            "warm_up_s": 0,
            "load": {"rps": 5000, "roughness": 0},
            "topology": {
                "services": [{"name": "web", "concurrency": 100_000, "memory_per_request_mib": 0}],
                "operations": [{"name": "web.wait", "cpu_ms": 0.01, "wait_ms": 60_000}],
                "classes": [{"name": "wait", "share": 1, "operation": "web.wait", "patience_s": 120}],
            },
        },
        "flood",
    )

    with pytest.raises(TooManyInProgress, match="requests found no room"):
        run(flood, "hpa-default", seed=1)

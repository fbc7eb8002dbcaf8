"""The policies that people would have written for a scenario."""

from __future__ import annotations

from forecasting.forecast import DeclaredEvent
from policies.model import Rung
from simulation.arms import arm_settings
from simulation.controllers.policy_set import policies_for
from simulation.scenario import Scenario, load_scenario


def test_bounds_come_from_the_hpa_and_demand_from_the_gateway(small_shop: Scenario) -> None:
    policies = policies_for(small_shop, arm_settings("foresail", {"target_utilization": 0.55})).workloads

    assert set(policies) == {"gateway", "catalog"}
    assert (policies["gateway"].entry, policies["catalog"].entry) == (None, "gateway")
    assert (policies["catalog"].scaling.min_replicas, policies["catalog"].scaling.max_replicas) == (2, 10)
    assert policies["catalog"].scaling.target_utilization == 0.55
    assert policies["catalog"].healing.highest_rung is Rung.SHIFT_ZONE


def test_only_the_gateway_dims_optional_content_and_knows_the_events(small_shop: Scenario) -> None:
    sale = DeclaredEvent("sale", 100.0, 200.0, 3.0)

    policies = policies_for(small_shop, arm_settings("foresail"), (sale,)).workloads

    assert policies["gateway"].brownout.enabled and not policies["catalog"].brownout.enabled
    assert policies["gateway"].events == (sale,)
    assert policies["catalog"].events == ()


def test_stores_are_never_scaled_and_workloads_without_an_hpa_never_shrink() -> None:
    scenario = load_scenario("quiet-day")
    policies = policies_for(scenario, arm_settings("foresail")).workloads
    without_hpa = [s for s in scenario.topology.services if s.hpa is None and s.kind == "deployment"]

    assert not policies["postgres"].stateless and not policies["redis"].stateless
    for service in without_hpa:
        scaling = policies[service.name].scaling
        assert (scaling.min_replicas, scaling.safe_replicas) == (service.replicas, service.replicas)

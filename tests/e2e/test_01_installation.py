"""Both charts, installed from nothing, work: pods, lead, policy, `helm test`, dashboards."""

from typing import Any

import pytest
from e2e_inside import PromQL
from e2e_operator import OperatorView
from e2e_programs import Helm, Kubectl
from e2e_shop import POLICY, Shop
from e2e_stage import OPERATOR, SHOP, Stage
from e2e_waiting import wait_until

from charts import CHARTS, script

_tool = script(CHARTS / "dashboard_queries.py")
QUERIES = _tool.all_queries(_tool.values_for("shop/shop-gateway", horizon_s=300, signal="memory"))


def test_all_pods_of_both_charts_are_ready(installed: Stage, kubectl: Kubectl) -> None:
    for namespace in (OPERATOR, SHOP):
        for kind in ("deployments", "statefulsets"):
            for found in kubectl.items(namespace, kind):
                name = f"{kind}/{found['metadata']['name']}"
                kubectl("rollout", "status", "-n", namespace, name, "--timeout=120s", limit_s=130.0)


def test_one_operator_leads_and_the_other_is_ready_to(operator: OperatorView) -> None:
    leader = wait_until("one to lead", operator.leader)
    others = {pod["metadata"]["name"] for pod in operator.pods()} - {leader}

    assert others
    assert operator.metric("foresail_leader") == 1.0
    for other in others:
        wait_until("the other to be ready", lambda name=other: operator.page("/readyz", name))  # type: ignore[misc]


def test_every_workload_of_the_policy_is_explained(operator: OperatorView, kubectl: Kubectl) -> None:
    wanted = {f"shop/{found['metadata']['name']}" for found in shop_workloads(kubectl)}

    told = wait_until("all to be decided about", lambda: operator.newest(wanted), until=lambda told: all(told.values()))

    assert all(decision["sentence"] and decision["reasons"] for decision in told.values())
    status = wait_until("the status", lambda: status_of(operator), until=lambda s: s.get("workloads") == len(wanted))
    assert status["decisions"] and all(one["explanation"] for one in status["decisions"])
    assert status["mode"]["inForce"] == "Enforce"
    assert operator.condition(SHOP, POLICY, "Ready")["status"] == "True"


def test_the_mode_in_force_is_the_one_declared(operator: OperatorView, shop: Shop) -> None:
    with shop.policy(mode="Observe"):
        wait_until("Observe in force", lambda: in_force(operator), until=lambda mode: mode == "Observe")
    wait_until("Enforce in force", lambda: in_force(operator), until=lambda mode: mode == "Enforce")


def test_the_charts_own_test_passes(operator: OperatorView, helm: Helm) -> None:
    said = helm("test", "foresail", "-n", OPERATOR, "--timeout", "3m")

    assert "Succeeded" in said


def test_prometheus_has_forecasts_by_the_operator(operator: OperatorView, promql: PromQL) -> None:
    query = "count(foresail_forecast) and on() sum(foresail_leader) == 1"
    assert wait_until("forecasts", lambda: promql.ask(query))


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.panel}")
def test_prometheus_understands_every_query_of_the_dashboard(
    operator: OperatorView, promql: PromQL, query: Any
) -> None:
    promql.ask(query.expression)


def shop_workloads(kubectl: Kubectl) -> list[Any]:
    return [*kubectl.items(SHOP, "deployments"), *kubectl.items(SHOP, "statefulsets")]


def status_of(operator: OperatorView) -> Any:
    return operator.policy(SHOP, POLICY)["status"]


def in_force(operator: OperatorView) -> Any:
    return status_of(operator).get("mode", {}).get("inForce")

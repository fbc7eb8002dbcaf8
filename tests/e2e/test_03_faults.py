"""What goes wrong in the shop and around it, and what Foresail does about it: the right thing, or nothing."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e_load import load, reconciled
from e2e_operator import OperatorView
from e2e_outages import prometheus_hangs
from e2e_shop import Shop, restarts
from e2e_stage import SHOP
from e2e_waiting import stays, wait_until

CATALOG = "shop/shop-catalog"
#: Its pods have 256 MiB: out of memory within ten minutes, two or three of which are needed to see it coming.
LEAK_MIB_PER_MIN = 18.0
#: Acts that move pods, zones or databases.
DRASTIC = {"DetachPod", "EvictPod", "ShiftZone", "SwitchOver", "SetScale"}


def test_a_crashed_pod_loses_no_order_and_causes_no_drastic_act(
    operator: OperatorView, shop: Shop, tmp_path: Path
) -> None:
    begun_s = time.time()
    with load(operator.stage, tmp_path / "load", rps=4.0, duration_s=60.0) as visitors:
        victim = sorted(shop.ready_pods("catalog"))[0]
        before = restarts(shop.pod(victim))
        shop.fault(victim, "pod_crash", magnitude=1.0, duration_s=5.0)
        wait_until("the crash", lambda: restarts(shop.pod(victim)) > before)
        wait_until("the pod to be back", lambda: victim in shop.ready_pods("catalog"))
        summary = visitors.summary()

    assert summary["orders"]["acknowledged"] > 0
    assert reconciled(operator.stage, visitors.ledger).clean
    assert summary["failed"] / summary["sent"] < 0.02
    decisions = operator.decisions(CATALOG, since_s=begun_s)
    assert decisions and all(one["sentence"] for one in decisions)
    assert not {act["kind"] for one in decisions for act in one["actions"]} & DRASTIC
    wait_until("all pods to be in rotation", lambda: out_of_rotation(shop), until=lambda out: out == [])


@pytest.mark.slow
def test_without_metrics_nothing_is_changed_until_they_are_back(operator: OperatorView, shop: Shop) -> None:
    wait_until("metrics", lambda: metrics_missing(operator), 120.0, lambda status: status == "False")
    wait_until("the shop at rest", shop.marked, 300.0, lambda marked: not marked)
    with ExitStack() as wish:
        with prometheus_hangs(operator.stage):
            wait_until(
                "the status to say so", lambda: metrics_missing(operator), 240.0, lambda status: status == "True"
            )
            mode = operator.policy(SHOP, "shop")["status"]["mode"]
            assert (mode["inForce"], mode["reason"]) == ("Enforce", "MetricsMissing")
            raised = shop.targets_with(
                "gateway", minReplicas=3, capacityPriorRequestsPerSecond=50.0, descendPodsPerMinute=10.0
            )
            wish.enter_context(shop.policy(targets=raised))
            stays("hold", shop.marked, 45.0, lambda marked: not marked)
        wait_until("what was held back", lambda: shop.autoscaler("gateway").floor, until=lambda floor: floor == 3)
        assert metrics_missing(operator) == "False"
        wish.enter_context(shop.policy(targets=shop.targets_with("gateway", descendPodsPerMinute=10.0, minReplicas=2)))
        wait_until("the shop as it was", shop.marked, until=lambda marked: not marked)


@pytest.mark.slow
def test_a_leaking_pod_is_replaced_before_it_runs_out_of_memory(
    operator: OperatorView, shop: Shop, tmp_path: Path
) -> None:
    with load(operator.stage, tmp_path / "load", rps=4.0, duration_s=900.0) as visitors:
        leaking = sorted(shop.ready_pods("catalog"))[0]
        shop.fault(leaking, "memory_leak", magnitude=LEAK_MIB_PER_MIN, duration_s=1800.0)
        wait_until("the pod to be replaced", lambda: names(shop, "catalog"), 840.0, lambda pods: leaking not in pods)
        wait_until("another in its place", lambda: len(shop.ready_pods("catalog")), until=lambda ready: ready >= 2)
        visitors.stop()
        summary = visitors.summary()

    acts = [act["kind"] for one in operator.decisions(CATALOG) for act in one["actions"] if act["done"]]
    assert "DetachPod" in acts and "EvictPod" in acts
    assert summary["failed"] == 0 and summary["probe"]["failed"] == 0
    assert reconciled(operator.stage, visitors.ledger).clean


def names(shop: Shop, role: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in shop.pods(role)}


def out_of_rotation(shop: Shop) -> list[str]:
    """Pods whose traffic label says off."""
    found = shop.stage.kubectl.items(SHOP, "pods", "foresail.dev/traffic=off")
    return [pod["metadata"]["name"] for pod in found]


def metrics_missing(operator: OperatorView) -> str | None:
    """Status of the policy's condition."""
    status = operator.condition(SHOP, "shop", "MetricsMissing").get("status")
    return None if status is None else str(status)

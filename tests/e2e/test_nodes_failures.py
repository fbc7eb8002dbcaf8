"""Pods that hang, nodes that die, a database leader that crashes: on the real shop, under a real operator."""

import time
from pathlib import Path

import pytest
from e2e_failing import at_rest, primary, sentences, traffic_label, with_a_peer
from e2e_load import load, reconciled
from e2e_operator import OperatorView
from e2e_shop import Shop, restarts
from e2e_waiting import stays, wait_until

from chaos.clusters.bare.pod_processes import kill_containers
from chaos.load.reconcile import Mistake
from chaos.operator_bench.silencing import powerless, stopped, victim

#: Until pods of a dead node are replaced: 350 s with the timers of a cluster that nobody tuned.
GIVEN_UP_S = 480.0


def test_a_hung_pod_leaves_rotation_and_comes_back(shop: Shop, operator: OperatorView) -> None:
    with at_rest(shop) as live:
        hung = min(one for one in live.endpoints() if one.service == "shop-cart")
        with stopped(live.uid(hung.pod)):
            wait_until("it to leave", lambda: hung not in live.endpoints(), 60.0, pause_s=0.1)
            wait_until("its label", lambda: traffic_label(shop, hung.pod), 60.0, until=lambda label: label == "off")
            peers = [one for one in live.endpoints() if one.service == hung.service]
        wait_until("it to come back", lambda: hung in live.endpoints(), 120.0)

    assert peers
    said = sentences(operator.decisions("shop/shop-cart"))
    assert f"Took {hung.pod} of shop/shop-cart out of rotation" in said and "answers nobody" in said


@pytest.mark.slow
def test_a_hung_pod_is_left_in_place_while_its_workload_is_rolled_out(shop: Shop, operator: OperatorView) -> None:
    with at_rest(shop) as live:
        hung = min(one for one in live.endpoints() if one.service == "shop-cart")
        begun_s = time.time()
        with shop.stuck_rollout("cart"), stopped(live.uid(hung.pod)):
            stays("in place", lambda: traffic_label(shop, hung.pod), 20.0, until=lambda label: label != "off")

    done = [act for one in operator.decisions("shop/shop-cart", since_s=begun_s) for act in one["actions"]]
    assert not done


@pytest.mark.slow
def test_pods_of_a_dead_node_leave_and_are_replaced_without_a_lost_order(
    shop: Shop, operator: OperatorView, tmp_path: Path
) -> None:
    with at_rest(shop) as live:
        node = victim(live)
        before = live.endpoints()
        leaving = with_a_peer(before, {node})
        with load(shop.stage, tmp_path, rps=3.0, duration_s=600.0) as running:
            with powerless(shop.stage.cluster, node):
                wait_until(
                    "the dead node's pods to be taken out",
                    lambda: {traffic_label(shop, one.pod) for one in leaving},
                    60.0,
                    until=lambda labels: labels == {"off"},
                    pause_s=0.1,
                )
                wait_until(
                    "every Service to have as many endpoints as before",
                    lambda: sorted(one.service for one in live.endpoints() if one.node != node),
                    GIVEN_UP_S,
                    until=lambda services: services == sorted(one.service for one in before),
                )
            running.stop()
            running.summary()

    assert leaving and "out of rotation" in sentences(operator.decisions(f"shop/{leaving[0].service}"))
    books = reconciled(shop.stage, running.ledger)
    assert books.acknowledged > 0 and books.count(Mistake.LOST) == 0


@pytest.mark.slow
def test_a_crash_of_the_database_s_leader_loses_no_order(shop: Shop, tmp_path: Path) -> None:
    with at_rest(shop):
        leader = primary(shop.stage)
        with load(shop.stage, tmp_path, rps=3.0, duration_s=300.0) as running:
            assert kill_containers(leader["metadata"]["uid"])
            wait_until(
                "its container to start again",
                lambda: restarts(shop.pod(leader["metadata"]["name"])),
                120.0,
                until=lambda count: count > restarts(leader),
            )
            acknowledged = _acknowledged(running.ledger)
            wait_until("orders to be taken again", lambda: _acknowledged(running.ledger) > acknowledged, 120.0)
            running.stop()
            running.summary()

    books = reconciled(shop.stage, running.ledger)
    assert books.acknowledged > 0 and books.count(Mistake.LOST) == 0


def _acknowledged(ledger: Path) -> int:
    return ledger.read_text(encoding="utf-8").count('"acknowledged"')

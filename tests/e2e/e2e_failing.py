"""What fails on the shop's cluster, and the shop at rest before and after."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from e2e_shop import Shop
from e2e_stage import SHOP, Stage
from e2e_waiting import wait_until

from chaos.operator_bench.live_shop import LiveShop, live_shop
from chaos.operator_bench.rotation import Endpoint

TRAFFIC = "foresail.dev/traffic"
#: Pods that were given up come back, databases are copied, floors and marks of the fault end.
REST_LIMIT_S = 300.0


@contextmanager
def at_rest(shop: Shop) -> Iterator[LiveShop]:
    """The shop as installed, before the block and after it; floors have no room to rise meanwhile."""
    with live_shop(shop.stage.cluster.kubeconfig) as live, shop.policy(targets=shop.resting_targets()):
        _wait_for_rest(shop, live)
        yield live
        _wait_for_rest(shop, live)


def traffic_label(shop: Shop, pod: str) -> str | None:
    labels: dict[str, str] = shop.pod(pod)["metadata"].get("labels", {})
    return labels.get(TRAFFIC)


def with_a_peer(endpoints: frozenset[Endpoint], nodes: Collection[str]) -> list[Endpoint]:
    """Those on the nodes whose Service has another one elsewhere."""
    elsewhere = {one.service for one in endpoints if one.node not in nodes}
    return sorted(one for one in endpoints if one.node in nodes and one.service in elsewhere)


def primary(stage: Stage) -> Any:
    """Pod of the database member that leads. Raises `IndexError` while there is none."""
    leading = "demo-shop/database=shop-postgres,demo-shop/database-role in (master,primary)"
    return stage.kubectl.items(SHOP, "pods", leading)[0]


def sentences(decisions: list[Any]) -> str:
    return "\n".join(decision["sentence"] for decision in decisions)


def _wait_for_rest(shop: Shop, live: LiveShop) -> None:
    wait_until("the shop as installed", live.missing, REST_LIMIT_S, until=lambda missing: missing is None)
    wait_until("nothing of Foresail's left on the shop", shop.marked, REST_LIMIT_S, until=lambda left: not left)

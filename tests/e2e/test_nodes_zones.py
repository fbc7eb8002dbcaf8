"""A zone that is cut off or ails: shifted once its primary has left, given back, refused where the rest is small."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from e2e_failing import at_rest, primary, sentences, traffic_label, with_a_peer
from e2e_installing import FORESAIL_CHART, FORESAIL_OPTIONS
from e2e_load import load, reconciled
from e2e_operator import OperatorView
from e2e_shop import Shop, event
from e2e_stage import OPERATOR, SHOP, Stage
from e2e_waiting import stays, wait_until

from chaos.clusters.plan import ZONE_LABEL
from chaos.load.reconcile import Mistake
from chaos.operator_bench.live_shop import LiveShop
from chaos.operator_bench.rotation import Endpoint

pytestmark = pytest.mark.slow

#: They call no other, so they are as slow as they are themselves; and there are two pods of each.
LEAVES = ("catalog", "cart", "inventory", "payment")
ACT_TTL_S = 60.0
#: Every leaf is asked so often that its pods can be judged.
ALL_LEAVES = "front=1,product=2,search=1,checkout=3"


@pytest.fixture(scope="module")
def shifting(operator: OperatorView) -> Iterator[OperatorView]:
    """The operator with the right to cordon, for this file only."""
    _install(operator.stage, "--set", "zoneShift.enabled=true")
    operator.wait_for_lead()
    yield operator
    _install(operator.stage, "--set", "zoneShift.enabled=false")
    operator.wait_for_lead()


def test_a_zone_that_is_cut_off_is_shifted_and_comes_back_whole(
    shop: Shop, shifting: OperatorView, tmp_path: Path
) -> None:
    zone = _zone_without_redis(shop.stage)
    _lead_from_outside(shifting, zone)
    with at_rest(shop) as live, shop.policy(zones={"shiftEnabled": True}):
        inside = set(with_a_peer(live.endpoints(), _nodes(shop.stage, zone)))
        with load(shop.stage, tmp_path, rps=3.0, duration_s=180.0) as running:
            with _cut(shop.stage, zone):
                wait_until("its pods to be taken out", lambda: _labels(shop, inside), until={"off"}.__eq__)
                nodes = _nodes(shop.stage, zone)
                wait_until("its nodes to be cordoned", lambda: _cordoned(shop.stage), until=nodes.__eq__)
            wait_until("its nodes to be given back", lambda: not _cordoned(shop.stage), 240.0)
            wait_until("its pods to be given back", lambda: _labels(shop, _still_there(shop, inside)) <= {"on"}, 240.0)
            running.stop()
            running.summary()

    books = reconciled(shop.stage, running.ledger)
    assert books.acknowledged > 0 and books.count(Mistake.LOST) == 0


def test_an_ailing_zone_stays_where_the_rest_cannot_carry_what_is_to_come(
    shop: Shop, shifting: OperatorView, tmp_path: Path
) -> None:
    stage = shop.stage
    with (
        at_rest(shop) as live,
        # An event that has begun and did not come is not believed.
        _leaves_alone_count(shop, events=[event(100.0, in_s=300.0, for_s=3600.0)]),
        load(stage, tmp_path, rps=8.0, duration_s=400.0, mix=ALL_LEAVES),
        _ailing(shop, live) as zone,
    ):
        wait_until(
            "the refusal to be told",
            lambda: sentences(shifting.decisions("shop/shop-cart")),
            240.0,
            until=lambda said: "the other zones cannot carry the load" in said,
        )
        stays("no node is cordoned", lambda: _cordoned(stage), 20.0, until=lambda nodes: not nodes)
        assert _zone_of(stage, primary(stage)) == zone


def test_an_ailing_zone_is_shifted_once_its_primary_has_left_and_no_order_is_lost(
    shop: Shop, shifting: OperatorView, tmp_path: Path
) -> None:
    stage = shop.stage
    with at_rest(shop) as live, _leaves_alone_count(shop):
        before = primary(stage)["metadata"]["name"]
        with load(stage, tmp_path, rps=8.0, duration_s=900.0, mix=ALL_LEAVES) as running:
            with _ailing(shop, live) as zone:
                cordoned = wait_until("the zone's nodes to be cordoned", lambda: _cordoned(stage), 300.0)
                after = primary(stage)["metadata"]["name"]
                assert cordoned == _nodes(stage, zone)
                assert after != before and _zone_of(stage, primary(stage)) != zone
                wait_until("its pods to be out", lambda: {one.node for one in live.endpoints()}.isdisjoint(cordoned))
            running.stop()
            running.summary()
        wait_until("the nodes to be given back", lambda: not _cordoned(stage), 300.0)

    books = reconciled(stage, running.ledger)
    assert books.acknowledged > 0 and books.count(Mistake.LOST) == 0


def _install(stage: Stage, *options: str) -> None:
    wait = ("--wait", "--timeout=5m")
    stage.helm("upgrade", "foresail", FORESAIL_CHART, "-n", OPERATOR, *wait, *FORESAIL_OPTIONS, *options)


@contextmanager
def _cut(stage: Stage, zone: str) -> Iterator[None]:
    stage.cluster.cut_zone(zone)
    try:
        yield
    finally:
        stage.cluster.heal_zone(zone)


def _lead_from_outside(operator: OperatorView, zone: str) -> None:
    """Replicas stand in both zones. When the leader is lost with its zone, its Lease runs out before anybody acts,
    and the short timers of this cluster are quicker than that."""
    kubectl = operator.stage.kubectl
    for _ in range(3):
        leader = operator.wait_for_lead()
        if _zone_of(operator.stage, kubectl.get(OPERATOR, "pod", leader)) != zone:
            return
        kubectl("delete", "pod", "-n", OPERATOR, leader)
        kubectl("rollout", "status", "-n", OPERATOR, "deployment/foresail", "--timeout=120s", limit_s=130.0)
    raise AssertionError(f"the leader stays in {zone}")


def _nodes(stage: Stage, zone: str) -> set[str]:
    return {place.name for place in stage.cluster.places() if place.zone == zone}


def _cordoned(stage: Stage) -> set[str]:
    nodes = stage.kubectl.items("", "nodes")
    return {node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")}


def _zone_of(stage: Stage, pod: Any) -> str:
    node = stage.kubectl.get("", "node", pod["spec"]["nodeName"])
    return str(node["metadata"]["labels"][ZONE_LABEL])


def _zone_without_redis(stage: Stage) -> str:
    """Whoever needs Redis would be down in the other one, and so prove nothing."""
    redis = _zone_of(stage, stage.kubectl.get(SHOP, "pod", "shop-redis-0"))
    return random.choice(sorted({place.zone for place in stage.cluster.places()} - {redis}))


def _labels(shop: Shop, endpoints: set[Endpoint]) -> set[str | None]:
    return {traffic_label(shop, one.pod) for one in endpoints}


def _still_there(shop: Shop, endpoints: set[Endpoint]) -> set[Endpoint]:
    """Pods of a zone that was away for long are replaced."""
    names = {pod["metadata"]["name"] for pod in shop.stage.kubectl.items(SHOP, "pods")}
    return {one for one in endpoints if one.pod in names}


@contextmanager
def _leaves_alone_count(shop: Shop, **fields: Any) -> Iterator[None]:
    """Zones may be shifted by what their leaves are like, which stand in both: callers are slow in both."""
    for role in LEAVES:
        _spread(shop, role)
    targets = [one for one in shop.resting_targets() if one["name"] in LEAVES or one.get("role") == "Store"]
    acts = {"actTtlSeconds": ACT_TTL_S}
    with shop.policy(targets=targets, healing=acts, zones={"shiftEnabled": True}, **fields):
        yield


def _spread(shop: Shop, role: str) -> None:
    """Moves one of a role's two pods where the scheduler put both into one zone."""
    kubectl = shop.stage.kubectl
    zones = {_zone_of(shop.stage, pod) for pod in shop.pods(role)}
    if len(zones) > 1:
        return
    nodes = sorted(_nodes(shop.stage, zones.pop()))
    kubectl("cordon", *nodes)
    try:
        kubectl("delete", "pod", "-n", SHOP, min(shop.ready_pods(role)))
        wait_until(f"{role} in both zones", lambda: len(shop.ready_pods(role)), until=lambda ready: ready >= 2)
    finally:
        kubectl("uncordon", *nodes)


@contextmanager
def _ailing(shop: Shop, live: LiveShop) -> Iterator[str]:
    """The primary's zone, in which all pods that call no other answer slowly."""
    zone = _zone_of(shop.stage, primary(shop.stage))
    nodes = _nodes(shop.stage, zone)
    with ExitStack() as slow:
        for one in sorted(live.endpoints()):
            if one.node in nodes and one.service.removeprefix("shop-") in LEAVES:
                slow.enter_context(shop.fault_in(one.pod, "slow_dependency", magnitude=0.6, duration_s=900.0))
        yield zone

"""Services and stores are killed while people order; then the customers' ledger and the books must agree."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.local_shop import Gone, LocalShop, local_shop, wait_for
from chaos.shop_bench.background_load import compare_books, load_beside
from demo_shop.local.programs import find_programs

pytestmark = pytest.mark.xdist_group("shop-kills")

ORDERS_RPS = 20.0
SERVICES = ("gateway", "catalog", "cart", "checkout", "inventory", "payment", "recommendations", "pricing")


@pytest.fixture(scope="module")
def selling_shop(store_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalShop]:
    """A shop of this module's own: others would notice what is done to it."""
    find_programs()
    with local_shop(tmp_path_factory.mktemp("kills")) as shop:
        shop.settled()
        yield shop


def killed_under_load(
    shop: LocalShop, folder: Path, kill: Callable[[], list[Gone]], duration_s: float
) -> tuple[int, list[str]]:
    """(acknowledged orders, what is wrong in the books) when `kill` happens in the middle of a load of orders."""
    with load_beside(shop, folder, mix="orders", rate_rps=ORDERS_RPS, duration_s=duration_s, seed=3) as load:
        wait_for("the first orders", lambda: load.plan.ledger.is_file() and _acknowledged(load.plan.ledger) >= 5, 60.0)
        for gone in kill():
            wait_for(f"{gone.name} to come back", lambda gone=gone: shop.came_back(gone), 60.0)  # type: ignore[misc]
        seen = load.finished()
    shop.settled(120.0)
    found = compare_books(shop, [load.plan.ledger])
    return seen.orders.acknowledged, [f"{f.mistake}: {f.key}: {f.detail}" for f in found.findings]


def _acknowledged(ledger: Path) -> int:
    return ledger.read_text(encoding="utf-8").count('"acknowledged"')


def test_every_service_dies_once_and_no_order_is_lost(selling_shop: LocalShop, tmp_path: Path) -> None:
    def kill() -> list[Gone]:
        gone = []
        for name in selling_shop.names(*SERVICES):
            gone.append(selling_shop.kill(name))
            wait_for(f"{name} to come back", lambda: selling_shop.came_back(gone[-1]), 60.0)
        return gone

    acknowledged, wrong = killed_under_load(selling_shop, tmp_path, kill, 30.0)
    assert wrong == []
    assert acknowledged >= 20


@pytest.mark.parametrize("store", ["redis", "etcd"])
def test_a_store_dies_and_no_order_is_lost(selling_shop: LocalShop, tmp_path: Path, store: str) -> None:
    acknowledged, wrong = killed_under_load(
        selling_shop, tmp_path, lambda: [selling_shop.kill(name) for name in selling_shop.names(store)], 12.0
    )
    assert wrong == []
    assert acknowledged >= 10


@pytest.mark.parametrize("member", ["primary", "standby"])
def test_postgresql_dies_and_no_order_is_lost(selling_shop: LocalShop, tmp_path: Path, member: str) -> None:
    def kill() -> list[Gone]:
        selling_shop.kill_postmaster(selling_shop.primary() if member == "primary" else selling_shop.standby())
        return []  # Patroni starts it again, not the launcher

    acknowledged, wrong = killed_under_load(selling_shop, tmp_path, kill, 20.0)
    assert wrong == []
    assert acknowledged >= 15


def test_a_whole_member_vanishes_and_the_other_takes_over(selling_shop: LocalShop, tmp_path: Path) -> None:
    lost = selling_shop.primary()

    def kill() -> list[Gone]:
        selling_shop.lose_member(lost)
        wait_for("another primary", lambda: selling_shop.primary() != lost, 60.0)
        selling_shop.bring_back(lost)
        return []

    acknowledged, wrong = killed_under_load(selling_shop, tmp_path, kill, 45.0)
    assert wrong == []
    assert acknowledged >= 15


def test_a_planned_switchover_loses_nothing_and_fails_no_order(selling_shop: LocalShop, tmp_path: Path) -> None:
    old = selling_shop.primary()
    with load_beside(
        selling_shop, tmp_path, mix="orders", rate_rps=ORDERS_RPS, duration_s=15.0, seed=4, probe=False
    ) as load:
        wait_for("the first orders", lambda: load.plan.ledger.is_file() and _acknowledged(load.plan.ledger) >= 5, 60.0)
        selling_shop.switch_over()
        seen = load.finished()
    assert selling_shop.primary() != old
    assert compare_books(selling_shop, [load.plan.ledger]).findings == ()
    assert seen.orders.unknown == 0
    assert seen.by_operation["order"].failed == 0

"""What a switchover, a lost primary and a hundred kills cost the shop's customers."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chaos.local_shop import Gone, LocalShop, wait_for
from chaos.shop_bench.background_load import compare_books, load_beside
from chaos.shop_bench.figure import Figure, quantile
from chaos.shop_bench.writes import visibility_delays_s, writing

#: Who is killed, and how often in comparison. A store's death takes longer to get over.
TARGETS = {
    "gateway": 3,
    "catalog": 3,
    "cart": 3,
    "checkout": 5,
    "inventory": 4,
    "payment": 4,
    "recommendations": 1,
    "pricing": 2,
    "redis": 2,
    "etcd": 1,
    "primary": 1,
    "standby": 1,
}
_STORES = ("primary", "standby", "etcd")
_PAUSE_S = 3.0
_PAUSE_AFTER_STORE_S = 8.0


def planned_switchover(shop: LocalShop, folder: Path, seed: int, times: int = 3) -> list[Figure]:
    """Write gap and what clients saw while the primary moved under load."""
    shop.settled()
    gaps: list[float] = []
    duration_s = 20.0 + 25.0 * times
    with (
        load_beside(shop, folder, mix="shop", rate_rps=30.0, duration_s=duration_s, seed=seed) as load,
        writing(shop.dsn()) as writer,
    ):
        time.sleep(12.0)
        for _ in range(times):
            shop.standby()
            before_s = time.monotonic()
            shop.switch_over()
            time.sleep(10.0)
            gaps.append(writer.longest_gap_s(before_s))
            shop.settled()
        seen = load.finished()
        lost_rows = writer.lost()
    found = compare_books(shop, [load.plan.ledger])
    assert seen.probe is not None
    errors = seen.failed + seen.probe.failed + seen.skipped
    wrong = len(found.findings) + len(lost_rows)
    return [
        Figure(
            "planned switchover under load: write gap (longest)",
            max(gaps),
            "s",
            5.0,
            2.0,
            detail={"gaps_s": [round(gap, 2) for gap in gaps], "orders_wrong": wrong},
        ),
        Figure(
            "planned switchover under load: errors seen by clients",
            float(errors),
            "requests",
            float("inf"),
            0.0,
            detail={
                "sent": seen.sent,
                "failed": seen.failed,
                "probes": seen.probe.sent,
                "probes_failed": seen.probe.failed,
                "retries_of_orders": seen.orders.retries,
                "probe_p99_ms": seen.probe.p99_ms,
            },
        ),
        Figure("planned switchover under load: orders lost", float(wrong), "orders", 0.0, 0.0),
    ]


def unplanned_loss(shop: LocalShop, times: int = 5) -> list[Figure]:
    """Write gaps when PostgreSQL dies and when its whole member vanishes."""
    killed, vanished, lost = [], [], 0
    for _ in range(times):
        gap_s, missing = _gap(shop, whole_member=False)
        killed.append(gap_s)
        lost += missing
    for _ in range(times):
        gap_s, missing = _gap(shop, whole_member=True)
        vanished.append(gap_s)
        lost += missing
    settings = {"ttl_s": 20, "rows_lost": lost}
    return [
        Figure(
            "unplanned: postgres killed, write gap (p95)",
            quantile(killed, 0.95),
            "s",
            15.0,
            10.0,
            detail={**settings, "gaps_s": [round(gap, 2) for gap in killed]},
        ),
        Figure(
            "unplanned: whole member gone, write gap (p95)",
            quantile(vanished, 0.95),
            "s",
            35.0,
            25.0,
            detail={**settings, "gaps_s": [round(gap, 2) for gap in vanished]},
        ),
    ]


def _gap(shop: LocalShop, *, whole_member: bool) -> tuple[float, int]:
    """(seconds without a certain commit, rows that were told and are gone)."""
    shop.settled()
    primary = shop.primary()
    with writing(shop.dsn()) as writer:
        time.sleep(2.0)
        before_s = time.monotonic()
        gone = shop.lose_member(primary) if whole_member else shop.kill_postmaster(primary)
        wait_for(
            "writes after the loss",
            lambda: bool(writer.committed) and writer.committed[-1][0] > before_s + 1.0 and _steady(writer.committed),
            90.0,
        )
        gap_s = writer.longest_gap_s(before_s)
        if whole_member:
            shop.bring_back(gone.name)
        missing = len(writer.lost())
    shop.settled()
    return gap_s, missing


def _steady(committed: list[tuple[float, int]]) -> bool:
    """Whether the last half second had some ten commits."""
    return sum(at_s > time.monotonic() - 0.5 for at_s, _ in committed[-50:]) >= 10


def replica_visibility(shop: LocalShop) -> Figure:
    """From the answer of a commit to the moment when a query on the standby sees it."""
    shop.settled()
    delays_ms = [delay_s * 1000.0 for delay_s in visibility_delays_s(shop.dsn())]
    return Figure(
        "commit → visible on the replica, p99",
        quantile(delays_ms, 0.99),
        "ms",
        700.0,
        50.0,
        detail={"p50_ms": quantile(delays_ms, 0.5), "commits": len(delays_ms)},
    )


def many_kills(shop: LocalShop, folder: Path, seed: int, kills: int = 100, rate_rps: float = 25.0) -> Figure:
    """SIGKILL to services and stores, one after the other in random order, while customers order; then the books."""
    shop.settled()
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    ledgers: list[Path] = []
    orders: Counter[str] = Counter()
    while sum(done.values()) < kills:
        part = folder / f"part-{len(ledgers)}"
        with load_beside(
            shop, part, mix="orders", rate_rps=rate_rps, duration_s=150.0, seed=seed + len(ledgers)
        ) as load:
            ledgers.append(load.plan.ledger)
            until_s = time.monotonic() + 130.0
            while time.monotonic() < until_s and sum(done.values()) < kills:
                done[_kill_one(shop, rng)] += 1
            seen = load.finished()
        orders.update(
            attempted=seen.orders.attempted, acknowledged=seen.orders.acknowledged, unknown=seen.orders.unknown
        )
        shop.settled(180.0)
    found = compare_books(shop, ledgers)
    return Figure(
        f"orders lost, duplicated, half-done or oversold over {sum(done.values())} kills",
        float(len(found.findings)),
        "orders",
        0.0,
        0.0,
        detail={
            "kills": dict(done),
            **orders,
            "acknowledged_with_probes": found.acknowledged,
            "findings": [f"{finding.mistake}: {finding.key}: {finding.detail}" for finding in found.findings[:20]],
        },
    )


def _kill_one(shop: LocalShop, rng: random.Random) -> str:
    """Kills one target and waits until it is there again."""
    target = rng.choices(list(TARGETS), list(TARGETS.values()))[0]
    gone = _strike(shop, target)
    if gone is None:
        return _kill_one(shop, rng)
    if target not in ("primary", "standby"):
        wait_for(f"{gone.name} to come back", lambda: shop.came_back(gone), 60.0)
    time.sleep((_PAUSE_AFTER_STORE_S if target in _STORES else _PAUSE_S) * rng.uniform(0.5, 1.0))
    return target


def _strike(shop: LocalShop, target: str) -> Gone | None:
    """None when there is nobody to strike: no standby, say, since it has not caught up."""
    if target in ("primary", "standby"):
        members: dict[str, Any] = shop.members()
        wanted = "leader" if target == "primary" else "sync_standby"
        name = next((name for name, role in members.items() if role == wanted), None)
        return None if name is None else shop.kill_postmaster(name)
    return shop.kill(shop.names(target)[0])

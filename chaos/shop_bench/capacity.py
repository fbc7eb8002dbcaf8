"""How much the shop serves: the cached page alone, the mix of a real shop, orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaos.load.mix import MIXES
from chaos.load.plan import LoadPlan
from chaos.load.records import read_records
from chaos.load.run import run_load
from chaos.load.shapes import shaped
from chaos.load.summary import LoadSummary
from chaos.load.throughput import measure_throughput
from chaos.local_shop import LocalShop
from chaos.shop_bench.figure import Figure, quantile

SLO_MS = 400.0
STEPS_RPS = (30.0, 60.0, 80.0, 100.0, 125.0, 150.0, 200.0, 250.0, 300.0)
_STEP_S = 25.0
_WARM_UP_S = 10.0
_MOST_FAILED = 0.001


def cached_page(shop: LocalShop, duration_s: float = 8.0) -> Figure:
    """Front pages a second from one gateway process while nothing else is asked."""
    seen = measure_throughput(shop.url, "/", connections=16, duration_s=duration_s, warm_up_s=2.0)
    return Figure(
        "cached browse page, one gateway process",
        None if seen.failed else seen.rps,
        "1/s",
        500.0,
        1500.0,
        smaller_is_better=False,
        detail={"p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms, "failed": seen.failed},
    )


def mixed_load(shop: LocalShop, folder: Path, seed: int, steps_rps: Sequence[float] = STEPS_RPS) -> Figure:
    """The highest of the steps whose requests had p99 below the SLO, hardly a failure, and were sent in time."""
    _load(shop, folder / "warm-up", "shop", 20.0, _WARM_UP_S, seed)
    sustained: float | None = None
    steps: dict[str, Any] = {}
    for i, rate_rps in enumerate(steps_rps):
        seen = _load(shop, folder / f"mix-{rate_rps:g}", "shop", rate_rps, _STEP_S, seed + i)
        p99_ms = _p99_ms(folder / f"mix-{rate_rps:g}" / "requests.csv")
        steps[f"{rate_rps:g}"] = {
            "p99_ms": p99_ms,
            "slowest_operation_p99_ms": _slowest_p99_ms(seen),
            "failed": seen.failed,
            "sent": seen.sent,
            "late": seen.late,
            "skipped": seen.skipped,
        }
        if p99_ms is None or p99_ms >= SLO_MS or seen.failed > _MOST_FAILED * seen.sent or seen.skipped:
            break
        sustained = rate_rps
    return Figure(
        "mixed load with p99 < 400 ms, one process per role",
        sustained,
        "requests/s",
        60.0,
        150.0,
        smaller_is_better=False,
        detail={"steps": steps},
    )


def checkout_latency(shop: LocalShop, folder: Path, seed: int, orders_per_s: float = 20.0) -> Figure:
    """p99 of placing an order, from when it was due, at a steady rate of orders; their carts are made besides."""
    rate_rps = orders_per_s * MIXES["orders"].requests_per_arrival
    _load(shop, folder / "orders-warm-up", "orders", rate_rps / 4.0, _WARM_UP_S, seed)
    seen = _load(shop, folder / "orders", "orders", rate_rps, 40.0, seed + 1)
    figures = seen.by_operation.get("order")
    return Figure(
        f"checkout p99 at {orders_per_s:g} orders/s",
        None if figures is None else figures.p99_ms,
        "ms",
        500.0,
        150.0,
        detail={
            "p50_ms": None if figures is None else figures.p50_ms,
            "acknowledged": seen.orders.acknowledged,
            "attempted": seen.orders.attempted,
            "late": seen.late,
            "requests_per_s": rate_rps,
        },
    )


def _load(shop: LocalShop, out: Path, mix: str, rate_rps: float, duration_s: float, seed: int) -> LoadSummary:
    shape = shaped("constant", rate_rps, duration_s, seed)
    return run_load(
        LoadPlan(shop.url, shape, out, out / "ledger.jsonl", seed=seed, mix=MIXES[mix], slo_latency_s=SLO_MS / 1000.0)
    )


def _slowest_p99_ms(seen: LoadSummary) -> float | None:
    return max((f.p99_ms for f in seen.by_operation.values() if f.p99_ms is not None), default=None)


def _p99_ms(records: Path) -> float | None:
    """Of all requests that were answered properly, from when each was due."""
    latencies = [record.latency_ms for record in read_records(records) if record.answered_well]
    return quantile(latencies, 0.99) if latencies else None

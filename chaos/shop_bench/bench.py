"""All figures of the shop, or some of them, from a shop started for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chaos.local_shop import LocalShop, local_shop
from chaos.shop_bench import capacity, failures, prices
from chaos.shop_bench.figure import Figure
from chaos.shop_bench.memory import memory_below

Say = Callable[[str], None]
_IDLE_S = 20.0


def start_and_memory(shop: LocalShop) -> list[Figure]:
    """Seconds to the first page, and memory when nothing happens."""
    shop.settled()
    time.sleep(_IDLE_S)
    memory = memory_below(shop.launcher_pid)
    return [
        Figure("installed packages → first page", shop.started_within_s, "s", 20.0, 6.0),
        Figure(
            "all services and stores idle, memory (PSS)",
            memory.proportional_mib / 1024.0,
            "GiB",
            1.2,
            0.8,
            detail={
                "rss_gib": round(memory.resident_mib / 1024.0, 3),
                "by_command_mib": {name: round(mib, 1) for name, mib in sorted(memory.by_command_mib.items())},
            },
        ),
    ]


def parts(folder: Path, seed: int, kills: int, times: int) -> dict[str, Callable[[LocalShop], list[Figure]]]:
    """What can be measured, in the order in which it is best measured."""
    return {
        "start": start_and_memory,
        "page": lambda shop: [capacity.cached_page(shop)],
        "mix": lambda shop: [capacity.mixed_load(shop, folder / "mix", seed)],
        "checkout": lambda shop: [capacity.checkout_latency(shop, folder / "checkout", seed)],
        "price": lambda shop: [prices.price_change(shop)],
        "replica": lambda shop: [failures.replica_visibility(shop)],
        "switchover": lambda shop: failures.planned_switchover(shop, folder / "switchover", seed, times),
        "loss": lambda shop: failures.unplanned_loss(shop, times),
        "kills": lambda shop: [failures.many_kills(shop, folder / "kills", seed, kills)],
    }


PARTS = ("start", "page", "mix", "checkout", "price", "replica", "switchover", "loss", "kills")


def measure(
    folder: Path, wanted: Sequence[str] = PARTS, *, seed: int = 1, kills: int = 100, times: int = 3, say: Say
) -> Iterator[Figure]:
    """One figure after the other; each part says that it begins. Raises `ShopFailed`."""
    with local_shop(folder / "shop") as shop:
        say(f"the shop runs at {shop.url}")
        for name, part in parts(folder, seed, kills, times).items():
            if name in wanted:
                say(f"measuring: {name}")
                yield from part(shop)

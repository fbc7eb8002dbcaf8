"""How soon a change of what a product is worth shows where people look."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import psycopg

from chaos.local_shop import LocalShop, wait_for
from chaos.shop_bench.figure import Figure

_LEFT = 3  # pieces: so few that the price must rise
_KEY = "bench-price"


def price_change(shop: LocalShop, products: tuple[int, ...] = (25, 26, 27, 28, 29)) -> Figure:
    """The longest time from when a product is nearly sold out in the books to when its page's price says so."""
    delays_s = []
    for product in products:
        before_cents = _price_cents(shop, product)
        with _connected(shop) as connection:
            changed_at_s = time.monotonic()
            _leave(connection, product, _LEFT)
        wait_for("another price", lambda p=product, b=before_cents: _price_cents(shop, p) != b, 30.0, pause_s=0.1)  # type: ignore[misc]
        delays_s.append(time.monotonic() - changed_at_s)
    return Figure(
        "change of stock → its price on the page (longest)",
        max(delays_s),
        "s",
        10.0,
        5.0,
        detail={"delays_s": [round(delay, 2) for delay in delays_s]},
    )


def _connected(shop: LocalShop) -> psycopg.Connection[Any]:
    arguments: Any = shop.dsn()
    return psycopg.connect(**arguments)


def _leave(connection: psycopg.Connection[Any], product: int, left: int) -> None:
    """Takes all but so many pieces off the shelf, with the movement that the books want."""
    row = connection.execute("SELECT on_hand FROM stock WHERE product_id = %s FOR UPDATE", (product,)).fetchone()
    if row is None or row[0] <= left:
        return
    connection.execute(
        "INSERT INTO stock_movements (key, product_id, quantity) VALUES (%s, %s, %s)", (_KEY, product, left - row[0])
    )
    connection.execute("UPDATE stock SET on_hand = %s WHERE product_id = %s", (left, product))
    connection.commit()


def _price_cents(shop: LocalShop, product: int) -> int:
    """As the public API tells it, from the same cache as the page."""
    with urllib.request.urlopen(f"{shop.url}/api/v1/products/{product}", timeout=5.0) as answer:
        return int(json.load(answer)["price_cents"])

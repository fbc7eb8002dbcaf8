"""How soon a change of what a product is worth shows where people look."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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
        with _nearly_sold_out(shop, product):
            changed_at_s = time.monotonic()
            _wait_for_another(shop, product, before_cents)
            delays_s.append(time.monotonic() - changed_at_s)
    return Figure(
        "change of stock → its price on the page (longest)",
        max(delays_s),
        "s",
        10.0,
        5.0,
        detail={"delays_s": [round(delay, 2) for delay in delays_s]},
    )


def _wait_for_another(shop: LocalShop, product: int, price_cents: int) -> None:
    wait_for("another price", lambda: _price_cents(shop, product) != price_cents, 30.0, pause_s=0.1)


@contextmanager
def _nearly_sold_out(shop: LocalShop, product: int) -> Iterator[None]:
    """Takes all but a few pieces off the shelf and puts them back: the books must agree with the orders again."""
    with _connected(shop) as connection:
        row = connection.execute("SELECT on_hand FROM stock WHERE product_id = %s FOR UPDATE", (product,)).fetchone()
        assert row is not None
        taken = max(0, row[0] - _LEFT)
        _move(connection, product, -taken)
        connection.commit()
        try:
            yield
        finally:
            _move(connection, product, taken)
            connection.execute("DELETE FROM stock_movements WHERE key LIKE %s", (f"{_KEY}%",))
            connection.commit()


def _connected(shop: LocalShop) -> psycopg.Connection[Any]:
    arguments: Any = shop.dsn()
    return psycopg.connect(**arguments)


def _move(connection: psycopg.Connection[Any], product: int, quantity: int) -> None:
    connection.execute(
        "INSERT INTO stock_movements (key, product_id, quantity) VALUES (%s, %s, %s)",
        (f"{_KEY}{quantity:+d}", product, quantity),
    )
    connection.execute("UPDATE stock SET on_hand = on_hand + %s WHERE product_id = %s", (quantity, product))


def _price_cents(shop: LocalShop, product: int) -> int:
    """As the public API tells it, from the same cache as the page."""
    with urllib.request.urlopen(f"{shop.url}/api/v1/products/{product}", timeout=5.0) as answer:
        return int(json.load(answer)["price_cents"])

"""The reconciliation reads real books: each kind of mistake is put into PostgreSQL and found again."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chaos.load.books import BooksUnavailable
from chaos.load.books_database import address_in_state, read_books
from chaos.load.ledger import LedgerOrder, Outcome
from chaos.load.reconcile import Mistake, reconciled
from demo_shop.settings import DatabaseSettings

pytestmark = pytest.mark.xdist_group("shop-stores")

QUANTITY, PRICE_CENTS = 2, 1000

DONE_RIGHT = (
    """INSERT INTO orders (id, idempotency_key, request_hash, customer_id, payment_token, state, total_cents)
       VALUES (%(order)s, %(key)s, '', 'customer-' || %(text)s, 'tok_visa', 'confirmed', 2000)""",
    "INSERT INTO order_lines VALUES (%(order)s, %(product)s, 2, 1000)",
    "INSERT INTO payments (order_id, amount_cents, state) VALUES (%(order)s, 2000, 'captured')",
    "INSERT INTO reservations (order_id, product_id, quantity, state) VALUES (%(order)s, %(product)s, 2, 'sold')",
    "INSERT INTO stock_movements (key, product_id, quantity) VALUES (%(text)s, %(product)s, -2)",
    "UPDATE stock SET on_hand = 8 WHERE product_id = %(product)s",
)

#: The books are shared with other tests: nothing wrong stays in them.
TAKEN_OUT = (
    "DELETE FROM outbox WHERE key = %(text)s",
    "DELETE FROM payments WHERE order_id = %(order)s",
    "DELETE FROM reservations WHERE order_id = %(order)s",
    "DELETE FROM order_lines WHERE order_id = %(order)s",
    "DELETE FROM orders WHERE id = %(order)s",
    "DELETE FROM stock_movements WHERE product_id = %(product)s",
    "DELETE FROM stock WHERE product_id = %(product)s",
)


@dataclass
class Sale:
    """An order of two units, confirmed, paid and sold; tests spoil it."""

    connection: psycopg.Connection[Any]
    product: int
    order: uuid.UUID
    key: str

    def run(self, statement: str) -> None:
        self.connection.execute(
            statement, {"order": self.order, "product": self.product, "key": self.key, "text": str(self.order)}
        )

    def mistakes(self, address: str) -> list[Mistake]:
        """Of this order and its product; other tests keep orders in the same books."""
        told = LedgerOrder(
            self.key,
            "cart",
            "a@example.org",
            ((self.product, QUANTITY),),
            False,
            None,
            (),
            Outcome.ACKNOWLEDGED,
            None,
            str(self.order),
            QUANTITY * PRICE_CENTS,
        )
        own = {self.key, str(self.order), f"product {self.product}"}
        return [finding.mistake for finding in reconciled((told,), read_books(address)).findings if finding.key in own]


@pytest.fixture
def address(own_database: DatabaseSettings) -> str:
    return make_conninfo(**own_database.conninfo("read-write"))


@pytest.fixture
def sale(address: str, put_on_shelf: Callable[[int], int]) -> Iterator[Sale]:
    with psycopg.connect(address, autocommit=True) as connection:
        order = uuid.uuid4()
        sold = Sale(connection, put_on_shelf(10), order, f"reconcile-{order}")
        for statement in DONE_RIGHT:
            sold.run(statement)
        yield sold
        for statement in TAKEN_OUT:
            sold.run(statement)


def test_a_sale_that_was_done_right_is_clean(sale: Sale, address: str) -> None:
    assert sale.mistakes(address) == []


@pytest.mark.parametrize(
    ("spoiled", "mistakes"),
    [
        ("UPDATE orders SET idempotency_key = %(text)s WHERE id = %(order)s", [Mistake.LOST]),
        ("UPDATE orders SET total_cents = 1900 WHERE id = %(order)s", [Mistake.CONTRADICTED] + [Mistake.HALF_DONE] * 2),
        ("DELETE FROM payments WHERE order_id = %(order)s", [Mistake.HALF_DONE]),
        ("UPDATE payments SET state = 'refunded' WHERE order_id = %(order)s", [Mistake.HALF_DONE]),
        ("UPDATE payments SET amount_cents = 4000 WHERE order_id = %(order)s", [Mistake.HALF_DONE]),
        (
            "INSERT INTO outbox (topic, key, payload) VALUES ('order.confirmed', %(text)s, '{}')",
            [Mistake.HALF_DONE],
        ),
        (
            "UPDATE order_lines SET quantity = 4, unit_price_cents = 500 WHERE order_id = %(order)s",
            [Mistake.DUPLICATED, Mistake.HALF_DONE],
        ),
        (
            "UPDATE reservations SET state = 'held' WHERE order_id = %(order)s",
            [Mistake.HALF_DONE] + [Mistake.OVERSOLD] * 2,  # not counted as reserved, and taken but not sold
        ),
        ("UPDATE stock SET on_hand = 9 WHERE product_id = %(product)s", [Mistake.OVERSOLD]),
        ("UPDATE stock SET reserved = 1 WHERE product_id = %(product)s", [Mistake.OVERSOLD]),
        (
            "UPDATE orders SET state = 'pending', created_at = now() - interval '2 min' WHERE id = %(order)s",
            [Mistake.LOST, Mistake.HALF_DONE],
        ),
        (
            "UPDATE orders SET state = 'rejected' WHERE id = %(order)s",
            [Mistake.LOST, Mistake.HALF_DONE, Mistake.HALF_DONE],  # its money and its stock
        ),
    ],
)
def test_a_spoiled_sale_is_found(sale: Sale, address: str, spoiled: str, mistakes: list[Mistake]) -> None:
    sale.run(spoiled)

    assert sale.mistakes(address) == mistakes


def test_money_and_stock_without_an_order_are_found(sale: Sale, address: str) -> None:
    sale.run("DELETE FROM order_lines WHERE order_id = %(order)s")
    sale.run("DELETE FROM orders WHERE id = %(order)s")

    assert sale.mistakes(address) == [Mistake.LOST, Mistake.HALF_DONE, Mistake.HALF_DONE]


def test_the_books_are_found_through_the_state_file(stores_state_file: Path) -> None:
    books = read_books(address_in_state(stores_state_file))

    assert len(books.shelves) == 300


def test_a_database_of_something_else_is_named(own_database: DatabaseSettings) -> None:
    elsewhere = make_conninfo(**replace(own_database, name="postgres").conninfo("read-write"))

    with pytest.raises(BooksUnavailable, match="no shop's database"):
        read_books(elsewhere)

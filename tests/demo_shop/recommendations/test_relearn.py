"""Learning anew from orders that were placed since."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest

from demo_shop.recommendations.relearn import main, relearn
from demo_shop.settings import DatabaseSettings

pytestmark = pytest.mark.xdist_group("shop-stores")


@pytest.fixture
def products(put_on_shelf: Callable[[int], int]) -> list[int]:
    return [put_on_shelf(9) for _ in range(3)]


def connected(settings: DatabaseSettings) -> psycopg.Connection:
    return psycopg.connect(**settings.conninfo("read-write"), autocommit=True)  # type: ignore[arg-type]


def order(
    connection: psycopg.Connection, products: list[int], state: str = "confirmed", synthetic: bool = False
) -> None:
    order_id = uuid4()
    connection.execute(
        "INSERT INTO orders"
        " (id, idempotency_key, request_hash, customer_id, payment_token, state, total_cents, synthetic)"
        " VALUES (%s, %s, '', 'somebody', 'tok_visa', %s, 1000, %s)",
        (order_id, str(order_id), state, synthetic),
    )
    for product_id in products:
        connection.execute("INSERT INTO order_lines VALUES (%s, %s, 1, 1000)", (order_id, product_id))


def together(connection: psycopg.Connection, product_id: int, neighbour_id: int) -> int | None:
    """Baskets that held both, as the model says; None when it does not call them neighbours."""
    row = connection.execute(
        "SELECT together[array_position(neighbour_ids, %s)] FROM item_neighbours WHERE product_id = %s",
        (neighbour_id, product_id),
    ).fetchone()
    return None if row is None else row[0]


def test_confirmed_orders_and_the_past_count_alike(own_database: DatabaseSettings, products: list[int]) -> None:
    first, second, third = products
    with connected(own_database) as connection:
        order(connection, [first, second])
        connection.execute(
            "INSERT INTO order_history SELECT coalesce(max(basket_id), 0) + 1, 1, '2025-01-01', %s FROM order_history",
            ([first, second],),
        )
        order(connection, [second, third])

        version, baskets = relearn(connection)

        assert baskets >= 3
        assert together(connection, first, second) == 2
        assert together(connection, second, third) == 1
        stored = connection.execute("SELECT version, baskets FROM recommendation_model").fetchone()
        assert stored == (version, baskets)


def test_rejected_orders_and_those_of_the_probe_do_not_count(
    own_database: DatabaseSettings, products: list[int]
) -> None:
    first, second, third = products
    with connected(own_database) as connection:
        order(connection, [first, second])
        order(connection, [first, second], state="rejected")
        order(connection, [first, second], synthetic=True)
        order(connection, [third, first], state="pending")

        relearn(connection)

        assert together(connection, first, second) == 1
        assert together(connection, first, third) in (None, 0)


def test_a_past_with_a_product_that_is_gone_is_refused(own_database: DatabaseSettings, products: list[int]) -> None:
    with connected(own_database) as connection:
        connection.execute("INSERT INTO order_history VALUES (2000000, 1, '2025-01-01', %s)", ([products[0], 999_999],))
        try:
            with pytest.raises(ValueError, match="999999"):
                relearn(connection)
        finally:
            connection.execute("DELETE FROM order_history WHERE basket_id = 2000000")


def test_the_command_says_when_there_is_no_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOP_DATABASE_HOSTS", "127.0.0.1:1")

    assert main(["--wait-s", "0"]) == 1

    assert capsys.readouterr().err.startswith("relearn: failed: ")

"""Orders through checkout, inventory and payment as they run, with their faults."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import psycopg
import pytest
from redis import Redis

pytestmark = pytest.mark.xdist_group("shop-stores")


class Shop:
    """The services' addresses, and a look into their store."""

    def __init__(self, state: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self.state, self._session = state, session

    def url(self, role: str, part: str = "url") -> str:
        return str(self.state["processes"][f"{role}-1"][part])

    async def order(self, body: dict[str, Any], key: str | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        async with self._session.post(self.url("checkout") + "/orders", json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def deliver(self, product_id: int, quantity: int) -> None:
        body = {"quantity": quantity, "key": str(uuid.uuid4())}
        url = f"{self.url('inventory')}/stock/{product_id}/deliveries"
        async with self._session.post(url, json=body) as answer:
            assert answer.status == 200

    async def fault(self, role: str, name: str, **request: float) -> None:
        headers = {"Authorization": f"Bearer {self.state['faults_token']}"}
        url = f"{self.url(role, 'management_url')}/-/faults/{name}"
        send = (
            self._session.put(url, json=request, headers=headers)
            if request
            else self._session.delete(url, headers=headers)
        )
        async with send as answer:
            assert answer.status == 200

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        database = self.state["database"]
        hosts = [at.rpartition(":") for at in database["hosts"].split(",")]
        with psycopg.connect(
            host=",".join(host for host, _, _ in hosts),
            port=",".join(port for _, _, port in hosts),
            dbname=database["name"],
            user=database["user"],
            password=database["password"],
            target_session_attrs="read-write",
            autocommit=True,
        ) as connection:
            return connection.execute(query, values).fetchall()


def with_shop(state: dict[str, Any], test: Callable[[Shop], Awaitable[None]]) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30.0)) as session:
            await test(Shop(state, session))

    asyncio.run(run())


def body(*lines: tuple[int, int], token: str = "tok_visa") -> dict[str, Any]:
    asked = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
    return {"customer_id": "ann", "lines": asked, "payment_token": token}


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not holds():
            await asyncio.sleep(0.05)


def test_a_confirmed_order_is_sold_charged_and_announced_and_its_key_answers_it_again(shop: dict[str, Any]) -> None:
    async def test(shop: Shop) -> None:
        await shop.deliver(1, 5)
        key = str(uuid.uuid4())
        status, order = await shop.order(body((1, 2)), key)
        assert (status, order["state"]) == (201, "confirmed")
        assert await shop.order(body((1, 2)), key) == (200, order)
        payments = shop.rows("SELECT amount_cents, state FROM payments WHERE order_id = %s", order["id"])
        assert payments == [(order["total_cents"], "captured")]
        sold = "SELECT product_id, quantity FROM stock_movements WHERE key = %s"
        await eventually(lambda: shop.rows(sold, order["id"]) == [(1, -2)])
        redis = Redis.from_url(shop.state["redis_url"], password=shop.state["redis_password"])

        def announced() -> bool:
            entries: Any = redis.xrevrange("shop:orders", count=50)
            return any(json.loads(fields[b"order"])["id"] == order["id"] for _, fields in entries)

        await eventually(announced)
        redis.close()

    with_shop(shop, test)


def test_a_declined_order_gives_its_goods_back(shop: dict[str, Any]) -> None:
    async def test(shop: Shop) -> None:
        await shop.deliver(2, 5)
        status, problem = await shop.order(body((2, 1), token="tok_declined"))
        assert (status, problem["code"]) == (402, "payment-declined")
        states = "SELECT state FROM reservations WHERE order_id = %s"
        await eventually(lambda: shop.rows(states, problem["order_id"]) == [("released",)])

    with_shop(shop, test)


def test_orders_are_charged_once_though_many_calls_to_the_bank_are_never_answered(shop: dict[str, Any]) -> None:
    async def test(shop: Shop) -> None:
        await shop.deliver(3, 20)
        await shop.fault("payment", "payment_timeouts", magnitude=0.3, ramp_s=0, duration_s=60, seed=4)
        answers = await asyncio.gather(*(shop.order(body((3, 1))) for _ in range(8)))
        await shop.fault("payment", "payment_timeouts")
        # A try takes 1.5 s, so 12 s hold 7 of them: 8 × 0.3^7 = 0.2 % that one order is left unknown.
        assert [status for status, _ in answers] == [201] * 8
        orders = [uuid.UUID(order["id"]) for _, order in answers]
        charged = "SELECT count(*) FROM payments WHERE order_id = ANY(%s) AND state = 'captured'"
        assert shop.rows(charged, orders) == [(8,)]

    with_shop(shop, test)


def test_orders_wait_for_contended_rows_and_are_made(shop: dict[str, Any]) -> None:
    async def test(shop: Shop) -> None:
        (product,) = shop.rows("SELECT id FROM products ORDER BY popularity DESC, id LIMIT 1")[0]
        await shop.deliver(product, 20)
        await shop.fault("inventory", "lock_contention", magnitude=0.5, ramp_s=0, duration_s=60, seed=4)
        answers = await asyncio.gather(*(shop.order(body((product, 1))) for _ in range(5)))
        await shop.fault("inventory", "lock_contention")
        assert [status for status, _ in answers] == [201] * 5

    with_shop(shop, test)

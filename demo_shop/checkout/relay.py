"""The outbox's relay: tells inventory, payment and the stream of orders what was decided, at least once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from demo_shop.checkout.errors import StepUnavailable
from demo_shop.checkout.model import Line
from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database
from demo_shop.frame.logs import Log
from demo_shop.frame.problems import StoreUnavailable

STREAM: Final = "shop:orders"
STREAM_LENGTH: Final = 10_000
BATCH: Final = 32
POLL_S: Final = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_MOST_DELAYED: Final = 1_000  # beyond that the relay tries all of them again rather than naming each in its query
_DELIVERY_TIME_S: Final = 20.0


class Inventory(Protocol):
    """Both raise `StepUnavailable`; both may be asked again."""

    async def sell(self, order_id: UUID) -> None: ...
    async def release(self, order_id: UUID, lines: Sequence[Line]) -> None: ...


class Payment(Protocol):
    async def refund(self, order_id: UUID) -> None:
        """Raises `StepUnavailable`; may be asked again."""


class Announcements(Protocol):
    async def announce(self, order: Mapping[str, Any]) -> None:
        """Never raises: what listens to sales is optional."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of the outbox that is not delivered."""

    id: int
    topic: str
    order: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Backlog:
    facts: int
    oldest_s: float  # 0 without any


class Delivery:
    """What is done with one fact."""

    def __init__(self, inventory: Inventory, payment: Payment, announcements: Announcements) -> None:
        self._inventory, self._payment, self._announcements = inventory, payment, announcements

    async def deliver(self, fact: Fact) -> None:
        """Raises `StepUnavailable` when it has to be tried again."""
        order_id = UUID(fact.order["id"])
        if fact.topic == "order.confirmed":
            await self._inventory.sell(order_id)
            await self._announcements.announce(fact.order)
        elif fact.topic == "order.rejected":
            lines = [Line(line["product_id"], line["quantity"]) for line in fact.order["lines"]]
            await self._inventory.release(order_id, lines)
            await self._payment.refund(order_id)
        else:
            raise StepUnavailable(f"nobody here knows the topic {fact.topic!r}")


class Delays:
    """Facts whose delivery failed: left alone for a while that doubles with each failure."""

    def __init__(self) -> None:
        self._until_s: dict[int, float] = {}
        self._pause_s: dict[int, float] = {}

    def failed(self, fact_id: int, now_s: float) -> None:
        pause_s = min(_LONGEST_PAUSE_S, self._pause_s.get(fact_id, _FIRST_PAUSE_S / 2.0) * 2.0)
        self._pause_s[fact_id] = pause_s
        self._until_s[fact_id] = now_s + pause_s
        if len(self._until_s) > _MOST_DELAYED:
            self._until_s.clear()

    def delivered(self, fact_id: int) -> None:
        self._pause_s.pop(fact_id, None)
        self._until_s.pop(fact_id, None)

    def waiting(self, now_s: float) -> list[int]:
        """Facts to leave alone now."""
        return [fact_id for fact_id, until_s in self._until_s.items() if until_s > now_s]


class Relay:
    """Delivers batches of the outbox; several relays share the work, since each skips the rows of the others."""

    def __init__(
        self,
        database: Database,
        delivery: Delivery,
        log: Log,
        now_s: Callable[[], float],
        seen: Callable[[Backlog], None],
    ) -> None:
        self._database, self._delivery, self._log = database, delivery, log
        self._now_s, self._seen = now_s, seen
        self._delays = Delays()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to deliver: do not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Looks at the outbox for ever, at least every 0.2 s."""
        while True:
            self._wake.clear()
            try:
                if await self.backlog() and await self.deliver_batch() == BATCH:
                    continue
            except StoreUnavailable as error:
                self._log.warning("the outbox cannot be read", why=str(error))
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def backlog(self) -> int:
        """How many facts wait. One cheap query: nobody listens, since NOTIFY would make all commits queue."""
        rows = await self._database.rows(
            "SELECT count(*) AS facts, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_s "
            "FROM outbox WHERE delivered_at IS NULL"
        )
        self._seen(Backlog(rows[0]["facts"], rows[0]["oldest_s"]))
        return int(rows[0]["facts"])

    async def deliver_batch(self) -> int:
        """How many facts were delivered. Raises `StoreUnavailable`: some may be delivered again."""

        async def work(connection: Connection) -> int:
            cursor = await connection.execute(
                "SELECT id, topic, payload FROM outbox WHERE delivered_at IS NULL AND id <> ALL(%s) "
                "ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
                (self._delays.waiting(self._now_s()), BATCH),
            )
            facts = [Fact(row["id"], row["topic"], row["payload"]) for row in await cursor.fetchall()]
            delivered = await asyncio.gather(*(self._tried(fact) for fact in facts))
            done = [fact.id for fact, went_well in zip(facts, delivered, strict=True) if went_well]
            if done:
                await connection.execute(
                    "UPDATE outbox SET delivered_at = clock_timestamp() WHERE id = ANY(%s)", (done,)
                )
            return len(done)

        return await self._database.transaction(work, deadline_s=_DELIVERY_TIME_S)

    async def _tried(self, fact: Fact) -> bool:
        try:
            await self._delivery.deliver(fact)
        except StepUnavailable as error:
            self._delays.failed(fact.id, self._now_s())
            self._log.warning("a fact could not be delivered", topic=fact.topic, order=fact.order["id"], why=str(error))
            return False
        self._delays.delivered(fact.id)
        return True

    async def forget_old(self) -> None:
        """Deletes facts delivered more than a day ago, a few at a time from the oldest end."""

        async def work(connection: Connection) -> None:
            await connection.execute(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id, delivered_at FROM outbox ORDER BY id "
                "LIMIT 500) oldest WHERE delivered_at < now() - interval '1 day')"
            )

        await self._database.transaction(work)


class OrderStream:
    """Confirmed orders in a Redis stream of bounded length, for whoever follows the sales."""

    def __init__(self, redis: Redis, failed: Callable[[], None]) -> None:
        self._redis, self._failed = redis, failed

    async def announce(self, order: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(0.5):
                await self._redis.xadd(
                    STREAM, {"order": json.dumps(order, ensure_ascii=False)}, maxlen=STREAM_LENGTH, approximate=True
                )
        except (RedisError, OSError, TimeoutError):
            self._failed()

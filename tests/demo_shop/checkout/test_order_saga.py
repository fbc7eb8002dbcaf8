"""The way of an order, with everything around it in memory: processes die, services fall silent, clients ask again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from demo_shop.checkout.books import LEASE_S
from demo_shop.checkout.errors import KeyReused, OutcomeUnknown, Overtaken, PriceChanged, StepUnavailable
from demo_shop.checkout.model import (
    Entry,
    Line,
    NewOrder,
    Order,
    OrderState,
    PricedLine,
    Quote,
    Refusal,
    RefusalCode,
    Wish,
)
from demo_shop.checkout.placing import Placing
from demo_shop.checkout.relay import Delivery, Fact
from demo_shop.checkout.saga import Saga
from demo_shop.checkout.sweeper import Sweeper
from demo_shop.frame.problems import StoreUnavailable

KEY = "key-of-a-test"
STEPS = ("begin", "reserve", "capture", "decide")
WISH = Wish("ann", (Line(7, 2),), "tok_visa", None)


class Killed(Exception):
    """The process is gone; nothing after this line runs."""


@dataclass
class Shop:
    """What survives a process: the stores, and the clock."""

    now_s: float = 0.0
    orders: dict[UUID, Order] = field(default_factory=dict)
    keys: dict[str, UUID] = field(default_factory=dict)
    fingerprints: dict[UUID, bytes] = field(default_factory=dict)
    begun_at_s: dict[UUID, float] = field(default_factory=dict)
    lease_until_s: dict[UUID, float] = field(default_factory=dict)
    answered: dict[UUID, int] = field(default_factory=dict)
    outbox: list[Fact] = field(default_factory=list)
    units: int = 10
    reservations: dict[UUID, str] = field(default_factory=dict)
    payments: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    dies_after: str | None = None

    def done(self, step: str) -> None:
        if self.dies_after == step:
            self.dies_after = None
            raise Killed(step)

    def answers(self, step: str) -> None:
        if step in self.silent:
            raise StepUnavailable(f"{step}: no answer")


class Books:
    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def _entry(self, order_id: UUID) -> Entry:
        shop = self.shop
        order = shop.orders[order_id]
        over = shop.lease_until_s.get(order_id, -1.0) < shop.now_s
        return Entry(order, shop.fingerprints[order_id], over, shop.now_s - shop.begun_at_s[order_id])

    async def find(self, key: str, within_s: float) -> Entry | None:
        await asyncio.sleep(0)
        return self._entry(self.shop.keys[key]) if key in self.shop.keys else None

    async def look(self, order_id: UUID, within_s: float) -> Entry | None:
        return self._entry(order_id) if order_id in self.shop.orders else None

    async def begin(self, new: NewOrder, within_s: float) -> Order | None:
        shop = self.shop
        if shop.keys.setdefault(new.key, new.id) != new.id:
            return None
        order = new.pending(datetime(2026, 1, 1, tzinfo=UTC))
        shop.orders[new.id], shop.fingerprints[new.id] = order, new.wish.fingerprint()
        shop.begun_at_s[new.id], shop.lease_until_s[new.id] = shop.now_s, shop.now_s + LEASE_S
        shop.done("begin")
        return order

    async def decide(self, order: Order, state: OrderState, refusal: Refusal | None, patience_s: float) -> Order:
        shop = self.shop
        shop.answers("decide")
        if not shop.orders[order.id].is_decided:
            shop.orders[order.id] = order.decided(state, refusal)
            shop.outbox.append(Fact(len(shop.outbox), f"order.{state.value}", shop.orders[order.id].public()))
        shop.done("decide")
        return shop.orders[order.id]

    async def answer(self, order_id: UUID, within_s: float) -> Order | None:
        self.shop.answered[order_id] = self.shop.answered.get(order_id, 0) + 1
        return self.shop.orders.get(order_id)

    async def claim(self, order_id: UUID, within_s: float) -> Order | None:
        entry = self._entry(order_id)
        if entry.order.is_decided or not entry.lease_over:
            return None
        self.shop.lease_until_s[order_id] = self.shop.now_s + LEASE_S
        return entry.order

    async def claim_stranded(self, most: int) -> list[Entry]:
        entries = [self._entry(order_id) for order_id in self.shop.orders]
        stranded = [entry for entry in entries if not entry.order.is_decided and entry.lease_over][:most]
        for entry in stranded:
            self.shop.lease_until_s[entry.order.id] = self.shop.now_s + LEASE_S
        return stranded

    async def give_up_lease(self, order_id: UUID) -> None:
        self.shop.lease_until_s[order_id] = self.shop.now_s - 1.0


class Inventory:
    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def reserve(self, order_id: UUID, lines: Sequence[Line], patience_s: float) -> tuple[int, ...]:
        shop = self.shop
        shop.answers("reserve")
        if shop.reservations.get(order_id) == "released":
            raise Overtaken
        wanted = sum(line.quantity for line in lines)
        if order_id not in shop.reservations:
            if shop.units < wanted:
                return tuple(line.product_id for line in lines)
            shop.units -= wanted
            shop.reservations[order_id] = "held"
        shop.done("reserve")
        return ()

    async def sell(self, order_id: UUID) -> None:
        self.shop.answers("sell")
        self.shop.reservations[order_id] = "sold"

    async def release(self, order_id: UUID, lines: Sequence[Line]) -> None:
        if self.shop.reservations.get(order_id) == "held":
            self.shop.units += sum(line.quantity for line in lines)
        self.shop.reservations[order_id] = "released"


class Payment:
    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def capture(self, order_id: UUID, amount_cents: int, payment_token: str, patience_s: float) -> bool:
        shop = self.shop
        shop.answers("capture")
        state = "declined" if payment_token == "tok_declined" else "captured"
        booked, _ = shop.payments.setdefault(order_id, (state, amount_cents))
        if booked == "refunded":
            raise Overtaken
        shop.done("capture")
        return booked == "captured"

    async def refund(self, order_id: UUID) -> None:
        state, amount_cents = self.shop.payments.get(order_id, ("captured", 0))
        self.shop.payments[order_id] = ("declined" if state == "declined" else "refunded", amount_cents)


class Stream:
    def __init__(self) -> None:
        self.orders: list[str] = []

    async def announce(self, order: Any) -> None:
        self.orders.append(order["id"])


class Seconds:
    def __init__(self, left_s: float) -> None:
        self._left_s = left_s

    def left_s(self) -> float:
        return self._left_s


class Clock:
    """Patience and pauses on the shop's clock."""

    def __init__(self, shop: Shop, seconds: float) -> None:
        self._shop, self._until_s = shop, shop.now_s + seconds

    def left_s(self) -> float:
        return max(0.0, self._until_s - self._shop.now_s)

    async def pause(self, seconds: float) -> None:
        self._shop.now_s += seconds
        await asyncio.sleep(0)


def process(shop: Shop, pause: Callable[[float], Awaitable[None]] = asyncio.sleep, price_cents: int = 500) -> Placing:
    """A process of checkout on what survived."""

    async def price(wish: Wish) -> Quote:
        return Quote(tuple(PricedLine(line.product_id, line.quantity, price_cents) for line in wish.lines), False)

    return Placing(Books(shop), saga_of(shop), price, pause)


def saga_of(shop: Shop) -> Saga:
    return Saga(Books(shop), Inventory(shop), Payment(shop))


def sweeper(shop: Shop) -> Sweeper:
    return Sweeper(Books(shop), saga_of(shop), lambda: Seconds(5.0))


async def deliver_all(shop: Shop) -> list[str]:
    """What the stream of orders got."""
    stream = Stream()
    for fact in shop.outbox:
        await Delivery(Inventory(shop), Payment(shop), stream).deliver(fact)
    return stream.orders


def ordered(shop: Shop, wish: Wish = WISH, key: str = KEY) -> Coroutine[Any, Any, Any]:
    return process(shop).place(wish, key, Seconds(10.0), synthetic=False)


def only(shop: Shop) -> Order:
    (order,) = shop.orders.values()
    return order


def test_an_order_is_reserved_charged_and_confirmed() -> None:
    shop = Shop()

    placed = asyncio.run(ordered(shop))

    assert (placed.order.state, placed.replayed) == (OrderState.CONFIRMED, False)
    assert placed.order.total_cents == 2 * 500
    assert (shop.units, shop.payments[placed.order.id]) == (8, ("captured", 1000))
    assert [fact.topic for fact in shop.outbox] == ["order.confirmed"]


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_dies_after_any_step_leaves_an_order_that_the_sweeper_finishes_once(step: str) -> None:
    shop = Shop(dies_after=step)
    with pytest.raises(Killed):
        asyncio.run(ordered(shop))

    shop.now_s += LEASE_S + 1.0
    asyncio.run(sweeper(shop).sweep())
    asyncio.run(sweeper(shop).sweep())
    announced = asyncio.run(deliver_all(shop))

    order = only(shop)
    assert order.state is OrderState.CONFIRMED
    assert shop.payments == {order.id: ("captured", 1000)}
    assert (shop.units, shop.reservations) == (8, {order.id: "sold"})
    assert announced == [str(order.id)]


@pytest.mark.parametrize("step", STEPS)
def test_a_client_that_asks_again_after_a_crash_gets_the_one_order(step: str) -> None:
    shop = Shop(dies_after=step)
    with pytest.raises(Killed):
        asyncio.run(ordered(shop))
    clock = Clock(shop, 60.0)

    placed = asyncio.run(process(shop, clock.pause).place(WISH, KEY, clock, synthetic=False))

    assert (placed.order, placed.replayed) == (only(shop), True)
    assert placed.order.state is OrderState.CONFIRMED
    assert (shop.units, len(shop.payments), len(shop.outbox)) == (8, 1, 1)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("units", "token", "refusal"),
    [
        pytest.param(1, "tok_visa", Refusal(RefusalCode.OUT_OF_STOCK, (7,)), id="out-of-stock"),
        pytest.param(10, "tok_declined", Refusal(RefusalCode.PAYMENT_DECLINED), id="declined"),
    ],
)
def test_a_refused_order_gives_everything_back_whenever_its_process_dies(
    step: str, units: int, token: str, refusal: Refusal
) -> None:
    shop = Shop(units=units, dies_after=step)
    wish = Wish("ann", WISH.lines, token, None)
    try:
        asyncio.run(ordered(shop, wish))
    except Killed:
        shop.now_s += LEASE_S + 1.0
        asyncio.run(sweeper(shop).sweep())

    assert asyncio.run(deliver_all(shop)) == []

    assert (only(shop).state, only(shop).refusal) == (OrderState.REJECTED, refusal)
    assert shop.units == units
    assert all(state != "captured" for state, _ in shop.payments.values())


def test_an_order_asked_for_fifty_times_at_once_is_made_once_and_answered_fifty_times() -> None:
    shop = Shop()

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(ordered(shop) for _ in range(50)))

    placed = asyncio.run(crowd())

    assert len(shop.orders) == len(shop.payments) == len(shop.outbox) == 1
    assert {each.order for each in placed} == {only(shop)}
    assert sorted(each.replayed for each in placed) == [False] + [True] * 49
    # Nobody but the one who made it is answered without a write of its own.
    assert shop.answered == {only(shop).id: 49}


def test_the_same_key_with_another_wish_is_refused() -> None:
    shop = Shop()
    asyncio.run(ordered(shop))

    with pytest.raises(KeyReused):
        asyncio.run(ordered(shop, Wish("ann", (Line(7, 3),), "tok_visa", None)))

    assert len(shop.orders) == 1


def test_nothing_is_written_down_when_the_client_expected_to_pay_less() -> None:
    shop = Shop()

    with pytest.raises(PriceChanged) as changed:
        asyncio.run(ordered(shop, Wish("ann", WISH.lines, "tok_visa", 999)))

    assert changed.value.total_cents == 1000
    assert shop.orders == {}


def test_who_expected_to_pay_more_pays_what_it_costs_now() -> None:
    shop = Shop()

    placed = asyncio.run(ordered(shop, Wish("ann", WISH.lines, "tok_visa", 1200)))

    assert shop.payments[placed.order.id] == ("captured", 1000)


@pytest.mark.parametrize("step", ["reserve", "capture", "decide"])
def test_a_silent_service_makes_the_outcome_unknown_and_the_sweeper_finishes_when_it_speaks_again(step: str) -> None:
    shop = Shop(silent={step})
    with pytest.raises(OutcomeUnknown):
        asyncio.run(ordered(shop))
    assert only(shop).state is OrderState.PENDING

    shop.silent.clear()
    assert asyncio.run(sweeper(shop).sweep()) == 1  # at once: the lease was given up

    assert only(shop).state is OrderState.CONFIRMED


def test_an_order_that_nobody_can_finish_for_two_minutes_is_rejected_and_refunded() -> None:
    shop = Shop(dies_after="capture")
    with pytest.raises(Killed):
        asyncio.run(ordered(shop))
    shop.silent.add("reserve")

    shop.now_s = 119.0
    assert asyncio.run(sweeper(shop).sweep()) == 0
    shop.now_s = 119.0 + LEASE_S + 1.0
    assert asyncio.run(sweeper(shop).sweep()) == 1
    asyncio.run(deliver_all(shop))

    order = only(shop)
    assert (order.state, order.refusal) == (OrderState.REJECTED, Refusal(RefusalCode.ABANDONED))
    assert (shop.units, shop.reservations[order.id]) == (10, "released")
    assert shop.payments[order.id] == ("refunded", 1000)


def test_a_worker_that_comes_late_finds_the_order_rejected_and_takes_nothing() -> None:
    shop = Shop(silent={"capture"})
    with pytest.raises(OutcomeUnknown):
        asyncio.run(ordered(shop))
    late = only(shop)
    shop.now_s = 130.0
    asyncio.run(sweeper(shop).sweep())
    asyncio.run(deliver_all(shop))
    shop.silent.clear()

    finished = asyncio.run(saga_of(shop).finish(late, Seconds(5.0)))

    assert finished.state is OrderState.REJECTED
    assert (shop.units, shop.payments[late.id][0]) == (10, "refunded")


def test_who_waits_for_somebody_elses_order_is_told_to_ask_again_when_the_time_is_over() -> None:
    shop = Shop(dies_after="begin")
    with pytest.raises(Killed):
        asyncio.run(ordered(shop))
    clock = Clock(shop, 5.0)  # less than the lease of 15 s

    with pytest.raises(OutcomeUnknown, match="still being worked on"):
        asyncio.run(process(shop, clock.pause).place(WISH, KEY, clock, synthetic=False))

    assert only(shop).state is OrderState.PENDING
    assert 4.5 < shop.now_s <= 5.0


def test_a_fact_is_delivered_again_until_inventory_answers() -> None:
    shop = Shop(silent={"sell"})
    asyncio.run(ordered(shop))
    with pytest.raises(StepUnavailable):
        asyncio.run(deliver_all(shop))

    shop.silent.clear()
    asyncio.run(deliver_all(shop))
    asyncio.run(deliver_all(shop))

    assert shop.reservations == {only(shop).id: "sold"}


def test_a_lost_database_makes_the_outcome_unknown() -> None:
    class Lost(Books):
        async def begin(self, new: NewOrder, within_s: float) -> Order | None:
            raise StoreUnavailable("no primary")

    shop = Shop()

    async def price(wish: Wish) -> Quote:
        return Quote((PricedLine(7, 2, 500),), False)

    with pytest.raises(OutcomeUnknown, match="no primary"):
        asyncio.run(Placing(Lost(shop), saga_of(shop), price).place(WISH, KEY, Seconds(10.0), synthetic=False))


def test_looking_for_the_key_goes_on_while_the_database_moves_house() -> None:
    shop = Shop()
    clock = Clock(shop, 10.0)

    class Moving(Books):
        async def find(self, key: str, within_s: float) -> Entry | None:
            if self.shop.now_s < 3.0:
                raise StoreUnavailable("no primary")
            return await super().find(key, within_s)

    async def price(wish: Wish) -> Quote:
        return Quote((PricedLine(7, 2, 500),), False)

    placing = Placing(Moving(shop), saga_of(shop), price, clock.pause)
    placed = asyncio.run(placing.place(WISH, KEY, clock, synthetic=False))

    assert placed.order.state is OrderState.CONFIRMED
    assert shop.now_s >= 3.0

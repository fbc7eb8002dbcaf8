"""What lies on the shelf, who it is promised to, and how promises are made. The books apply what is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    HELD = "held"
    SOLD = "sold"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Line:
    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Stock:
    """Of one product. `available` is what may still be promised."""

    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True)
class Reservation:
    """A promise in the books. Lines in the order of their products."""

    lines: tuple[Line, ...]
    state: State


@dataclass(frozen=True, slots=True)
class Ask:
    """Lines to be held for an order; each product once, in the order of their ids."""

    order_id: UUID
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """The lines are promised to the order; `state` is sold when it has got them already."""

    state: State
    fresh: bool


@dataclass(frozen=True, slots=True)
class Short:
    """Not enough of these; nothing is held."""

    product_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """The order was given up before: nothing will be held for it any more."""


@dataclass(frozen=True, slots=True)
class Differs:
    """The order holds other lines: a mistake of the caller."""


Outcome = Held | Short | Released | Differs


@dataclass(frozen=True, slots=True)
class Allotment:
    """Outcomes in the order of the asks, and what the books must take up for them."""

    outcomes: tuple[Outcome, ...]
    fresh: tuple[Ask, ...]

    @property
    def added(self) -> dict[int, int]:
        """By how much `reserved` grows, by product."""
        return units_by_product(line for ask in self.fresh for line in ask.lines)


def allot(asks: Sequence[Ask], stock: Mapping[int, Stock], standing: Mapping[UUID, Reservation]) -> Allotment:
    """Who gets what, first come first served: each ask gets all of its lines or none.

    `standing` are the reservations that the books have for these orders. A product that is not in `stock` is out of
    stock.
    """
    available = {product_id: shelf.available for product_id, shelf in stock.items()}
    known = dict(standing)
    outcomes: list[Outcome] = []
    fresh: list[Ask] = []
    for ask in asks:
        if (before := known.get(ask.order_id)) is not None:
            outcomes.append(_again(ask, before))
            continue
        short = tuple(line.product_id for line in ask.lines if available.get(line.product_id, 0) < line.quantity)
        if short:
            outcomes.append(Short(short))
            continue
        for line in ask.lines:
            available[line.product_id] -= line.quantity
        known[ask.order_id] = Reservation(ask.lines, State.HELD)
        fresh.append(ask)
        outcomes.append(Held(State.HELD, fresh=True))
    return Allotment(tuple(outcomes), tuple(fresh))


def _again(ask: Ask, before: Reservation) -> Outcome:
    if before.state is State.RELEASED:
        return Released()
    if before.lines != ask.lines:
        return Differs()
    return Held(before.state, fresh=False)


def units_by_product(lines: Iterable[Line]) -> dict[int, int]:
    units: Counter[int] = Counter()
    for line in lines:
        units[line.product_id] += line.quantity
    return dict(sorted(units.items()))

"""What visitors do: pages, searches, carts and orders in a shop's proportions, drawn before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaos.load.catalogue import Catalogue
from forecasting.forecast import Floats

MOST_LINES = 3  # different products in one cart
_PAGES_PER_VISITOR = 6.0
_THINK_S = 5.0  # mean time between two pages of one visitor


class Operation(IntEnum):
    """What one arrival does. A page is one request; a cart and a checkout are several in a row."""

    FRONT = 0
    CATEGORY = 1
    PRODUCT = 2
    SEARCH = 3
    CART = 4  # open a cart, put one product in, look at it
    CHECKOUT = 5  # open a cart, put products in, look at it, order


class MixInvalid(Exception):
    """A mix of visits that cannot be; the message names the part and the fix."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of arrivals by operation (they need not add up to 1) and what visitors are like."""

    shares: dict[Operation, float]
    bots: float = 0.15  # share of pages that crawlers ask for
    zipf: float = 0.9  # exponent of product popularity; 0: all alike
    line_counts: tuple[float, ...] = (0.6, 0.25, 0.15)  # shares of orders with one, two, three products
    declined: float = 0.01  # share of orders paid with a card that is always refused

    @property
    def requests_per_arrival(self) -> float:
        """On average, retries not counted. The arrival rate is the request rate divided by it."""
        lines = float(np.average(np.arange(1, MOST_LINES + 1), weights=self.line_counts))
        of = {Operation.CART: 3.0, Operation.CHECKOUT: 3.0 + lines}
        total = sum(self.shares.values())
        return sum(share * of.get(operation, 1.0) for operation, share in self.shares.items()) / total

    @property
    def requests_per_order(self) -> float | None:
        """The request rate that brings one order a second; None: nobody orders."""
        ordering = self.shares.get(Operation.CHECKOUT, 0.0) / sum(self.shares.values())
        return self.requests_per_arrival / ordering if ordering > 0.0 else None


_SHOP = {
    Operation.FRONT: 0.13,
    Operation.CATEGORY: 0.22,
    Operation.PRODUCT: 0.31,
    Operation.SEARCH: 0.20,
    Operation.CART: 0.09,
    Operation.CHECKOUT: 0.05,
}

MIXES = {
    "shop": Mix(_SHOP),
    "browse": Mix({operation: share for operation, share in _SHOP.items() if operation <= Operation.SEARCH}),
    "orders": Mix({Operation.CHECKOUT: 1.0}),
}


def mix_named(text: str) -> Mix:
    """A mix by name, or written out as `product=3,checkout=1`. Raises `MixInvalid`."""
    if text in MIXES:
        return MIXES[text]
    shares: dict[Operation, float] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or name.upper() not in Operation.__members__:
            known = ", ".join(operation.name.lower() for operation in Operation)
            raise MixInvalid(f"mix {text!r}: use {', '.join(MIXES)}, or shares like product=3,checkout=1 of {known}")
        try:
            shares[Operation[name.upper()]] = float(number)
        except ValueError:
            raise MixInvalid(f"mix {text!r}: the share of {name} is no number: {number!r}") from None
    if not all(0.0 <= share < np.inf for share in shares.values()) or sum(shares.values()) == 0.0:
        raise MixInvalid(f"mix {text!r}: shares must not be negative, and one must be above 0")
    return Mix(shares)


@dataclass(frozen=True, slots=True)
class Visit:
    """One arrival: what to ask for, when, and as whom."""

    index: int
    due_s: float
    operation: Operation
    bot: bool
    visitor: int
    lines: tuple[tuple[int, int], ...]  # product id, quantity; the first is the product of a product page
    choice: int  # of a category or a search word
    page: int
    pays: bool  # with a card that is accepted

    @property
    def planned_requests(self) -> int:
        """How many requests it makes when all goes well."""
        if self.operation is Operation.CART:
            return 3
        return 3 + len(self.lines) if self.operation is Operation.CHECKOUT else 1


@dataclass(frozen=True, slots=True)
class Visits:
    """All arrivals of a run in order of time, one row each; `(n, MOST_LINES)` for lines, product 0 means no line."""

    due_s: Floats
    operation: NDArray[np.int8]
    bot: NDArray[np.bool_]
    visitor: NDArray[np.int32]
    product: NDArray[np.int32]
    quantity: NDArray[np.int8]
    choice: NDArray[np.int32]
    page: NDArray[np.int8]
    pays: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.due_s.size)

    def __getitem__(self, index: int) -> Visit:
        pairs = zip(self.product[index].tolist(), self.quantity[index].tolist(), strict=True)
        return Visit(
            index=index,
            due_s=float(self.due_s[index]),
            operation=Operation(int(self.operation[index])),
            bot=bool(self.bot[index]),
            visitor=int(self.visitor[index]),
            lines=tuple((product, quantity) for product, quantity in pairs if product),
            choice=int(self.choice[index]),
            page=int(self.page[index]),
            pays=bool(self.pays[index]),
        )

    def write(self, path: Path) -> None:
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def read(path: Path) -> Visits:
        with np.load(path, allow_pickle=False) as columns:
            arrays: dict[str, Any] = {name: columns[name] for name in columns.files}
        return Visits(**arrays)


def draw_visits(due_s: Floats, mix: Mix, catalogue: Catalogue, rng: np.random.Generator) -> Visits:
    """What each arrival does. The same times, mix, catalogue and generator give the same visits."""
    size = due_s.size
    operations, shares = zip(*mix.shares.items(), strict=True)
    operation = rng.choice(np.array(operations, dtype=np.int8), size, p=np.array(shares) / sum(shares))
    bot = (rng.random(size) < mix.bots) & (operation <= Operation.SEARCH)
    product = _products(size, bot, mix, catalogue, rng)
    lines = rng.choice(np.arange(1, MOST_LINES + 1), size, p=np.array(mix.line_counts) / sum(mix.line_counts))
    lines[operation != Operation.CHECKOUT] = 1
    product[np.arange(MOST_LINES) >= lines[:, None]] = 0
    return Visits(
        due_s=due_s,
        operation=operation,
        bot=bot,
        visitor=_visitors(due_s, rng),
        product=product,
        quantity=np.where(rng.random((size, MOST_LINES)) < 0.85, 1, 2).astype(np.int8),
        choice=rng.integers(0, 2**31 - 1, size, dtype=np.int32),
        # People look at first pages; crawlers go on.
        page=np.minimum(rng.geometric(np.where(bot, 0.2, 0.75)), 20).astype(np.int8),
        pays=rng.random(size) >= mix.declined,
    )


def _products(
    size: int, bot: NDArray[np.bool_], mix: Mix, catalogue: Catalogue, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Different products for each arrival: few are asked for often (people), all alike by crawlers."""
    ids = _by_popularity(catalogue, rng)
    if ids.size < MOST_LINES:
        raise MixInvalid(f"the shop sells {ids.size} products: carts need at least {MOST_LINES}")
    # Sorted ranks plus 0, 1, 2 are different; shuffled, none of the columns is the popular one.
    ranks = ids.size - MOST_LINES + 1
    weights = np.arange(1, ranks + 1, dtype=np.float64) ** -mix.zipf
    by_people = rng.choice(ranks, (size, MOST_LINES), p=weights / weights.sum())
    by_crawlers = rng.integers(0, ranks, (size, MOST_LINES))
    rank = np.sort(np.where(bot[:, None], by_crawlers, by_people), axis=1) + np.arange(MOST_LINES)
    chosen: NDArray[np.int32] = ids[rng.permuted(rank, axis=1)]
    return chosen


def _by_popularity(catalogue: Catalogue, rng: np.random.Generator) -> NDArray[np.int32]:
    """All product ids: the known best sellers first, the others in some order."""
    popular = np.array(catalogue.popular, dtype=np.int32)
    others = np.setdiff1d(np.arange(1, catalogue.products + 1, dtype=np.int32), popular)
    return np.concatenate((popular, rng.permutation(others)))


def _visitors(due_s: Floats, rng: np.random.Generator) -> NDArray[np.int32]:
    """Who each arrival is: visitors come back after they thought, until they have seen enough."""
    pages_left = rng.geometric(1.0 / _PAGES_PER_VISITOR, due_s.size)
    thinking_s = rng.exponential(_THINK_S, due_s.size)
    waiting: list[tuple[float, int, int]] = []  # ready at, visitor, pages left
    visitors = np.empty(due_s.size, dtype=np.int32)
    newest = -1
    for i, now_s in enumerate(due_s.tolist()):
        if waiting and waiting[0][0] <= now_s:
            _, visitor, left = heappop(waiting)
        else:
            newest += 1
            visitor, left = newest, int(pages_left[newest])
        visitors[i] = visitor
        if left > 1:
            heappush(waiting, (now_s + float(thinking_s[i]), visitor, left - 1))
    return visitors

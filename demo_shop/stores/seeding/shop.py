"""The whole seeded shop in memory: products with their numbers, stock and popularity, and the baskets of its past."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_shop.recommendations.baskets import Baskets
from demo_shop.stores.seeding.assortment import Assortment, read_assortment, read_tastes
from demo_shop.stores.seeding.catalogue import Draft, Drafts, draw_drafts
from demo_shop.stores.seeding.history import History, draw_history

DEFAULT_PRODUCTS = 10_000
DEFAULT_RANDOM_SEED = 1
FRONT_SHELF = 20  # products 1 to 20 are the most popular ones; probes and examples buy them
FRONT_STOCK = 1_000_000
STOCK_RANGE = (2_000, 50_000)  # enough that a load test does not sell a product out by accident
SCARCE_SHARE, SCARCE_RANGE = 0.03, (1, 40)
SOLD_OUT_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class DrawnShop:
    """Everything the seed writes. products[i] has the number i + 1; baskets hold numbers."""

    products_wanted: int
    random_seed: int
    assortment: Assortment
    products: tuple[Draft, ...]
    skus: tuple[str, ...]
    popularity: NDArray[np.int64]  # baskets of the history that hold the product
    stock: NDArray[np.int64]
    history: History


def draw_shop(products: int = DEFAULT_PRODUCTS, random_seed: int = DEFAULT_RANDOM_SEED) -> DrawnShop:
    """The same shop for the same arguments. Raises ValueError for values that give none."""
    if products < 1:
        raise ValueError(f"products is {products}: a shop needs at least 1")
    if not 0 <= random_seed < 2**31:
        raise ValueError(f"random_seed is {random_seed}: choose one from 0 to {2**31 - 1}")
    rng = np.random.default_rng(random_seed)
    assortment = read_assortment()
    drafts = draw_drafts(assortment, products, rng)
    history = draw_history(drafts, [kind.slug for kind in assortment.kinds], read_tastes(), rng)
    orders = np.bincount(history.baskets.product_ids, minlength=products)
    order = _numbering(orders, rng)
    number = np.empty(products, dtype=np.int64)
    number[order] = np.arange(1, products + 1)
    return DrawnShop(
        products_wanted=products,
        random_seed=random_seed,
        assortment=assortment,
        products=tuple(drafts.rows[position] for position in order),
        skus=_skus(assortment, drafts, order),
        popularity=orders[order],
        stock=_stock(products, rng),
        history=History(_renumbered(history.baskets, number), history.customer, history.day),
    )


def _numbering(orders: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the drafts in the order of their future numbers: the best sellers, then all others mixed."""
    by_orders = np.argsort(-orders, kind="stable")
    return np.concatenate((by_orders[:FRONT_SHELF], rng.permutation(by_orders[FRONT_SHELF:])))


def _renumbered(baskets: Baskets, number: NDArray[np.int64]) -> Baskets:
    """The baskets with final numbers, ascending inside each."""
    renumbered = number[baskets.product_ids]
    order = np.lexsort((renumbered, baskets.basket_of_line))
    return Baskets(baskets.starts, renumbered[order])


def _skus(assortment: Assortment, drafts: Drafts, order: NDArray[np.int64]) -> tuple[str, ...]:
    """Three letters of the category and a number: TEN-00417."""
    prefixes = [category.slug.replace("-", "")[:3].upper() for category in assortment.categories]
    return tuple(
        f"{prefixes[assortment.kinds[drafts.rows[position].kind].category]}-{number:05d}"
        for number, position in enumerate(order, start=1)
    )


def _stock(products: int, rng: np.random.Generator) -> NDArray[np.int64]:
    stock = rng.integers(*STOCK_RANGE, products, endpoint=True)
    luck = rng.random(products)
    scarce = luck < SCARCE_SHARE + SOLD_OUT_SHARE
    stock[scarce] = rng.integers(*SCARCE_RANGE, int(scarce.sum()), endpoint=True)
    stock[luck < SOLD_OUT_SHARE] = 0
    stock[:FRONT_SHELF] = FRONT_STOCK
    return stock

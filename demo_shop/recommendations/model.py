"""Which products go with which, learned from baskets.

The score of neighbour j of product i is the chance that a basket with i also holds j. Baskets of one product are few,
so what was counted is mixed with what category and brand let us expect, as a posterior mean:

    score(i, j) = (together(i, j) + K · expected(i, j)) / (orders(i) + K)
    expected(i, j) = orders(j) · rate(category of i, category of j) · lift(same brand or not)

K is how many orders of i the expectation is worth; it was chosen on validation baskets, see `evaluate`.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from demo_shop.recommendations.baskets import Baskets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Learning:
    """How to learn."""

    expectation_orders: float = 100.0  # K; 0 counts only
    neighbours: int = 24  # kept per product; a page shows 8, and the products of a cart overlap
    expected_candidates: int = 40  # per product, on top of those it was bought with


@dataclass(frozen=True, slots=True)
class Traits:
    """Category and brand of each product as numbers from 0; entry p belongs to product p + 1."""

    category: Ints
    brand: Ints

    def __len__(self) -> int:
        return len(self.category)


class Row(NamedTuple):
    """The neighbours of one product, best first."""

    product_id: int
    neighbour_ids: list[int]
    scores: list[float]
    together: list[int]  # baskets that held both


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The model: flat arrays, sorted by product and within it by falling score."""

    product_id: Ints
    neighbour_id: Ints
    score: Floats
    together: Ints

    @property
    def version(self) -> str:
        """The same for the same content."""
        digest = hashlib.sha256()
        for column in (self.product_id, self.neighbour_id, self.score):
            digest.update(column.tobytes())
        return digest.hexdigest()[:12]

    def rows(self) -> Iterator[Row]:
        """One row per product that has neighbours."""
        edges = np.flatnonzero(np.diff(self.product_id, prepend=-1, append=-1)).tolist()
        neighbours, scores, together = self.neighbour_id.tolist(), self.score.tolist(), self.together.tolist()
        for start, end in pairwise(edges):
            cut = slice(start, end)
            yield Row(int(self.product_id[start]), neighbours[cut], scores[cut], together[cut])


class _Pairs(NamedTuple):
    """Ordered pairs of products (counted from 0), each once, sorted by i and then j where not said otherwise."""

    i: Ints
    j: Ints
    value: Floats


def learn(baskets: Baskets, traits: Traits, learning: Learning | None = None) -> Neighbours:
    """The best neighbours of each product. Raises ValueError when a basket holds a product without traits."""
    learning = learning or Learning()
    products = len(traits)
    if len(baskets.product_ids) and not 1 <= baskets.product_ids.min() <= baskets.product_ids.max() <= products:
        raise ValueError(f"a basket holds a product outside 1 to {products}")
    bought = baskets.product_ids - 1
    orders = np.bincount(bought, minlength=products).astype(float)
    counted = _together(bought, baskets.basket_of_line, products)
    worth = learning.expectation_orders
    if worth == 0.0 or len(counted.i) == 0:
        return _best(counted, counted, orders + worth, products, learning.neighbours)
    expected = _expected(counted, orders, traits, learning.expected_candidates)
    weighted = _Pairs(expected.i, expected.j, expected.value * worth)
    return _best(_sum(counted, weighted, products), counted, orders + worth, products, learning.neighbours)


def _together(bought: Ints, basket: Ints, products: int) -> _Pairs:
    """In how many baskets each pair was; the lines of a basket lie side by side."""
    keys = [np.empty(0, dtype=np.int64)]
    apart = 1
    while apart < len(bought) and (same := basket[:-apart] == basket[apart:]).any():
        left, right = bought[:-apart][same], bought[apart:][same]
        keys += [left * products + right, right * products + left]
        apart += 1
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    return _Pairs(key // products, key % products, count.astype(float))


def _expected(counted: _Pairs, orders: Floats, traits: Traits, candidates: int) -> _Pairs:
    """What category and brand alone say: the chance of j in a basket with i, for the likeliest j of each i, unsorted.

    Products of one category and brand share their candidates, so this is work per group, not per product.
    """
    categories, brands = int(traits.category.max()) + 1, int(traits.brand.max()) + 1
    sold = np.zeros((categories, brands))
    np.add.at(sold, (traits.category, traits.brand), orders)
    rate = _rate_between_categories(counted, sold, traits.category)
    lift = _lift_of_brand(counted, sold, rate, traits)
    group = traits.category * brands + traits.brand
    members = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[members], prepend=-1, append=-1))
    parts = []
    for start, end in pairwise(edges):
        category, brand = divmod(int(group[members[start]]), brands)
        chance = orders * rate[category][traits.category] * lift[(traits.brand == brand).astype(int)]
        keep = min(candidates, len(chance))
        best = np.argpartition(-chance, keep - 1)[:keep]
        group_members = members[start:end]
        parts.append(
            (np.repeat(group_members, keep), np.tile(best, end - start), np.tile(chance[best], end - start)),
        )
    i, j, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    useful = (i != j) & (value > 0.0)
    return _Pairs(i[useful], j[useful], value[useful])


def _rate_between_categories(counted: _Pairs, sold: Floats, category: Ints) -> Floats:
    """Pairs per order of a product of one category and order of a product of the other."""
    categories = len(sold)
    cell = category[counted.i] * categories + category[counted.j]
    pairs = np.bincount(cell, weights=counted.value, minlength=categories**2).reshape(categories, categories)
    possible = np.outer(sold.sum(axis=1), sold.sum(axis=1))
    rate: Floats = np.divide(pairs, possible, out=np.zeros_like(pairs), where=possible > 0)
    return rate


def _lift_of_brand(counted: _Pairs, sold: Floats, rate: Floats, traits: Traits) -> Floats:
    """How much likelier than its categories say a pair is: [of two brands, of one brand]."""
    same = traits.brand[counted.i] == traits.brand[counted.j]
    seen = np.bincount(same.astype(int), weights=counted.value, minlength=2)
    expected_same = float((rate * (sold @ sold.T)).sum())
    expected = np.array([seen.sum() - expected_same, expected_same])
    lift: Floats = np.divide(seen, expected, out=np.ones(2), where=expected > 0)
    return lift


def _sum(counted: _Pairs, weighted: _Pairs, products: int) -> _Pairs:
    """Values of both added up, pair by pair."""
    key = np.concatenate((counted.i * products + counted.j, weighted.i * products + weighted.j))
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    value = np.add.reduceat(np.concatenate((counted.value, weighted.value))[order], first)
    return _Pairs(key[first] // products, key[first] % products, value)


def _best(pairs: _Pairs, counted: _Pairs, divisor: Floats, products: int, keep: int) -> Neighbours:
    order = np.lexsort((-pairs.value, pairs.i))  # stable: of equal values the lower number comes first
    i, j, value = pairs.i[order], pairs.j[order], pairs.value[order]
    rank = np.arange(len(i)) - np.searchsorted(i, np.arange(products))[i]
    i, j, value = i[rank < keep], j[rank < keep], value[rank < keep]
    return Neighbours(i + 1, j + 1, value / divisor[i], _counts_of(i, j, counted, products))


def _counts_of(i: Ints, j: Ints, counted: _Pairs, products: int) -> Ints:
    """How often each pair was bought together, 0 for one that never was."""
    if len(counted.i) == 0:
        return np.zeros(len(i), dtype=np.int64)
    known = counted.i * products + counted.j  # sorted, as they came from np.unique
    wanted = i * products + j
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, counted.value[place], 0).astype(np.int64)

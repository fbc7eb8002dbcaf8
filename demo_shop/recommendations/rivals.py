"""What the model is measured against: popularity, popularity within the category, and plain item-to-item cosine."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from demo_shop.recommendations.model import Learning, Neighbours
from demo_shop.recommendations.table import NeighbourTable, Shelf, recommend

LIST_LENGTH = 10

Recommender = Callable[[Sequence[int]], list[int]]


def by_model(neighbours: Neighbours, best_sellers: Shelf) -> Recommender:
    """Exactly what the service answers."""
    table = NeighbourTable(neighbours.version)
    for row in neighbours.rows():
        table.add(row.product_id, row.neighbour_ids, row.scores, row.together)
    return lambda given: [item.product_id for item in recommend(table, best_sellers, given, LIST_LENGTH)]


def by_popularity(best_sellers: Shelf) -> Recommender:
    """The best sellers of the shop, without those given."""
    return lambda given: [product for product in best_sellers.best_sellers if product not in given][:LIST_LENGTH]


def by_popularity_in_category(orders: NDArray[np.int64], category: NDArray[np.int64]) -> Recommender:
    """The best sellers of the categories given, a category counting as often as it is given."""
    best = {
        int(number): [int(product) + 1 for product in np.argsort(-orders, kind="stable") if category[product] == number]
        for number in np.unique(category)
    }

    def recommend_in_category(given: Sequence[int]) -> list[int]:
        times: dict[int, int] = {}
        for product in given:
            times[int(category[product - 1])] = times.get(int(category[product - 1]), 0) + 1
        score = {
            product: int(orders[product - 1]) * count
            for number, count in times.items()
            for product in best[number][: LIST_LENGTH + len(given)]
            if product not in given
        }
        return sorted(score, key=lambda product: (-score[product], product))[:LIST_LENGTH]

    return recommend_in_category


def every_pair(products: int) -> Learning:
    """Every pair that was bought together, with its count."""
    return Learning(expectation_orders=0.0, neighbours=products)


def as_cosine(counted: Neighbours, orders: NDArray[np.int64], keep: int) -> Neighbours:
    """The classic: counts of a pair over the root of both products' orders, the best per product."""
    score = counted.together / np.sqrt(orders[counted.product_id - 1] * orders[counted.neighbour_id - 1])
    order = np.lexsort((counted.neighbour_id, -score, counted.product_id))
    product = counted.product_id[order]
    kept = order[np.arange(len(product)) - np.searchsorted(product, product) < keep]
    return Neighbours(counted.product_id[kept], counted.neighbour_id[kept], score[kept], counted.together[kept])

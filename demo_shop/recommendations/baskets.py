"""Baskets of a past as two flat arrays: which products were bought together, and where each basket begins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Baskets:
    """Basket b holds product_ids[starts[b] : starts[b + 1]], each product once. Baskets are in order of time."""

    starts: NDArray[np.int64]
    product_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.starts)

    @property
    def basket_of_line(self) -> NDArray[np.int64]:
        """Number of the basket that each entry of product_ids lies in."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def of(self, basket: int) -> list[int]:
        """The products of one basket."""
        return [int(product) for product in self.product_ids[self.starts[basket] : self.starts[basket + 1]]]

    def between(self, first: int, end: int) -> "Baskets":
        """Baskets first to end - 1: with baskets in order of time, a split by time."""
        lines = slice(int(self.starts[first]), int(self.starts[end]))
        return Baskets(self.starts[first : end + 1] - self.starts[first], self.product_ids[lines])


def baskets_of(lists: Sequence[Sequence[int]]) -> Baskets:
    """Baskets from one list of products each."""
    sizes = [len(products) for products in lists]
    flat = [product for products in lists for product in products]
    return Baskets(np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))), np.array(flat, dtype=np.int64))

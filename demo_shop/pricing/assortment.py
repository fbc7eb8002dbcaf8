"""What is sold, at which base price, and how much each product usually sells and has in stock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import median


class Assortment:
    """All products: base prices in cents, and popularity in orders of the past."""

    def __init__(self, base_cents: Mapping[int, int], popularity: Mapping[int, int]) -> None:
        self.base_cents, self.popularity = base_cents, popularity
        self._total_popularity = sum(popularity.values())
        # Added to each popularity, so that a product that nobody bought yet is not expected to have no stock at all.
        self._middle_popularity = max(1.0, float(median(popularity.values()))) if popularity else 1.0
        self._ranked: Sequence[int] = sorted(base_cents, key=lambda one: (-popularity.get(one, 0), one))

    def __contains__(self, product_id: int) -> bool:
        return product_id in self.base_cents

    def __len__(self) -> int:
        return len(self.base_cents)

    def popularity_share(self, product_id: int) -> float:
        """The product's usual share of all units sold; all products alike when nothing was ever sold."""
        if self._total_popularity == 0:
            return 1.0 / max(1, len(self.base_cents))
        return self.popularity.get(product_id, 0) / self._total_popularity

    def expecting(self, least_units: float, total_units: float) -> Sequence[int]:
        """Products of which at least `least_units` are usual when the shop sells `total_units`."""
        if total_units <= 0.0:
            return ()
        rarest = bisect_left(self._ranked, -least_units / total_units, key=lambda one: -self.popularity_share(one))
        return self._ranked[:rarest]

    def cover(self, product_id: int, available: int) -> float:
        """Pieces in stock for each order of the past."""
        return available / (self.popularity.get(product_id, 0) + self._middle_popularity)

    def usual_available(self, product_id: int, usual_cover: float) -> float:
        """Pieces in stock that give the product the usual cover."""
        return usual_cover * (self.popularity.get(product_id, 0) + self._middle_popularity)

    def usual_cover(self, available: Mapping[int, int]) -> float | None:
        """The middle product's cover; None: no stock is known."""
        covers = [self.cover(one, pieces) for one, pieces in available.items() if one in self.base_cents]
        return median(covers) if covers else None

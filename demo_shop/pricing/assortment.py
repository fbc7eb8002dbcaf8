"""What is sold, at which base price, and how much each product usually sells and has in stock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from statistics import median

_MOST_TIMES_USUAL = 3.0
_ROUNDS = 3  # a rush for ten thousand times the usual is down to a few per cent of error by then


class Assortment:
    """All products: base prices in cents, and popularity in orders of the past."""

    def __init__(self, base_cents: Mapping[int, int], popularity: Mapping[int, int]) -> None:
        self.base_cents, self.popularity = base_cents, popularity
        self._total_popularity = sum(popularity.values())
        middle = max(1.0, float(median(popularity.values()))) if popularity else 1.0
        # So that a product that nobody bought yet is not expected to have no stock at all.
        self.padded_popularity: Mapping[int, float] = {one: popularity.get(one, 0) + middle for one in base_cents}
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
        rarest = bisect_right(self._ranked, -least_units / total_units, key=lambda one: -self.popularity_share(one))
        return self._ranked[:rarest]

    def usual_total(self, units: Mapping[int, float], total_units: float, reserve: float) -> float:
        """The total without the surges of single products, or a rush for one would make all others look slow.

        A product counts for up to `_MOST_TIMES_USUAL` times its share of this very total, and `reserve` units.
        """
        total = total_units
        for _ in range(_ROUNDS):
            scale = _MOST_TIMES_USUAL * total
            surges = (found - scale * self.popularity_share(one) - reserve for one, found in units.items())
            total = total_units - sum(surge for surge in surges if surge > 0.0)
        return total

    def usual_available(self, product_id: int, usual_cover: float) -> float:
        """Pieces in stock that give the product the usual cover."""
        return usual_cover * self.padded_popularity[product_id]

    def usual_cover(self, available: Mapping[int, int]) -> float | None:
        """Pieces in stock per order of the past, of the middle product; None: no stock is known."""
        orders = self.padded_popularity
        covers = [pieces / orders[one] for one, pieces in available.items() if one in orders]
        return median(covers) if covers else None

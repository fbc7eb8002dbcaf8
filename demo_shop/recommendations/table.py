"""The model as a service holds it: a few flat arrays, about 4 MB for 10,000 products, and no numpy."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

POPULARITY = "popularity"  # the model's name while nothing is learned


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A product to show, the sum of its scores, and why; a score of 0 is a best seller that fills the list."""

    product_id: int
    score: float
    because: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """What must be known of the products themselves: names by id, and ids by falling popularity."""

    names: dict[int, str]
    best_sellers: array[int]


@dataclass(slots=True)
class NeighbourTable:
    """Neighbours per product, best first. Fill it with `add`, then only read it."""

    version: str = POPULARITY
    _span: dict[int, tuple[int, int]] = field(default_factory=dict)
    _neighbour: array[int] = field(default_factory=lambda: array("i"))
    _score: array[float] = field(default_factory=lambda: array("f"))
    _together: array[int] = field(default_factory=lambda: array("H"))

    def __len__(self) -> int:
        return len(self._span)

    def add(
        self, product_id: int, neighbour_ids: Iterable[int], scores: Iterable[float], together: Iterable[int]
    ) -> None:
        start = len(self._neighbour)
        self._neighbour.extend(neighbour_ids)
        self._score.extend(scores)
        self._together.extend(min(count, 65_535) for count in together)
        self._span[product_id] = (start, len(self._neighbour))

    def of(self, product_id: int) -> list[tuple[int, float, int]]:
        """(neighbour, score, baskets that held both) of a product; empty for one that the model does not know."""
        start, end = self._span.get(product_id, (0, 0))
        return list(
            zip(self._neighbour[start:end], self._score[start:end], self._together[start:end], strict=True),
        )


def recommend(table: NeighbourTable, shelf: Shelf, given: Sequence[int], limit: int) -> list[Recommendation]:
    """The products that go best with all the given ones together, filled up with best sellers; none of the given."""
    score: dict[int, float] = {}
    strongest: dict[int, tuple[float, int, int]] = {}
    for product_id in dict.fromkeys(given):
        for neighbour, weight, together in table.of(product_id):
            score[neighbour] = score.get(neighbour, 0.0) + weight
            if neighbour not in strongest or weight > strongest[neighbour][0]:
                strongest[neighbour] = (weight, product_id, together)
    for product_id in given:
        score.pop(product_id, None)
    ranked = sorted(score, key=lambda product: (-score[product], product))[:limit]
    chosen = [Recommendation(product, score[product], _because(strongest[product], shelf)) for product in ranked]
    taken = {*given, *ranked}
    for product in shelf.best_sellers:
        if len(chosen) >= limit:
            break
        if product not in taken:
            chosen.append(Recommendation(product, 0.0, "popular"))
    return chosen


def _because(strongest: tuple[float, int, int], shelf: Shelf) -> str:
    """Says "bought together" only of products that were."""
    _, product_id, together = strongest
    name = shelf.names.get(product_id, f"product {product_id}")
    return f"bought together with {name}" if together else f"goes with {name}"

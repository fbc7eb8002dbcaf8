"""A catalogue drawn from the assortment: names, descriptions, prices and how much each product appeals."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_shop.stores.seeding.assortment import Assortment, Category, Kind, Maker

# Appeal falls with the rank inside a kind as a Zipf law with a flattened head; over all kinds that gives a long tail.
RANK_OFFSET = 1.5
RANK_EXPONENT = 1.1
TIER_PRICES = {1: 0.72, 2: 1.0, 3: 1.55}
SIZE_PRICE_SPREAD = 0.35  # from the smallest size to the largest
PRICE_SIGMA = 0.18  # of the logarithm, what maker and size do not explain
SENTENCES_OF_FACTS = 2


@dataclass(frozen=True, slots=True)
class Draft:
    """One product before it has a number in the shop."""

    kind: int  # position in Assortment.kinds
    maker: str
    line: str
    tier: int
    name: str
    description: str
    price_cents: int


@dataclass(frozen=True, slots=True)
class Drafts:
    """All products of a catalogue, with what the history needs of them as arrays of the same order."""

    rows: tuple[Draft, ...]
    kind: NDArray[np.int64]
    tier: NDArray[np.int64]
    family: NDArray[np.int64]  # products of one maker and line share a number
    appeal: NDArray[np.float64]  # share of its kind's sales; sums to 1 over each kind


def draw_drafts(assortment: Assortment, products: int, rng: np.random.Generator) -> Drafts:
    """That many distinct products, spread evenly over the kinds."""
    rows: list[Draft] = []
    appeals: list[NDArray[np.float64]] = []
    kinds = len(assortment.kinds)
    # With fewer products than kinds, every category still gets some.
    in_turn = rng.permutation(kinds) if products < kinds else np.arange(kinds)
    for position, number in enumerate(in_turn):
        count = products // kinds + (1 if position < products % kinds else 0)
        if count:
            kind = assortment.kinds[number]
            rows.extend(_of_kind(kind, int(number), assortment.categories[kind.category], count, rng))
            appeals.append(_appeal(count, rng))
    families = {family: place for place, family in enumerate(sorted({(row.maker, row.line) for row in rows}))}
    return Drafts(
        rows=tuple(rows),
        kind=np.array([row.kind for row in rows], dtype=np.int64),
        tier=np.array([row.tier for row in rows], dtype=np.int64),
        family=np.array([families[row.maker, row.line] for row in rows], dtype=np.int64),
        appeal=np.concatenate(appeals),
    )


def _of_kind(kind: Kind, number: int, category: Category, count: int, rng: np.random.Generator) -> Iterator[Draft]:
    choices = [(maker, line) for maker in category.makers for line in maker.lines]
    shape = (len(choices), len(kind.words), len(kind.sizes))
    variants = int(np.prod(shape))
    # Every variant once, then every variant of the next generation, and so on: no two names are the same.
    generations = -(-count // variants)
    variant = np.concatenate([rng.permutation(variants) for _ in range(generations)])[:count]
    parts = np.stack(np.unravel_index(variant, shape), axis=1).tolist()
    noise = rng.normal(0.0, PRICE_SIGMA, count).tolist()
    seasoning = rng.integers(0, 1 << 30, (count, 4)).tolist()
    for place, (choice, word, size) in enumerate(parts):
        maker, line = choices[choice]
        generation = place // variants
        name = f"{line} {kind.words[word]} {kind.noun}, {kind.sizes[size]}"
        yield Draft(
            kind=number,
            maker=maker.name,
            line=line,
            tier=maker.tier,
            name=name if generation == 0 else f"{name}, Mk {generation + 1}",
            description=_description(kind, kind.words[word], kind.sizes[size], category, maker, seasoning[place]),
            price_cents=_price_cents(kind, maker, size, noise[place]),
        )


def _description(kind: Kind, word: str, size: str, category: Category, maker: Maker, seasoning: Sequence[int]) -> str:
    use, fact, colour, guarantee = seasoning
    facts = [kind.facts[(fact + step) % len(kind.facts)] for step in range(SENTENCES_OF_FACTS)]
    return " ".join(
        (
            f"{word} {_in_a_sentence(kind.noun)} for {kind.uses[use % len(kind.uses)]}.",
            *facts,
            f"{size}." if kind.consumable else f"{size}, {_colour_and_guarantee(category, maker, colour, guarantee)}.",
        )
    )


def _colour_and_guarantee(category: Category, maker: Maker, colour: int, guarantee: int) -> str:
    years = maker.tier + guarantee % 3
    plural = "" if years == 1 else "s"
    return f"{category.colours[colour % len(category.colours)]}, {years} year{plural} guarantee"


def _in_a_sentence(noun: str) -> str:
    """The noun in small letters; GPS, LED and USB-C stay as they are."""
    return " ".join(part if sum(letter.isupper() for letter in part) > 1 else part.lower() for part in noun.split())


def _price_cents(kind: Kind, maker: Maker, size: int, noise: float) -> int:
    """Log-normal around the kind's usual price, ending as shops let prices end."""
    place = size / (len(kind.sizes) - 1) - 0.5
    price = kind.price_units * TIER_PRICES[maker.tier] * math.exp(SIZE_PRICE_SPREAD * place + noise)
    if price < 20:
        return max(1, round(price * 2)) * 50 - 1  # 3.49, 3.99
    if price < 100:
        return round(price) * 100 - 5  # 44.95
    if price < 300:
        return round(price / 5) * 500 - 1  # 134.99
    return round(price / 10) * 1000 - 100  # 749.00


def _appeal(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    ranks = rng.permutation(count) + 1
    weight = (ranks + RANK_OFFSET) ** -RANK_EXPONENT
    share: NDArray[np.float64] = weight / weight.sum()
    return share

"""What the shop sells and why people buy it, as written in assortment.toml and tastes.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Maker:
    """A brand, its place between cheap (1) and dear (3), and the lines whose products belong together."""

    name: str
    tier: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product: the parts that names and descriptions are made of, and its usual price."""

    slug: str
    category: int  # position in Assortment.categories
    noun: str
    price_units: float  # whole units of the currency, not cents
    words: tuple[str, ...]
    sizes: tuple[str, ...]
    uses: tuple[str, ...]
    facts: tuple[str, ...]
    consumable: bool  # used up: it has no colour and no guarantee


@dataclass(frozen=True, slots=True)
class Category:
    slug: str
    name: str
    makers: tuple[Maker, ...]
    colours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assortment:
    categories: tuple[Category, ...]
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Occasion:
    """What somebody shops for: how common it is, its weight in each month, and the kinds it takes."""

    name: str
    share: float
    months: tuple[float, ...]
    kinds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Tastes:
    occasions: tuple[Occasion, ...]
    companions: Mapping[str, Mapping[str, float]]  # kind → kinds added because of it


def read_assortment() -> Assortment:
    """The assortment that ships with the shop."""
    written = _written("assortment.toml")
    makers = {
        department: tuple(Maker(name, maker["tier"], tuple(maker["lines"])) for name, maker in by_name.items())
        for department, by_name in written["makers"].items()
    }
    categories = []
    kinds: list[Kind] = []
    for position, (slug, category) in enumerate(written["categories"].items()):
        categories.append(Category(slug, category["name"], makers[category["makers"]], tuple(category["colours"])))
        kinds.extend(_kind(kind_slug, position, kind) for kind_slug, kind in category["kinds"].items())
    return Assortment(tuple(categories), tuple(kinds))


def read_tastes() -> Tastes:
    """The occasions and companions that ship with the shop."""
    written = _written("tastes.toml")
    occasions = tuple(
        Occasion(name, occasion["share"], tuple(written["seasons"][occasion["season"]]), occasion["kinds"])
        for name, occasion in written["occasions"].items()
    )
    return Tastes(occasions, written["companions"])


def _kind(slug: str, category: int, kind: Mapping[str, Any]) -> Kind:
    return Kind(
        slug=slug,
        category=category,
        noun=kind["noun"],
        price_units=kind["price"],
        words=tuple(kind["words"]),
        sizes=tuple(kind["sizes"]),
        uses=tuple(kind["uses"]),
        facts=tuple(kind["facts"]),
        consumable=kind.get("consumable", False),
    )


def _written(file_name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / file_name).read_text(encoding="utf-8"))

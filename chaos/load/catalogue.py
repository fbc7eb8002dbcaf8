"""What the shop sells, as far as a visitor's browser can know: asked once, before the load begins."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from chaos.load.target import Target

_TIMEOUT_S = 10.0
_PAGE = 100


class CatalogueUnavailable(Exception):
    """The shop did not say what it sells."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Products are known by id; `popular` are the most sold, best first. Ids run from 1 to `products`."""

    products: int
    popular: tuple[int, ...]
    categories: tuple[str, ...]
    words: tuple[str, ...]  # what people search for


def ask_catalogue(target: Target) -> Catalogue:
    """The catalogue of a running shop. Raises `CatalogueUnavailable`."""
    connection = HTTPConnection(target.host, target.port, timeout=_TIMEOUT_S)
    try:
        categories = _get(connection, "/api/v1/categories")
        listing = _get(connection, f"/api/v1/products?sort=popularity&page_size={_PAGE}")
        products = listing["items"]
        catalogue = Catalogue(
            products=int(listing["total"]),
            popular=tuple(int(product["id"]) for product in products),
            categories=tuple(str(category["slug"]) for category in categories["items"]),
            words=_words(str(product["name"]) for product in products),
        )
    except (OSError, HTTPException) as error:
        raise CatalogueUnavailable(f"{target.url} does not answer: {error}: start the shop, then its load") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CatalogueUnavailable(f"{target.url} does not speak the shop's API: {error!r}") from None
    finally:
        connection.close()
    if not (catalogue.products and catalogue.popular and catalogue.categories and catalogue.words):
        raise CatalogueUnavailable(f"{target.url} sells nothing: seed its catalogue first")
    return catalogue


def _get(connection: HTTPConnection, path: str) -> Any:
    connection.request("GET", path, headers={"Accept": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ValueError(f"GET {path} answered {answer.status}")
    return json.loads(body)


def _words(names: Iterable[str]) -> tuple[str, ...]:
    """The distinct words of the names in their order; the short ones would find everything."""
    words = (word.strip(".,()'\"").lower() for name in names for word in name.split())
    return tuple(dict.fromkeys(word for word in words if len(word) > 3 and word.isalpha()))

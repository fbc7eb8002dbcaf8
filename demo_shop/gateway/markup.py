"""Templates become bytes with holes: a page holds nothing about its visitor until it is sent.

The holes (the CSRF token, how many things are in the cart) are filled while serving, so that one rendered page serves
everybody. Their marks are random per process: no text of a shop can contain one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from demo_shop.gateway.goods import Offer

_WORD = re.compile(r"\w+")


class Hole(IntEnum):
    CSRF = 0
    CART_COUNT = 1


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page: text, hole, text, …, text."""

    texts: tuple[bytes, ...]
    holes: tuple[Hole, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(text) for text in self.texts) + 200  # and what the objects themselves take

    def filled(self, csrf_token: str, cart_count: int) -> bytes:
        """The page as one visitor gets it. `csrf_token` must be safe in an attribute: letters, digits, `-_.`."""
        said = (csrf_token.encode("ascii"), _cart_badge(cart_count))
        pieces = [self.texts[0]]
        for hole, text in zip(self.holes, self.texts[1:], strict=True):
            pieces.append(said[hole])
            pieces.append(text)
        return b"".join(pieces)


def _cart_badge(count: int) -> bytes:
    if count <= 0:
        return b""
    return b' <span class="badge">%d<span class="visually-hidden"> in the cart</span></span>' % count


def money(cents: int) -> str:
    """Prices as people read them: €1,234.50."""
    sign = "−" if cents < 0 else ""
    return f"{sign}€{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def signed_money(cents: int) -> str:
    """Effects on a price: +€1.00, −€0.50."""
    return f"+{money(cents)}" if cents > 0 else money(cents)


def highlighted(text: str, query: str) -> Markup:
    """The text with the words of the query marked where words start with them; everything else escaped."""
    words = sorted({word for word in _WORD.findall(query) if len(word) > 1}, key=len, reverse=True)
    if not words:
        return escape(text)
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, words)) + ")", re.IGNORECASE)
    pieces = pattern.split(text)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if index % 2 else escape(piece) for index, piece in enumerate(pieces)
    )


def image_url(offer: Offer) -> str:
    """The picture of a product; its category travels along so that drawing it asks nobody."""
    return f"/images/{offer.product.id}.svg?in={quote(offer.product.category.slug, safe='')}"


class Renderer:
    """Templates of the storefront."""

    def __init__(self, asset_urls: Mapping[str, str]) -> None:
        mark = secrets.token_hex(16)
        self._marks = {f"hole-{mark}-{hole.value}": hole for hole in Hole}
        self._splitter = re.compile("(" + "|".join(self._marks) + ")")
        self._environment = Environment(
            loader=PackageLoader("demo_shop.gateway"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(money=money, signed_money=signed_money, image_url=image_url)
        names = {hole: name for name, hole in self._marks.items()}
        self._environment.globals.update(
            csrf_hole=names[Hole.CSRF],
            cart_hole=names[Hole.CART_COUNT],
            assets=dict(asset_urls),
            highlighted=highlighted,
        )

    def page(self, template: str, **values: Any) -> Page:
        html = self._environment.get_template(template).render(values)
        pieces = self._splitter.split(html)
        return Page(
            texts=tuple(piece.encode() for piece in pieces[::2]),
            holes=tuple(self._marks[name] for name in pieces[1::2]),
        )

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from demo_shop.gateway.images import _BY_WORDS, _FOR_ANYTHING, pictogram_of, product_image


@pytest.mark.parametrize("name", [*(name for name, _ in _BY_WORDS), _FOR_ANYTHING])
def test_every_pictogram_draws_a_picture(name: str) -> None:
    slug = next((words.split("|")[0].rstrip("$-") for known, words in _BY_WORDS if known == name), "zzz")
    assert pictogram_of(slug) == name

    drawing = ElementTree.fromstring(product_image(1, slug))

    assert drawing.get("viewBox") == "0 0 320 320"
    assert b"$" not in product_image(1, slug)


def test_a_product_looks_the_same_for_ever_and_unlike_its_neighbour() -> None:
    assert product_image(17, "toys") == product_image(17, "toys")
    assert product_image(17, "toys") != product_image(18, "toys")


def test_a_category_nobody_thought_of_gets_a_parcel() -> None:
    assert pictogram_of("quux") == "parcel"

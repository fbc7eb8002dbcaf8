"""Pictures of products: the pictogram of their category on a coloured card, the same for the same product for ever."""

from __future__ import annotations

import random
import re
from functools import cache
from importlib.resources import files
from string import Template
from typing import Final

#: A card's background, the pictogram's body and its accent; each pair is told apart without seeing hues.
_PALETTES: Final = (
    ("#e8f1f2", "#1b6b73", "#f2a65a"),
    ("#f6ece3", "#8a4b2a", "#3f7d6b"),
    ("#ecebf7", "#4b4a9c", "#e2866a"),
    ("#eaf3e6", "#3d7038", "#d98c3a"),
    ("#fbeaea", "#a13d4b", "#4c7fa8"),
    ("#e6eef8", "#2b5a94", "#e0a43b"),
    ("#f4eff5", "#7a4583", "#5c9c84"),
    ("#f5f2df", "#74681e", "#b8574a"),
)

#: Which pictogram (`pictograms/<name>.svg`) stands for a category whose name has a word that begins like one of these;
#: the first that fits.
_BY_WORDS: Final = (
    ("headphones", "audio|headphone|sound|speaker|hifi"),
    ("camera", "photo|camera|video"),
    ("printer", "print"),
    ("pencil", "office|home-office|stationery|school|art|craft|paper"),
    ("kettle", "kitchen-appliance|appliance|small-appliance"),
    ("house", "smart-home|security|alarm"),
    ("lamp", "lamp|home-light|lighting"),
    ("compass", "lights-navigation|navigation|compass|map"),
    ("grill", "barbecue|grill"),
    ("bed", "bed|sleep|mattress"),
    ("bucket", "clean|laundry|household"),
    ("shelf", "storage|furniture|shel"),
    ("tent", "tent|camping|shelter"),
    ("snowflake", "winter|ski|snow"),
    ("dumbbell", "fitness|gym|yoga"),
    ("screen", "computer|laptop|electronic|phone|tablet|tv|monitor|gadget|tech"),
    ("book", "book|comic|novel|magazine|read"),
    ("cup", "coffee|tea$|tea-|food|grocer|drink|snack|breakfast|pantry"),
    ("pot", "kitchen|cook|camp-kitchen|dining|bak"),
    ("plant", "garden|plant|flower|seed"),
    ("toy", "toy|kid|baby|child|game|puzzle|hobby"),
    ("wheel", "bike|bicycle|cycl|car$|cars|auto|motor|wheel"),
    ("shoe", "shoe|boot|sneaker|footwear"),
    ("shirt", "cloth|fashion|apparel|shirt|wear|men|women"),
    ("bag", "bag|travel|luggage|backpack|hik"),
    ("ball", "sport|ball|outdoor"),
    ("bottle", "beauty|health|cosmetic|care|bath|perfume"),
    ("hammer", "tool|diy|hardware|workshop|improvement"),
    ("paw", "pet|dog|cat|animal"),
    ("chair", "home|living|decor|chair"),
    ("guitar", "music|instrument|guitar"),
    ("watch", "watch|jewel|accessor"),
)
_WORDS: Final = tuple((name, re.compile(rf"(?:^|-)(?:{words})")) for name, words in _BY_WORDS)
_FOR_ANYTHING: Final = "parcel"

_SLUG = re.compile(r"[a-z0-9-]{1,100}")


def is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None


def pictogram_of(category_slug: str) -> str:
    """The pictogram's name."""
    return next((name for name, words in _WORDS if words.search(category_slug)), _FOR_ANYTHING)


def product_image(product_id: int, category_slug: str) -> bytes:
    """An SVG of 320 × 320."""
    rng = random.Random(product_id)
    card, body, accent = rng.choice(_PALETTES)
    turn, size = rng.uniform(-6.0, 6.0), rng.uniform(0.88, 1.06)
    halo_x, halo_y, halo = rng.randint(90, 230), rng.randint(100, 220), rng.randint(90, 130)
    pictogram = _template(pictogram_of(category_slug)).substitute(body=body, accent=accent, card=card)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 320" width="320" height="320">\n'
        f'<rect width="320" height="320" fill="{card}"/>\n'
        f'<circle cx="{halo_x}" cy="{halo_y}" r="{halo}" fill="#fff" opacity=".55"/>\n'
        f'<ellipse cx="160" cy="256" rx="{92 * size:.0f}" ry="9" fill="{body}" opacity=".14"/>\n'
        f'<g transform="translate(160 160) rotate({turn:.1f}) scale({size:.2f}) translate(-160 -160)">\n'
        f"{pictogram}</g></svg>\n"
    ).encode()


@cache
def _template(name: str) -> Template:
    return Template(files("demo_shop.gateway").joinpath("pictograms", f"{name}.svg").read_text(encoding="utf-8"))

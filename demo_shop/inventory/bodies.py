"""What inventory is sent."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from demo_shop.frame.product_ids import LARGEST_ID
from demo_shop.inventory.model import Line, units_by_product

MOST_LINES: Final = 50
MOST_UNITS: Final = 100_000


class LineBody(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    product_id: int = Field(ge=1, le=LARGEST_ID)
    quantity: int = Field(ge=1, le=MOST_UNITS)


class LinesBody(BaseModel):
    """Lines to hold, or lines that would have been held."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    lines: list[LineBody] = Field(min_length=1, max_length=MOST_LINES)

    @model_validator(mode="after")
    def _each_product_once(self) -> Self:
        if len({line.product_id for line in self.lines}) < len(self.lines):
            raise ValueError("lines: a product is named twice; add its quantities up")
        return self

    def in_order(self) -> tuple[Line, ...]:
        units = units_by_product(Line(line.product_id, line.quantity) for line in self.lines)
        return tuple(Line(product_id, quantity) for product_id, quantity in units.items())


class DeliveryBody(BaseModel):
    """Goods that arrived. The same key counts once per product."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    quantity: int = Field(ge=1, le=MOST_UNITS)
    key: str = Field(pattern=r"^[\x21-\x7e]{1,128}$")

"""Product ids as they come in requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from demo_shop.frame.problems import validation_problem

#: The largest value of PostgreSQL's `int`.
LARGEST_ID = 2**31 - 1

ProductId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="Number of the product")]
ProductIds = Annotated[
    str,
    Query(pattern=r"^[0-9]{1,10}(,[0-9]{1,10}){0,99}$", description="Up to 100 product numbers with commas between"),
]


def parse_product_ids(text: str, parameter: str = "ids") -> tuple[int, ...]:
    """The ids of a `ProductIds` text in the order given, each once. Raises a 422 for an id that no product can have."""
    ids = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    if any(not 1 <= product_id <= LARGEST_ID for product_id in ids):
        error = {"loc": ("query", parameter), "msg": f"each id must be from 1 to {LARGEST_ID}"}
        raise validation_problem([error])
    return ids

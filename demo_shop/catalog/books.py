"""The catalogue in PostgreSQL, read from a standby where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demo_shop.catalog.product import Sort, product_json
from demo_shop.catalog.search_text import SearchText
from demo_shop.frame.database import Database
from demo_shop.frame.problems import StoreUnavailable

MOST_COUNTED = 1000
_PATIENCE_S = 1.0  # with the pool, twice: the gateway waits no longer than that

_PRODUCT = """
    p.id, p.sku, p.name, p.brand, p.description, p.base_price_cents, c.slug AS category_slug, c.name AS category_name
"""
_ORDER = {
    Sort.POPULARITY: "popularity DESC, id",
    Sort.CHEAPEST: "base_price_cents, id",
    Sort.DEAREST: "base_price_cents DESC, id",
    Sort.NAME: "name, id",
}

# Whole words are looked up by their stems, the last word also as the beginning of a word in a name or brand.
# A popular product ranks up to twice as high as an unpopular one with the same words, and whole words above beginnings.
_SEARCH = f"""
    WITH asked AS (
        SELECT websearch_to_tsquery('english', %(whole)s) AS whole,
               websearch_to_tsquery('english', %(head)s) AS head,
               (quote_literal(%(prefix)s::text) || ':*')::tsquery AS beginning
    ), matches AS MATERIALIZED (
        SELECT id,
               (0.1 + ts_rank(search, whole) + ts_rank(search, head))
                 * (1 + ln(1 + popularity) / (1 + ln(1 + max(popularity) OVER ()))) AS score
        FROM products, asked
        WHERE search @@ whole
           OR (to_tsvector('simple', name || ' ' || brand) @@ beginning AND (numnode(head) = 0 OR search @@ head))
    ), best AS (
        SELECT id, score FROM matches ORDER BY score DESC, id LIMIT %(limit)s OFFSET %(offset)s
    )
    SELECT (SELECT count(*) FROM (SELECT 1 FROM matches LIMIT {MOST_COUNTED}) AS counted) AS total, {_PRODUCT}
    FROM (VALUES (1)) AS always
    LEFT JOIN best ON true
    LEFT JOIN products p ON p.id = best.id
    LEFT JOIN categories c ON c.id = p.category_id
    ORDER BY best.score DESC, best.id
"""


class Books:
    """Reads once more after a lost connection: the pool then leads to another member."""

    def __init__(self, replica: Database) -> None:
        self._replica = replica

    async def browse(self, category: str | None, sort: Sort, limit: int, offset: int) -> list[bytes]:
        """Products of a category, or of all (None)."""
        chosen = "" if category is None else "WHERE category_id = (SELECT id FROM categories WHERE slug = %(category)s)"
        query = f"""
            SELECT {_PRODUCT}
            FROM (SELECT * FROM products {chosen} ORDER BY {_ORDER[sort]} LIMIT %(limit)s OFFSET %(offset)s) AS p
            JOIN categories c ON c.id = p.category_id
            ORDER BY {", ".join(f"p.{column}" for column in _ORDER[sort].split(", "))}
        """
        rows = await self._rows(query, {"category": category, "limit": limit, "offset": offset})
        return [product_json(row) for row in rows]

    async def products(self, ids: Sequence[int]) -> dict[int, bytes]:
        """Those of the products that exist."""
        query = f"SELECT {_PRODUCT} FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = ANY(%(ids)s)"
        return {row["id"]: product_json(row) for row in await self._rows(query, {"ids": list(ids)})}

    async def search(self, text: SearchText, limit: int, offset: int) -> tuple[list[bytes], int]:
        """The best matches, and how many there are, counted to `MOST_COUNTED`."""
        asked = {"whole": text.whole, "head": text.head, "prefix": text.prefix, "limit": limit, "offset": offset}
        rows = await self._rows(_SEARCH, asked)
        return [product_json(row) for row in rows if row["id"] is not None], int(rows[0]["total"])

    async def categories(self) -> list[dict[str, Any]]:
        """Slug, name and number of products of each category, by name.

        Raises `StoreUnavailable` while there is no product: an empty shop is one whose seed is on its way, and an
        answer that says so must not be remembered.
        """
        categories = await self._rows(
            """
            SELECT c.slug, c.name, count(p.id)::int AS count
            FROM categories c LEFT JOIN products p ON p.category_id = c.id
            GROUP BY c.id ORDER BY c.name, c.id
            """,
            {},
        )
        if not any(category["count"] for category in categories):
            raise StoreUnavailable("the catalogue has no products yet")
        return categories

    async def _rows(self, query: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        try:
            return await self._once(query, parameters)
        except StoreUnavailable:
            return await self._once(query, parameters)

    async def _once(self, query: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        async with self._replica.connection(timeout_s=_PATIENCE_S) as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()

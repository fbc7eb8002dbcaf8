"""The catalogue's answers as JSON, each kept in the cache under a name of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from demo_shop.catalog.books import MOST_COUNTED, Books
from demo_shop.catalog.cache import Cache
from demo_shop.catalog.product import Sort, page_json, products_json, to_json
from demo_shop.catalog.search_text import SearchText


class UnknownCategory(Exception):
    """There is no category with that slug."""


class Shelves:
    """Every answer is the bytes of a JSON document. All raise `StoreUnavailable`."""

    def __init__(self, books: Books, cache: Cache) -> None:
        self._books, self._cache = books, cache

    async def categories(self) -> bytes:
        async def load() -> bytes:
            return to_json({"items": await self._books.categories()})

        answer = await self._cache.fetch("categories", load)
        assert answer is not None
        return answer

    async def browse(self, category: str | None, sort: Sort, page: int, page_size: int) -> bytes:
        """Raises `UnknownCategory`."""
        total = await self._total(category)
        offset = (page - 1) * page_size
        if offset >= total:
            return page_json((), total, page, page_size)

        async def load() -> bytes:
            products = await self._books.browse(category, sort, page_size, offset)
            return page_json(products, total, page, page_size)

        answer = await self._cache.fetch(f"browse:{category or '*'}:{sort}:{page}:{page_size}", load)
        assert answer is not None
        return answer

    async def search(self, text: SearchText, page: int, page_size: int) -> bytes:
        offset = (page - 1) * page_size
        if offset >= MOST_COUNTED:  # nobody pages that far; the total then is that of the first page
            return page_json((), await self._matches(text), page, page_size)

        async def load() -> bytes:
            products, total = await self._books.search(text, page_size, offset)
            return page_json(products, total, page, page_size)

        name = hashlib.blake2b(text.whole.encode(), digest_size=16).hexdigest()
        answer = await self._cache.fetch(f"search:{name}:{page}:{page_size}", load)
        assert answer is not None
        return answer

    async def product(self, product_id: int) -> bytes | None:
        async def load() -> bytes | None:
            return (await self._books.products([product_id])).get(product_id)

        return await self._cache.fetch(f"product:{product_id}", load)

    async def products(self, ids: Sequence[int]) -> bytes:
        """Those that exist, in the order asked for."""

        async def load(keys: Sequence[str]) -> Mapping[str, bytes]:
            products = await self._books.products([int(key.removeprefix("product:")) for key in keys])
            return {f"product:{product_id}": product for product_id, product in products.items()}

        found = await self._cache.fetch_many([f"product:{product_id}" for product_id in ids], load)
        return products_json(list(found.values()))

    async def _total(self, category: str | None) -> int:
        counts = {item["slug"]: item["count"] for item in json.loads(await self.categories())["items"]}
        if category is None:
            return sum(counts.values())
        if category not in counts:
            raise UnknownCategory(category)
        return int(counts[category])

    async def _matches(self, text: SearchText) -> int:
        return int(json.loads(await self.search(text, 1, 1))["total"])

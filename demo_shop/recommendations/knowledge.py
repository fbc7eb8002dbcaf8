"""What a process knows: kept in memory, renewed when the stored model changes, kept when the store is away."""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from demo_shop.frame.logs import Log
from demo_shop.frame.problems import StoreUnavailable
from demo_shop.recommendations.table import POPULARITY, NeighbourTable, Shelf

LOOK_EVERY_S: Final = 5.0
LOOK_AT_FIRST_EVERY_S: Final = 0.5  # while there is nothing to serve, or nothing learned


class Books(Protocol):
    """Where the model lies. Every method raises `StoreUnavailable`."""

    async def version(self) -> str | None: ...
    async def shelf(self) -> Shelf: ...
    async def table(self) -> NeighbourTable: ...


@dataclass(frozen=True, slots=True)
class Known:
    table: NeighbourTable
    shelf: Shelf


class Knowledge:
    """Holds the newest `Known` and follows the books."""

    def __init__(self, books: Books, log: Log) -> None:
        self._books, self._log = books, log
        self.known: Known | None = None

    async def follow(self) -> None:
        """Looks for a newer model for ever."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                self._log.info("model not looked up", why=str(error), serving=self._version())
            await asyncio.sleep(LOOK_AT_FIRST_EVERY_S if self._version() in (None, POPULARITY) else LOOK_EVERY_S)

    async def look(self) -> None:
        """Reads names and model anew when the version is another one. Raises `StoreUnavailable`."""
        stored = await self._books.version() or POPULARITY
        if self._version() == stored:
            return
        shelf = await self._books.shelf()
        if not shelf.best_sellers:
            return  # the catalogue is not seeded yet
        self.known = Known(await self._books.table(), shelf)
        self._log.info("model loaded", model=self._version(), products=len(self.known.table))

    async def why_not_ready(self) -> str | None:
        """Best sellers are enough to be ready; a learned model may come later."""
        return None if self.known is not None else "no product is known yet"

    def _version(self) -> str | None:
        return self.known.table.version if self.known is not None else None

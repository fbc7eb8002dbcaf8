"""The model and the products' names as the service reads them from PostgreSQL."""

from array import array
from collections.abc import AsyncIterator

from psycopg.rows import DictRow

from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database
from demo_shop.recommendations.table import NeighbourTable, Shelf

# Enough to fill the longest list when none of the first ones may be shown.
BEST_SELLERS = 100
_ROWS_AT_ONCE = 500  # some milliseconds of work between two turns of the event loop


class PostgresBooks:
    """Reads from the replica. Every method raises `StoreUnavailable`."""

    def __init__(self, replica: Database) -> None:
        self._replica = replica

    async def version(self) -> str | None:
        """Version of the model that is written now; None before the first one."""
        rows = await self._replica.rows("SELECT version FROM recommendation_model")
        return str(rows[0]["version"]) if rows else None

    async def shelf(self) -> Shelf:
        rows = await self._replica.rows(
            "SELECT id FROM products ORDER BY popularity DESC, id LIMIT %s", (BEST_SELLERS,)
        )
        names: dict[int, str] = {}
        async with self._replica.connection() as connection, connection.transaction():
            async for row in _in_pieces(connection, "SELECT id, name FROM products"):
                names[row["id"]] = row["name"]
        return Shelf(names, array("i", (row["id"] for row in rows)))

    async def table(self) -> NeighbourTable:
        """The neighbours with the version they belong to; empty, and named after popularity, before the first model."""
        async with self._replica.connection() as connection, connection.transaction():
            # Version and rows of one moment, whatever is written meanwhile.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor = await connection.execute("SELECT version FROM recommendation_model")
            written = await cursor.fetchone()
            if written is None:
                return NeighbourTable()
            table = NeighbourTable(written["version"])
            query = "SELECT product_id, neighbour_ids, scores, together FROM item_neighbours"
            async for row in _in_pieces(connection, query):
                table.add(row["product_id"], row["neighbour_ids"], row["scores"], row["together"])
            return table


async def _in_pieces(connection: Connection, query: str) -> AsyncIterator[DictRow]:
    """Rows of a query without ever holding all of them."""
    async with connection.cursor(name="pieces", binary=True) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        await cursor.execute(query)
        async for row in cursor:
            yield row

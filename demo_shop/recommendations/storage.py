"""The model in PostgreSQL, written by whoever learned it."""

import psycopg

from demo_shop.recommendations.model import Neighbours
from demo_shop.stores.copying import array_literal, copy_rows


def write_model(connection: psycopg.Connection, neighbours: Neighbours, baskets: int) -> None:
    """Puts the model in the place of the present one; services see its version change. Call it in a transaction."""
    connection.execute("DELETE FROM item_neighbours")
    copy_rows(
        connection,
        "item_neighbours",
        ("product_id", "neighbour_ids", "scores", "together"),
        (
            (
                row.product_id,
                array_literal(row.neighbour_ids),
                array_literal([f"{score:.4g}" for score in row.scores]),
                array_literal(row.together),
            )
            for row in neighbours.rows()
        ),
    )
    connection.execute(
        "INSERT INTO recommendation_model (id, version, baskets) VALUES (1, %s, %s)"
        " ON CONFLICT (id) DO UPDATE SET version = excluded.version, baskets = excluded.baskets, learned_at = now()",
        (neighbours.version, baskets),
    )

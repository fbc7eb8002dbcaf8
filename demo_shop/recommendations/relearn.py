"""Learns the model anew from the books: `python -m demo_shop.recommendations.relearn`, say every night.

It takes the seeded past and all confirmed orders since, without those of the synthetic probe. Running services load the
new model within seconds. Reads the environment as the services do (SHOP_DATABASE_HOSTS and so on).
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import psycopg

from demo_shop.recommendations.baskets import Baskets, baskets_of
from demo_shop.recommendations.model import Ints, Neighbours, Traits, learn
from demo_shop.recommendations.storage import write_model
from demo_shop.settings import SettingInvalid, database_from_environment
from demo_shop.stores.migrate import connect

_BASKETS = """
    SELECT product_ids FROM (
        SELECT 0 AS era, basket_id AS place, NULL::timestamptz AS at, product_ids FROM order_history
        UNION ALL
        SELECT 1, 0, created_at, array_agg(product_id ORDER BY product_id)
        FROM orders JOIN order_lines ON order_id = id
        WHERE state = 'confirmed' AND NOT synthetic
        GROUP BY id
    ) AS baskets
    ORDER BY era, place, at
"""


def relearn(connection: psycopg.Connection) -> tuple[str, int]:
    """Version of the model written and the number of baskets it was learned from.

    Raises ValueError when a basket names a product that is not in the catalogue.
    """
    with connection.transaction():
        # Readers go on meanwhile; a second one who learns waits and then learns from newer books.
        connection.execute("LOCK TABLE recommendation_model IN SHARE ROW EXCLUSIVE MODE")
        rows = connection.execute(
            "SELECT id, category_id, dense_rank() OVER (ORDER BY brand) - 1 FROM products ORDER BY id"
        ).fetchall()
        baskets = baskets_of([row[0] for row in connection.execute(_BASKETS)])
        neighbours = _learn(baskets, np.array(rows, dtype=np.int64).reshape(-1, 3))
        write_model(connection, neighbours, len(baskets))
    return neighbours.version, len(baskets)


def _learn(baskets: Baskets, products: Ints) -> Neighbours:
    """The model of products whose numbers may have gaps: inside, they count without."""
    ids = products[:, 0]
    gone = np.setdiff1d(baskets.product_ids, ids)
    if len(gone):
        raise ValueError(f"order_history names product {gone[0]}, which the catalogue does not have: remove it there")
    category = np.unique(products[:, 1], return_inverse=True)[1]
    places = Baskets(baskets.starts, np.searchsorted(ids, baskets.product_ids) + 1)
    found = learn(places, Traits(category, products[:, 2]))
    return Neighbours(ids[found.product_id - 1], ids[found.neighbour_id - 1], found.score, found.together)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo_shop.recommendations.relearn", description=__doc__)
    parser.add_argument("--wait-s", type=float, default=10.0, help="how long to wait for a primary, in seconds")
    options = parser.parse_args(arguments)
    try:
        with connect(database_from_environment(), options.wait_s) as connection:
            version, baskets = relearn(connection)
    except (SettingInvalid, ValueError, psycopg.Error) as error:
        sys.stderr.write(f"relearn: failed: {error}\n")
        return 1
    sys.stdout.write(f"model {version} learned from {baskets} baskets\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

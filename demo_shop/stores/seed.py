"""Fills empty stores: catalogue and stock first, so that pages can be served, then the past and the model."""

import numpy as np
import psycopg
from psycopg import sql

from demo_shop.recommendations.model import Traits, learn
from demo_shop.recommendations.storage import write_model
from demo_shop.stores.copying import array_literal, copy_rows
from demo_shop.stores.seeding.shop import DEFAULT_PRODUCTS, DEFAULT_RANDOM_SEED, DrawnShop, draw_shop

DELIVERY_KEY = "seed"
# Two launchers that seed at once: the second waits here and then finds the work done.
_LOCK = 5_307_002


def seed(
    connection: psycopg.Connection, products: int = DEFAULT_PRODUCTS, random_seed: int = DEFAULT_RANDOM_SEED
) -> None:
    """A shop with catalogue, stock, past and model. What is there already, of whatever size, is kept."""
    drawn = seed_catalogue(connection, products, random_seed)
    seed_history_and_model(connection, drawn)


def seed_catalogue(
    connection: psycopg.Connection,
    products: int = DEFAULT_PRODUCTS,
    random_seed: int = DEFAULT_RANDOM_SEED,
    drawn: DrawnShop | None = None,
) -> DrawnShop | None:
    """Categories, products and their stock, committed; the shop can open. Returns what was written, None if nothing.

    `drawn` spares the drawing when the caller did it before, say while PostgreSQL was starting.
    """
    with connection.transaction():
        _lock(connection)
        if _exists(connection, "products"):
            return None
        shop = drawn or draw_shop(products, random_seed)
        _write_catalogue(connection, shop)
        _write_stock(connection, shop)
        connection.execute(
            "INSERT INTO seeding (id, products, random_seed) VALUES (1, %s, %s)",
            (len(shop.products), shop.random_seed),
        )
    return shop


def seed_history_and_model(connection: psycopg.Connection, drawn: DrawnShop | None = None) -> None:
    """The order history of the seeded catalogue and the model learned from it, committed together.

    Does nothing when a model is there, or when the catalogue did not come from the seed: its past is not known then.
    """
    with connection.transaction():
        _lock(connection)
        row = connection.execute("SELECT products, random_seed FROM seeding").fetchone()
        if row is None or _exists(connection, "recommendation_model"):
            return
        products, random_seed = int(row[0]), int(row[1])
        if drawn is None or (len(drawn.products), drawn.random_seed) != (products, random_seed):
            drawn = draw_shop(products, random_seed)
        _write_history(connection, drawn)
        write_model(connection, learn(drawn.history.baskets, traits_of(drawn)), len(drawn.history.baskets))
    # The planner knows nothing of tables that were filled a moment ago.
    connection.execute("ANALYZE categories, products, stock, stock_movements, order_history, item_neighbours")


def traits_of(shop: DrawnShop) -> Traits:
    """Category and brand of each product, for the model."""
    kinds = shop.assortment.kinds
    brands = {brand: number for number, brand in enumerate(sorted({product.maker for product in shop.products}))}
    return Traits(
        category=np.array([kinds[product.kind].category for product in shop.products]),
        brand=np.array([brands[product.maker] for product in shop.products]),
    )


def _write_catalogue(connection: psycopg.Connection, shop: DrawnShop) -> None:
    categories = shop.assortment.categories
    kinds = shop.assortment.kinds
    copy_rows(
        connection,
        "categories",
        ("id", "slug", "name"),
        ((number, category.slug, category.name) for number, category in enumerate(categories, start=1)),
    )
    copy_rows(
        connection,
        "products",
        ("id", "sku", "name", "brand", "description", "category_id", "base_price_cents", "popularity"),
        (
            (
                number,
                shop.skus[number - 1],
                product.name,
                product.maker,
                product.description,
                kinds[product.kind].category + 1,
                product.price_cents,
                int(shop.popularity[number - 1]),
            )
            for number, product in enumerate(shop.products, start=1)
        ),
    )


def _write_stock(connection: psycopg.Connection, shop: DrawnShop) -> None:
    stock = [(number, int(quantity)) for number, quantity in enumerate(shop.stock, start=1)]
    copy_rows(connection, "stock", ("product_id", "on_hand"), stock)
    copy_rows(
        connection,
        "stock_movements",
        ("key", "product_id", "quantity"),
        ((DELIVERY_KEY, number, quantity) for number, quantity in stock),
    )


def _write_history(connection: psycopg.Connection, shop: DrawnShop) -> None:
    baskets = shop.history.baskets
    starts, products = baskets.starts.tolist(), baskets.product_ids.tolist()
    days = {int(day): str(shop.history.date_of(int(day))) for day in np.unique(shop.history.day)}
    copy_rows(
        connection,
        "order_history",
        ("basket_id", "customer_id", "placed_on", "product_ids"),
        (
            (basket + 1, customer, days[day], array_literal(products[starts[basket] : starts[basket + 1]]))
            for basket, (customer, day) in enumerate(
                zip(shop.history.customer.tolist(), shop.history.day.tolist(), strict=True)
            )
        ),
    )


def _exists(connection: psycopg.Connection, table: str) -> bool:
    found = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))).fetchone()
    return found is not None and bool(found[0])


def _lock(connection: psycopg.Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))

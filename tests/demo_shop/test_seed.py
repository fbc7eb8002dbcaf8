"""The seeded shop: plausible, the same for the same seed, and written once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest

from demo_shop.settings import DatabaseSettings
from demo_shop.stores.migrate import migrate, packaged_migrations
from demo_shop.stores.seed import seed, seed_catalogue, seed_history_and_model
from demo_shop.stores.seeding.assortment import read_assortment, read_tastes
from demo_shop.stores.seeding.history import DAYS, FIRST_DAY
from demo_shop.stores.seeding.shop import DrawnShop, draw_shop


@pytest.fixture(scope="module")
def drawn() -> DrawnShop:
    return draw_shop()


def test_ten_thousand_products_can_be_told_apart(drawn: DrawnShop) -> None:
    assert len(drawn.products) == len(set(drawn.skus)) == 10_000
    assert len({(product.maker, product.name) for product in drawn.products}) == 10_000


def test_prices_end_as_in_a_shop_and_differ_by_kind(drawn: DrawnShop) -> None:
    assert {product.price_cents % 100 for product in drawn.products} <= {49, 99, 95, 0}
    assert all(product.price_cents >= 99 for product in drawn.products)

    def typical(noun: str) -> float:
        return float(np.median([product.price_cents for product in drawn.products if noun in product.name]))

    assert typical("Memory Card") < typical("Tripod") < typical("Camera,")


def test_texts_hold_the_words_that_people_search_for(drawn: DrawnShop) -> None:
    texts = [f"{product.name} {product.description}".lower() for product in drawn.products]
    for words in ("waterproof jacket", "usb-c", "espresso", "sleeping bag", "cast-iron pan", "merino", "printer paper"):
        found = sum(all(word in text for word in words.split()) for text in texts)
        assert found >= 10, words
    assert all(2 <= product.description.count(". ") + 1 <= 6 for product in drawn.products)


def test_coffee_has_no_guarantee_and_no_colour(drawn: DrawnShop) -> None:
    beans = [product for product in drawn.products if "Coffee Beans" in product.name]
    assert beans and not any("guarantee" in product.description for product in beans)


def test_popularity_is_the_number_of_baskets_with_the_product(drawn: DrawnShop) -> None:
    orders = np.bincount(drawn.history.baskets.product_ids, minlength=10_001)[1:]
    assert (drawn.popularity == orders).all()
    assert (np.diff(drawn.popularity[:20]) <= 0).all()
    assert drawn.popularity[:20].min() >= drawn.popularity[20:].max()


def test_few_products_sell_much_and_many_sell_little(drawn: DrawnShop) -> None:
    falling = np.sort(drawn.popularity)[::-1]
    # All alike, the best tenth would have 10 % of the sales; here it has several times that.
    assert 0.3 < falling[:1000].sum() / falling.sum() < 0.7


def test_probes_do_not_run_out_and_some_products_are_scarce(drawn: DrawnShop) -> None:
    assert (drawn.stock[:20] == 1_000_000).all()
    others = drawn.stock[20:]
    assert 0.005 < (others == 0).mean() < 0.015
    assert 0.02 < ((others > 0) & (others <= 40)).mean() < 0.04
    assert others[others > 40].min() >= 2_000


def test_no_basket_and_no_customer_dominates_the_history(drawn: DrawnShop) -> None:
    baskets = drawn.history.baskets
    assert len(baskets) == len(drawn.history.customer) == 60_000
    assert baskets.sizes.min() >= 1 and baskets.sizes.max() <= 8
    assert 2.0 < baskets.sizes.mean() < 3.0
    assert np.bincount(drawn.history.customer).max() < 0.005 * len(baskets)


def test_a_basket_holds_a_product_once_and_comes_in_order_of_time(drawn: DrawnShop) -> None:
    baskets = drawn.history.baskets
    same_basket = np.diff(baskets.basket_of_line) == 0
    assert (np.diff(baskets.product_ids)[same_basket] > 0).all()
    assert (np.diff(drawn.history.day) >= 0).all()
    assert drawn.history.day.max() < DAYS
    assert drawn.history.date_of(0) == FIRST_DAY


def test_charcoal_is_bought_in_summer_and_ski_gloves_in_winter(drawn: DrawnShop) -> None:
    charcoal, gloves = _sales_by_month(drawn, "charcoal"), _sales_by_month(drawn, "ski-gloves")
    assert charcoal[7] > 3 * charcoal[1]
    assert gloves[1] > 3 * gloves[7]


def test_printers_are_bought_with_ink(drawn: DrawnShop) -> None:
    with_printer = _baskets_with(drawn, "printer")
    with_ink = _baskets_with(drawn, "ink-cartridges")
    expected_by_chance = len(with_printer) * len(with_ink) / 60_000
    assert len(with_printer & with_ink) > 5 * expected_by_chance


def test_the_same_seed_draws_the_same_shop() -> None:
    first, second, other = draw_shop(300, 7), draw_shop(300, 7), draw_shop(300, 8)

    assert first.products == second.products
    assert (first.history.baskets.product_ids == second.history.baskets.product_ids).all()
    assert (first.stock == second.stock).all()
    assert first.products != other.products


@pytest.mark.parametrize("products", [1, 30, 12_345])
def test_a_shop_of_any_size_can_be_drawn(products: int) -> None:
    shop = draw_shop(products)
    assert len({(product.maker, product.name) for product in shop.products}) == products
    assert shop.history.baskets.product_ids.max() <= products


@pytest.mark.parametrize(
    ("products", "random_seed", "told"),
    [(0, 1, "products is 0"), (10, -1, "random_seed is -1"), (10, 2**31, "random_seed is 2147483648")],
)
def test_a_shop_that_cannot_be_is_refused(products: int, random_seed: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        draw_shop(products, random_seed)


def test_tastes_speak_of_kinds_that_are_sold() -> None:
    kinds = {kind.slug for kind in read_assortment().kinds}
    tastes = read_tastes()

    named = {kind for occasion in tastes.occasions for kind in occasion.kinds}
    companions = {kind for added in tastes.companions.values() for kind in added}

    assert named | companions == kinds  # every kind is bought by somebody, and nothing unknown is
    assert set(tastes.companions) <= kinds


def test_nothing_that_is_copied_needs_escaping(drawn: DrawnShop) -> None:
    for product in drawn.products:
        assert not set("\t\n\r\\") & set(product.name + product.maker + product.description)


def _kinds_of_lines(drawn: DrawnShop) -> np.ndarray[Any, np.dtype[np.str_]]:
    slugs = np.array([drawn.assortment.kinds[product.kind].slug for product in drawn.products])
    return slugs[drawn.history.baskets.product_ids - 1]


def _baskets_with(drawn: DrawnShop, kind: str) -> set[int]:
    return set(drawn.history.baskets.basket_of_line[_kinds_of_lines(drawn) == kind].tolist())


def _sales_by_month(drawn: DrawnShop, kind: str) -> Counter[int]:
    day = drawn.history.day[drawn.history.baskets.basket_of_line][_kinds_of_lines(drawn) == kind]
    return Counter(drawn.history.date_of(int(number)).month for number in day)


@pytest.fixture(scope="module")
def unseeded(stores: dict[str, Any]) -> Iterator[DatabaseSettings]:
    """A database with the schema and not one product, gone after the tests."""
    database = stores["database"]
    hosts = tuple((host, int(port)) for host, _, port in (at.rpartition(":") for at in database["hosts"].split(",")))
    everything = DatabaseSettings(hosts, "postgres", "postgres", database["superuser_password"])
    with connected(everything) as connection:
        connection.execute("DROP DATABASE IF EXISTS shop_to_seed WITH (FORCE)")
        connection.execute("CREATE DATABASE shop_to_seed")
    own = replace(everything, name="shop_to_seed")
    with connected(own) as connection:
        migrate(connection, packaged_migrations())
    yield own
    with connected(everything) as connection:
        connection.execute("DROP DATABASE shop_to_seed WITH (FORCE)")


@pytest.fixture
def empty(unseeded: DatabaseSettings) -> Iterator[psycopg.Connection]:
    with connected(unseeded) as connection:
        yield connection
        connection.execute("TRUNCATE categories, seeding, order_history, recommendation_model CASCADE")


def connected(settings: DatabaseSettings) -> psycopg.Connection:
    return psycopg.connect(**settings.conninfo("read-write"), autocommit=True)  # type: ignore[arg-type]


def number_of(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.xdist_group("shop-stores")
def test_the_books_of_a_seeded_shop_add_up(empty: psycopg.Connection) -> None:
    seed(empty, products=300)

    assert number_of(empty, "SELECT count(*) FROM products") == 300
    assert number_of(empty, "SELECT count(*) FROM order_history") == 1_800
    delivered = "stock FULL JOIN stock_movements USING (product_id)"
    assert number_of(empty, f"SELECT count(*) FROM {delivered} WHERE on_hand IS DISTINCT FROM quantity") == 0
    assert number_of(empty, "SELECT count(*) FROM stock_movements WHERE key = 'seed'") == 300
    sales = "(SELECT product, count(*) AS n FROM order_history, unnest(product_ids) AS product GROUP BY 1) AS sold"
    astray = f"SELECT count(*) FROM products LEFT JOIN {sales} ON product = id WHERE popularity <> coalesce(n, 0)"
    assert number_of(empty, astray) == 0
    assert number_of(empty, "SELECT baskets FROM recommendation_model") == 1_800
    assert number_of(empty, "SELECT min(cardinality(neighbour_ids)) FROM item_neighbours") == 24


@pytest.mark.xdist_group("shop-stores")
def test_words_of_names_and_descriptions_are_found(empty: psycopg.Connection) -> None:
    seed_catalogue(empty, products=600)

    # Stemmed: "jackets" finds jacket.
    found = "SELECT count(*) FROM products WHERE search @@ websearch_to_tsquery('english', 'jackets')"
    assert number_of(empty, found) > 0


@pytest.mark.xdist_group("shop-stores")
def test_what_is_seeded_already_is_kept(empty: psycopg.Connection) -> None:
    seed(empty, products=100)
    learned = empty.execute("SELECT version, learned_at FROM recommendation_model").fetchone()

    seed(empty, products=200)

    assert number_of(empty, "SELECT count(*) FROM products") == 100
    assert empty.execute("SELECT version, learned_at FROM recommendation_model").fetchone() == learned


@pytest.mark.xdist_group("shop-stores")
def test_the_history_follows_the_catalogue_after_an_interruption(empty: psycopg.Connection) -> None:
    seed_catalogue(empty, products=100, random_seed=3)
    assert number_of(empty, "SELECT count(*) FROM order_history") == 0

    seed(empty, products=500, random_seed=4)

    assert number_of(empty, "SELECT sum(popularity) FROM products") == number_of(
        empty, "SELECT sum(cardinality(product_ids)) FROM order_history"
    )


@pytest.mark.xdist_group("shop-stores")
def test_products_that_somebody_else_wrote_get_no_invented_past(empty: psycopg.Connection) -> None:
    empty.execute("INSERT INTO categories VALUES (1, 'things', 'Things')")
    empty.execute(
        "INSERT INTO products (id, sku, name, brand, description, category_id, base_price_cents)"
        " VALUES (1, 'THI-1', 'Thing', 'Brand', '', 1, 100)"
    )

    assert seed_catalogue(empty, products=100) is None
    seed_history_and_model(empty)

    assert number_of(empty, "SELECT count(*) FROM products") == 1
    assert number_of(empty, "SELECT count(*) FROM order_history") == 0

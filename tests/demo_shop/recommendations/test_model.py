import numpy as np
import pytest

from demo_shop.recommendations.baskets import Baskets, baskets_of
from demo_shop.recommendations.model import Learning, Neighbours, Row, Traits, learn


def traits(*category_and_brand: tuple[int, int]) -> Traits:
    return Traits(np.array([c for c, _ in category_and_brand]), np.array([b for _, b in category_and_brand]))


def rows(neighbours: Neighbours) -> dict[int, Row]:
    return {row.product_id: row for row in neighbours.rows()}


COUNTS = Learning(expectation_orders=0.0)
ALIKE = traits((0, 0), (0, 0), (0, 0), (0, 0))


def test_counted_alone_the_score_is_the_share_of_baskets_that_held_both() -> None:
    baskets = baskets_of([[1, 2], [1, 2], [1, 3], [1]])

    found = rows(learn(baskets, ALIKE, COUNTS))

    # Product 1 was in four baskets: in two of them with 2, in one with 3.
    assert found[1] == Row(1, [2, 3], [0.5, 0.25], [2, 1])
    assert found[2] == Row(2, [1], [1.0], [2])
    assert 4 not in found


def test_pairs_of_a_long_basket_are_all_counted() -> None:
    found = rows(learn(baskets_of([[1, 2, 3, 4]]), ALIKE, COUNTS))

    assert found[1] == Row(1, [2, 3, 4], [1.0, 1.0, 1.0], [1, 1, 1])
    assert found[4].neighbour_ids == [1, 2, 3]


def test_expectation_and_counts_are_mixed_as_a_posterior_mean() -> None:
    # Two categories of two products, one brand; 1 and 2 are of the first, 3 and 4 of the second.
    baskets = baskets_of([[1, 3], [1, 3], [2, 4], [1]])

    found = rows(learn(baskets, traits((0, 0), (0, 0), (1, 0), (1, 0)), Learning(expectation_orders=2.0)))

    # Orders: 3, 1, 2, 1. Pairs from the first category to the second: 3; possible: 4 orders × 3 orders = 12; rate 0.25.
    # One brand only, so its lift is 1. Expected(1, 3) = 2 × 0.25 = 0.5 and expected(1, 4) = 1 × 0.25.
    # Score(1, 3) = (2 + 2 × 0.5) / (3 + 2) = 0.6; score(1, 4) = (0 + 2 × 0.25) / 5 = 0.1.
    assert found[1].neighbour_ids == [3, 4]
    assert found[1].scores == pytest.approx([0.6, 0.1])
    assert found[1].together == [2, 0]


def test_a_brand_that_is_bought_together_lifts_its_products() -> None:
    # 1 and 2 are of brand 0, 3 and 4 of brand 1; in the middle of each pair of categories the brand decides.
    baskets = baskets_of([[1, 2], [1, 2], [1, 2], [3, 4], [3, 4], [3, 4], [1, 4]])

    found = rows(learn(baskets, traits((0, 0), (1, 0), (0, 1), (1, 1)), Learning(expectation_orders=10.0)))

    assert found[1].neighbour_ids[0] == 2
    assert found[3].neighbour_ids[0] == 4


def test_products_nobody_bought_borrow_from_their_category() -> None:
    # 3 was never sold; its category 0 goes with category 1.
    found = rows(learn(baskets_of([[1, 2], [1, 2]]), traits((0, 0), (1, 0), (0, 0), (0, 0))))

    assert found[3].neighbour_ids == [2]
    assert found[3].together == [0]


def test_a_planted_companion_is_found_under_noise() -> None:
    rng = np.random.default_rng(5)
    noise = [sorted(rng.choice(np.arange(1, 201), 3, replace=False).tolist()) for _ in range(2_000)]
    planted = [[17, 42]] * 60

    found = rows(learn(baskets_of(noise + planted), Traits(rng.integers(0, 5, 200), rng.integers(0, 3, 200))))

    assert found[17].neighbour_ids[0] == 42
    assert found[42].neighbour_ids[0] == 17


def test_no_product_is_its_own_neighbour_and_no_more_than_wanted_are_kept() -> None:
    rng = np.random.default_rng(6)
    baskets = baskets_of([sorted(rng.choice(np.arange(1, 101), 4, replace=False).tolist()) for _ in range(500)])

    for row in learn(baskets, Traits(np.arange(100) % 4, np.arange(100) % 3), Learning(neighbours=7)).rows():
        assert row.product_id not in row.neighbour_ids
        assert len(row.neighbour_ids) == len(set(row.neighbour_ids)) == 7
        assert row.scores == sorted(row.scores, reverse=True)


def test_the_version_tells_models_apart() -> None:
    first = learn(baskets_of([[1, 2]]), ALIKE, COUNTS)
    again = learn(baskets_of([[1, 2]]), ALIKE, COUNTS)
    other = learn(baskets_of([[1, 3]]), ALIKE, COUNTS)

    assert first.version == again.version != other.version


@pytest.mark.parametrize("baskets", [baskets_of([]), baskets_of([[1], [2]])])
def test_without_pairs_nothing_is_learned(baskets: Baskets) -> None:
    assert list(learn(baskets, ALIKE).rows()) == []


def test_a_basket_with_an_unknown_product_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 1 to 4"):
        learn(baskets_of([[1, 5]]), ALIKE)


def test_baskets_split_by_time_share_nothing() -> None:
    baskets = baskets_of([[1, 2], [3], [1, 4]])

    assert [baskets.between(0, 2).of(0), baskets.between(0, 2).of(1)] == [[1, 2], [3]]
    assert baskets.between(2, 3).of(0) == [1, 4]

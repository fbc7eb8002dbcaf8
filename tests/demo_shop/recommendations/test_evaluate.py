import math

import numpy as np
import pytest

from demo_shop.recommendations.baskets import baskets_of
from demo_shop.recommendations.evaluate import Question, choose, compare, main, questions_of, ranks_of, report
from demo_shop.recommendations.model import Learning, Neighbours
from demo_shop.recommendations.rivals import as_cosine, by_popularity_in_category
from demo_shop.stores.seed import traits_of
from demo_shop.stores.seeding.shop import draw_shop


def test_each_basket_of_two_or_more_asks_for_one_of_its_products() -> None:
    questions = questions_of(baskets_of([[1, 2, 3], [4], [5, 6]]), np.random.default_rng(1))

    assert [sorted([*question.given, question.hidden]) for question in questions] == [[1, 2, 3], [5, 6]]


def test_ranks_count_from_one_and_a_miss_has_none() -> None:
    questions = [Question((1,), 8), Question((1,), 9), Question((1,), 5)]

    assert ranks_of(lambda given: [9, 8], questions).tolist() == [2.0, 1.0, math.inf]


def test_figures_of_a_hit_in_second_place_and_a_miss() -> None:
    figures = report(np.array([2.0, math.inf]), np.random.default_rng(1))

    assert figures.hit_rate.mean == 0.5  # one of two
    assert figures.mrr.mean == 0.25  # (1/2 + 0) / 2
    assert figures.ndcg.mean == pytest.approx(0.5 / math.log2(3.0))
    assert (figures.hit_rate.low, figures.hit_rate.high) == (0.0, 1.0)


def test_the_rival_recommends_best_sellers_of_the_given_category() -> None:
    # Products 1, 2, 4 are of category 0, product 3 of category 1.
    rival = by_popularity_in_category(np.array([5, 9, 7, 6]), np.array([0, 0, 1, 0]))

    assert rival([2]) == [4, 1]
    assert rival([3]) == []


def test_cosine_divides_by_both_products_orders() -> None:
    counted = Neighbours(np.array([1, 1]), np.array([2, 3]), np.array([0.0, 0.0]), np.array([2, 3]))

    cosine = as_cosine(counted, np.array([4, 1, 16]), keep=2)

    # 2 / √(4 · 1) = 1 and 3 / √(4 · 16) = 0.375
    assert cosine.neighbour_id.tolist() == [2, 3]
    assert cosine.score.tolist() == [1.0, 0.375]


def test_the_model_beats_popularity_on_baskets_it_never_saw() -> None:
    shop = draw_shop(products=1_500, random_seed=11)
    compared = compare(shop.history.baskets, traits_of(shop), Learning(), np.random.default_rng(11))

    model = compared.reports["model"]
    assert compared.questions > 400
    assert model.hit_rate.low > compared.reports["popularity"].hit_rate.high
    assert model.ndcg.mean > compared.reports["popularity in category"].ndcg.mean
    assert compared.advantage.low > 0.0


def test_the_choice_does_not_look_at_the_test_baskets() -> None:
    shop = draw_shop(products=150, random_seed=12)
    baskets, traits = shop.history.baskets, traits_of(shop)
    before_test = round(len(baskets) * 0.9)
    # The same past, and another newest tenth: every basket of it holds products 1 and 2.
    changed = baskets_of(
        [baskets.of(number) if number < before_test else [1, 2] for number in range(len(baskets))],
    )

    first = choose(baskets, traits, np.random.default_rng(1))
    second = choose(changed, traits, np.random.default_rng(1))

    assert first == second


def test_the_command_prints_all_rivals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--products", "120"]) == 0

    printed = capsys.readouterr().out
    for name in ("chosen", "model", "cosine", "popularity in category", "popularity"):
        assert name in printed


def test_the_command_refuses_a_shop_too_small_to_judge(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--products", "10"])
    assert "at least 100" in capsys.readouterr().err

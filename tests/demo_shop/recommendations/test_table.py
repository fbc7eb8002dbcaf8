from array import array

from demo_shop.recommendations.table import NeighbourTable, Recommendation, Shelf, recommend

SHELF = Shelf({1: "Tarn Tent", 2: "Birk Stove"}, array("i", [7, 1, 30, 8]))


def table() -> NeighbourTable:
    """Scores are sums of powers of two, which single precision holds exactly."""
    filled = NeighbourTable("v1")
    filled.add(1, [30, 31], [0.5, 0.25], [4, 0])
    filled.add(2, [31, 1], [0.5, 0.25], [2, 1])
    return filled


def test_scores_of_all_given_products_add_up() -> None:
    assert recommend(table(), SHELF, [1, 2], 2) == [
        Recommendation(31, 0.75, "bought together with Birk Stove"),
        Recommendation(30, 0.5, "bought together with Tarn Tent"),
    ]


def test_the_reason_does_not_claim_a_purchase_that_never_was() -> None:
    assert recommend(table(), SHELF, [1], 2)[1] == Recommendation(31, 0.25, "goes with Tarn Tent")


def test_given_products_are_not_recommended() -> None:
    assert 1 not in [item.product_id for item in recommend(table(), SHELF, [2, 1], 8)]


def test_a_product_given_twice_counts_once() -> None:
    assert recommend(table(), SHELF, [1, 1], 1) == [Recommendation(30, 0.5, "bought together with Tarn Tent")]


def test_best_sellers_fill_the_list_without_repeating_it() -> None:
    shown = recommend(table(), SHELF, [1], 8)

    # 30 and 31 are neighbours; of the best sellers 1 is given and 30 is shown already.
    assert [(item.product_id, item.because) for item in shown[2:]] == [(7, "popular"), (8, "popular")]


def test_unknown_products_get_best_sellers() -> None:
    assert [item.product_id for item in recommend(table(), SHELF, [999], 3)] == [7, 1, 30]


def test_a_product_without_a_name_is_called_by_its_number() -> None:
    nameless = Shelf({}, array("i"))
    assert recommend(table(), nameless, [1], 1)[0].because == "bought together with product 1"


def test_counts_beyond_the_column_are_cut_and_not_refused() -> None:
    filled = NeighbourTable("v1")
    filled.add(1, [2], [0.5], [70_000])
    assert filled.of(1) == [(2, 0.5, 65_535)]

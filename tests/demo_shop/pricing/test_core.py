"""One price, worked out by hand, and what holds for every price."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_shop.pricing.core import PriceInputs, PriceQuote, guard_rails, price
from demo_shop.pricing.reasons import Factor
from demo_shop.pricing.settings import PriceSettings

SETTINGS = PriceSettings()
AT_ONCE = PriceSettings(most_change=1.0)  # without a pace, to see where a price is going


def inputs(
    base_cents: int = 2000,
    anchor_cents: int | None = None,
    units: float | None = 0.0,
    usual_units: float = 0.0,
    available: int | None = 100,
    usual_available: float | None = 100.0,
) -> PriceInputs:
    anchor = base_cents if anchor_cents is None else anchor_cents
    return PriceInputs(base_cents, anchor, units, usual_units, available, usual_available)


def effects(quote: PriceQuote) -> dict[Factor, int]:
    return {effect.factor: effect.effect_cents for effect in quote.explanation}


def test_usual_demand_and_usual_stock_leave_the_base_price() -> None:
    assert price(inputs(units=7.0, usual_units=7.0), SETTINGS) == PriceQuote(2000, ())


def test_a_price_without_a_customary_ending_stays_when_nothing_moves_it() -> None:
    assert price(inputs(base_cents=1234), SETTINGS).price_cents == 1234


def test_few_left_raise_the_price_and_say_so() -> None:
    # 3 of the 10 that are enough: 6 % × (1 − 3/10) = 4.2 %, of 20.00 that is 0.84: 20.84, the nearest ending is 20.79.
    quote = price(inputs(available=3), AT_ONCE)

    assert quote.price_cents == 2079
    assert effects(quote) == {Factor.STOCK: 84, Factor.ROUNDING: -5}
    assert quote.explanation[0].because == "Only 3 left: +4 %"


def test_what_lies_too_long_gets_cheaper() -> None:
    # 6,400 where 100 are usual: plenty is 1,600, that is two doublings of the three for the full 5 %: 3.33 %, 0.67.
    quote = price(inputs(available=6400), AT_ONCE)

    assert effects(quote)[Factor.STOCK] == -67
    assert quote.explanation[0].because == "Plenty in stock (6400): −3 %"


def test_a_doubling_of_demand_raises_the_price_by_five_percent() -> None:
    # 42 are 34 more than usual; 6 of them are chance (two standard deviations, √(8 + 1) each). The other 28 are as many
    # again as 8 + 20. With 10,000 in stock nothing is short.
    quote = price(inputs(units=42.0, usual_units=8.0, available=10_000, usual_available=10_000.0), AT_ONCE)

    assert effects(quote) == {Factor.DEMAND: 100, Factor.ROUNDING: -1}
    assert quote.explanation[0].because == "Selling faster than usual (about 42 of late, about 8 as a rule): +5 %"


def test_slow_sales_lower_the_price() -> None:
    # 48 fewer than usual, 14 of them by chance (twice √(48 + 1)): 34 fewer are half of 48 + 20.
    quote = price(inputs(units=0.0, usual_units=48.0, available=10_000, usual_available=10_000.0), AT_ONCE)

    assert effects(quote)[Factor.DEMAND] == -100


def test_an_order_of_a_rare_product_changes_nothing() -> None:
    assert price(inputs(units=1.0, usual_units=0.01), SETTINGS).price_cents == 2000


def test_no_surge_passes_the_upper_rail() -> None:
    # Demand +16 %, sold out +6 %: 24.40, but never more than 24.00, whose nearest ending below is 23.99.
    quote = price(inputs(units=1e6, available=0), AT_ONCE)

    assert quote.price_cents == 2399
    assert effects(quote) == {Factor.DEMAND: 320, Factor.STOCK: 120, Factor.RAILS: -40, Factor.ROUNDING: -1}
    assert quote.explanation[2].because == "Never more than 20 % above the base price: −2 %"


def test_no_slump_passes_the_lower_rail() -> None:
    # Demand −12 %, stock −5 %: 16.60, but never less than 17.00; the nearest ending from there on is 17.09.
    quote = price(inputs(units=0.0, usual_units=1e6, available=10**9, usual_available=1.0), AT_ONCE)

    assert effects(quote)[Factor.RAILS] == 40
    assert quote.price_cents == 1709


def test_a_price_moves_by_three_percent_in_one_step() -> None:
    # 3 % of 20.00 is 0.60: at most 20.60, the nearest ending within is 20.59.
    quote = price(inputs(units=1e6, available=10**9, usual_available=None), SETTINGS)

    assert quote.price_cents == 2059
    assert effects(quote) == {Factor.DEMAND: 320, Factor.PACE: -260, Factor.ROUNDING: -1}


def test_a_price_arrives_after_some_steps_and_stays() -> None:
    anchor_cents, path = 2000, []
    for _ in range(8):
        anchor_cents = price(inputs(anchor_cents=anchor_cents, available=0), SETTINGS).price_cents
        path.append(anchor_cents)

    # Sold out: +6 %, 21.20; 20.59 is as far as one step goes. The ending 21.19 is nearest.
    assert path == [2059, 2119, 2119, 2119, 2119, 2119, 2119, 2119]


def test_small_changes_are_left_out() -> None:
    # 3.1, of which 2 are chance: 5 % × log2(1 + 1.1 / 20) = 0.386 %, less than 0.75 %.
    quote = price(inputs(units=3.1, usual_units=0.0, available=10_000, usual_available=10_000.0), SETTINGS)

    assert quote.price_cents == 2000
    assert effects(quote) == {Factor.DEMAND: 8, Factor.PACE: -8}


def test_what_is_not_known_changes_nothing_and_is_said() -> None:
    quote = price(inputs(units=None, available=None), SETTINGS)

    assert quote.price_cents == 2000
    assert [effect.because for effect in quote.explanation] == [
        "Recent demand is not known, so it does not change the price",
        "The stock is not known, so it does not change the price",
    ]


def test_stock_counts_when_demand_is_unknown() -> None:
    assert price(inputs(units=None, available=3), SETTINGS).price_cents == 2059


def test_a_changed_base_price_holds_at_once() -> None:
    # The merchant halved it: the old price lies outside the new rails.
    assert price(inputs(base_cents=1000, anchor_cents=2000), SETTINGS).price_cents <= 1200


prices_cents = st.integers(1, 1_000_000)
amounts = st.floats(0.0, 1e6)
some_inputs = st.builds(
    lambda base, anchor_share, units, usual, available, usual_available: PriceInputs(
        base,
        min(max(round(base * anchor_share), guard_rails(base, SETTINGS).lowest), guard_rails(base, SETTINGS).highest),
        units,
        usual,
        available,
        usual_available,
    ),
    prices_cents,
    st.floats(0.85, 1.2),
    st.none() | amounts,
    amounts,
    st.none() | st.integers(0, 10**7),
    st.none() | st.floats(0.1, 1e7),
)


@given(some_inputs)
def test_every_price_is_within_the_rails(given_inputs: PriceInputs) -> None:
    price_cents = price(given_inputs, SETTINGS).price_cents

    assert price_cents > 0
    assert 0.85 * given_inputs.base_cents - 1e-6 <= price_cents <= 1.2 * given_inputs.base_cents + 1e-6


@given(some_inputs)
def test_the_effects_add_up_to_the_cent(given_inputs: PriceInputs) -> None:
    quote = price(given_inputs, SETTINGS)

    assert sum(effects(quote).values()) == quote.price_cents - given_inputs.base_cents


@given(some_inputs)
def test_no_price_jumps(given_inputs: PriceInputs) -> None:
    change_cents = abs(price(given_inputs, SETTINGS).price_cents - given_inputs.anchor_cents)

    assert change_cents <= max(1.0, 0.03 * given_inputs.base_cents + 1e-6)


@given(some_inputs, amounts)
def test_more_demand_never_lowers_a_price(given_inputs: PriceInputs, more: float) -> None:
    units = given_inputs.units or 0.0
    before = price(replace(given_inputs, units=units), SETTINGS)

    assert price(replace(given_inputs, units=units + more), SETTINGS).price_cents >= before.price_cents


@given(some_inputs, st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_stock_never_raises_a_price(given_inputs: PriceInputs, available: int, more: int) -> None:
    before = price(replace(given_inputs, available=available), SETTINGS)

    assert price(replace(given_inputs, available=available + more), SETTINGS).price_cents <= before.price_cents


@given(some_inputs)
def test_equal_inputs_give_equal_prices(given_inputs: PriceInputs) -> None:
    assert price(given_inputs, SETTINGS) == price(replace(given_inputs), SETTINGS)


@pytest.mark.parametrize("base_cents", [1, 20, 399, 400, 999, 1000, 9999, 10_000, 123_456])
def test_prices_of_every_size_reach_the_upper_rail_region(base_cents: int) -> None:
    anchor_cents = base_cents
    for _ in range(40):
        anchor_cents = price(inputs(base_cents, anchor_cents, units=1e6, available=0), SETTINGS).price_cents

    rails = guard_rails(base_cents, SETTINGS)
    assert rails.highest - 0.01 * base_cents - 1 <= anchor_cents <= rails.highest

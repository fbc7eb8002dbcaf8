import uuid

from hypothesis import given
from hypothesis import strategies as st

from demo_shop.inventory.model import (
    Ask,
    Differs,
    Held,
    Line,
    Released,
    Reservation,
    Short,
    State,
    Stock,
    allot,
    units_by_product,
)


def ask(*lines: tuple[int, int]) -> Ask:
    return Ask(uuid.uuid4(), tuple(Line(*line) for line in lines))


def test_the_first_come_gets_what_is_left_of_an_item() -> None:
    # 5 on hand, 2 promised: 3 are left, so 2 are held, and 2 more are not there.
    stock = {1: Stock(on_hand=5, reserved=2)}

    allotment = allot([ask((1, 2)), ask((1, 2)), ask((1, 1))], stock, {})

    assert allotment.outcomes == (Held(State.HELD, True), Short((1,)), Held(State.HELD, True))
    assert allotment.added == {1: 3}


def test_an_order_gets_all_of_its_lines_or_none() -> None:
    stock = {1: Stock(10, 0), 2: Stock(0, 0), 3: Stock(1, 0)}

    allotment = allot([ask((1, 1), (2, 1), (3, 2)), ask((3, 1))], stock, {})

    assert allotment.outcomes == (Short((2, 3)), Held(State.HELD, True))
    assert allotment.added == {3: 1}


def test_a_product_that_is_not_stocked_is_out_of_stock() -> None:
    assert allot([ask((9, 1))], {}, {}).outcomes == (Short((9,)),)


def test_what_the_books_have_is_answered_and_not_added_again() -> None:
    held, sold, released, other = (ask((1, 1)) for _ in range(4))
    standing = {
        held.order_id: Reservation(held.lines, State.HELD),
        sold.order_id: Reservation(sold.lines, State.SOLD),
        released.order_id: Reservation(released.lines, State.RELEASED),
        other.order_id: Reservation((Line(1, 2),), State.HELD),
    }

    allotment = allot([held, sold, released, other], {1: Stock(9, 0)}, standing)

    assert allotment.outcomes == (Held(State.HELD, False), Held(State.SOLD, False), Released(), Differs())
    assert allotment.added == {}


def test_an_order_that_comes_twice_in_one_batch_is_held_once() -> None:
    twice = ask((1, 1))

    allotment = allot([twice, twice], {1: Stock(1, 0)}, {})

    assert allotment.outcomes == (Held(State.HELD, True), Held(State.HELD, False))
    assert allotment.added == {1: 1}


def test_units_are_added_up_by_product_in_product_order() -> None:
    assert list(units_by_product([Line(3, 1), Line(1, 2), Line(3, 4)]).items()) == [(1, 2), (3, 5)]


@given(
    on_hand=st.lists(st.integers(0, 9), min_size=3, max_size=3),
    carts=st.lists(st.dictionaries(st.integers(0, 2), st.integers(1, 4), min_size=1), max_size=20),
)
def test_never_more_is_promised_than_lies_on_the_shelf(on_hand: list[int], carts: list[dict[int, int]]) -> None:
    stock = {product_id: Stock(units, 0) for product_id, units in enumerate(on_hand)}
    asks = [ask(*sorted(cart.items())) for cart in carts]

    allotment = allot(asks, stock, {})

    assert all(units <= on_hand[product_id] for product_id, units in allotment.added.items())
    # And nobody is sent away for nothing: what was refused would not fit into what is left at the end either way round.
    for asked, outcome in zip(asks, allotment.outcomes, strict=True):
        if isinstance(outcome, Short):
            left = {p: on_hand[p] - allotment.added.get(p, 0) for p in stock}
            assert any(line.quantity > left[line.product_id] for line in asked.lines)

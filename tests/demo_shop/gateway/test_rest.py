from __future__ import annotations

from demo_shop.gateway.rest import Rest


def failing(times: int) -> Rest:
    rest = Rest(failures_in_a_row=3, rest_s=2.0)
    for _ in range(times):
        assert rest.lets_through(10.0)
        rest.failed(10.0)
    return rest


def test_one_or_two_failures_are_forgiven() -> None:
    assert failing(2).lets_through(10.0)


def test_three_failures_in_a_row_make_it_rest() -> None:
    rest = failing(3)

    assert not rest.lets_through(11.9)
    assert rest.lets_through(12.0)


def test_while_it_rests_one_asks_for_all() -> None:
    rest = failing(3)

    assert [rest.lets_through(12.0), rest.lets_through(12.0), rest.lets_through(13.9)] == [True, False, False]
    assert rest.lets_through(14.0)


def test_a_success_ends_the_rest() -> None:
    rest = failing(3)
    rest.lets_through(12.0)

    rest.succeeded()

    assert [rest.lets_through(12.0), rest.lets_through(12.0)] == [True, True]


def test_failures_with_a_success_between_are_not_in_a_row() -> None:
    rest = failing(2)
    rest.succeeded()
    rest.failed(10.0)
    rest.failed(10.0)

    assert rest.lets_through(10.0)

import pytest
from prometheus_client import CollectorRegistry

from demo_shop.frame.in_flight import InFlight
from demo_shop.frame.problems import Problem


def test_what_is_beyond_the_bound_is_refused_until_something_ends() -> None:
    registry = CollectorRegistry()
    in_flight = InFlight(lambda: 2, registry)

    with in_flight.one_more():
        with in_flight.one_more(), pytest.raises(Problem, match="503 too-busy") as refused, in_flight.one_more():
            raise AssertionError("there was no room for a third")
        with in_flight.one_more():
            pass

    assert refused.value.headers == {"Retry-After": "1"}
    assert registry.get_sample_value("shop_too_busy_total") == 1.0


def test_the_bound_may_move() -> None:
    room = 0
    in_flight = InFlight(lambda: room, CollectorRegistry())
    with pytest.raises(Problem), in_flight.one_more():
        pass

    room = 1

    with in_flight.one_more():
        pass


def test_work_that_fails_makes_room_all_the_same() -> None:
    in_flight = InFlight(lambda: 1, CollectorRegistry())
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), in_flight.one_more():
            raise ValueError("broken")

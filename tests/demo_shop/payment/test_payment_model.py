import random
import statistics
import uuid

import pytest

from demo_shop.payment.model import LatencyModel, is_declined


def test_half_of_the_payments_take_20_ms_and_one_in_a_hundred_80_ms() -> None:
    rng = random.Random(3)

    latencies_s = sorted(LatencyModel().draw_s(rng) for _ in range(20_000))

    assert statistics.median(latencies_s) == pytest.approx(0.020, rel=0.05)
    assert latencies_s[int(0.99 * len(latencies_s))] == pytest.approx(0.080, rel=0.08)
    assert latencies_s[-1] <= 1.0


def test_the_same_seed_gives_the_same_latencies() -> None:
    one, other = random.Random(5), random.Random(5)

    assert [LatencyModel().draw_s(one) for _ in range(5)] == [LatencyModel().draw_s(other) for _ in range(5)]


def test_a_latency_is_cut_at_the_longest() -> None:
    rng = random.Random(1)

    assert max(LatencyModel(longest_s=0.05).draw_s(rng) for _ in range(200)) == 0.05


def test_visa_is_accepted_and_the_declined_token_declined() -> None:
    assert not is_declined("tok_visa", uuid.UUID(int=1))
    assert is_declined("tok_declined", uuid.UUID(int=1))


def test_random_tokens_are_declined_for_three_orders_in_a_hundred_and_always_the_same_ones() -> None:
    orders = [uuid.UUID(int=number) for number in range(10_000)]

    declined = [order for order in orders if is_declined("tok_random_a", order)]

    # 10,000 × 0.03 = 300 with a standard deviation of sqrt(10,000 × 0.03 × 0.97) = 17.
    assert 250 < len(declined) < 350
    assert declined == [order for order in orders if is_declined("tok_random_b", order)]

import asyncio
import uuid

import pytest

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.faults.fault import FaultRequest
from demo_shop.frame import context
from demo_shop.frame.problems import Problem
from demo_shop.payment.app import Silence
from demo_shop.settings import Role

ORDERS = [uuid.UUID(int=number) for number in range(2_000)]


def silence(share: float | None, seed: int = 1) -> Silence:
    faults = FaultBoard(catalogue_of(Role.PAYMENT), lambda: 5.0)
    if share is not None:
        request = FaultRequest(magnitude=share, ramp_s=0.0, duration_s=60.0, seed=seed)
        faults.start("payment_timeouts", request, 0.0)
    return Silence(faults, lambda: 5.0)


def test_without_the_fault_every_call_is_answered() -> None:
    assert {silence(None).draw(order) for order in ORDERS} == {(False, False)}


def test_a_share_of_the_calls_falls_silent_half_of_them_before_and_half_after_booking() -> None:
    hit = silence(0.5)

    drawn = [hit.draw(order) for order in ORDERS]

    # 2,000 × 0.5 × 0.5 = 500 each with a standard deviation of about 19.
    assert 420 < drawn.count((True, False)) < 580
    assert 420 < drawn.count((False, True)) < 580
    assert drawn.count((True, True)) == 0


def test_the_same_seed_hits_the_same_calls_alike() -> None:
    assert [silence(0.5).draw(order) for order in ORDERS[:5]] == [silence(0.5).draw(order) for order in ORDERS[:5]]
    one, other = silence(1.0, seed=1), silence(1.0, seed=2)
    assert [one.draw(order) for order in ORDERS[:50]] != [other.draw(order) for order in ORDERS[:50]]


@pytest.mark.parametrize(("left_s", "silent_s"), [(None, 30.0), (1.5, 2.0)])
def test_silence_is_kept_until_the_caller_has_given_up(left_s: float | None, silent_s: float) -> None:
    pauses_s: list[float] = []

    async def pause(seconds: float) -> None:
        pauses_s.append(seconds)

    async def keep() -> None:
        now_s = asyncio.get_running_loop().time()
        context.deadline_s.set(None if left_s is None else now_s + left_s)
        with pytest.raises(Problem, match="504 bank-silent"):
            await Silence(FaultBoard(catalogue_of(Role.PAYMENT), lambda: 0.0), lambda: 0.0, pause).keep()

    asyncio.run(keep())

    assert pauses_s == [pytest.approx(silent_s, abs=0.2)]

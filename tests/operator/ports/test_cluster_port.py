"""The same act means the same to the simulator and to the operator's hands: what is proven in one holds for both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi
from port_hands import AWAY_S, Hands, live_hands, simulated_hands

from policies.decision import (
    DetachPod,
    EvictPod,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
)


@pytest.fixture(params=["simulated", "live"])
def hands(request: pytest.FixtureRequest, fake_api: FakeApi, tmp_path: Path) -> Iterator[Hands]:
    with simulated_hands() if request.param == "simulated" else live_hands(fake_api, tmp_path) as found:
        yield found


def floor(hands: Hands, pods: int, until_s: float) -> SetFloor:
    return SetFloor(hands.workload, pods, hands.time(until_s))


def off(hands: Hands, pod: str, until_s: float) -> SetTraffic:
    return SetTraffic(hands.workload, pod, on=False, expires_at_s=hands.time(until_s))


def dim(hands: Hands, ceiling: float, until_s: float) -> SetBrownout:
    return SetBrownout(hands.workload, ceiling, hands.time(until_s))


# Floors


def test_a_floor_raised_twice_is_raised_once(hands: Hands) -> None:
    assert hands.do(floor(hands, 5, 60.0))
    assert hands.do(floor(hands, 5, 60.0), at_s=1.0)

    assert hands.floor() == 5 and hands.changes() == 1


def test_a_floor_lasts_until_its_end_and_then_goes_a_pod_a_minute(hands: Hands) -> None:
    hands.do(floor(hands, 4, 60.0))

    seen = []
    for at_s in (59.0, 60.0, 110.0, 120.0, 180.0):
        hands.settle(at_s)
        seen.append(hands.floor())

    # Of 4 pods the larger of one and a tenth is one: 4, 3, then 2, where it was.
    assert seen == [4, 3, 3, 2, 2]


def test_a_floor_that_is_renewed_stays(hands: Hands) -> None:
    hands.do(floor(hands, 4, 60.0))
    hands.do(floor(hands, 4, 110.0), at_s=50.0)

    hands.settle(100.0)

    assert hands.floor() == 4


def test_a_floor_is_never_above_what_the_autoscaler_allows(hands: Hands) -> None:
    assert hands.do(floor(hands, 50, 60.0))

    assert hands.floor() == 10


def test_a_floor_may_be_lowered_to_where_it_was(hands: Hands) -> None:
    hands.do(floor(hands, 4, 60.0))

    assert hands.do(floor(hands, 2, 90.0), at_s=30.0)
    assert hands.floor() == 2


# Pods


def test_a_pod_out_of_rotation_comes_back_by_itself(hands: Hands) -> None:
    pod = hands.pods()[0]
    assert hands.do(off(hands, pod, 60.0))

    hands.settle(59.0)
    assert not hands.serves(pod)
    hands.settle(60.0)
    assert hands.serves(pod)


def test_a_pod_out_of_rotation_comes_back_when_told(hands: Hands) -> None:
    pod = hands.pods()[0]
    hands.do(off(hands, pod, 60.0))

    assert hands.do(SetTraffic(hands.workload, pod, on=True), at_s=10.0)
    assert hands.serves(pod) and all(hands.serves(other) for other in hands.pods())


def test_a_pod_taken_out_twice_is_out_once(hands: Hands) -> None:
    pod = hands.pods()[0]
    hands.do(off(hands, pod, 60.0))

    assert hands.do(off(hands, pod, 60.0), at_s=1.0)
    assert hands.changes() == 1


def test_pods_that_are_gone_can_neither_be_taken_out_nor_replaced(hands: Hands) -> None:
    assert not hands.do(off(hands, "nobody", 60.0))
    assert not hands.do(DetachPod(hands.workload, "nobody", hands.time(60.0)))
    assert hands.changes() == 0


# Ceilings


def test_a_ceiling_ends_by_itself(hands: Hands) -> None:
    assert hands.do(dim(hands, 0.4, 60.0))

    hands.settle(59.0)
    assert hands.dimmed()
    hands.settle(60.0)
    assert not hands.dimmed()


def test_a_ceiling_that_is_renewed_stays(hands: Hands) -> None:
    hands.do(dim(hands, 0.4, 60.0))
    hands.do(dim(hands, 0.4, 110.0), at_s=50.0)

    hands.settle(100.0)

    assert hands.dimmed()


def test_a_ceiling_of_one_lifts_it(hands: Hands) -> None:
    hands.do(dim(hands, 0.4, 60.0))

    assert hands.do(dim(hands, 1.0, 90.0), at_s=30.0)
    assert not hands.dimmed()


# Refusals


def test_what_would_be_over_already_is_refused(hands: Hands) -> None:
    assert not hands.do(floor(hands, 5, 10.0), at_s=10.0)
    assert not hands.do(off(hands, hands.pods()[0], 10.0), at_s=10.0)
    assert not hands.do(dim(hands, 0.4, 10.0), at_s=10.0)

    assert hands.floor() == 2 and hands.serves(hands.pods()[0]) and not hands.dimmed() and hands.changes() == 0


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(SetFloor("shop/nobody", 4, 1e12), id="floor"),
        pytest.param(SetScale("shop/nobody", 4, 1e12), id="scale"),
        pytest.param(SetTraffic("shop/nobody", "p", on=False, expires_at_s=1e12), id="traffic"),
        pytest.param(EvictPod("shop/nobody", "p"), id="eviction"),
        pytest.param(SetBrownout("shop/nobody", 0.4, 1e12), id="ceiling"),
    ],
)
def test_a_workload_that_is_not_there_is_refused_and_ends_nothing(
    hands: Hands, action: SetFloor | SetScale | SetTraffic | EvictPod | SetBrownout
) -> None:
    assert not hands.do(action)


def test_nothing_is_done_while_the_api_server_is_away_and_all_is_made_up_for_afterwards(hands: Hands) -> None:
    away_s, back_s = AWAY_S
    pod = hands.pods()[0]
    hands.do(off(hands, pod, away_s + 10.0), at_s=away_s - 100.0)

    assert not hands.do(floor(hands, 5, back_s + 60.0), at_s=away_s + 5.0)
    hands.settle(away_s + 20.0)
    hands.settle(back_s + 1.0)

    assert hands.serves(pod) and hands.floor() == 2
    assert hands.do(floor(hands, 5, back_s + 60.0), at_s=back_s + 2.0) and hands.floor() == 5

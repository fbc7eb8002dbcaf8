"""Brownout: only for a shortage that pods cannot meet in time, only as deep as needed, and lifted in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Floats, Forecast
from policies import brownout
from policies.brownout import BrownoutMemory, ceiling_for
from policies.decision import ReasonCode, SetBrownout
from policies.model import (
    BrownoutPolicy,
    HealingPolicy,
    Observation,
    PodSeen,
    PolicySet,
    Rung,
    WorkloadPolicy,
    WorkloadSeen,
)

GATE, PRICES = "shop/gate", "shop/prices"
LEAD_S = 60.0  # four steps of 15 s


def pods(ready: int, coming_since_s: Sequence[float] = ()) -> tuple[PodSeen, ...]:
    here = tuple(PodSeen(f"p{number}", None, None, -900.0, ready_at_s=-800.0) for number in range(ready))
    coming = tuple(PodSeen(f"c{number}", None, None, at_s) for number, at_s in enumerate(coming_since_s))
    return here + coming


def forecast(rps: Mapping[str, Floats], at_s: float = 0.0) -> Forecast:
    """Deterministic futures, `(steps,)` by workload."""
    paths = np.array([np.repeat(values[None, :], 20, axis=0) for values in rps.values()])
    quantiles = np.repeat(paths[:, 0, :, None], len(LEVELS), axis=2)
    unknown = np.full(len(rps), np.nan)
    return Forecast(tuple(rps), LEVELS, quantiles, paths, at_s, at_s, 15.0, "test", unknown, unknown)


def policies(highest: Rung = Rung.SWITCH_OVER, **known: object) -> PolicySet:
    dims = replace(BrownoutPolicy(enabled=True), **known)  # type: ignore[arg-type]
    healing = HealingPolicy(highest_rung=highest)
    return PolicySet(
        {
            GATE: WorkloadPolicy(GATE, brownout=dims, healing=healing),
            PRICES: WorkloadPolicy(PRICES, entry=GATE),
        }
    )


def look(
    demand_rps: float | Floats | None,
    now_s: float = 0.0,
    memory: BrownoutMemory | None = None,
    *,
    rules: PolicySet | None = None,
    gate: tuple[PodSeen, ...] = pods(10),
    prices_rps: float = 1.0,
) -> tuple[list[SetBrownout], list[ReasonCode], BrownoutMemory]:
    """Ten gateway pods that carry 10 requests/s each, unless told otherwise."""
    seen = Observation(
        now_s, (WorkloadSeen(GATE, len(gate), gate), WorkloadSeen(PRICES, 2, pods(2))), metrics_age_s=5.0
    )
    expected = None
    if demand_rps is not None:
        steps = np.full(64, demand_rps) if isinstance(demand_rps, float) else demand_rps
        expected = forecast({GATE: steps, PRICES: np.full(64, prices_rps)}, now_s)
    capacity = {GATE: 10.0, PRICES: 10.0}
    lead = {GATE: LEAD_S, PRICES: LEAD_S}
    proposals, reasons, memory = brownout.propose(
        seen, expected, capacity, lead, rules or policies(), memory or BrownoutMemory(), now_s
    )
    actions = [proposal.action for proposal in proposals if isinstance(proposal.action, SetBrownout)]
    return actions, [reason.code for reason in reasons.get(GATE, ())], memory


@pytest.mark.parametrize(
    ("load", "optional", "lowest", "ceiling"),
    [
        # A quarter too much means 20 % of the work has to go; optional content is 30 % of it, so two thirds of that.
        pytest.param(1.25, 0.30, 0.0, 0.3, id="two-thirds-of-the-optional-third"),
        pytest.param(1.10, 0.30, 0.0, 0.6, id="a-little"),  # 1 - (1 - 1/1.1) / 0.3 = 0.697
        pytest.param(1.04, 0.30, 0.0, 1.0, id="a-queue-absorbs-it"),
        pytest.param(2.00, 0.30, 0.0, 0.0, id="all-of-it-is-not-enough"),
        pytest.param(2.00, 0.30, 0.2, 0.2, id="people-set-a-lowest"),
        pytest.param(2.00, 0.00, 0.0, 1.0, id="dimming-would-save-nothing"),
    ],
)
def test_the_ceiling_sheds_what_is_needed_and_no_more(
    load: float, optional: float, lowest: float, ceiling: float
) -> None:
    assert ceiling_for(load, optional, lowest) == ceiling


def test_dims_ahead_of_a_shortage_that_pods_cannot_meet() -> None:
    actions, said, _ = look(125.0)

    assert actions == [SetBrownout(GATE, 0.3, 60.0)]
    assert said == [ReasonCode.CAPACITY_LATE]


def test_does_nothing_while_capacity_suffices() -> None:
    assert look(100.0)[0] == []


def test_leaves_a_shortage_beyond_the_lead_time_to_pods() -> None:
    late = np.concatenate([np.full(4, 90.0), np.full(60, 200.0)])

    assert look(late)[0] == []


def test_counts_pods_on_their_way_from_when_they_will_be_ready() -> None:
    # Demand exceeds ten pods from the third step (45 s) on; three pods created 30 s ago are due in 30 s.
    rising = np.concatenate([np.full(2, 90.0), np.full(62, 125.0)])

    assert look(rising, gate=pods(10, coming_since_s=(-30.0,) * 3))[0] == []
    assert look(rising, gate=pods(10, coming_since_s=(0.0,) * 3))[0] == [SetBrownout(GATE, 0.3, 60.0)]


def test_a_shortage_behind_the_gateway_dims_the_gateway() -> None:
    # Two pods of pricing carry 20 requests/s.
    assert look(50.0, prices_rps=25.0)[0] == [SetBrownout(GATE, 0.3, 60.0)]


def test_is_opt_in_and_below_the_ladder() -> None:
    assert look(200.0, rules=policies(enabled=False))[0] == []
    assert look(200.0, rules=policies(highest=Rung.PRE_SCALE))[0] == []


def test_without_forecast_nothing_is_dimmed_and_nothing_renewed() -> None:
    assert look(None)[0] == []
    _, _, memory = look(125.0)

    actions, said, memory = look(None, 15.0, memory)

    assert (actions, said) == ([], [ReasonCode.NO_FORECAST])
    assert look(None, 60.0, memory)[2] == BrownoutMemory()  # it has expired


def test_is_renewed_before_it_expires_while_the_shortage_lasts() -> None:
    _, _, memory = look(125.0)

    assert look(125.0, 10.0, memory)[0] == []
    assert look(125.0, 15.0, memory)[0] == [SetBrownout(GATE, 0.3, 75.0)]


def test_goes_lower_at_once_and_lifts_in_steps_every_half_minute() -> None:
    _, _, memory = look(110.0)
    ceilings = []
    for now_s, demand_rps in [(15.0, 125.0), (30.0, 50.0), (45.0, 50.0), (75.0, 50.0), (105.0, 50.0), (135.0, 50.0)]:
        actions, _, memory = look(demand_rps, now_s, memory)
        ceilings += [action.ceiling for action in actions]

    # 0.3 at once; renewed at 30 s; then 0.2 more each half minute.
    assert ceilings == [0.3, 0.3, 0.5, 0.7, 0.9, 1.0]
    assert memory == BrownoutMemory()


def test_what_is_only_told_while_people_stop_us_does_not_stand() -> None:
    """The brakes veto it. When the pause ends, the first look asks for it as if for the first time."""
    rules = policies()
    paused = PolicySet(rules.workloads, kill_switch=True)

    told, _, memory = look(150.0, rules=paused)
    asked, _, _ = look(150.0, 15.0, memory)

    assert [action.ceiling for action in told] == [action.ceiling for action in asked] != []
    assert memory.standing == {}

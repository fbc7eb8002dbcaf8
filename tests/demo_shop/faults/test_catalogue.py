"""The shop cannot import the scenario schema; these tests hold the two together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_shop.faults.catalogue import FACTS, FaultName, catalogue_of
from demo_shop.faults.fault import Fault
from demo_shop.settings import Role
from simulation.scenario import FAULT_FACTS, SHARE_FAULTS, FaultKind
from simulation.scenario import Fault as ScenarioFault


@pytest.mark.parametrize("name", FaultName)
def test_a_fault_means_what_it_means_in_a_scenario(name: FaultName) -> None:
    meaning, default_magnitude, *_ = FAULT_FACTS[FaultKind(name.value)]

    assert FACTS[name].meaning == meaning
    assert FACTS[name].default_magnitude == default_magnitude


def test_shares_end_at_one() -> None:
    shares = {name for name in FaultName if FaultKind(name.value) in SHARE_FAULTS}

    assert shares == {"error_burst", "cache_loss", "payment_timeouts"}
    assert {FACTS[name].greatest for name in shares} == {1.0}


def test_every_default_is_within_what_may_be_asked() -> None:
    assert all(0 < facts.default_magnitude <= facts.greatest for facts in FACTS.values())


def test_only_payment_has_payment_timeouts() -> None:
    assert [role for role in Role if FaultName.PAYMENT_TIMEOUTS in catalogue_of(role)] == [Role.PAYMENT]


def test_only_inventory_has_lock_contention() -> None:
    assert [role for role in Role if FaultName.LOCK_CONTENTION in catalogue_of(role)] == [Role.INVENTORY]


def test_a_role_without_a_database_has_no_pool_to_lose() -> None:
    without = {role for role in Role if FaultName.POOL_CREEP not in catalogue_of(role)}

    assert without == {Role.GATEWAY, Role.CART}


def test_every_fault_can_hit_somebody() -> None:
    assert {name for role in Role for name in catalogue_of(role)} == set(FaultName)


@given(
    duration_s=st.floats(0.1, 3_600),
    ramp_share=st.floats(0, 1),
    at=st.floats(-0.5, 1.5),
)
def test_a_fault_climbs_as_it_does_in_a_scenario(duration_s: float, ramp_share: float, at: float) -> None:
    ramp_s, t_s = duration_s * ramp_share, duration_s * at
    scenario = ScenarioFault(
        kind=FaultKind.MEMORY_LEAK, service="cart", start_s=0, duration_s=duration_s, ramp_s=ramp_s
    )

    assert Fault(FaultName.MEMORY_LEAK, 20.0, ramp_s, duration_s, 0, 0.0).level(t_s) == scenario.level(t_s)


@given(duration_s=st.floats(1, 3_600), ramp_share=st.floats(0, 1), at=st.floats(0, 2))
def test_what_a_fault_took_is_its_level_summed_over_time(duration_s: float, ramp_share: float, at: float) -> None:
    fault = Fault(FaultName.MEMORY_LEAK, 60.0, duration_s * ramp_share, duration_s, 0, 0.0)
    until_s = min(duration_s * at, duration_s)
    steps = 400
    step_s = until_s / steps

    summed = sum(fault.level((i + 0.5) * step_s) for i in range(steps)) * step_s

    assert fault.level_seconds(duration_s * at) == pytest.approx(summed, abs=2 * step_s)

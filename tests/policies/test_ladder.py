"""The ladder: each rung needs more confidence than the one below."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.ladder import allows, confidence_needed
from policies.model import HealingPolicy, Rung, WorkloadPolicy


@pytest.mark.parametrize(
    ("rung", "needed"),
    [
        (Rung.OBSERVE, 0.0),
        (Rung.PRE_SCALE, 0.0),
        (Rung.REWEIGHT, 0.4),
        (Rung.DRAIN, 0.5),
        (Rung.REPLACE, 0.6),
        (Rung.SWITCH_OVER, 0.7),
        (Rung.SHIFT_ZONE, 0.8),
    ],
)
def test_confidence_with_the_default_policy(rung: Rung, needed: float) -> None:
    assert confidence_needed(rung, 0.6) == pytest.approx(needed)


@given(st.floats(0.01, 0.99))
def test_whatever_people_set_the_rungs_keep_their_order(act_probability: float) -> None:
    acting = [rung for rung in Rung if rung >= Rung.REWEIGHT]
    needed = [confidence_needed(rung, act_probability) for rung in acting]

    assert all(lower < higher for lower, higher in itertools.pairwise(needed))
    assert needed[-1] <= 1.0


def test_a_zone_shift_must_be_asked_for() -> None:
    assert not allows(Rung.SHIFT_ZONE, WorkloadPolicy("shop/cart"))
    assert allows(Rung.SHIFT_ZONE, WorkloadPolicy("shop/cart", healing=HealingPolicy(highest_rung=Rung.SHIFT_ZONE)))

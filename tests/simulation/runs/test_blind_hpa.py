"""The HPA that goes blind, as seen on a real cluster with production timers."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.arms import arm_settings
from simulation.hpa.values import HpaDecision, MetricError
from simulation.scenario import load_scenario
from simulation.wiring import assemble

OUTAGE_S = 120.0


@pytest.mark.parametrize("seed", range(1, 8))
def test_hpa_that_loses_its_samples_does_nothing_through_two_minutes_of_outage(seed: int) -> None:
    """Two pods of 20 requests/s, two and a half minutes old, are stepped from 10 to 45.

    They fail readiness in turns. Younger than the CPU initialisation period of 300 s, an unready pod's sample is
    dropped, and so is that of a pod that became ready after its sample's window began. With every sample dropped the
    HPA has no metric; with one left, the other pod is filled in as idle, which turns the ratio around. Either way it
    asks for no more than it has.
    """
    run = assemble(load_scenario("blind-hpa"), arm_settings("hpa-default"), seed)
    syncs: list[tuple[float, HpaDecision]] = []

    def note(now_s: float) -> None:
        last = run.hpas["web"].last
        if last is not None and (not syncs or syncs[-1][1] is not last):
            syncs.append((now_s, last))

    run.schedule.every(1.0, 0.0, note)
    run.schedule.run(run.world, run.world.scenario.duration_s)
    result = run.recorder.result()
    first_bad_s = int(np.argmax(result.client.bad > 0))
    window = slice(first_bad_s + 10, first_bad_s + 10 + int(OUTAGE_S))
    bad_ratio = result.client.bad[window].sum() / result.client.arrived[0, window].sum()
    in_outage = [decision for at_s, decision in syncs if first_bad_s < at_s < first_bad_s + 10 + OUTAGE_S]

    assert bad_ratio > 0.75  # near-total
    assert not [resize for resize in result.resizes if 0 <= resize.at_s < first_bad_s + 10 + OUTAGE_S]
    assert any(decision.error is MetricError.NO_READY_METRICS for decision in in_outage)
    assert all(decision.error or (decision.metrics[0].proposal or 0) <= 2 for decision in in_outage)


def test_once_the_pods_are_old_enough_the_same_hpa_sees_them_and_ends_the_outage() -> None:
    """They are 300 s old at t = 150; from then on even an unready pod's CPU counts."""
    run = assemble(load_scenario("blind-hpa"), arm_settings("hpa-default"), seed=1)
    run.schedule.run(run.world, run.world.scenario.duration_s)
    result = run.recorder.result()

    assert min(resize.at_s for resize in result.resizes) > 150
    assert result.client.bad[-120:].sum() < 0.05 * result.client.arrived[0, -120:].sum()

"""Schedules by the time of day."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.peers.cron import CronSettings, CronState, CronWindow, propose, windows_from_demand

HOUR_S = 3600.0
OFFICE = CronWindow(8 * HOUR_S, 18 * HOUR_S, 6)
LUNCH = CronWindow(12 * HOUR_S, 13 * HOUR_S, 9)
NIGHT = CronWindow(22 * HOUR_S, 2 * HOUR_S, 3)
SETTINGS = CronSettings((OFFICE, LUNCH, NIGHT))


@pytest.mark.parametrize(
    ("hour", "expected"),
    [
        pytest.param(7.99, None, id="before"),
        pytest.param(8.0, 6, id="start-is-included"),
        pytest.param(12.5, 9, id="the-largest-counts"),
        pytest.param(18.0, None, id="end-is-excluded"),
        pytest.param(23.0, 3, id="over-midnight-before"),
        pytest.param(25.0, 3, id="over-midnight-behind"),
        pytest.param(24 + 9.0, 6, id="every-day"),
        pytest.param(-1.0, 3, id="before-zero"),
    ],
)
def test_the_minimum_follows_the_clock(hour: float, expected: int | None) -> None:
    assert propose(SETTINGS, CronState(), hour * HOUR_S)[0] == expected


def test_midnight_may_lie_anywhere_on_the_clock() -> None:
    shifted = CronSettings((OFFICE,), midnight_s=100.0 * HOUR_S)

    assert propose(shifted, CronState(), 109.0 * HOUR_S)[0] == 6
    assert propose(shifted, CronState(), 107.0 * HOUR_S)[0] is None


def test_a_schedule_is_written_from_the_busiest_moment_of_every_slot() -> None:
    # a short day of 100 s in slots of 25 s, seen for a day and a half; 10 rps per pod
    times_s = np.array([0.0, 20.0, 30.0, 60.0, 110.0, 130.0])
    rates_rps = np.array([5.0, 31.0, 20.0, np.nan, 12.0, 41.0])

    windows = windows_from_demand(times_s, rates_rps, target_rps_per_pod=10.0, slot_s=25.0, day_s=100.0)

    # slot 0 saw 5, 31 and 12: 4 pods; slot 1 saw 20 and 41: 5 pods; slot 2 was unknown, slot 3 never seen
    assert windows == (CronWindow(0.0, 25.0, 4), CronWindow(25.0, 50.0, 5))


def test_without_history_there_is_no_schedule() -> None:
    empty = np.array([], dtype=np.float64)

    assert windows_from_demand(empty, empty, target_rps_per_pod=10.0, slot_s=25.0) == ()

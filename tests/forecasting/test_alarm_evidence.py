from __future__ import annotations

import numpy as np
import pytest

from forecasting.alarm_evidence import (
    confirmations,
    nearest_to_limit,
    trend_reaches,
    turned_back,
    with_precedents,
    within_reach,
    worth_forecasting,
)


def test_flat_lines_far_from_the_limit_are_not_worth_a_forecast():
    flat, high, rising = np.full(20, 10.0), np.full(20, 60.0), np.linspace(0.0, 20.0, 20)
    unknown = np.full(20, np.nan)

    found = worth_forecasting(np.stack([flat, high, rising, unknown]), np.full(4, 100.0))

    # Rising by 20 / 19 a step: 20 + 120 × 1.05 = 146.
    assert found.tolist() == [False, True, True, False]


def test_calm_signals_cannot_reach_a_limit_that_is_many_moves_away():
    rng = np.random.default_rng(1)
    calm = 60.0 + rng.normal(0.0, 0.1, 400)
    lively = 60.0 + 14.0 * np.sin(np.arange(400) / 30.0)
    near = np.full(400, 90.0)
    begins = np.concatenate([np.full(392, 60.0), 60.0 + np.arange(1.0, 9.0)])

    found = within_reach(np.stack([calm, lively, near, begins]), np.full(4, 100.0), 64)

    assert found.tolist() == [False, True, True, True]


def test_precedents_are_turns_back_from_as_near():
    teeth = np.tile(np.linspace(20.0, 92.0, 37), 6)[: 5 * 37 + 35]  # ends at 88, five teeth went up to 92
    leak = np.linspace(20.0, 88.0, teeth.size)

    survived, hit = turned_back(np.stack([teeth, leak]), np.full(2, 100.0))

    assert survived.tolist() == [5.0, 0.0]
    assert hit.tolist() == [0.0, 0.0]


def test_a_history_of_failures_is_no_comfort():
    teeth = np.tile(np.concatenate([np.linspace(20.0, 100.0, 30), np.full(10, 20.0)]), 3)
    now = np.concatenate([teeth, np.linspace(20.0, 80.0, 20)])

    survived, hit = turned_back(now[None], np.asarray([100.0]))

    assert (survived.tolist(), hit.tolist()) == ([0.0], [3.0])


def test_a_trend_counts_where_it_explains_its_points():
    line = 50.0 + 2.0 * np.arange(15.0)  # 78 at the newest point: 11 steps to 100
    noisy = line + 20.0 * np.cos(np.pi * np.arange(15.0))
    falling, gap = line[::-1], np.where(np.arange(15) == 7, np.nan, line)

    found = trend_reaches(np.stack([line, noisy, falling, gap]), np.full(4, 100.0), (10, 11, 60))

    assert found.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert not trend_reaches(line[None, 1:], np.asarray([100.0]), (60,)).any()  # too few points


def test_a_fall_from_the_brink_was_a_kill_between_two_scrapes():
    # 10 a minute: the sample after 95 would have been 105.
    leak = np.concatenate([np.arange(25.0, 96.0, 10.0), np.full(30, 20.0), np.arange(30.0, 81.0, 10.0)])
    heap = np.concatenate([np.arange(25.0, 86.0, 10.0), np.full(30, 20.0), np.arange(30.0, 81.0, 10.0)])

    found = [turned_back(values[None], np.asarray([100.0])) for values in (leak, heap)]

    assert [(survived.tolist(), hit.tolist()) for survived, hit in found] == [([0.0], [1.0]), ([1.0], [0.0])]


def test_chances_shrink_with_every_turn_back_and_grow_back_with_failures():
    chance = np.asarray([[0.9, 0.6]] * 3)

    informed = with_precedents(chance, np.asarray([0.0, 2.0, 2.0]), np.asarray([0.0, 0.0, 3.0]))

    # 1/(1 + 2) of it; (1 + 3)/(1 + 3 + 2) of it.
    assert informed == pytest.approx(np.asarray([[0.9, 0.6], [0.3, 0.2], [0.6, 0.4]]))


def test_forecasts_in_a_row_are_counted_with_hysteresis():
    counts, seen = np.zeros(1, dtype=np.intp), []
    for chance in (0.7, 0.8, 0.5, np.nan, 0.9, 0.2, 0.7):
        counts = confirmations(counts, np.asarray([chance]), act=0.6, release=0.3)
        seen.append(int(counts[0]))

    assert seen == [1, 2, 2, 2, 3, 0, 1]


def test_each_owner_has_one_signal_nearest_to_its_limit_unknown_ones_last():
    # Of a: 50 of 100 against 30 of 40 (0.75); of b: unknown against 1 of 100.
    newest = np.array([[50.0], [30.0], [np.nan], [1.0]])
    limits = np.array([100.0, 40.0, 10.0, 100.0])

    assert nearest_to_limit(("a", "a", "b", "b"), newest, limits) == [1, 3]

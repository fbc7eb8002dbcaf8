from __future__ import annotations

import numpy as np

from forecasting.hitting import Direction, extended, first_passage_s, hitting_probability

#: Four futures of one series; a limit of 10 is reached at step 2, at step 3, never, and at step 1 (then left again).
PATHS = np.asarray([[[8.0, 12.0, 9.0], [7.0, 8.0, 10.0], [1.0, 2.0, 3.0], [11.0, 5.0, 5.0]]])
LIMIT = np.asarray([10.0])


def test_counts_the_futures_that_have_crossed_by_then() -> None:
    assert hitting_probability(PATHS, LIMIT).tolist() == [[0.25, 0.5, 0.75]]


def test_going_down_counts_what_sinks_to_the_limit() -> None:
    # Below 4: only the third future, from its first step on.
    assert hitting_probability(PATHS, np.asarray([4.0]), Direction.DOWN).tolist() == [[0.25, 0.25, 0.25]]


def test_already_crossed_is_certain() -> None:
    current = np.asarray([10.5])

    assert hitting_probability(PATHS, LIMIT, current=current).tolist() == [[1.0, 1.0, 1.0]]
    assert first_passage_s(PATHS, LIMIT, 15.0, current=current).tolist() == [[0.0, 0.0, 0.0]]


def test_unknown_stays_unknown() -> None:
    without_forecast = np.full_like(PATHS, np.nan)

    assert np.isnan(hitting_probability(without_forecast, LIMIT)).all()
    assert np.isnan(hitting_probability(PATHS, np.asarray([np.nan]))).all()
    assert np.isnan(first_passage_s(without_forecast, LIMIT, 15.0)).all()


def test_infinite_limit_is_never_reached() -> None:
    assert not hitting_probability(PATHS, np.asarray([np.inf])).any()
    assert np.isinf(first_passage_s(PATHS, np.asarray([np.inf]), 15.0, current=np.asarray([5.0]))).all()


def test_passage_is_placed_inside_its_step() -> None:
    times = first_passage_s(PATHS, LIMIT, 10.0, levels=(0.25, 0.5, 0.75, 0.9), current=np.asarray([9.0]))

    # From 9 to 11 in the first step: half of it, 5 s. From 8 to 12 in the second: 15 s. 8 to 10 in the third: 30 s.
    assert times[0, :3].tolist() == [5.0, 15.0, 30.0]
    assert np.isinf(times[0, 3])


def test_extended_paths_go_on_as_they_rose() -> None:
    rising = np.asarray([[[0.0, 2.0, 4.0, 6.0]]])

    assert extended(rising, 6)[0, 0].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert extended(rising, 2)[0, 0].tolist() == [0.0, 2.0]


def test_a_leak_is_seen_beyond_the_horizon() -> None:
    leak = np.asarray([[np.arange(1.0, 65.0)]])
    beyond = np.asarray([100.0])

    times = first_passage_s(extended(leak, 128), beyond, 60.0, levels=(0.5,), current=np.asarray([0.0]))

    assert times.tolist() == [[6000.0]]

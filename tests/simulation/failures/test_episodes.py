from __future__ import annotations

import numpy as np
import pytest

from forecasting.failures import SignalKind
from simulation.failure_episodes import HISTORY_POINTS, Episode, ending_at_failure, panel_of
from simulation.failure_generator import KIND_SHARES, drawn_kinds, failing, healthy_week, near_miss
from simulation.failure_shapes import HEALTHY, day, healthy, noise, rolling_mean, teeth
from simulation.failure_shop import shop_episodes

KINDS = list(SignalKind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(4))
def test_a_failing_signal_is_healthy_until_its_onset_and_ends_at_its_limit(kind, number):
    episode = failing(f"failing-{number}", kind, seed=5)

    assert episode.fails
    assert episode.failure == episode.values.size - 1
    assert episode.values[-1] >= episode.limit
    assert (episode.values[:-1] < episode.limit).all()
    assert HISTORY_POINTS == episode.watched_from < episode.onset <= episode.failure


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(4))
def test_a_near_miss_never_reaches_its_limit(kind, number):
    episode = near_miss(f"near-miss-{number}", kind, seed=5)

    assert not episode.fails
    assert episode.onset is None
    assert (episode.values < episode.limit).all()
    assert (episode.values >= 0.0).all()


def test_a_healthy_week_shows_memory_and_other_signals_below_their_limits():
    signals = healthy_week("w", seed=5, points=2000)

    assert len({signal.kind for signal in signals}) == 3
    assert signals[0].kind is SignalKind.MEMORY
    assert {signal.workload for signal in signals} == {"w"}
    assert all(signal.values.size == HISTORY_POINTS + 2000 for signal in signals)
    assert all((signal.values < signal.limit).all() for signal in signals)


def test_the_same_seed_makes_the_same_episodes_and_another_one_others():
    one, same, other = (failing("a", SignalKind.MEMORY, seed) for seed in (1, 1, 2))

    assert np.array_equal(one.values, same.values)
    assert not np.array_equal(one.values[:100], other.values[:100])


def test_kinds_come_in_their_shares():
    kinds = drawn_kinds(100, np.random.default_rng(0))

    assert {kind: kinds.count(kind) for kind in KINDS} == {kind: round(100 * KIND_SHARES[kind]) for kind in KINDS}
    assert set(drawn_kinds(14, np.random.default_rng(0))) >= {SignalKind.MEMORY, SignalKind.DISK}


def test_shares_of_healthy_shapes_add_up():
    assert all(sum(share for _, share in shapes) == pytest.approx(1.0) for shapes in HEALTHY.values())
    assert sum(KIND_SHARES.values()) == pytest.approx(1.0)


def test_noise_has_the_deviation_asked_for():
    drawn = noise(200_000, np.random.default_rng(3), deviation=0.5, memory_points=4.0)

    assert drawn.std() == pytest.approx(0.5, rel=0.03)
    # One step keeps exp(-1/4) = 0.78 of it.
    assert np.corrcoef(drawn[1:], drawn[:-1])[0, 1] == pytest.approx(0.7788, abs=0.01)


def test_a_day_repeats_and_teeth_fall_back():
    demand = day(4 * 1440, np.random.default_rng(0))
    saw = teeth(2000, np.random.default_rng(0), period=100.0)

    assert np.corrcoef(demand[:-1440], demand[1440:])[0, 1] > 0.95
    assert ((np.diff(saw) < -0.5).sum()) == pytest.approx(20, abs=6)


def test_a_rolling_mean_looks_back_only():
    assert rolling_mean(np.asarray([3.0, 5.0, 7.0, 9.0]), 2).tolist() == [3.0, 4.0, 6.0, 8.0]


def test_healthy_presses_what_is_too_high_below_the_limit():
    assert healthy(np.asarray([-0.1, 0.97, 1.94])).tolist() == pytest.approx([0.0, 0.485, 0.97])


def test_values_end_at_the_first_one_at_the_limit():
    values, failure = ending_at_failure(np.asarray([1.0, 2.0, 3.0, 1.0]), 3.0)

    assert (values.tolist(), failure) == ([1.0, 2.0, 3.0], 2)
    assert ending_at_failure(np.asarray([1.0, 2.0]), 3.0)[1] is None


def test_a_panel_begins_to_watch_all_episodes_at_once():
    young = Episode("y", "y", SignalKind.DISK, "t", "s", np.arange(6.0), 5.0, watched_from=2, onset=3, failure=5)
    old = Episode("o", "o", SignalKind.DISK, "t", "s", np.arange(5.0), 50.0, watched_from=4)

    panel = panel_of([young, old])

    assert panel.watched_from == 4
    assert panel.values[:, 4].tolist() == [2.0, 4.0]
    assert np.isnan(panel.values[0, :2]).all()
    assert (panel.ends.tolist(), panel.onsets[0], panel.failures[0]) == ([8, 5], 5, 7)
    assert panel.failures[1] > panel.columns
    assert panel.fails.tolist() == [True, False]


def test_the_shop_yields_labelled_signals_of_its_faults():
    episodes = shop_episodes("test/shop", 2_300_000)

    assert {episode.source for episode in episodes} == {"shop"}
    assert SignalKind.MEMORY in {episode.kind for episode in episodes}
    for episode in episodes:
        below = episode.values[: episode.failure]
        assert (below < episode.limit).all()
        if episode.fails:
            assert episode.watched_from < episode.onset < episode.failure
            assert episode.values[episode.failure] >= episode.limit

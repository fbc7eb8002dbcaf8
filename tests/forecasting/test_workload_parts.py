"""The building blocks of synthetic series, each against what it says it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from forecasting.workloads.corruptions import bursts, gap_runs, rounded, single_gaps, stale, unit_change
from forecasting.workloads.grid import DAY_S, Grid
from forecasting.workloads.readings import as_demand, counted
from forecasting.workloads.shapes import (
    coloured,
    convolved,
    limited,
    looked_up,
    one_of_kinds,
    profiles,
    shots,
    stretches,
    wander,
    week_profiles,
)


def grid(
    series: int = 200, points: int = 1_024, step_s: float = 60.0, start_at_s: float = 1.5e9, seed: int = 1
) -> Grid:
    return Grid(
        torch.full((series,), step_s, dtype=torch.float64),
        torch.full((series,), start_at_s, dtype=torch.float64),
        points,
        torch.Generator().manual_seed(seed),
    )


def column(value: float, series: int = 200) -> torch.Tensor:
    return torch.full((series, 1), value)


def test_cycles_count_periods_since_the_epoch() -> None:
    # 1.5e9 s are 17,361 whole days and 9,600 s: 0.1111 days. 720 points of 60 s later half a day has passed.
    cycles = grid(series=1).cycles(torch.tensor([[DAY_S]]))

    assert cycles[0, 0].item() == pytest.approx(9_600 / 86_400, abs=1e-6)
    assert (cycles[0, 720] - cycles[0, 0]).item() == pytest.approx(0.5, abs=1e-5)


def test_weeks_begin_on_monday() -> None:
    # 2017-07-10 0:00 UTC, a Monday, was 1,499,644,800.
    monday = grid(series=1, start_at_s=1_499_644_800.0)

    assert monday.weeks(torch.zeros(1, 1))[0, 0].item() == 0.0
    # Clocks six hours ahead already show 6:00, a quarter of the first of seven days.
    assert monday.weeks(torch.tensor([[21_600.0]]))[0, 0].item() == pytest.approx(0.25 / 7.0, abs=1e-6)


def test_a_week_rests_in_its_last_two_days() -> None:
    weeks = week_profiles(grid(series=1_000))
    days = weeks.reshape(1_000, 7, -1).mean(2)

    ratio = days[:, 5:].mean(1) / days[:, :5].mean(1)

    # Four of five rest at a share between 15 and 100 % (median 39 %), the others are busier: the median of all is at
    # 0.15 ** (1 - 0.5 / 0.8) = 0.49.
    assert ratio.median().item() == pytest.approx(0.49, abs=0.06)
    assert (ratio > 1.05).float().mean().item() == pytest.approx(0.2, abs=0.05)


def test_lengths_are_partly_in_real_time() -> None:
    real = grid(step_s=60.0).lengths(3_600.0, 3_600.0, 5.0, 5.0, real_share=1.0)
    free = grid(step_s=60.0).lengths(3_600.0, 3_600.0, 5.0, 5.0, real_share=0.0)

    assert real.allclose(column(60.0))  # an hour in minutes
    assert (free - 5.0).abs().max() < 0.06  # the range is widened by a hundredth


def test_profiles_reach_from_trough_to_peak() -> None:
    shapes = profiles(grid())

    assert shapes.amin(1).allclose(torch.zeros(200), atol=1e-6)
    assert shapes.amax(1).allclose(torch.ones(200), atol=1e-5)


def test_a_cycle_is_read_between_its_entries_and_around_its_end() -> None:
    table = torch.tensor([[0.0, 1.0, 2.0, 4.0]])
    cycles = torch.tensor([[0.0, 0.125, 0.5, 0.875, 1.0, 7.25]])

    # Half way from 0 to 1; entry 2; half way from 4 back to 0; one and seven cycles on.
    assert looked_up(table, cycles)[0].tolist() == [0.0, 0.5, 2.0, 2.0, 0.0, 1.0]


def test_coloured_noise_forgets_as_told() -> None:
    noise = coloured(grid(), column(10.0), column(1.0))

    later = (noise[:, 10:] * noise[:, :-10]).mean()

    assert noise.var().item() == pytest.approx(1.0, abs=0.05)
    assert later.item() == pytest.approx(0.368, abs=0.05)  # exp(-10 / 10)


def test_long_memory_does_not_tie_the_end_to_the_beginning() -> None:
    noise = coloured(grid(series=2_000), column(1e9, 2_000), column(1.0, 2_000))

    ends, begins = noise[:, -1], noise[:, 0]

    # The memory is cut at a quarter of the room behind the series: exp(-4) of correlation is left around it.
    assert abs((ends * begins).mean().item()) < 0.1


def test_a_walk_drifts_by_its_deviation() -> None:
    walk = wander(grid(series=4_000), torch.full((4_000, 1), 0.5))

    assert (walk[:, -1] - walk[:, 0]).std().item() == pytest.approx(0.5, abs=0.03)


def test_regular_stretches_follow_each_other() -> None:
    cut = stretches(grid(series=50, points=400), column(40.0, 50), column(0.0, 50))

    starts = cut.number.diff(dim=1) == 1

    assert (cut.length == 40.0).all()
    assert (cut.age >= 0.0).all() and (cut.age < 40.0).all()
    assert cut.age.diff(dim=1)[~starts].allclose(torch.ones(()), atol=1e-3)
    assert ((starts.sum(1) == 10) | (starts.sum(1) == 9)).all()  # 400 points / 40


def test_a_burst_follows_its_impulse() -> None:
    impulses = torch.zeros(1, 64)
    impulses[0, [5, 40]] = torch.tensor([2.0, 1.0])

    followed = convolved(grid(series=1, points=64), impulses, torch.tensor([[1.0, 0.5, 0.25]]))

    expected = torch.zeros(64)
    expected[5:8] = torch.tensor([2.0, 1.0, 0.5])
    expected[40:43] = torch.tensor([1.0, 0.5, 0.25])
    assert followed[0].allclose(expected, atol=1e-6)


def test_bursts_come_as_often_as_told() -> None:
    bursts = shots(grid(), column(0.01), column(2.0), column(0.2), column(0.3))

    # Alone in its point, each is at least 1 high; 1 % of the points begin one.
    assert (bursts > 0.9).float().mean().item() == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize("mean", [0.5, 3.9, 6.0, 40.0, 1e4])
def test_counts_have_the_mean_and_the_variance_of_a_poisson_number(mean: float) -> None:
    counts = counted(grid(), torch.full((200, 1_024), mean)).double()

    assert torch.equal(counts, counts.round())
    assert counts.mean().item() == pytest.approx(mean, rel=0.02)
    assert counts.var().item() == pytest.approx(mean, rel=0.03)


def test_counting_noise_falls_with_the_step() -> None:
    def roughness(step_s: float) -> float:
        coarse = grid(step_s=step_s)
        demand = as_demand(coarse, torch.ones(200, 1_024), low_rps=0.5, high_rps=0.5001)
        return float((demand.std(1) / demand.mean(1)).amin())

    # 0.5 a second: 7.5 in 15 s deviate by 1/√7.5 = 0.37, 1,800 in an hour by 0.024.
    assert roughness(15.0) == pytest.approx(0.37, abs=0.03)
    assert roughness(3_600.0) == pytest.approx(0.024, abs=0.004)


def test_what_exceeds_a_ceiling_is_cut_off_or_bent() -> None:
    values, ceiling = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[2.0]])

    assert limited(values, ceiling, torch.tensor([[0.0]]))[0].tolist() == [1.0, 2.0, 2.0]
    # 2 · (1 - exp(-x / 2)): 0.79, 1.26, 1.73
    bent = limited(values, ceiling, torch.tensor([[1.0]]))
    assert bent[0].tolist() == pytest.approx([0.787, 1.264, 1.729], abs=1e-3)


def test_each_series_is_drawn_as_one_kind() -> None:
    def of(value: float) -> Callable[[Grid], torch.Tensor]:
        return lambda part: torch.full((part.series, part.points), value)

    drawn = one_of_kinds(grid(series=2_000, points=3), (0.8, of(1.0)), (0.2, of(2.0)))

    assert (drawn == drawn[:, :1]).all()
    # Two deviations of 2,000 draws: 0.018.
    assert (drawn == 1.0).float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert ((drawn == 1.0) | (drawn == 2.0)).all()


def test_a_change_of_unit_is_one_step_by_a_known_factor() -> None:
    changed = unit_change(grid(), torch.ones(200, 1_024))

    steps = changed.diff(dim=1) != 0.0

    assert (steps.sum(1) <= 1).all() and steps.any(1).float().mean() > 0.9
    assert {round(float(value), 5) for value in changed[:, -1]} <= {0.001, 0.01667, 0.125, 1.0, 8.0, 60.0, 1_000.0}


def test_bursts_only_add() -> None:
    burst = bursts(grid(), torch.ones(200, 1_024))

    assert (burst >= 1.0).all()
    # At most 3 % of the points begin one, and most die away at once.
    assert 0.0 < (burst > 1.05).float().mean() < 0.2


def test_stale_scrapes_repeat_old_values() -> None:
    values = torch.arange(1_024.0).expand(200, 1_024).contiguous()

    held = stale(grid(), values)

    assert (held <= values).all()
    assert (held.diff(dim=1) >= 0.0).all()
    assert (held < values).any(1).float().mean() > 0.8


def test_rounding_leaves_multiples_of_a_power_of_ten() -> None:
    values = torch.rand(200, 1_024, generator=torch.Generator().manual_seed(3)) * 1_000.0

    digits = rounded(grid(), values)

    assert (digits - values).abs().max() <= 51.0  # half of the coarsest grain, 10 ** round(log10(50)) = 100
    assert max(len(row.unique()) for row in digits) < 1_024


def test_gaps_are_single_points_or_runs() -> None:
    alone, runs = single_gaps(grid()), gap_runs(grid())

    def mean_length(missing: torch.Tensor) -> float:
        begins = missing[:, 1:] & ~missing[:, :-1]
        return float(missing[:, 1:].sum() / begins.sum().clamp(min=1))

    assert mean_length(alone) < 1.3
    assert mean_length(runs) > 5.0

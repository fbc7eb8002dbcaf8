from __future__ import annotations

import numpy as np
import pytest

from forecasting.forecast import Floats
from forecasting.seasons import season_steps

TIME = np.arange(512, dtype=np.float64)


def _season(row: Floats) -> int:
    values = row[None]
    return int(season_steps(values, np.isfinite(values))[0])


@pytest.mark.parametrize("period", [12, 40, 96, 200])
def test_finds_the_period_of_a_noisy_cycle(period: int) -> None:
    noise = np.random.default_rng(period).normal(size=512)

    found = _season(100.0 + 10.0 * np.sin(2 * np.pi * TIME / period) + noise)

    assert abs(found - period) <= max(1, period // 25)


def test_takes_the_whole_cycle_not_its_half_nor_its_double() -> None:
    # Two bumps a cycle of unequal height: the half period of 30 is similar, only 60 is the same.
    cycle = np.sin(2 * np.pi * TIME / 60) + 0.8 * np.sin(4 * np.pi * TIME / 60)

    assert _season(cycle + 0.1 * np.random.default_rng(1).normal(size=512)) == 60


def test_sees_through_a_trend() -> None:
    assert _season(2.0 * TIME + 20.0 * np.sin(2 * np.pi * TIME / 50)) == 50


@pytest.mark.parametrize("seed", range(8))
def test_noise_has_no_season(seed: int) -> None:
    assert _season(np.random.default_rng(seed).normal(size=512)) == 0


@pytest.mark.parametrize("row", [np.full(512, 7.0), 3.0 * TIME, np.full(512, 1e15)], ids=["flat", "line", "huge"])
def test_lines_have_no_season(row: Floats) -> None:
    assert _season(row) == 0


def test_less_than_two_cycles_are_no_season() -> None:
    assert _season(np.sin(2 * np.pi * TIME / 300)) == 0


def test_gaps_do_not_hide_the_season() -> None:
    row = 10.0 * np.sin(2 * np.pi * TIME / 40)
    known = np.ones((1, 512), dtype=bool)
    known[0, 100:160] = False
    filled = np.where(known, row, 0.0)

    assert int(season_steps(filled, known)[0]) == 40

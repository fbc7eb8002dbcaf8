from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecasting.series_files import Series
from simulation.failure_measured import MeasuredDataMissing, _is_usable, measured_episodes

DATA = Path(__file__).parents[3] / "../shared/data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the measured data sets are not here")
def test_measured_series_stay_below_their_limits():
    episodes = measured_episodes(DATA, seed=1)

    assert len({episode.name for episode in episodes}) == len(episodes) > 20
    assert all(not episode.fails for episode in episodes)
    # The limit is 1.1 × the highest value.
    assert all(np.nanmax(episode.values) == pytest.approx(episode.limit / 1.1) for episode in episodes)


def test_short_negative_gappy_and_constant_series_are_left_out():
    ramp = np.arange(1000.0)
    gappy = np.where(np.arange(1000) % 2 == 0, np.nan, ramp)

    usable = [
        _is_usable(Series("s", "g", values, 60.0)) for values in (ramp, ramp[:500], ramp - 5.0, gappy, 0 * ramp + 1)
    ]

    assert usable == [True, False, False, False, False]


@pytest.mark.parametrize("folder", ["missing", "."])
def test_a_folder_without_series_is_refused(folder, tmp_path):
    with pytest.raises(MeasuredDataMissing, match="--data"):
        measured_episodes(tmp_path / folder, seed=1)

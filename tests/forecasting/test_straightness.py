"""A climb is told from a wave, a step and noise."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.straightness import straight

TIME = np.arange(200, dtype=np.float64)
NOISE = np.random.default_rng(0).standard_normal(200)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.where(TIME > 180, 10.0 * (TIME - 180), 0.0) + NOISE, True),  # a steep leak that began 19 points ago
        (0.5 * TIME + NOISE, True),  # a slow one
        (-3.0 * TIME, True),  # free disk sinks
        (NOISE, False),
        (np.full(200, 7.0), False),
        (np.sin(TIME / 3.0), False),
        (np.sin(TIME / 15.0), False),  # a straight stretch of a wave
        (np.where(TIME > 193, 100.0, 0.0) + NOISE, False),  # a step in the middle of the short look
    ],
)
def test_only_what_climbs_or_sinks_is_straight(values: np.ndarray, expected: bool) -> None:  # type: ignore[type-arg]
    assert straight(values[None], np.ones((1, 200), dtype=bool))[0] == expected


def test_unknown_points_are_not_looked_at() -> None:
    values = 2.0 * TIME[None].copy()
    known = np.ones(values.shape, dtype=bool)
    known[0, -3:-1], values[0, -3:-1] = False, -1e9
    assert straight(values, known)[0]


def test_too_few_known_points_tell_nothing() -> None:
    known = np.ones((1, 200), dtype=bool)
    known[0, -40::2] = False
    assert not straight(2.0 * TIME[None], known)[0]

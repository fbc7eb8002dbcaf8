"""What the network reads: scaled, masked, and the same whatever lies before the context."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.features import (
    ANCHORS,
    BUCKET_STEPS,
    COARSE_BUCKETS,
    CONTEXT_STEPS,
    HORIZON_STEPS,
    LARGEST_SCALED,
    Scaling,
    Window,
    features,
)
from forecasting.forecast import Floats


def window(values: Floats, **changes: object) -> Window:
    rows, points = values.shape
    nothing = np.full((rows, HORIZON_STEPS), np.nan)
    plain = Window(
        values=values,
        known=np.ones(values.shape, dtype=bool),
        step_s=np.full(rows, 60.0),
        last_at_s=np.full(rows, 1.7e9),
        wall_clock=np.ones(rows, dtype=bool),
        day=nothing,
        week=nothing.copy(),
        event_log=np.zeros((rows, points + HORIZON_STEPS)),
        demand=np.ones(rows, dtype=bool),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def walk(points: int, seed: int = 0) -> Floats:
    return 50.0 + np.cumsum(np.random.default_rng(seed).standard_normal((2, points)), axis=1)


def test_scaled_values_come_back_exactly() -> None:
    values = np.asarray([[-1e6, -3.0, 0.0, 7.0, 1e6], [1.0, 2.0, 3.0, 4.0, 5.0]])
    scaling = Scaling(np.asarray([10.0, 3.0]), np.asarray([100.0, 0.5]))
    np.testing.assert_allclose(scaling.restored(scaling.scaled(values)), values, rtol=1e-9, atol=1e-9)


def test_scaled_values_are_cut_off() -> None:
    scaling = Scaling(np.zeros(1), np.ones(1))
    assert scaling.scaled(np.asarray([[1e30]]))[0, 0] == LARGEST_SCALED


@pytest.mark.parametrize("points", [20, 300, 512, 1500, 6144])
def test_histories_of_any_length_have_the_same_shape(points: int) -> None:
    made = features(window(walk(points))).inputs()
    assert made["context"].shape == (2, CONTEXT_STEPS, 4)
    assert made["coarse"].shape == (2, COARSE_BUCKETS, 3)
    assert made["anchors"].shape == (2, HORIZON_STEPS, len(ANCHORS))
    assert all(np.isfinite(values).all() and values.dtype == np.float32 for values in made.values())


def test_units_change_nothing_that_the_network_reads() -> None:
    values = walk(900)
    here, there = features(window(values)).inputs(), features(window(values * 1024.0)).inputs()
    for name in ("context", "coarse", "anchors", "anchor_known"):
        np.testing.assert_allclose(here[name], there[name], atol=1e-4, err_msg=name)


def test_unknown_points_are_masked_and_do_not_count() -> None:
    values = walk(512)
    known = np.ones(values.shape, dtype=bool)
    known[:, 100:140] = False
    spoiled = values.copy()
    spoiled[:, 100:140] = 1e9
    context = features(window(spoiled, known=known)).context
    assert (context[:, 100:140, :2] == 0.0).all()
    assert abs(features(window(spoiled, known=known)).scaling.centre[0] - values[0][known[0]].mean()) < 1e-9


def test_coarse_buckets_hold_mean_and_maximum_of_the_newest_points() -> None:
    values = walk(6144)
    made = features(window(values))
    newest = values[:, -BUCKET_STEPS:]
    np.testing.assert_allclose(
        made.scaling.restored(made.coarse[:, -1, 0].astype(float)), newest.mean(axis=1), rtol=1e-4
    )
    np.testing.assert_allclose(
        made.scaling.restored(made.coarse[:, -1, 1].astype(float)), newest.max(axis=1), rtol=1e-4
    )


def test_anchors_of_a_line_lie_on_it() -> None:
    line = np.arange(512, dtype=np.float64)[None] * 2.0
    made = features(window(line))
    said = made.scaling.restored(made.anchors[:, :, ANCHORS.index("line-12")].astype(float))
    np.testing.assert_allclose(said[0], 1022.0 + 2.0 * np.arange(1, 65), rtol=1e-3)


def test_the_cycle_is_an_anchor() -> None:
    time = np.arange(1100, dtype=np.float64)
    wave = (100.0 + 30.0 * np.sin(2.0 * np.pi * time / 96.0))[None]
    made = features(window(wave[:, :1024]))
    assert made.season[0] == 96
    said = made.scaling.restored(made.anchors[:, :, ANCHORS.index("season")].astype(float))
    np.testing.assert_allclose(said[0], wave[0, 1024:1088], rtol=1e-4)
    assert made.anchor_known[0, 0, ANCHORS.index("season")] == 1.0


def test_yesterday_is_an_anchor_only_where_it_was_measured() -> None:
    values = walk(512)
    day = np.full((2, HORIZON_STEPS), np.nan)
    day[0] = 77.0
    made = features(window(values, day=day))
    place = ANCHORS.index("day")
    assert (made.anchor_known[0, :, place] == 1.0).all()
    assert (made.anchor_known[1, :, place] == 0.0).all()
    np.testing.assert_allclose(made.scaling.restored(made.anchors[:, :, place].astype(float))[0], 77.0, rtol=1e-3)


def test_without_a_wall_clock_the_calendar_is_blank() -> None:
    values = walk(512)
    assert (features(window(values, wall_clock=np.zeros(2, dtype=bool))).calendar == 0.0).all()
    assert (features(window(values)).calendar[:, :, -1] == 1.0).all()


def test_a_constant_row_stays_finite_and_keeps_a_small_scale() -> None:
    made = features(window(np.full((1, 512), 5.0)))
    assert 0.0 < made.scaling.scale[0] < 1e-2
    assert all(np.isfinite(values).all() for values in made.inputs().values())

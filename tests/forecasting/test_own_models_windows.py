from __future__ import annotations

import numpy as np
import pytest

from forecasting.forecast import Floats, ForecastRequest
from forecasting.own_models.errors import TrainingImpossible
from forecasting.own_models.examples import moments
from forecasting.own_models.windows import COVARIATES, Stretch, examples, model_input, scaling_of, stretch_of
from forecasting.series_files import Series

MEASURED, YESTERDAY, YESTERDAY_KNOWN = (COVARIATES.index(name) for name in ("measured", "yesterday", "yesterday-known"))
#: A day has four steps here, so that a short series holds several.
STEP_S = 21_600.0


def _series(values: Floats, name: str = "a", start_at_s: float | None = 0.0, step_s: float = STEP_S) -> Series:
    return Series(name, "test", np.asarray(values, dtype=np.float64), step_s, start_at_s)


def _stretch(past: Floats, ahead: int = 2) -> Stretch:
    unknown = np.full((past.shape[0], past.shape[1] + ahead), np.nan)
    return Stretch(past, unknown, unknown.copy(), np.zeros(past.shape[0]), STEP_S, True)


def test_scaling_is_undone_exactly() -> None:
    past = np.asarray([[1.0, 3.0, np.nan, 5.0]])

    given = model_input(_stretch(past))

    np.testing.assert_allclose(
        given.scaling.restored(given.target[:, [0, 1, 3], 0].astype(float)), [[1, 3, 5]], rtol=1e-5
    )


def test_centre_and_scale_are_those_of_the_known_points() -> None:
    scaling = scaling_of(np.asarray([[1.0, np.nan, 3.0]]))

    # Mean of 1 and 3; both are 1 away from it.
    assert scaling.centre[0] == 2.0
    assert scaling.scale[0] == 1.0


def test_a_constant_stretch_can_be_divided_by_its_scale() -> None:
    given = model_input(_stretch(np.full((1, 4), 5.0)))

    assert np.all(given.target == 0.0)
    assert given.scaling.scale[0] > 0.0


def test_a_short_gap_is_bridged_and_counts_as_measured_and_a_newest_gap_does_not() -> None:
    given = model_input(_stretch(np.asarray([[0.0, np.nan, 4.0, np.nan]])))

    restored = given.scaling.restored(given.target[:, :, 0].astype(float))
    np.testing.assert_allclose(restored, [[0.0, 2.0, 4.0, 4.0]], atol=1e-6)
    assert given.past[0, :, MEASURED].tolist() == [1.0, 1.0, 1.0, 0.0]


def test_what_was_measured_a_day_before_is_beside_each_step_of_past_and_future() -> None:
    values = np.arange(20.0)

    made = examples([_series(values)], np.asarray([0]), np.asarray([9]), input_steps=4, steps_ahead=2)

    # The past are points 6 … 9, the day before them 2 … 5; the future is 10 and 11, the day before it 6 and 7.
    yesterday = np.concatenate([made.given.past, made.given.future], axis=1)[0, :, YESTERDAY]
    restored = made.given.scaling.restored(yesterday[None].astype(float))
    np.testing.assert_allclose(restored, [[2.0, 3.0, 4.0, 5.0, 6.0, 7.0]], rtol=1e-5)
    outcome = made.given.scaling.restored(made.outcome.astype(float))
    np.testing.assert_allclose(outcome, [[10.0, 11.0]], rtol=1e-5)


def test_serving_reads_what_training_read() -> None:
    values = np.random.default_rng(1).normal(100.0, 10.0, 40)
    values[[12, 30]] = np.nan
    made = examples([_series(values)], np.asarray([0]), np.asarray([33]), input_steps=8, steps_ahead=4)
    request = ForecastRequest(("a",), values[None, :34], STEP_S, last_at_s=33 * STEP_S, horizon_steps=4)

    served = model_input(stretch_of(request, np.asarray([0]), values[None, :34], input_steps=8, steps_ahead=4))

    np.testing.assert_array_equal(served.target, made.given.target)
    np.testing.assert_array_equal(served.past, made.given.past)
    np.testing.assert_array_equal(served.future, made.given.future)


def test_what_the_request_says_of_yesterday_counts_where_the_history_is_too_short() -> None:
    request = ForecastRequest(
        ("a",), np.asarray([[1.0, 2.0]]), STEP_S, 0.0, 2, same_time_yesterday=np.asarray([[7.0, np.nan]])
    )

    served = stretch_of(request, np.asarray([0]), request.values, input_steps=2, steps_ahead=2)

    np.testing.assert_array_equal(served.day, [[np.nan, np.nan, 7.0, np.nan]])


def test_series_without_times_show_no_time_of_day() -> None:
    series = _series(np.arange(20.0), start_at_s=None)

    made = examples([series], np.asarray([0]), np.asarray([9]), input_steps=4, steps_ahead=2)

    assert np.all(made.given.past[:, :, 1:5] == 0.0)


def test_validation_outcomes_lie_after_all_that_is_learned_from() -> None:
    found = moments([_series(np.random.default_rng(0).normal(size=1000))])

    learned, fresh = found.origins[~found.fresh], found.origins[found.fresh]
    assert learned.max() + found.output_steps < fresh.min() + 1


def test_stretches_that_are_mostly_unknown_are_not_learned_from() -> None:
    values = np.random.default_rng(0).normal(size=1200)
    values[300:900] = np.nan

    found = moments([_series(values)])

    # A past of 256 steps that ends in the middle of the gap is all unknown.
    assert 600 not in found.origins
    assert 299 not in found.origins  # half of its future of 64 steps must be known, and none is
    assert 250 not in found.origins or np.isfinite(values[251:315]).mean() >= 0.5


@pytest.mark.parametrize(
    ("series", "said"),
    [
        pytest.param([], "no series", id="none"),
        pytest.param([_series(np.zeros(900)), _series(np.zeros(900), step_s=60.0)], "one step length", id="two-steps"),
        pytest.param([_series(np.zeros(40))], "at most 40 points", id="short"),
        pytest.param([_series(np.full(900, np.nan))], "too little is known", id="empty"),
    ],
)
def test_series_that_teach_nothing_are_refused(series: list[Series], said: str) -> None:
    with pytest.raises(TrainingImpossible, match=said):
        moments(series)

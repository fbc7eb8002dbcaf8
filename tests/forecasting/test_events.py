from __future__ import annotations

import numpy as np
import pytest

from forecasting.events import factor, with_events, without_events
from forecasting.forecast import LEVELS, DeclaredEvent, Floats, ForecastRequest, SeriesKind

MEDIAN = LEVELS.index(0.50)
STEP_S = 15.0
LAST_S = 1500.0
ROWS = np.arange(2)


def _request(*events: DeclaredEvent) -> ForecastRequest:
    return ForecastRequest(
        ("demand", "memory"),
        np.full((2, 100), 50.0),
        STEP_S,
        LAST_S,
        8,
        (SeriesKind.DEMAND, SeriesKind.GAUGE),
        events=events,
    )


def _sale(starts_at_s: float, ends_at_s: float, probability: float = 1.0, multiplier: float = 2.0) -> DeclaredEvent:
    return DeclaredEvent("sale", starts_at_s, ends_at_s, multiplier, probability)


def _applied(event: DeclaredEvent, values: Floats | None = None, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Quantiles, paths and history of a forecast that is uniform from 90 to 110 at every step, then the event."""
    history = np.full((2, 100), 50.0) if values is None else values
    view = without_events(_request(event), ROWS, history, np.ones((2, 100), dtype=bool))
    quantiles = np.broadcast_to(90.0 + 20.0 * np.asarray(LEVELS), (2, 8, len(LEVELS)))
    paths = np.broadcast_to(90.0 + 20.0 * (np.arange(100) + 0.5)[:, None] / 100, (2, 100, 8))
    mixed, futures = with_events(quantiles, paths, view.scenarios, np.random.default_rng(seed))
    return mixed, futures, view.values


def test_factor_ramps_up_and_ends_at_once() -> None:
    event = DeclaredEvent("sale", 100.0, 200.0, 3.0, ramp_s=20.0)

    factors = factor(event, np.asarray([99.0, 100.0, 110.0, 120.0, 199.0, 200.0]))

    assert factors.tolist() == [1.0, 1.0, 2.0, 3.0, 3.0, 1.0]


def test_certain_doubling_doubles_the_median_from_its_start() -> None:
    quantiles, paths, _ = _applied(_sale(LAST_S + 60.0, LAST_S + 1e4))

    # Steps lie 15, 30, 45 s ahead of the start at 60 s, which is step 4.
    assert quantiles[0, :, MEDIAN].tolist() == [100.0] * 3 + [200.0] * 5
    assert np.isclose(paths[0].mean(axis=0), [100.0] * 3 + [200.0] * 5).all()


def test_only_demand_is_multiplied() -> None:
    quantiles, _, _ = _applied(_sale(LAST_S, LAST_S + 1e4))

    assert (quantiles[1, :, MEDIAN] == 100.0).all()


def test_event_that_names_series_acts_on_those_only() -> None:
    event = DeclaredEvent("import", LAST_S + 1.0, LAST_S + 1e4, 2.0, series=("memory",))

    quantiles, _, _ = _applied(event)

    assert (quantiles[0, :, MEDIAN] == 100.0).all()
    assert (quantiles[1, :, MEDIAN] == 200.0).all()


def test_uncertain_event_takes_place_in_its_share_of_the_futures() -> None:
    quantiles, paths, _ = _applied(_sale(LAST_S + 1.0, LAST_S + 1e4, probability=0.3))

    # Without the sale at most 110, with it at least 180: 30 of 100 futures lie above.
    assert ((paths[0] > 150.0).sum(axis=0) == 30).all()
    levels = np.asarray(LEVELS)
    assert (quantiles[0][:, levels < 0.68] < 111.0).all()
    assert (quantiles[0][:, levels > 0.72] > 179.0).all()
    assert (np.diff(quantiles[0], axis=-1) >= 0.0).all()
    # The mixture's median leaves out the upper 30 %: level 0.5 / 0.7 of the quiet case.
    assert quantiles[0, 0, MEDIAN] == pytest.approx(90.0 + 20.0 * 0.5 / 0.7, abs=0.2)


def test_uncertain_event_is_the_same_future_for_all_series() -> None:
    event = DeclaredEvent("sale", LAST_S + 1.0, LAST_S + 1e4, 2.0, 0.4, series=("demand", "memory"))

    _, paths, _ = _applied(event)

    assert ((paths[0, :, 0] > 150.0) == (paths[1, :, 0] > 150.0)).all()


def test_running_event_is_not_multiplied_again() -> None:
    history = np.full((2, 100), 50.0)
    history[0, 61:] = 100.0  # the sale began 39 points ago and doubled the demand since
    started_s = LAST_S - 39 * STEP_S

    quantiles, _, freed = _applied(_sale(started_s, LAST_S + 75.0), history)

    # History without it is flat, so a forecast of 100 made from that doubles while it runs and is itself afterwards.
    assert (freed[0] == 50.0).all()
    assert quantiles[0, :, MEDIAN].tolist() == [200.0] * 4 + [100.0] * 4


def test_event_that_did_not_come_is_forgotten() -> None:
    quantiles, _, freed = _applied(_sale(LAST_S - 39 * STEP_S, LAST_S + 75.0))

    assert (freed == 50.0).all()
    assert (quantiles[0, :, MEDIAN] == 100.0).all()


def test_event_just_begun_adds_only_what_is_still_to_come() -> None:
    event = DeclaredEvent("sale", LAST_S - 15.0, LAST_S + 1e4, 3.0, ramp_s=60.0)

    quantiles, _, _ = _applied(event)

    # The newest point is the mean of the ramp's first quarter, 1.25; 2, 2.5, 3 follow: 1.6, 2, 2.4 times now.
    assert quantiles[0, :4, MEDIAN] == pytest.approx([160.0, 200.0, 240.0, 240.0])


def test_two_events_multiply() -> None:
    request = _request(_sale(LAST_S, LAST_S + 1e4), _sale(LAST_S, LAST_S + 1e4, multiplier=1.5, probability=0.5))
    view = without_events(request, ROWS, np.full((2, 100), 50.0), np.ones((2, 100), dtype=bool))
    flat = np.full((2, 8, len(LEVELS)), 100.0)

    quantiles, paths = with_events(flat, np.full((2, 100, 8), 100.0), view.scenarios, np.random.default_rng(1))

    assert len(view.scenarios) == 2
    assert np.unique(paths[0]).tolist() == [200.0, 300.0]
    assert np.allclose(quantiles[0, :, 0], 200.0)
    assert np.allclose(quantiles[0, :, -1], 300.0)


def test_one_point_is_enough_to_see_a_doubling_but_not_a_tenth() -> None:
    history = np.full((2, 100), 50.0)
    history[0, 99:] = 100.0

    _, _, doubled = _applied(_sale(LAST_S - STEP_S, LAST_S + 1e4), history)
    _, _, raised = _applied(_sale(LAST_S - STEP_S, LAST_S + 1e4, multiplier=1.1), history)

    assert doubled[0, 99] == 50.0
    assert raised[0, 99] == 100.0

"""Knative's windows and panic, worked out by hand: one pod carries 10 requests per second."""

from __future__ import annotations

import math

import pytest

from simulation.peers.kpa import KpaSettings, KpaState, propose, started

SETTINGS = KpaSettings(target_per_pod=10.0)


def run(
    loads: list[float | None], *, ready: int, settings: KpaSettings = SETTINGS, state: KpaState | None = None
) -> tuple[list[int | None], KpaState]:
    """One reading every 2 s from t = 0, always the same ready pods."""
    state = KpaState() if state is None else state
    answers = []
    for i, load in enumerate(loads):
        answer, state = propose(settings, state, load, ready, 2.0 * i)
        answers.append(answer)
    return answers, state


def test_steady_load_gets_the_pods_it_needs() -> None:
    # 35 over 10 = 3.5 → 4; 4/4 = 100 % is no panic
    answers, state = run([35.0] * 31, ready=4)

    assert answers[-1] == 4
    assert state.panic_at_s is None


def test_the_stable_window_averages_a_minute_and_the_panic_window_six_seconds() -> None:
    # 27 readings of 10, then 3 of 30: stable (27·10 + 3·30)/30 = 12 → 2; panic 30 → 3 of 2 ready = 150 %: no panic
    calm, state = run([10.0] * 27 + [30.0] * 3, ready=2)
    # one more: panic window still 30; 5 readings of 50 push it to 50 → 5 of 2 = 250 %: panic, 5 pods at once
    hot, state = run([10.0] * 27 + [50.0] * 3, ready=2)

    assert calm[-1] == 2
    assert hot[-1] == 5
    assert state.panic_at_s == 58.0


def test_panic_never_shrinks_and_ends_a_stable_window_after_its_last_excess() -> None:
    loads: list[float | None] = [10.0] * 5 + [100.0] * 3 + [10.0] * 40
    answers, state = run(loads, ready=2)

    # t = 10 s: one of three readings is 100, (10 + 10 + 100)/3 = 40 → 4 of 2 = 200 %: panic;
    # t = 12: 70 → 7; t = 14: 100 → 10. The window stays over 200 % until t = 18: (100 + 10 + 10)/3 = 40 → 4.
    assert answers[5:8] == [4, 7, 10]
    still_panicking = [answer for i, answer in enumerate(answers) if 14.0 <= 2.0 * i <= 18.0 + 60.0]
    assert set(still_panicking) == {10}
    assert state.panic_at_s is None
    assert answers[-1] == 1  # 10 per second is one pod, and 2 ready may halve


@pytest.mark.parametrize(
    ("ready", "load", "expected"),
    [
        pytest.param(10, 10.0, 5, id="halves-at-most"),
        pytest.param(9, 10.0, 4, id="half-rounded-down"),
        pytest.param(1, 0.0, 1, id="not-below-min"),
        pytest.param(1, 5000.0, 100, id="not-above-max"),
        pytest.param(0, 25.0, 3, id="nothing-ready-counts-as-one"),
    ],
)
def test_limits(ready: int, load: float, expected: int) -> None:
    assert run([load], ready=ready)[0] == [expected]


def test_growth_is_limited_to_a_multiple_of_the_ready_pods() -> None:
    slow = KpaSettings(target_per_pod=10.0, max_scale_up=1.5)

    assert run([500.0], ready=3, settings=slow)[0] == [5]  # ceil(4.5)


def test_a_restart_begins_in_panic_and_keeps_what_is_there() -> None:
    answers, _ = run([10.0] * 32, ready=8, state=started(8, 0.0))

    # Panic holds 8 until 60 s have passed; then half of 8.
    assert answers[:31] == [8] * 31
    assert answers[31] == 4
    assert started(1, 0.0).panic_at_s is None


def test_a_missing_reading_is_not_an_idle_second() -> None:
    with_gaps, _ = run([40.0, None, math.nan, 40.0], ready=4)

    assert with_gaps == [4, 4, 4, 4]


def test_without_any_reading_in_a_window_nothing_is_decided() -> None:
    answers, _ = run([None], ready=4)
    # the panic window of 6 s is empty after 3 silent readings, whatever the stable one holds
    later, _ = run([40.0, None, None, None], ready=4)

    assert answers == [None]
    assert later == [4, 4, 4, None]

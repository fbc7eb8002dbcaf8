"""PHPA's models over replica counts, worked out by hand."""

from __future__ import annotations

from simulation.hpa.values import HpaDecision, MetricError, MetricStatus, Reason
from simulation.peers.phpa import Count, PhpaSettings, PhpaState, hpa_proposal, learned, propose


def hpa(proposal: int | None, *, current: int = 1) -> HpaDecision:
    if proposal is None:
        failed = (MetricStatus(error=MetricError.API_FAILED),)
        reason = Reason.FAILED_GET_RESOURCE_METRIC
        return HpaDecision(current, False, reason, (), failed, error=MetricError.API_FAILED)
    return HpaDecision(current, False, Reason.DESIRED_WITHIN_RANGE, (), (MetricStatus(proposal),), 0)


def run(settings: PhpaSettings, proposals: list[int | None]) -> list[int | None]:
    """One sync every 15 s from t = 0."""
    state, answers = PhpaState(), []
    for i, proposal in enumerate(proposals):
        answer, state = propose(settings, state, hpa(proposal), 15.0 * i)
        answers.append(answer)
    return answers


def test_the_linear_model_extends_the_trend_of_the_counts() -> None:
    settings = PhpaSettings("linear", look_ahead_s=30.0)

    # 2, 3, 4 at 0, 15, 30 s: one pod per 15 s; 30 s ahead of each: no line yet, 3 + 2, 4 + 2
    assert run(settings, [2, 3, 4]) == [2, 5, 6]


def test_a_prediction_is_rounded_up() -> None:
    settings = PhpaSettings("linear", look_ahead_s=15.0)

    # 1, 1, 2 at 0, 15, 30 s: mean 4/3 at 15 s, slope 0.5 per step; 30 s after the mean: 4/3 + 0.5 · 2 = 2.33 → 3
    assert run(settings, [1, 1, 2]) == [1, 1, 3]


def test_the_larger_of_hpa_and_model_wins() -> None:
    settings = PhpaSettings("linear", look_ahead_s=15.0, downscale_stabilization_s=0.0)

    # falling counts predict 2 and less, the HPA itself asks for 6, 4
    assert run(settings, [8, 6, 4]) == [8, 6, 4]


def test_scaling_down_waits_for_the_window() -> None:
    settings = PhpaSettings("linear", downscale_stabilization_s=30.0, stored_values=1)  # one value: never a line

    assert run(settings, [8, 2, 2, 2]) == [8, 8, 8, 2]


def test_only_the_stored_values_are_fitted() -> None:
    settings = PhpaSettings("linear", look_ahead_s=15.0, stored_values=2, downscale_stabilization_s=0.0)

    # the last two counts, 5 and 6, give 7; all three would give 2·slope…: 1, 5, 6 → 4 + 2.5 · 2 = 9
    assert run(settings, [1, 5, 6])[-1] == 7


def test_bounds_hold_for_predictions() -> None:
    settings = PhpaSettings("linear", look_ahead_s=150.0, max_replicas=10)

    assert run(settings, [2, 6]) == [2, 10]


def test_a_failing_hpa_scales_nothing_and_teaches_nothing() -> None:
    settings = PhpaSettings("linear", look_ahead_s=15.0)

    # counts 2 at 0 s and 4 at 30 s: a slope of 1 per 15 s, so 5 at 45 s
    assert run(settings, [2, None, 4]) == [2, None, 5]


def test_the_hpas_proposal_is_taken_before_its_stabilisation() -> None:
    held = HpaDecision(9, False, Reason.SCALE_DOWN_STABILIZED, (), (MetricStatus(3), MetricStatus(5)), 1)
    disabled = HpaDecision(0, False, Reason.SCALING_DISABLED, ())
    bounded = HpaDecision(4, True, Reason.SUCCEEDED_RESCALE, ())

    assert [hpa_proposal(one) for one in (held, disabled, bounded)] == [5, None, 4]


def test_holt_winters_waits_for_two_seasons() -> None:
    settings = PhpaSettings("holt-winters", season_s=60.0)  # 4 values

    assert run(settings, [1, 1, 9, 1, 1, 1, 9])[:2] == [1, 1]


def test_holt_winters_knows_the_peak_before_it_comes() -> None:
    settings = PhpaSettings("holt-winters", season_s=60.0, downscale_stabilization_s=0.0)

    # A perfectly repeating season has no trend: after two seasons the next value is the one of last season.
    answers = run(settings, [1, 1, 9, 1, 1, 1, 9, 1, 1, 1])

    # index 7 is the first with a model: next is 1; index 8: next is 1; index 9: next is the peak
    assert answers[7:] == [1, 1, 9]


def test_holt_winters_adds_the_trend() -> None:
    settings = PhpaSettings("holt-winters", season_s=60.0, downscale_stabilization_s=0.0)

    # a straight line 1, 2, …, 8 is level and trend without season: 9 comes next
    assert run(settings, [1, 2, 3, 4, 5, 6, 7, 8])[-1] == 9


def test_holt_winters_smooths_by_its_factors() -> None:
    settings = PhpaSettings(
        "holt-winters", season_s=30.0, alpha=0.5, beta=0.5, gamma=0.5, downscale_stabilization_s=0.0
    )

    # 4, 4, 4, 4 initialise level 4, trend 0, season (0, 0). Then 8:
    # level 0.5·8 + 0.5·4 = 6, trend 0.5·2 = 1, season 0.5·4 = 2 for the step after next.
    # Next step: 6 + 1 + season 0 = 7, but the HPA itself asks for 8.
    # Then 4: season 0; level 0.5·4 + 0.5·7 = 5.5, trend 0.5·(−0.5) + 0.5·1 = 0.25; next: 5.5 + 0.25 + 2 = 7.75 → 8
    assert run(settings, [4, 4, 4, 4, 8, 4]) == [4, 4, 4, 4, 8, 8]


def test_values_are_stored_no_faster_than_the_interval() -> None:
    settings = PhpaSettings("linear", interval_s=30.0, look_ahead_s=30.0, downscale_stabilization_s=0.0)

    # stored: 2 at 0 s, 4 at 30 s; at 15 s nothing; at 30 s the line gives 4 + 2 = 6
    assert run(settings, [2, 9, 4]) == [2, 9, 6]


def test_a_history_that_was_stored_before_is_known_from_the_first_sync() -> None:
    settings = PhpaSettings("holt-winters", season_s=60.0, downscale_stabilization_s=0.0)
    history = [Count(15.0 * (i - 9), replicas) for i, replicas in enumerate([1, 1, 9, 1, 1, 1, 9, 1, 1])]

    # the next value is known as a quiet one; after it the peak is due
    answer, _ = propose(settings, learned(settings, history), hpa(1), 0.0)

    assert answer == 9
